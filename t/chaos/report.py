"""What a run says: on the screen while it goes on and at its end, and into its folder for who looks closer."""

import collections
import json
import os
import sys
import threading

from checker import many

SHOWN = 12          # faults on the screen, and violations of one name


class Timeline:
    """Faults and heals, with their times, in RUN/timeline.txt."""

    def __init__(self, path):
        self._file = open(path, "w", encoding="utf-8")          # pylint: disable=consider-using-with
        self._lock = threading.Lock()
        self.lines = []

    def add(self, text, now):
        """Something happened `now` s after the start."""
        with self._lock:
            self.lines.append((now, text))
            self._file.write(f"{now:8.2f}  {text}\n")
            self._file.flush()

    def summary(self):
        """What was done how often, the most frequent first."""
        counts = collections.Counter(" ".join(text.split(" (")[0].split(" for ")[0].split()[:2])
                                     for _, text in self.lines
                                     if not text.endswith(("started", "mended", "goes on", "is over")))
        return ", ".join(f"{name} {count}" for name, count in counts.most_common())


class Screen:
    """Progress on one line of a terminal; where there is none, a line now and then."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self._last = None

    def say(self, text):
        """A line that stays."""
        print(("\r\033[K" if self.live else "") + text, flush=True)

    def progress(self, text, second):
        """A line that the next one replaces."""
        if self.live:
            print("\r\033[K" + text, end="", flush=True)
        elif self._last is None or second - self._last >= 15:
            self._last = second
            print(text, flush=True)


# What the words that do not say it themselves mean.
MEANINGS = {"recovered": "stored, though nobody was told", "not stored": "refused, or never answered"}


def table(counts):
    """Jepsen's words, and their numbers."""
    return "\n".join(f"  {name:14}{count:7}  {MEANINGS.get(name, '')}".rstrip() for name, count in counts.items())


def kills(nemesis, seconds):
    """How often it killed, and what of the plan it could not do."""
    left_out = f"; faults of the plan whose target was down already: {nemesis.left_out}" if nemesis.left_out else ""
    return f"kills: {nemesis.kills} in {many(seconds / 60, 'minute')}{left_out}"


def verdict(found, breaking, finds, seed, where):
    """The last line, and the exit status. `finds`: the violations by which the planted fault `breaking` is known."""
    source = f"(seed {seed}, {where})"
    caught = sorted({v.name for v in found} & set(finds))
    if breaking and caught:
        return (f"verdict: BREAK={breaking} was caught, as it should be: {', '.join(caught)} {source}; "
                "exit status 1 is what a found violation has", 1)
    if breaking:
        return f"verdict: BREAK={breaking} was MISSED {source}; exit status 0 is what a run has that finds nothing", 0
    result = f"VIOLATED, {many(len(found), 'time')}" if found else "nothing lost, nothing twice"
    return f"verdict: {result} {source}", 1 if found else 0


def violations(found, where):
    """The violations by name, with the first orders of each, and where there is more."""
    by_name = collections.defaultdict(list)
    for violation in found:
        by_name[violation.kind, violation.name].append(violation)
    lines = []
    for (kind, name), group in sorted(by_name.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {kind}: {name}, {many(len(group), 'time')}")
        lines += [f"      {v.order or '-'}  {v.text}" for v in group[:SHOWN // 4]]
    lines.append(f"  times are seconds since the start, as in {where}/timeline.txt; each violation, with all that is "
                 f"known of its order, is in {where}/violations.txt")
    return "\n".join(lines)


def write_evidence(folder, facts, found, logs, start):
    """Everything about the orders that are not as they should be: RUN/violations.txt."""
    orders = sorted({v.order for v in found if v.order})
    with open(os.path.join(folder, "violations.txt"), "w", encoding="utf-8") as file:
        for violation in found:
            file.write(f"{violation.kind} {violation.name} {violation.order or '-'}: {violation.text}\n")
        for order in orders[:200]:
            file.write(f"\n=== {order}\n")
            for name in ("orders", "payments", "cache", "api", "deliveries"):
                value = getattr(facts, name).get(order)
                file.write(f"{name}: {json.dumps(value, default=str)}\n")
            for name in ("charges", "refunds", "pending", "dead"):
                entries = [e for e in getattr(facts, name) if order in (e.get("order_id"), e.get("order"))]
                file.write(f"{name}: {json.dumps(entries, default=str)}\n")
            for op in facts.ops:
                shown = op.seen.get(order) if op.what == "list" and op.how == "ok" else op.seen
                if op.order == order or (op.what == "list" and op.how == "ok" and shown):
                    file.write(f"{op.begin:9.3f} .. {op.end:9.3f}  client {op.client} {op.what} {op.how} "
                               f"{op.code or op.error} {shown or ''}\n")
            file.write("".join(f"  {line}\n" for line in logs if order in line))
        file.write(f"\nThe clients' times are seconds since {start}.\n")
