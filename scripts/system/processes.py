"""Which processes belong to a run folder, and who holds a port: read from /proc, never guessed from a name.

Ours is a process whose environment has FOODSVC_RUN=<the run folder>: supervisord gets it and everything below inherits
it, also what was orphaned by a crash. nginx and Redis write their titles over their environments; there, ours is that
program running in RUN/data/nginx or RUN/data/redis, folders that no other instance has a reason to be in."""

import os
import signal
import time


# part: how its program file's name begins, for the parts whose processes lose their environment.
_UNMARKED = {"nginx": "nginx", "redis": "redis-"}


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _link(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def all_pids():
    """Every process there is."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def ours(run, part=None):
    """The processes of a run folder, or of one part of it; zombies are gone already and don't count."""
    mark = b"FOODSVC_RUN=" + os.fsencode(run)
    part_mark = b"FOODSVC_PART=" + part.encode() if part else None
    found = []
    for pid in all_pids():
        if pid == os.getpid():
            continue
        environment = _read(pid, "environ").split(b"\0")
        if mark in environment:
            if part is None or part_mark in environment:
                found.append(pid)
        elif any(_runs_in(pid, os.path.join(run, "data", name), program)
                 for name, program in _UNMARKED.items() if part in (None, name)):
            found.append(pid)
    return found


def _runs_in(pid, folder, program):
    return _link(pid, "cwd").removesuffix(" (deleted)") == folder \
        and os.path.basename(_link(pid, "exe")).startswith(program)


def send(pids, number):
    """A signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def end(run, part=None, patience=10.0):
    """Ends all processes of a run folder (or part): TERM, and KILL when patience is over.
    Returns how many there were."""
    first = ours(run, part)
    deadline = time.monotonic() + patience
    left = first
    if patience > 0:
        send(left, signal.SIGCONT)
        send(left, signal.SIGTERM)
    while left:
        if time.monotonic() >= deadline:
            send(left, signal.SIGKILL)
        time.sleep(0.02)
        left = ours(run, part)
        if time.monotonic() > deadline + 20:
            raise RuntimeError(f"processes {left} do not die")
    return len(first)


def describe(pid):
    """A process for the screen."""
    name = _read(pid, "comm").decode(errors="replace").strip()
    command = _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return f"{name} (pid {pid}: {command[:100]})"


def _listening(ports=None):
    """{inode: (port, user)} of the sockets that listen, on these ports or on all."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        for row in rows:
            port = int(row[1].rsplit(":", 1)[1], 16)
            if row[3] == "0A" and (ports is None or port in ports):
                found[f"socket:[{row[9]}]"] = (port, int(row[7]))
    return found


def _files(pid):
    try:
        return [_link(pid, f"fd/{file}") for file in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []


def ports_of(run):
    """The ports on which processes of a run folder listen."""
    sockets = _listening()
    return {sockets[file][0] for pid in ours(run) for file in _files(pid) if file in sockets}


def holder(port):
    """Who listens on a TCP port, for the screen."""
    sockets = _listening({port})
    for pid in all_pids():
        if any(file in sockets for file in _files(pid)):
            return describe(pid)
    for _, user in sockets.values():
        return f"a process of user {user} that cannot be seen from here"
    return "somebody who does not listen (perhaps a client that got this port)"
