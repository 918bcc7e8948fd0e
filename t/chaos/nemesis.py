"""The nemesis: a thread that breaks parts of the system and mends them again.

What it does, to whom, for how long and in which order follows from the seed alone; it is planned before the run begins.
A fault that meets a part which is down already is left out. Several may be under way at a time. Everything is mended by
its own heal, and by heal() at the end."""

import contextlib
import dataclasses
import heapq
import os
import random
import signal
import threading
import time

import redis

# fault: (weight, targets, (shortest, longest) seconds until it is healed)
FAULTS = {
    "kill": (66, {"orderd": 26, "sweepd": 9, "worker": 34, "nginx": 10, "redis": 13, "mongo": 6, "rabbit": 2},
             (0.1, 1.5)),
    "pause": (12, {"orderd": 4, "sweepd": 2, "worker": 4, "redis": 2, "mongo": 1, "rabbit": 1}, (0.5, 4.0)),
    "stop": (5, {"orderd": 4, "sweepd": 2, "nginx": 2, "redis": 1, "mongo": 1}, (0.2, 2.0)),
    "cut": (12, {"mongo": 3, "redis": 3, "rabbit": 3}, (0.5, 5.0)),
    "flush": (4, {"redis": 1}, (0, 0)),
    "reload": (3, {"nginx": 1}, (0, 0)),
    "alarm": (1, {"rabbit": 1}, (2.0, 5.0)),
}
# Of proxy.py; `lose` hangs, and what hung is lost at the end.
CUTS = ("reset", "refuse", "hang", "lose", "slow")
GAP = 1.4                   # s between two faults, on average


@dataclasses.dataclass(order=True)
class Fault:
    """One planned fault: when (s after the start), what, to whom, how long."""

    at: float
    kind: str
    target: str
    lasts: float
    how: str = ""
    dice: float = 0.0       # which one of several, which share

    def __str__(self):
        return f"{self.kind} {self.target}" + (f" {self.how}" if self.how else "") + (
            f" for {self.lasts:.1f} s" if self.lasts else "")


def choose(rng, weights):
    """A key, by the weights."""
    return rng.choices(list(weights), [w[0] if isinstance(w, tuple) else w for w in weights.values()])[0]


def plan(seed, seconds, weights=None, cuts=CUTS):
    """All faults of a run. `weights`: fault -> (weight, targets), where they differ from FAULTS."""
    rng = random.Random(f"{seed} nemesis")
    table = {kind: (*(weights or {}).get(kind, (weight, targets)), times)
             for kind, (weight, targets, times) in FAULTS.items()}
    faults, at = [], 2.0
    while at < seconds:
        kind = choose(rng, table)
        _, targets, (low, high) = table[kind]
        fault = Fault(at, kind, choose(rng, targets), rng.uniform(low, high), dice=rng.random())
        if kind == "cut":
            fault.how = rng.choice(cuts)
        faults.append(fault)
        at += rng.uniform(0.2, 2 * GAP - 0.2)
    return faults


class Nemesis(threading.Thread):
    """Carries the plan out."""

    def __init__(self, world, faults, timeline):
        super().__init__(name="nemesis", daemon=True)
        self.world, self.faults, self.timeline = world, faults, timeline
        self.stopping = threading.Event()
        self.kills = 0
        self.left_out = 0
        self.busy = {}              # part -> what is the matter with it
        self.heals = []             # heap of (when, number, part, text, act)
        self.count = 0
        self.begun = 0.0
        self.programs = world.programs()
        self.trouble = None

    def run(self):
        start = self.begun = time.monotonic()
        try:
            for fault in self.faults:
                while not self.stopping.is_set():
                    now = time.monotonic() - start
                    self.do_heals(now)
                    if now >= fault.at:
                        break
                    soon = min([fault.at, *(heal[0] for heal in self.heals[:1])])
                    self.stopping.wait(max(0.01, min(soon - now, 0.25)))
                if self.stopping.is_set():
                    break
                self.do(fault, time.monotonic() - start)
        except Exception as error:                      # pylint: disable=broad-except
            self.trouble = error                        # the run's end reports it

    # what is done

    def do(self, fault, now):
        """One fault, when its target is well."""
        part = self.part(fault)
        if part is None or part in self.busy:
            self.left_out += 1
            return
        heal = getattr(self, f"do_{fault.kind}")(fault, part)
        if heal is None:
            self.left_out += 1
            return
        self.timeline.add(f"{fault}" + (f" ({part})" if part != fault.target else ""), now)
        text, act = heal
        if act:
            self.busy[part] = str(fault)
            self.push(now + fault.lasts, part, text, act)

    def push(self, when, part, text, act):
        """Plans a heal."""
        self.count += 1
        heapq.heappush(self.heals, (when, self.count, part, text, act))

    def do_heals(self, now, everything=False):
        """Those that are due. One that has not worked yet (supervisord has not seen the end) comes again."""
        for _ in range(len(self.heals)):
            if self.heals[0][0] > now and not everything:
                break
            _, _, part, text, act = heapq.heappop(self.heals)
            if act():
                self.busy.pop(part, None)
                if text:
                    self.timeline.add(text, now)
            else:
                self.push(now + 0.15, part, text, act)

    def part(self, fault):
        """The program, worker or wire that the fault is about; None: there is none now."""
        if fault.kind == "cut":
            return f"wire to {fault.target}"
        if fault.kind in ("flush", "alarm"):
            return f"{fault.target}:{fault.target}"
        if fault.target == "worker":
            workers = [] if "nginx:nginx" in self.busy else self.world.workers()
            return f"worker {workers[int(fault.dice * len(workers))]}" if workers else None
        programs = [p for p in self.world.programs() if p.startswith(fault.target + ":") and p not in self.busy]
        return programs[int(fault.dice * len(programs))] if programs else None

    def pid(self, part):
        """The process of a part."""
        return int(part.split()[1]) if part.startswith("worker ") else self.world.pid(part)

    def signal(self, part, number):
        """True: it got it."""
        pid = self.pid(part)
        try:
            os.kill(pid, number)
        except (ProcessLookupError, TypeError):
            return False
        return True

    def do_kill(self, fault, part):
        """SIGKILL; its master starts a worker again, the heal all else."""
        killed = self.pid(part)
        if not self.signal(part, signal.SIGKILL):
            return None
        self.kills += 1
        if fault.target == "worker":
            return "", None
        # supervisord may not have seen the end yet
        return f"{part} started", lambda: self.world.pid(part) != killed and self.world.start_program(part)

    def do_pause(self, _fault, part):
        """It stands still, and goes on."""
        if not self.signal(part, signal.SIGSTOP):
            return None
        return f"{part} goes on", lambda: self.signal(part, signal.SIGCONT) or True

    def do_stop(self, _fault, part):
        """In its own way, as an operator would."""
        self.world.stop_program(part)
        return f"{part} started", lambda: self.world.pid(part) is None and self.world.start_program(part)

    def do_cut(self, fault, _part):
        """The wires to a server. What hung goes on at the end, late, unless it is to be lost."""
        share = 1.0 if fault.dice < 0.6 else 0.5
        last = "reset" if fault.how == "lose" else "open"
        self.world.wire(fault.target, "hang" if fault.how == "lose" else fault.how, share, int(fault.dice * 1e9))
        fault.how += "" if share == 1.0 else " half"
        return f"wire to {fault.target} mended", lambda: self.world.wire(fault.target, last) or True

    def do_flush(self, _fault, _part):
        """Redis forgets all."""
        try:
            with redis.Redis.from_url(self.world.url("redis"), socket_timeout=1) as server:
                server.flushall()
        except redis.RedisError:
            return None
        return "", None

    def do_reload(self, _fault, part):
        """nginx reads its configuration again."""
        return ("", None) if self.signal(part, signal.SIGHUP) else None

    def do_alarm(self, _fault, _part):
        """RabbitMQ takes no message, as when memory is short."""
        if not self.alarm("0.000001"):
            return None
        return "rabbit's alarm is over", lambda: self.alarm("0.4")

    def alarm(self, watermark):
        """Sets the share of memory at which RabbitMQ stops publishers."""
        with contextlib.suppress(Exception):
            self.world.rabbitmqctl("set_vm_memory_high_watermark", watermark)
            return True
        return False

    # the end

    def heal(self):
        """Ends the thread, and mends everything. Returns when every process is there."""
        self.stopping.set()
        self.join(60)
        deadline = time.monotonic() + 40
        while self.heals and time.monotonic() < deadline:
            self.do_heals(time.monotonic() - self.begun, True)
            time.sleep(0.1)
        for name in ("mongo", "redis", "rabbit"):
            self.world.wire(name, "open")
        return not self.heals and set(self.world.programs()) == set(self.programs)
