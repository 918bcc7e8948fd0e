"""docker/: what can be said of it without an engine. The compose file is valid and as hard as it promises; what the
Dockerfiles copy is there; secrets are made, differ, and are nowhere in git."""

import base64
import hashlib
import json
import os
import re
import shlex
import stat
import subprocess

import pytest
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCKER = os.path.join(ROOT, "docker")
COMPOSE = os.path.join(DOCKER, "compose.yaml")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What docker/secrets makes."""
    folder = tmp_path_factory.mktemp("docker") / "made"
    subprocess.run([os.path.join(DOCKER, "secrets"), str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def compose(made):
    """The compose file as docker-compose understands it."""
    result = subprocess.run(["docker-compose", "-f", COMPOSE, "config"], capture_output=True, text=True, check=False,
                            env=os.environ | {"SECRETS": str(made)}, timeout=60)
    assert result.returncode == 0, result.stderr
    return yaml.safe_load(result.stdout)


def test_every_container_is_hardened(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service and "cap_add" not in service, name
        assert service.get("user", "10001:10001") in ("999:999", "10001:10001"), name


def test_every_server_has_a_health_check_and_ports_are_this_hosts_alone(compose):
    for name, service in compose["services"].items():
        if name not in ("mongo-init", "urls", "foodctl"):
            assert service["healthcheck"]["test"], name
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), name


def test_images_of_others_have_a_version(compose):
    for name, service in compose["services"].items():
        assert re.search(r":\d+\.\d+\.\d+", service["image"]), name


def test_secrets_are_files_and_never_in_the_environment(compose, made):
    values = [path.read_text().strip() for path in (made / "secrets").iterdir()]
    text = yaml.safe_dump(compose)
    assert not [value for value in values if value in text]
    for name, secret in compose["secrets"].items():
        assert os.path.isfile(secret["file"]), name


def instructions(name):
    """(word, arguments) of each instruction of a Dockerfile."""
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", read("docker", name)))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", ["nginx.Dockerfile", "workers.Dockerfile"])
def test_a_dockerfile_copies_only_what_git_has_and_ends_as_nobody(name):
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    allowed = [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]
    steps = instructions(name)
    copies = [shlex.split(rest)[:-1] for word, rest in steps if word == "COPY" and "--from=" not in rest]
    for source in sum(copies, []):
        assert [f for f in files if f == source or f.startswith(source + "/")], f"{source} is not in git"
        assert [a for a in allowed if source == a or source.startswith(a + "/")], f"{source} is not in .dockerignore"
    assert [rest for word, rest in steps if word == "USER"][-1] == "10001:10001"
    assert {rest.split()[0] for word, rest in steps if word == "FROM"} == {"${BASE}"}
    assert [word for word, _ in steps].count("FROM") >= 2


def test_secrets_differ_are_private_and_are_kept(made):
    folder = made / "secrets"
    first = {path.name: path.read_text() for path in folder.iterdir()}
    other = made.parent / "other"
    for where in (made, other):
        subprocess.run([os.path.join(DOCKER, "secrets"), str(where)], check=True, timeout=60)
    salted = "rabbitmq_definitions"         # its hashes have a new salt each time
    again = {path.name: path.read_text() for path in folder.iterdir()}
    assert {k: v for k, v in again.items() if k != salted} == {k: v for k, v in first.items() if k != salted}
    assert not [name for name, value in first.items() if (other / "secrets" / name).read_text() == value]
    for path in (made, folder, made / "tls"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (made / "env", made / "tls" / "ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_servers_get_hashes_that_fit_and_no_passwords(made):
    def secret(name):
        return (made / "secrets" / name).read_text().strip()
    definitions = json.loads(secret("rabbitmq_definitions"))
    for user, file in (("foodsvc", "rabbit_password"), ("admin", "rabbitmq_admin_password")):
        entry, = [u for u in definitions["users"] if u["name"] == user]
        both = base64.b64decode(entry["password_hash"])
        assert both[4:] == hashlib.sha256(both[:4] + secret(file).encode()).digest()
        assert secret(file) not in secret("rabbitmq_definitions")
    queues = re.compile(definitions["permissions"][0]["write"])
    assert all(queues.search(q) for q in ("OrderService", "OrderService.dead", "OrderService.retry.300", "amq.default"))
    assert not [q for q in ("OrderServiceX", "OrderService-dead", "Other", "amq.topic") if queues.search(q)]
    assert "#" + hashlib.sha256(secret("redis_password").encode()).hexdigest() in secret("redis_acl")
    assert secret("redis_password") not in secret("redis_acl")


def test_the_certificate_names_the_containers(made):
    for host in ("order", "payment", "localhost"):
        out = subprocess.run(["openssl", "x509", "-noout", "-checkhost", host, "-in", made / "tls/server.crt"],
                             check=True, capture_output=True, text=True).stdout
        assert "does match" in out
    subprocess.run(["openssl", "verify", "-CAfile", str(made / "tls/ca.crt"), str(made / "tls/server.crt")], check=True,
                   capture_output=True)


def test_git_has_no_secret():
    secret = "BEGIN ([A-Z]+ )?PRIVATE KEY|(mongodb|rediss?|amqps?)://[a-z]*:[0-9a-f]{32,}@"
    found = subprocess.run(["git", "grep", "-lIE", secret], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and found.stdout == ""
    ignored = subprocess.run(["git", "check-ignore", "build/docker/secrets/api_key"], cwd=ROOT, capture_output=True,
                             check=False)
    assert ignored.returncode == 0
