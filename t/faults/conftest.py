"""Makes the calls of a running part fail, one after the other; faults.c tells how. The system is t/flow's."""

import collections
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
LOG, ENTRY, HEAD = 32768, struct.Struct("=2Q40s"), struct.Struct("=7Q40s")
SIZE = HEAD.size + LOG * ENTRY.size
BINARIES = {"nginx": "modules/ngx_foodsvc_module.so"}
tried = collections.Counter()       # calls that failed, of each program


class Faults:
    """The file through which a program's calls are counted and failed."""

    def __init__(self, program, folder=FOLDER):
        self.program = program
        path = os.path.join(folder, program)
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.truncate(SIZE)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)

    def arm(self, call=(0, 0)):
        """Calls are counted; of those that come a way the nth fails."""
        self.memory[:HEAD.size] = HEAD.pack(0, 0, *call, 0, 0, 0, b"")
        self.memory[:8] = struct.pack("=Q", 1)

    def disarm(self):
        """The name of the call that failed, or None."""
        if self.memory[0]:
            self.memory[:8] = struct.pack("=Q", 0)
            tried[self.program] += self.failed is not None
        return self.failed

    @property
    def failed(self):
        """The name of the call that failed, or None."""
        *_, failed, _, name = HEAD.unpack_from(self.memory)
        return name.split(b"\0")[0].decode() if failed else None

    def counted(self):
        """Of each call that was counted its place in the code, the way that led there, and its name."""
        return [ENTRY.unpack_from(self.memory, HEAD.size + i * ENTRY.size)
                for i in range(min(HEAD.unpack_from(self.memory)[1], LOG))]

    def chosen(self):
        """The calls to fail, as (way, nth), of those that were counted: the first and the last of each way that leads
        to one, so that a loop's turns in between, which are alike, are left out. In a QUICK run: one for each place."""
        times, first = collections.Counter(), {}
        for place, way, name in self.counted():
            times[way] += 1
            first.setdefault((place, name), way)
        if QUICK:
            return [(way, 1) for way in dict.fromkeys(first.values())]
        return [(way, nth) for way, n in times.items() for nth in sorted({1, n})]

    def where(self):
        """The call that failed, for the screen."""
        return self.line(HEAD.unpack_from(self.memory)[6], self.failed)

    def line(self, place, name):
        """A call with its function and line."""
        binary = os.path.join(BUILD, BINARIES.get(self.program, "bin/" + self.program))
        found = subprocess.run(["addr2line", "-fse", binary, hex(place - 1)], capture_output=True, text=True,
                               check=False)
        return f"{name} in {' '.join(found.stdout.split())}"


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("calls failed: " + ", ".join(f"{program} {n}" for program, n in tried.items()))


def environment(folder):
    """The one of the system's own processes, the faults steered from this folder."""
    # not nginx's: it overwrites its own
    with open("/proc/" + os.environ["ORDERD_PIDS"].split()[0] + "/environ", "rb") as file:
        theirs = dict(line.split(b"=", 1) for line in file.read().split(b"\0") if b"=" in line)
    env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    options = {key.decode(): value.decode() for key, value in theirs.items() if key.endswith(b"SAN_OPTIONS")}
    assert "ASAN_OPTIONS" in options, "what the sanitizers see would be lost"
    return env | options | {"FOODSVC_FAULTS": str(folder), "PATH": os.environ["PATH"] + ":/usr/sbin"}


def keys(partners, route, order_id):
    """The idempotency keys that a partner was asked with for this order: one is one charge, one meal."""
    return {call.headers.get("Idempotency-Key") for call in partners.calls_of(route, order_id)}


@pytest.fixture(scope="session")
def nginx_faults():
    return Faults("nginx")


@pytest.fixture(scope="session")
def orderd_faults():
    return Faults("foodsvc-orderd")
