"""make chaos SEED=1 MINUTES=2 [RATE=60] [BREAK=NAME]: breaks a running system for some minutes, with BREAK for one,
and proves what is left of it.

Clients place, read, list, cancel and delete orders (clients.py) while a nemesis kills, stops, cuts and restarts every
process of ours and every server (nemesis.py), in an order that follows from SEED. Then all is healed, nothing is
touched until it has come to rest, and the checker judges (checker.py). The folder build/chaos/RUN keeps the clients'
history, the timeline of faults, the logs, and the evidence of each violation.

BREAK=NAME: a test build with one planted fault switched on, which has to be caught; BREAK=list prints the names,
BREAK=all runs one after the other.

Exit status: 0 nothing lost, duplicated or unexpected (BREAK: nothing found, so the fault was missed; BREAK=all: each
was caught); 1 a violation (BREAK: the fault was caught; BREAK=all: one was missed); 2 wrongly asked; 3 the run itself
failed."""

import datetime
import os
import signal
import sys
import time
import traceback

from clients import Crowd
from checker import Checker, many
from collect import Collector, log_lines
from faults import PLANTED
from history import History
from machine import Machine
from nemesis import Nemesis, plan
from report import Screen, Timeline, kills, table, verdict, violations, write_evidence
from watcher import Watcher
from world import ROOT, Trouble, World

SPEED = 600             # a card takes 0.01 to 0.03 s, a driver 0.5 to 1 s, each other stage 1 to 2 s
RATE = 60               # operations of all clients in a second; a third of them places an order
MINUTES = 2
MINUTES_BROKEN = 1      # with a planted fault: so much is enough to show each of them
REST = 150              # s that everything may take to come to rest: a message may wait for 120 s for its next look
REST_BROKEN = 60        # the same with a planted fault, after which it need not

# The partners fail now and then, too: late, twice, or never.
RULES = ["card.bill:close:0.04", "card.bill:drop:0.03", "card.bill:late=3:0.02", "card.bill:error:0.03",
         "card.bill:timeout=8:0.02",
         "card.reimburse:close:0.1", "card.reimburse:error:0.05", "card.pay:refuse:0.05",
         "card.callback:duplicate:0.15", "card.callback:late=1:0.1", "card.callback:drop:0.03",
         "delivery.event:duplicate:0.15", "delivery.event:reorder:0.05",
         "kitchen.event:duplicate:0.15", "kitchen.event:reorder:0.05", "delivery.create:close:0.03",
         "kitchen.create:close:0.03", "delivery.create:error:0.02", "kitchen.create:error:0.02",
         "customer.address:error:0.02"]


def usage(text):
    """Says what is wrong, and ends."""
    print(f"chaos: {text}\nusage: make chaos SEED=n MINUTES=m [RATE=n] [BREAK=NAME]   (BREAK=list: the names; all)",
          file=sys.stderr)
    raise SystemExit(2)


def number(name, default, kind, least, most):
    """A number of the environment."""
    text = os.environ.get(name) or str(default)
    try:
        value = kind(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        usage(f"{name}={text}: it is " + (f"a number from {least} to {most}" if most < 2 ** 32
                                          else f"a whole number, as {name}={default}"))
    return value


class Run:
    """One run, from its system's start to its verdict."""

    def __init__(self, seed, seconds, rate, breaking):
        self.seed, self.seconds, self.rate, self.breaking = seed, seconds, rate, breaking
        build = os.path.join(ROOT, os.environ.get("BUILD") or "build")
        tools = os.path.join(ROOT, os.environ.get("TOOLS") or os.environ.get("BUILD") or "build")
        results = os.path.join(ROOT, os.environ.get("RESULTS") or os.path.join(build, "chaos"))
        self.folder = os.path.join(results, f"seed-{seed}" + (f"-{breaking}" if breaking else ""))
        self.machine = Machine.of_program(os.path.join(build, "docs/state-machine"))
        self.world = World(self.folder, build, tools, SPEED, breaking, PLANTED[breaking].times if breaking else None)
        self.screen = Screen()
        self.watcher = None
        self.started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")

    def storm(self, collector, history, timeline):
        """Clients and nemesis, for the time that was asked for. Returns the nemesis, healed,
        and the healing's second."""
        crowd = Crowd(self.seed, self.world, history, self.rate)
        planted = PLANTED.get(self.breaking)
        faults = plan(self.seed, self.seconds, *((planted.weights, planted.cuts) if planted else ()))
        nemesis = Nemesis(self.world, faults, timeline)
        self.watcher = Watcher(self.world, history)
        self.watcher.start()
        crowd.start()
        nemesis.start()
        while (second := history.now()) < self.seconds and nemesis.trouble is None:
            placed = sum(op.what == "place" and op.how == "ok" for op in list(history.ops))
            self.screen.progress(f"  {second:5.0f} of {self.seconds} s: {placed} orders acknowledged, "
                                 f"{nemesis.kills} kills; "
                                 f"now: {', '.join(nemesis.busy.values()) or 'all well'}", second)
            time.sleep(1)
        trouble = crowd.stop()
        healed = nemesis.heal()
        collector.rules([])
        if trouble or nemesis.trouble or not healed:
            raise Trouble(f"the run failed: {trouble or nemesis.trouble or 'not everything could be started again'}")
        return nemesis

    def judge(self, collector, history, nemesis, timeline):
        """Waits for rest, reads all, and checks. Returns the violations."""
        limit = REST_BROKEN if self.breaking else REST
        quiet = collector.rest(limit, lambda moving: self.screen.progress(
            f"  healed; moving: {', '.join(f'{n} {name}' for name, n in moving.items()) if moving else '...'}",
            history.now()))
        entries = self.watcher.stop()
        facts = collector.facts(history.ops)
        facts.entries = entries
        checker = Checker(facts, self.machine)
        found = checker.run()
        self.screen.say(f"faults: {timeline.summary()}")
        self.screen.say(kills(nemesis, self.seconds))
        self.screen.say("recovery: " + (f"at rest {quiet:.1f} s after the last heal" if quiet is not None
                                        else f"not at rest {limit} s after the last heal"))
        self.screen.say(table(checker.counts()))
        if found:
            orders = {v.order for v in found if v.order}
            write_evidence(self.folder, facts, found, log_lines(self.world, orders), self.started)
            self.screen.say(violations(found, os.path.relpath(self.folder)))
        return found

    def verdict(self, found):
        """The last line; the exit status."""
        finds = PLANTED[self.breaking].finds if self.breaking else ()
        line, status = verdict(found, self.breaking, finds, self.seed, os.path.relpath(self.folder))
        self.screen.say(line)
        return status

    def run(self):
        """All of it. Returns the exit status."""
        self.screen.say(f"chaos: seed {self.seed}, {many(self.seconds / 60, 'minute')}"
                        + (f", with the fault {self.breaking} planted" if self.breaking else ""))
        try:
            self.world.start()
            history = History(os.path.join(self.folder, "history.jsonl"))
            timeline = Timeline(os.path.join(self.folder, "timeline.txt"))
            collector = Collector(self.world)
            collector.rules(RULES)
            nemesis = self.storm(collector, history, timeline)
            found = self.judge(collector, history, nemesis, timeline)
            history.close()
            return self.verdict(found)
        except Trouble as trouble:
            self.screen.say(f"chaos: {trouble}")
            return 3
        except Exception:                               # pylint: disable=broad-except
            traceback.print_exc()                       # the run's own fault, or a server that is not there: no verdict
            return 3
        finally:
            self.world.down()


def run_all(seed, seconds, rate):
    """Each planted fault in turn, and a line for each at the end. Returns the exit status."""
    outcomes = {0: "MISSED", 1: "caught", 3: "the run failed"}
    lines, worst = [], 0
    for name in PLANTED:
        start = time.monotonic()
        status = Run(seed, seconds, rate, name).run()
        lines.append(f"  {name:22}{outcomes[status]:16}{time.monotonic() - start:5.0f} s")
        worst = max(worst, {0: 1, 1: 0}.get(status, status))
    print("\n".join(["planted faults:", *lines]), flush=True)
    return worst


def end_once(number, _):
    """Make passes on what its group got already: a second signal must not end the cleaning up."""
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    """Returns the exit status."""
    breaking = os.environ.get("BREAK") or None
    check = sys.argv[1:] == ["check"]                   # before anything is built
    if sys.argv[1:] and not check:
        usage("it takes no arguments, only the variables")
    if breaking == "list":
        if not check:
            print("\n".join(PLANTED))
        return 0
    if breaking and breaking not in (*PLANTED, "all"):
        usage(f"BREAK={breaking}: there is no such fault; BREAK=list prints them")
    seed = number("SEED", 1, int, 0, 2 ** 63)
    minutes = number("MINUTES", MINUTES_BROKEN if breaking else MINUTES, float, 0.1, 24 * 60)
    rate = number("RATE", RATE, float, 1, 1000)
    if check:
        return 0
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, end_once)
    os.umask(0o077)
    seconds = int(minutes * 60)
    return run_all(seed, seconds, rate) if breaking == "all" else Run(seed, seconds, rate, breaking).run()


if __name__ == "__main__":
    sys.exit(main())
