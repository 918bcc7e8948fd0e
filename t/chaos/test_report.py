"""What a run says at its end, and where it leaves the rest."""

import importlib.util
import os
import sys
import types

import pytest

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from checker import Violation  # noqa: E402
from report import kills, table, verdict, violations  # noqa: E402
from world import HERE, ROOT  # noqa: E402

STALE = Violation("unexpected", "stale-entry", "order-a", "its entry in Redis had 2 steps, and at 3.10 s 1")


@pytest.mark.parametrize("found, breaking, line, status", [
    ([], None, "verdict: nothing lost, nothing twice (seed 5, here)", 0),
    ([STALE], None, "verdict: VIOLATED, 1 time (seed 5, here)", 1),
    ([STALE], "blind-cache", "verdict: BREAK=blind-cache was caught, as it should be: stale-entry (seed 5, here); "
                             "exit status 1 is what a found violation has", 1),
    ([], "blind-cache", "verdict: BREAK=blind-cache was MISSED (seed 5, here); "
                        "exit status 0 is what a run has that finds nothing", 0)])
def test_a_verdict_says_what_its_exit_status_means(found, breaking, line, status):
    assert verdict(found, breaking, ("stale-entry",) if breaking else (), 5, "here") == (line, status)


def test_violations_say_where_there_is_more_and_what_their_times_are():
    text = violations([STALE], "build/chaos/seed-5")
    assert "unexpected: stale-entry, 1 time\n      order-a  its entry" in text
    assert "seconds since the start, as in build/chaos/seed-5/timeline.txt" in text
    assert "build/chaos/seed-5/violations.txt" in text


def test_what_was_left_out_is_told_when_there_is_some():
    assert kills(types.SimpleNamespace(kills=25, left_out=0), 60) == "kills: 25 in 1 minute"
    assert kills(types.SimpleNamespace(kills=25, left_out=3), 60) \
        == "kills: 25 in 1 minute; faults of the plan whose target was down already: 3"


def test_the_table_explains_what_the_words_do_not_say():
    assert table({"attempted": 764, "not stored": 33}) \
        == "  attempted         764\n  not stored         33  refused, or never answered"


def test_results_are_below_the_build_and_not_where_the_tools_are(monkeypatch):
    spec = importlib.util.spec_from_file_location("chaos_main", os.path.join(HERE, "__main__.py"))
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    build = os.path.join(ROOT, os.environ.get("BUILD") or "build")
    monkeypatch.setenv("TOOLS", "/elsewhere")
    monkeypatch.delenv("RESULTS", raising=False)
    assert main.Run(5, 60, 10, None).folder == os.path.join(build, "chaos/seed-5")
    monkeypatch.setenv("RESULTS", "mine/chaos")     # of make: with BREAK the build is another one, the folder is not
    assert main.Run(5, 60, 10, None).folder == os.path.join(ROOT, "mine/chaos/seed-5")
