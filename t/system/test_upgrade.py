"""Reloads, an upgrade of nginx's program and restarts of the workers, while orders are placed, read and cancelled: no
request fails (t/lib/load.py says what that means), each order that was acknowledged comes to its end, is charged once,
and reimbursed once if it was cancelled.

RELOADS=100 make test T=t/system/test_upgrade.py   reloads that often; 20 without it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from test_setup_and_up import ROOT, Private, processes

sys.path.insert(0, os.path.join(ROOT, "t/lib"))
from load import Load  # noqa: E402
from render import socket_path  # noqa: E402  (scripts/system: test_setup_and_up put it into the path)
from settings import Settings  # noqa: E402
from supervisor import Supervisor  # noqa: E402

RELOADS = int(os.environ.get("RELOADS") or "20")


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    private = Private(tmp_path_factory.mktemp("upgrade"))
    private.env |= {"SPEED": "3000", "ORDERDS": "2"}
    result = private("up")
    assert result.returncode == 0, result.stdout + result.stderr
    yield private
    private("down")
    assert private.processes() == []


def wait_for(check, what, patience=40):
    deadline = time.monotonic() + patience
    while not (value := check()):
        assert time.monotonic() < deadline, f"{what} does not come within {patience} s"
        time.sleep(0.02)
    return value


def workers(master):
    """The workers of a master that take requests: those that end have a title that says so."""
    found = []
    for pid in processes.all_pids():
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat, \
                    open(f"/proc/{pid}/cmdline", encoding="ascii", errors="replace") as title:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                if parent == master and title.read().startswith("nginx: worker process\0"):
                    found.append(pid)
        except OSError:
            pass
    return set(found)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def good(load, least):
    """The verdict; and that there was a load at all."""
    wrong = load.verdict()
    print(f"{load.requests} requests, {load.repeated} repeated, {len(load.acknowledged)} orders, "
          f"{len(load.cancelled)} cancelled")
    assert not wrong, f"{len(wrong)} faults of {load.requests} requests: {wrong[:20]}"
    assert load.requests > least and load.acknowledged and load.cancelled


def test_reloads(system):
    variables = system.variables()
    master = int(variables["NGINX_PID"])
    with Load(variables) as load:
        for _ in range(RELOADS):
            old = workers(master)
            before = load.requests
            os.kill(master, signal.SIGHUP)
            wait_for(lambda: (now := workers(master)) and not now & old, "new workers")
            wait_for(lambda: load.requests > before + 20, "some requests")
    good(load, RELOADS * 20)


def test_another_program_of_nginx_takes_over(system):
    """As docs/deploy.md tells it: USR2, then QUIT to the old master. supervisord's nginx does not go into the
    background, and nginx takes USR2 only when it does: the test starts one itself, of the same configuration."""
    variables = system.variables()
    assert system("stop", "nginx").returncode == 0
    home, pid_file = os.path.join(system.run, "data/nginx"), os.path.join(system.run, "nginx.pid")
    with open(os.path.join(system.run, "nginx.conf"), encoding="utf-8") as file:
        text = file.read()
    conf = os.path.join(system.run, "nginx-background.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(re.sub(r"(?m)^daemon .*;$", "", text))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    subprocess.run([nginx, "-p", home, "-c", conf, "-e", os.path.join(system.run, "logs/error.log")], check=True,
                   cwd=home, stdin=subprocess.DEVNULL, timeout=20)

    def master():
        try:
            with open(pid_file, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None
    try:
        wait_for(lambda: master() and workers(master()), "the first nginx")
        with Load(variables) as load:
            for _ in range(3):
                old, before = master(), load.requests
                wait_for(lambda: load.requests > before + 50, "some requests")
                os.kill(old, signal.SIGUSR2)
                wait_for(lambda: master() not in (None, old) and workers(master()), "the new nginx")
                os.kill(old, signal.SIGQUIT)
                wait_for(lambda: not running(old), "the old master's end")
                before = load.requests
                wait_for(lambda: load.requests > before + 50, "some requests of the new one")
        good(load, 300)
    finally:
        if pid := master():
            os.kill(pid, signal.SIGQUIT)
            wait_for(lambda: not running(pid), "the end of nginx")
        assert system("start", "nginx").returncode == 0


def test_workers_one_after_another(system):
    supervisor = Supervisor(system.run, socket_path(Settings(system.env).as_saved()))
    programs = [name for name in supervisor.processes() if name in ("orderd", "sweepd")]
    assert sorted(programs) == ["orderd", "sweepd"]
    with Load(system.variables()) as load:
        for _ in range(3):
            for name in [f"{p['group']}:{p['name']}" for p in supervisor.rpc.getAllProcessInfo()
                         if p["group"] in programs]:
                before = len(load.acknowledged)
                supervisor.rpc.stopProcess(name)
                wait_for(lambda: len(load.acknowledged) > before + 10, "some orders")
                supervisor.rpc.startProcess(name)
    good(load, 300)
