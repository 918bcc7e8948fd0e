"""The planted faults: known to the code and the list alike, asked for by name,
and in no program that is not built for them."""

import glob
import os
import re
import subprocess
import sys

import pytest

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from faults import PLANTED  # noqa: E402
from world import HERE, ROOT  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")


def chaos(**env):
    """The command, with these variables."""
    return subprocess.run([sys.executable, HERE], env=os.environ | env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=30)


def test_the_code_has_the_faults_of_the_list():
    found = set()
    for folder in ("libfoodsvc", "ngx_foodsvc_module", "workers/*"):
        for path in glob.glob(os.path.join(ROOT, folder, "*.c")):
            with open(path, encoding="utf-8") as file:
                found |= set(re.findall(r'foodsvc_break\("([^"]+)"\)', file.read()))
    assert found == set(PLANTED)


def test_no_program_has_a_fault_in_it():
    programs = glob.glob(os.path.join(BUILD, "bin/*")) + glob.glob(os.path.join(BUILD, "modules/*.so"))
    assert len(programs) >= 4
    for path in programs:
        with open(path, "rb") as file:
            text = file.read()
        assert b"/v1/orders" in text or b"OrderService" in text        # it can be looked through
        for word in [b"FOODSVC_BREAK", *(name.encode() for name in PLANTED)]:
            assert word not in text, f"{path} has {word}"


def test_break_list_prints_the_names():
    result = chaos(BREAK="list")
    assert (result.returncode, result.stdout.split("\n")) == (0, [*PLANTED, ""])


@pytest.mark.parametrize("env, named", [({"BREAK": "lunch"}, "BREAK=lunch"), ({"MINUTES": "0"}, "MINUTES=0"),
                                        ({"SEED": "x"}, "SEED=x: it is a whole number, as SEED=1\n"),
                                        ({"MINUTES": "-1"}, "MINUTES=-1"), ({"RATE": "1e9"}, "RATE=1e9")])
def test_a_wrong_word_is_named(env, named):
    result = chaos(**env)
    assert result.returncode == 2
    assert named in result.stderr and "usage" in result.stderr
