"""Makes the calls of a running part fail, one after the other; faults.c tells how. The system is t/flow's."""

import importlib.util
import mmap
import os
import struct
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "t/flow"))
_spec = importlib.util.spec_from_file_location("flow_conftest", os.path.join(ROOT, "t/flow/conftest.py"))
flow = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(flow)
running, all_partners, partners, system = flow.running, flow.all_partners, flow.partners, flow.system
wait_for = flow.wait_for

BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build/faults")
FOLDER = os.environ["FOODSVC_FAULTS"]
QUICK = bool(os.environ.get("QUICK"))
LOG, ENTRY, HEAD = 32768, 48, 96
BINARIES = {"nginx": "modules/ngx_foodsvc_module.so"}


class Faults:
    """The file through which a program's calls are counted and failed."""

    def __init__(self, program, folder=FOLDER):
        self.program = program
        path = os.path.join(folder, program)
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.truncate(HEAD + LOG * ENTRY)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), HEAD + LOG * ENTRY)

    def arm(self, first=0, last=None):
        """Counts from 1 on; the calls from first to last (default: first alone) fail."""
        self.memory[:HEAD] = struct.pack("=5Q56x", 0, 0, first, first if last is None else last, 0)
        self.memory[:8] = struct.pack("=Q", 1)

    def disarm(self):
        """How many calls there were."""
        self.memory[:8] = struct.pack("=Q", 0)
        return self.calls

    @property
    def calls(self):
        return struct.unpack_from("=Q", self.memory, 8)[0]

    @property
    def failed(self):
        """The name of the call that failed first, or None."""
        count, = struct.unpack_from("=Q", self.memory, 32)
        return self.memory[56:HEAD].split(b"\0")[0].decode() if count else None

    def places(self):
        """Of each call that was counted its place in the code."""
        return [struct.unpack_from("=Q40s", self.memory, HEAD + i * ENTRY) for i in range(min(self.calls, LOG))]

    def chosen(self):
        """The calls to fail, of those that were counted: all of them, or in a QUICK run the first from each place."""
        places = self.places()
        if not QUICK:
            return list(range(1, len(places) + 1))
        first = {}
        for n, place in enumerate(places, 1):
            first.setdefault(place, n)
        return sorted(first.values())

    def where(self):
        """The call that failed, for the screen."""
        at, place = struct.unpack_from("=2Q", self.memory, 40)
        binary = os.path.join(BUILD, BINARIES.get(self.program, "bin/" + self.program))
        found = subprocess.run(["addr2line", "-fse", binary, hex(place - 1)], capture_output=True, text=True,
                               check=False)
        return f"call {at}, {self.failed} in {' '.join(found.stdout.split())}"


@pytest.fixture(scope="session")
def nginx_faults():
    return Faults("nginx")


@pytest.fixture(scope="session")
def orderd_faults():
    return Faults("foodsvc-orderd")
