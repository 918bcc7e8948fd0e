"""The whole system as `make demo` and `make up` start it, with the simulator as partners."""

import os
import re
import subprocess
import time

import pytest
from test_setup_and_up import ROOT, Private, processes

PARTNERS = ("customer", "delivery", "kitchen", "card")


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    private = Private(tmp_path_factory.mktemp("whole"))
    private.env["SPEED"] = "3000"
    yield private
    private("down")
    assert private.processes() == []


def test_the_demo_follows_an_order_until_it_is_delivered(system):
    result = subprocess.run([os.path.join(ROOT, "scripts/demo")], env=system.env, stdin=subprocess.DEVNULL, check=False,
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"created[\s\S]*paymentPaid[\s\S]*delivered", result.stdout)
    key = system.variables()["API_KEY"]
    assert key not in result.stdout and "secrets/api_key" in result.stdout
    for url in (system.variables()["ORDER_URL"], system.variables()["PAYMENT_URL"]):
        assert url in result.stdout


def test_status_says_that_all_is_well(system):
    result = system("status")
    assert result.returncode == 0, result.stdout
    assert "both services say that all is well" in result.stdout
    # of these two nobody knows that they answer
    assert re.search(r"(?m)^orderd +consumes the queue +pid \d+", result.stdout)
    assert re.search(r"(?m)^sweepd +runs +pid \d+", result.stdout)
    assert re.search(rf"(?m)^rabbit .* {system.ports()['rabbit']} \(AMQP\), ", result.stdout)


@pytest.mark.parametrize("server", ["mongo", "rabbit"])
def test_a_worker_without_its_server_waits_for_it(system, server):
    assert system("kill", server).stdout == f"{server} is killed\n"
    for end in ("kill", "stop"):
        assert system(end, server).stdout == f"{server} was not running\n"
    status = system("status")
    assert status.returncode == 1
    for worker in ("orderd", "sweepd"):
        assert re.search(rf"(?m)^{worker} +runs, waits for {server} +pid \d+", status.stdout), status.stdout
    if server == "rabbit":
        assert system("stop", "orderd").returncode == 0
        started = time.monotonic()
        result = system("start", "orderd")
        assert result.returncode == 1 and time.monotonic() - started < 10
        assert result.stderr == "foodsvc: orderd runs, and waits for RabbitMQ: make start-rabbit\n"
    assert system("start", server).stdout == f"{server} answers\n"
    assert system("start", "orderd").stdout == "orderd consumes the queue\n"
    assert system("status").returncode == 0


@pytest.mark.parametrize("part", ["nginx", "orderd", "sweepd", "sim"])
def test_a_service_is_killed_started_and_stopped(system, part):
    for end in ("kill", "stop"):
        assert system(end, part).returncode == 0
        assert processes.ours(system.run, part) == []
        status = system("status")
        assert status.returncode == 1 and not status.stdout.endswith("all is well\n"), status.stdout
        result = system("start", part)
        assert result.returncode == 0, result.stderr
    variables = system.variables()
    pids = {"nginx": variables["NGINX_PID"], "orderd": variables["ORDERD_PIDS"], "sweepd": variables["SWEEPD_PID"]}
    if part in pids:
        assert pids[part] == system("pid", part).stdout.strip() != ""


def test_the_pid_of_nginx_is_its_master(system):
    pid = system.variables()["NGINX_PID"]
    with open(os.path.join(system.run, "nginx.pid"), encoding="ascii") as file:
        assert file.read().strip() == pid


def test_without_partners_their_ports_are_free_and_the_rest_runs_on(system):
    nginx = system("pid", "nginx").stdout
    assert all(system.listens(name) for name in PARTNERS)
    result = system("up", PARTNERS="none")
    assert result.returncode == 0, result.stderr
    assert not any(system.listens(name) for name in PARTNERS)
    assert system.listens("order") and system("pid", "nginx").stdout == nginx
    result = system("up")
    assert result.returncode == 0, result.stderr
    assert all(system.listens(name) for name in PARTNERS)
    assert system("pid", "nginx").stdout == nginx


def test_a_second_simulator_does_not_share_the_ports_of_the_first(system):
    result = subprocess.run([os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin/foodsvc-sim"), "--amqp-url=off",
                             *(f"--{name}-port={system.ports()[name]}" for name in PARTNERS)],
                            capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1 and "is the port taken?" in result.stderr


@pytest.mark.parametrize("state, says", [("{}", "Is a directory"), ("{}/none/state", "No such file or directory"),
                                         ("/dev/null/state", "Not a directory")])
def test_a_state_that_cannot_be_kept_is_found_by_check(tmp_path, state, says):
    command = [os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin/foodsvc-sim"), "--check", "--state"]
    result = subprocess.run([*command, state.format(tmp_path)], capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 2 and result.stderr.count("\n") == 1 and says in result.stderr
    assert subprocess.run([*command, tmp_path / "state"], timeout=10, capture_output=True, check=False).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_another_speed_is_told(system):
    result = system("up", SPEED="300")
    assert result.returncode == 0 and "stopping sim: speed 3000 -> 300\n" in result.stdout, result.stdout
    assert "stopping sim: speed 300 -> 3000\n" in system("up").stdout


def test_several_workers(system):
    result = system("up", ORDERDS="2", SWEEPDS="3")
    assert result.returncode == 0, result.stderr
    assert len(system.variables()["ORDERD_PIDS"].split()) == 2
    assert len(system.variables()["SWEEPD_PID"].split()) == 3


def test_a_worker_that_dies_at_its_start_is_told_with_its_last_words(system):
    assert system("stop", "orderd").returncode == 0
    path = os.path.join(system.run, "orderd.conf")
    with open(path, "a", encoding="ascii") as file:
        file.write("no_such_key = 1\n")
    with open(os.path.join(system.run, "logs/orderd.log"), "a", encoding="ascii") as file:
        file.write("said by an earlier one\n")
    result = system("start", "orderd")
    assert result.returncode == 1
    assert "no_such_key" in result.stderr and "earlier" not in result.stderr
    result = system("up")
    assert result.returncode == 0, result.stderr
