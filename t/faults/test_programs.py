"""Programs that begin and end: each call that can fail fails once in nginx -t, in the workers' start, and in foodctl's
commands. They end as they should or say what is wrong, and never by a signal or with a fault that a sanitizer sees."""

import os
import signal
import subprocess
import time

import pytest

from conftest import BUILD, Faults, wait_for

RUN = os.path.dirname(os.environ["CA_CERT"]).removesuffix("/tls")
NGINX = ["nginx", "-t", "-q", "-p", os.path.join(RUN, "data/nginx"), "-c", os.path.join(RUN, "nginx.conf"),
         "-e", "stderr"]
COMMANDS = ["health", "order list", "order place", "order show {order}", "urls list", "cache list",
            "cache show {order}", "cache flush {order}", "dead list", "stuck", "keys new"]


def environment(folder):
    """The one of the system's own processes, the faults steered from this folder."""
    with open("/proc/" + os.environ["NGINX_PID"] + "/environ", "rb") as file:
        theirs = dict(line.split(b"=", 1) for line in file.read().split(b"\0") if b"=" in line)
    env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    env |= {key.decode(): value.decode() for key, value in theirs.items() if key.endswith(b"SAN_OPTIONS")}
    return env | {"FOODSVC_FAULTS": str(folder), "PATH": os.environ["PATH"] + ":/usr/sbin"}


def each_call_fails(faults, run, allowed):
    """run() returns (status, what it said); status 0, or one that is allowed, with a word about it."""
    faults.arm()
    status, said = run()
    assert status == 0, said
    faults.disarm()
    wrong, chosen = [], faults.chosen()
    for n in chosen:
        faults.arm(n)
        status, said = run()
        faults.disarm()
        if status not in (0, *allowed) or (status != 0 and not said.strip()):
            wrong.append(f"{faults.where()}: {status} {said[-300:]}")
    print(f"{len(chosen)} calls failed")
    assert not wrong, "\n".join(wrong)


def preload():
    names = [subprocess.run(["cc", f"-print-file-name={lib}"], check=True, capture_output=True, text=True).stdout
             for lib in ("libasan.so", "libubsan.so")]
    return " ".join(os.path.realpath(name.strip()) for name in names)


def test_nginx_configuration(tmp_path):
    env = environment(tmp_path) | {"LD_PRELOAD": preload()}

    def run():
        result = subprocess.run(NGINX, env=env, capture_output=True, text=True, timeout=30, check=False)
        return result.returncode, result.stderr
    each_call_fails(Faults("nginx", tmp_path), run, allowed=(1,))


@pytest.mark.parametrize("worker", ["orderd", "sweepd"])
def test_worker_start(tmp_path, worker):
    """It starts, perhaps at a later attempt, and ends when it is told to, or it says at once why it doesn't start."""
    program, log = f"foodsvc-{worker}", tmp_path / "log"

    def run():
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([f"{BUILD}/bin/{program}", "--config", f"{RUN}/{worker}.conf"], stderr=file,
                                       env=environment(tmp_path))
        wait_for(lambda: process.poll() is not None or "msg=started" in log.read_text(), 20, "its start")
        if process.poll() is None:
            time.sleep(0.05)        # its first rounds
            process.send_signal(signal.SIGTERM)
        return process.wait(20), log.read_text()
    each_call_fails(Faults(program, tmp_path), run, allowed=(1, 2))


@pytest.mark.parametrize("command", COMMANDS)
def test_foodctl(system, tmp_path, command):
    system.db.orders.delete_many({})        # of other tests, which stuck would tell of
    system.db.payments.delete_many({})
    order = system.place()["id"]
    words = command.format(order=order).split()

    def run():
        result = subprocess.run([f"{BUILD}/bin/foodctl", *words], env=environment(tmp_path), capture_output=True,
                                stdin=subprocess.DEVNULL, text=True, timeout=30, check=False)
        return result.returncode, result.stderr + (result.stdout if result.returncode else "")
    each_call_fails(Faults("foodctl", tmp_path), run, allowed=(1, 2, 3))
