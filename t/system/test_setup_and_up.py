"""scripts/setup and scripts/system, from outside: what is promised about starting, stopping and crashes."""

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/system"))
import processes  # noqa: E402

SERVERS = ("mongo", "redis", "rabbit")


class Private:
    """A system of the servers alone, on free ports, in a folder of its own."""

    def __init__(self, folder):
        self.run = str(folder / "run")
        drop = ("MONGO_URL", "REDIS_URL", "AMQP_URL", "PARTNERS")
        self.env = {k: v for k, v in os.environ.items() if k not in drop and not k.endswith("_PORT")}
        self.env |= {"RUN": self.run, "PORTS": "free"}

    def __call__(self, *words, **more):
        return subprocess.run([sys.executable, os.path.join(ROOT, "scripts/system"), *words], env=self.env | more,
                              check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)

    def up(self, **more):
        return self("up", "--only", "mongo,redis,rabbit", **more)

    def ports(self):
        with open(os.path.join(self.run, "system.json"), encoding="utf-8") as file:
            return json.load(file)["ports"]

    def variables(self):
        with open(os.path.join(self.run, "env"), encoding="utf-8") as file:
            return dict(shlex.split(line)[1].split("=", 1) for line in file)

    def listens(self, name):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports()[name])) == 0

    def processes(self):
        return processes.ours(self.run)


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    private = Private(tmp_path_factory.mktemp("system"))
    yield private
    private("down")
    assert private.processes() == []


def test_up_answers_within_30_s_and_twice_is_harmless(system):
    start = time.monotonic()
    result = system.up()
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - start < 30
    before = [system("pid", part).stdout for part in SERVERS]
    assert all(system.listens(name) for name in SERVERS)
    again = system.up()
    assert again.returncode == 0, again.stderr
    assert [system("pid", part).stdout for part in SERVERS] == before


def test_redis_cli_takes_the_url_too(system):
    result = subprocess.run(["redis-cli", "--no-auth-warning", "-u", system.variables()["REDIS_URL"], "ping"],
                            capture_output=True, text=True, timeout=20, check=False)
    assert (result.stdout, result.stderr) == ("PONG\n", "")


def test_everything_listens_on_the_loopback_interface_alone(system):
    own = set(system.processes())
    inodes = set()
    for pid in own:
        for file in os.listdir(f"/proc/{pid}/fd"):
            try:
                inodes.add(os.readlink(f"/proc/{pid}/fd/{file}"))
            except OSError:
                pass
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        listening += [row[1].rsplit(":", 1)[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert len(listening) >= 5
    assert set(listening) <= {"0100007F", "00000000000000000000000001000000"}


def test_env_names_the_system_for_a_shell(system):
    variables = system.variables()
    for name in ("ORDER_URL PAYMENT_URL API_KEY CA_CERT MONGO_URL REDIS_URL AMQP_URL "
                 "NGINX_PID ORDERD_PIDS SWEEPD_PID").split():
        assert name in variables
    assert variables["MONGO_URL"] == f"mongodb://127.0.0.1:{system.ports()['mongo']}/?replicaSet=rs0"


def test_sourcing_env_and_up_again_stays_with_our_own_servers(system):
    result = system.up(**system.variables())
    assert result.returncode == 0, result.stderr
    with open(os.path.join(system.run, "system.json"), encoding="utf-8") as file:
        assert json.load(file)["given"] == {}


def test_an_env_from_before_a_port_was_changed_still_means_our_own_server(system):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    result = system.up(**system.variables(), REDIS_PORT=str(port))
    assert result.returncode == 0, result.stderr
    with open(os.path.join(system.run, "system.json"), encoding="utf-8") as file:
        saved = json.load(file)
    assert saved["given"] == {} and saved["ports"]["redis"] == port


def test_secrets_are_for_their_owner_alone(system):
    for folder in ("", "secrets", "tls", "data"):
        assert stat.S_IMODE(os.stat(os.path.join(system.run, folder)).st_mode) == 0o700
    for folder in ("secrets", "tls"):
        for name in os.listdir(os.path.join(system.run, folder)):
            assert stat.S_IMODE(os.stat(os.path.join(system.run, folder, name)).st_mode) == 0o600, name


@pytest.mark.parametrize("part", SERVERS)
def test_a_part_is_killed_started_and_stopped_and_keeps_its_data(system, part):
    if part == "mongo":
        import pymongo
        with pymongo.MongoClient(system.variables()["MONGO_URL"]) as client:
            client.test.kept.replace_one({"_id": 1}, {"_id": 1}, upsert=True)
    for end in ("kill", "stop"):
        result = system(end, part)
        assert result.returncode == 0, result.stderr
        assert processes.ours(system.run, part) == []
        assert not system.listens(part)
        result = system("start", part)
        assert result.returncode == 0, result.stderr
        assert system.listens(part)
    if part == "mongo":
        with pymongo.MongoClient(system.variables()["MONGO_URL"]) as client:
            assert client.test.kept.count_documents({}) == 1


def test_a_stopped_process_is_ended_as_well(system):
    pid = int(system("pid", "mongo").stdout)
    os.kill(pid, signal.SIGSTOP)
    assert system("stop", "mongo").returncode == 0
    assert not system.listens("mongo")
    assert system("start", "mongo").returncode == 0


def test_up_works_after_supervisord_was_killed(system):
    with open(os.path.join(system.run, "supervisord.pid"), encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    assert "left over" in system("status").stdout
    result = system.up()
    assert result.returncode == 0, result.stderr
    assert all(system.listens(name) for name in SERVERS)


def test_down_leaves_nothing_and_twice_is_harmless(system):
    ports = system.ports()
    assert system("down").returncode == 0
    assert system.processes() == []
    for name in (*SERVERS, "epmd", "rabbit_dist"):
        assert not system.listens(name), ports[name]
    assert system("down").returncode == 0
    assert system("status").returncode == 1


def test_a_taken_port_is_named_with_its_holder(system):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = system.up(REDIS_PORT=str(port))
        assert result.returncode == 1
        assert f"port {port}" in result.stderr and f"pid {os.getpid()}" in result.stderr
        assert "REDIS_PORT" in result.stderr and "`make up PORTS=free`" in result.stderr
    assert system("down").returncode == 0


def test_an_up_that_fails_on_a_taken_port_leaves_nothing_and_free_ports_cure_it(tmp_path):
    private = Private(tmp_path)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        try:
            assert private.up(REDIS_PORT=str(port)).returncode == 1
            assert private.processes() == [] and private("status").stdout == "not running\n"
            result = private.up()
            assert result.returncode == 0, result.stderr
            chosen, before = private.ports(), [private("pid", part).stdout for part in SERVERS]
            assert port not in chosen.values()
            # a system that runs goes on as it was
            assert private.up(REDIS_PORT=str(port)).returncode == 1
            assert [private("pid", part).stdout for part in SERVERS] == before and private.ports() == chosen
            assert private.up().returncode == 0 and private.ports() == chosen
            assert [private("pid", part).stdout for part in SERVERS] == before
        finally:
            private("down")
    with socket.socket() as holder:         # what was chosen once is somebody else's now
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", chosen["redis"]))
        holder.listen()
        try:
            result = private.up()
            assert result.returncode == 0, result.stderr
            after = private.ports()
            assert after.pop("redis") != chosen.pop("redis") and after == chosen
        finally:
            private("down")
    assert private.processes() == []


def test_bad_settings_are_refused_with_a_reason(system):
    for variables, words in [({"PARTNERS": "nobody"}, "PARTNERS=nobody"),
                             ({"PARTNERS": "prism", "TOOLS": "/nowhere"}, "scripts/setup prism"),
                             ({"SPEED": "fast"}, "SPEED=fast"),
                             ({"PORTS": "any"}, "PORTS=any: it is free, or left out"),
                             ({"ORDER_PORT": "99999"}, "ORDER_PORT=99999: it has to be a number from 1 to 65535"),
                             ({"EPMD_PORT": "-1"}, "EPMD_PORT=-1: it has to be a number from 1 to 65535"),
                             ({"ORDER_PORT": "7000", "MONGO_PORT": "7000"}, "same port")]:
        result = system.up(**variables)
        assert result.returncode == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_a_python_without_the_packages_is_told_what_to_do(system):
    """As `make status` has it without the TOOLS that `make up` had."""
    result = system.up()
    assert result.returncode == 0, result.stderr
    with open(os.path.join(system.run, "system.json"), encoding="utf-8") as file:
        tools = json.load(file)["tools"]
    for variables, advice in [({"TOOLS": "/nowhere"}, f"with TOOLS={tools}: give that TOOLS here, too"),
                              ({"TOOLS": tools}, f"run: make setup (it installs into {tools}/venv; ")]:
        for words in (["status"], ["start", "mongo"]):
            result = subprocess.run([sys.executable, "-S", os.path.join(ROOT, "scripts/system"), *words],
                                    env=system.env | variables, check=False, stdin=subprocess.DEVNULL,
                                    capture_output=True, text=True, timeout=120)
            assert result.returncode == 1
            assert "this Python has no pymongo; " in result.stderr and advice in result.stderr
            assert result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize("target, wrong", [
    ("stop-lunch", "there is no part lunch"), ("start-", "a part has to be named"), ("stop-", "a part has to be named"),
    ("kill-", "a part has to be named"), ("pid-", "a part has to be named")])
def test_a_part_that_is_not_named_or_unknown_is_refused_with_the_parts(target, wrong):
    result = subprocess.run(["make", "-s", target], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode and f"{wrong}; the parts are mongo, redis, rabbit, " in result.stderr


def test_a_certificate_that_is_about_to_end_is_renewed_and_a_key_is_kept(system, tmp_path):
    run = str(tmp_path / "run")
    make = [os.path.join(ROOT, "scripts/make-secrets"), run]
    subprocess.run(make, check=True)

    def read(name):
        with open(os.path.join(run, name), "rb") as file:
            return file.read()
    certificate, key = read("tls/server.crt"), read("secrets/api_key")
    subprocess.run(make, check=True)
    assert (read("tls/server.crt"), read("secrets/api_key")) == (certificate, key)
    subprocess.run(["openssl", "req", "-x509", "-key", os.path.join(run, "tls/server.key"), "-subj", "/CN=localhost",
                    "-days", "2", "-out", os.path.join(run, "tls/server.crt")], check=True, capture_output=True)
    subprocess.run(make, check=True)
    assert read("secrets/api_key") == key
    subprocess.run(["openssl", "verify", "-CAfile", os.path.join(run, "tls/ca.crt"),
                    os.path.join(run, "tls/server.crt")],
                   check=True, capture_output=True)
    names = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in",
                            os.path.join(run, "tls/server.crt")], check=True, capture_output=True, text=True).stdout
    assert "DNS:localhost" in names and "IP Address:127.0.0.1" in names


def test_setup_does_nothing_the_second_time(system, tmp_path):
    env = os.environ | {"BUILD": os.environ.get("TOOLS") or "build", "RUN": str(tmp_path / "run")}
    subprocess.run([os.path.join(ROOT, "scripts/setup")], check=True, env=env, capture_output=True)
    start = time.monotonic()
    result = subprocess.run([os.path.join(ROOT, "scripts/setup")], check=True, env=env, capture_output=True, text=True)
    assert time.monotonic() - start < 2
    assert result.stdout + result.stderr == ""
