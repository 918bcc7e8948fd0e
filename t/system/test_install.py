"""`make install`, staged: what lies in the folder is a system whose configuration nginx and the workers accept, and
whose units give away nothing that they need not."""

import os
import re
import shutil
import stat
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
UNITS = ("foodsvc-nginx.service", "foodsvc-orderd@.service", "foodsvc-sweepd.service")


def install(folder):
    environment = os.environ | {"DESTDIR": str(folder), "BUILD": BUILD}
    return subprocess.run([os.path.join(ROOT, "scripts/install")], env=environment, check=False, capture_output=True,
                          text=True, timeout=60)


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("install")
    result = install(folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_nginx_accepts_the_installed_configuration(staged, tmp_path):
    etc = tmp_path / "foodsvc"
    shutil.copytree(staged / "etc/foodsvc", etc)
    subprocess.run([os.path.join(ROOT, "scripts/make-secrets"), str(tmp_path / "run")], check=True, timeout=60)
    os.mkdir(etc / "tls")
    for source, target in (("tls/server.crt", "tls/server.crt"), ("tls/server.key", "tls/server.key"),
                           ("tls/ca.crt", "tls/partners.crt"), ("secrets/api_key", "partner_key"),
                           ("secrets/api_keys.sha256", "api_keys.sha256")):
        shutil.copy(tmp_path / "run" / source, etc / target)
    (etc / "mongo_url").write_text("mongodb://u:p@127.0.0.1/?replicaSet=rs0&authSource=admin\n")
    (etc / "redis_url").write_text("redis://u:p@127.0.0.1\n")
    (etc / "amqp_url").write_text("amqps://u:p@127.0.0.1/\n")
    for folder in ("run", "log"):
        os.makedirs(tmp_path / folder, exist_ok=True)
    text = (etc / "nginx.conf").read_text()
    assert not re.search(r"(?m)^user\b", text)
    text = (text.replace("/etc/foodsvc", str(etc)).replace("/run/foodsvc-nginx", str(tmp_path / "run"))
            .replace("/var/log/foodsvc", str(tmp_path / "log"))
            .replace("/usr/share/foodsvc", str(staged / "usr/share/foodsvc"))
            .replace("modules/ngx_foodsvc_module.so", str(staged / "usr/lib/nginx/modules/ngx_foodsvc_module.so")))
    (etc / "nginx.conf").write_text(text)
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    result = subprocess.run([nginx, "-e", "stderr", "-t", "-c", etc / "nginx.conf"], capture_output=True, text=True,
                            check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    for worker in ("orderd", "sweepd"):
        conf = etc / f"{worker}.conf"
        text = conf.read_text()
        conf.write_text(text.replace("/etc/foodsvc", str(etc)))
        result = subprocess.run([os.path.join(BUILD, f"bin/foodsvc-{worker}"), "--config", conf, "--check"],
                                capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stderr
        for name in ("mongo_url", "redis_url", "amqp_url"):
            assert re.search(rf"(?m)^{name} = file:", text)


def test_a_changed_configuration_is_kept(staged):
    conf = staged / "etc/foodsvc/nginx.conf"
    before = conf.read_text()
    conf.write_text("mine\n")
    result = install(staged)
    assert result.returncode == 0 and "is kept" in result.stdout
    assert conf.read_text() == "mine\n"
    assert (staged / "etc/foodsvc/nginx.conf.new").read_text() == before
    conf.write_text(before)


def test_nothing_installed_can_be_written_by_others(staged):
    for folder, _, files in os.walk(staged):
        for name in files:
            assert not os.stat(os.path.join(folder, name)).st_mode & (stat.S_IWGRP | stat.S_IWOTH), name


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_hardened(staged, unit):
    text = (staged / "usr/local/lib/systemd/system" / unit).read_text()
    for line in ("NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "PrivateDevices=yes",
                 "MemoryDenyWriteExecute=yes", "RestrictNamespaces=yes", "SystemCallFilter=@system-service"):
        assert line in text.splitlines(), line
    assert re.search(r"(?m)^User=foodsvc-", text)
    if shutil.which("systemd-analyze"):         # not where there is no systemd
        result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager",
                                 os.path.join(str(staged), "usr/local/lib/systemd/system", unit)],
                                capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stdout[-300:] + result.stderr
