"""No card outlives its call in the memory of nginx's workers, and a process of ours that crashes leaves no core
behind."""

import http.client
import json
import os
import pathlib
import random
import re
import resource
import signal
import ssl
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import nginx_workers, pids, wait_for
from foodctl import ROOT
from partners import CARD, Answer

BIN = pathlib.Path(ROOT, os.environ.get("BUILD") or "build", "bin")
KEPT = pytest.mark.plain("a sanitizer keeps what was freed, and has more address space than can be read")
PRELOADED = pytest.mark.plain("a sanitizer has to be loaded before nginx")
HARD = resource.getrlimit(resource.RLIMIT_CORE)[1]


# --- memory ---

def memory_of(pid):
    """Each piece of a process's memory that can be written. Only root, or the process's own user, may look."""
    with (open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps,
          open(f"/proc/{pid}/mem", "rb") as memory):
        for line in maps:
            bounds, mode = line.split()[:2]
            start, end = (int(text, 16) for text in bounds.split("-"))
            if mode.startswith("rw"):
                try:
                    memory.seek(start)
                    yield memory.read(end - start)
                except OSError:         # gone meanwhile, or nobody's: [vvar]
                    pass


def found_in_workers(needles):
    """How often each is in the memory of nginx's workers."""
    return {name: sum(piece.count(needle.encode()) for pid in nginx_workers() for piece in memory_of(pid))
            for name, needle in needles.items()}


def forgotten(system, needles):
    """Is none of them left? OpenSSL does not wipe its buffers of a client's connection: the next clients' go there."""
    for _ in range(8):
        for service in (system.order, system.payment):
            service.get("/health", key=False, headers={"Connection": "close"})
    return not any(found_in_workers(needles).values())


def new_card():
    """A card that nobody has seen, and what of it must not be found."""
    digits = "".join(random.choices("123456789", k=12))
    secret = {"CardNumber": "4929" + digits, "CVV": f"#CVV-{digits[:7]}#", "Name": "Holder " + digits[::-1]}
    return dict(CARD, **secret), secret


@KEPT
@pytest.mark.parametrize("way", ["billed", "reimbursed", "refused", "cut off", "malformed", "no JSON"])
def test_a_worker_that_is_idle_has_no_card_in_its_memory(system, partners, way):
    card, secret = new_card()
    billing = {"amount": 19.99, "billing_info": card}
    if way == "malformed":
        billing["amount"] = -1
    partners.say("billing", Answer(201, str(billing).encode() if way == "no JSON" else billing))
    if way == "refused":
        partners.say("bill", Answer(400, {"detail": "The card is " + card["CardNumber"], "billing_info": card}))
    elif way == "cut off":
        partners.say("bill", Answer(close=True))
    for _ in range(8):
        if way == "reimbursed":
            order = system.paid()
            assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 202
            wait_for(lambda order=order: partners.calls_of("reimburse", order["id"]), what="the reimbursement")
        else:
            answer = system.order.post("/v1/orders", json=system.payload())
            assert (answer.status_code == 202) == (way == "billed"), answer.text
    wait_for(lambda: forgotten(system, secret), 8, f"memory without the card: {found_in_workers(secret)}")


@KEPT
def test_nor_has_it_when_the_card_came_over_tls(system, partners):
    card, secret = new_card()
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            body = json.dumps({"amount": 19.99, "billing_info": card}).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls = pathlib.Path(os.environ["RUN"], "tls")
    context.load_cert_chain(tls / "server.crt", tls / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    urls, name = system.db.service_urls, "CustomerService"
    before = urls.find_one({"_id": name})["url"]
    try:
        urls.update_one({"_id": name}, {"$set": {"url": f"https://localhost:{server.server_address[1]}"}})
        system.redis.delete(name)
        wait_for(lambda: system.place() and len(asked) >= 8, what="calls over TLS")
    finally:
        urls.update_one({"_id": name}, {"$set": {"url": before}})
        system.redis.delete(name)
        server.shutdown()
        server.server_close()
    wait_for(lambda: forgotten(system, secret), 8, f"memory without the card: {found_in_workers(secret)}")


@KEPT
def test_a_worker_that_is_idle_has_no_key_of_a_client_in_its_memory(system):
    """One that it does not know, for the one that the tests have it shows to PaymentService itself; also the second of
    two, and one that nobody asked for."""
    keys = {name: "Key" + "".join(random.choices("ABCDEFGHIJKLMNOP", k=40)) for name in ("first", "second", "needless")}
    service = urllib.parse.urlsplit(os.environ["ORDER_URL"])
    trusted = ssl.create_default_context(cafile=os.environ["CA_CERT"])
    for _ in range(8):
        for path, shown, status in (("/v1/orders", ("first", "second"), 401), ("/health", ("needless",), 200)):
            client = http.client.HTTPSConnection(service.hostname, service.port, context=trusted, timeout=10)
            client.putrequest("GET", path)
            for name in shown:
                client.putheader("X-API-Key", keys[name])
            client.endheaders()
            assert client.getresponse().status == status
            client.close()
    wait_for(lambda: forgotten(system, keys), 8, f"memory without the key: {found_in_workers(keys)}")


@KEPT
def test_the_search_finds_what_is_there():
    """nginx has its own settings in memory: a search that looks in the wrong place would find nothing at all."""
    assert found_in_workers({"a path": os.environ["RUN"]})["a path"] > 0


# --- cores ---

NGINX = """
{load_module}
user {user};
daemon off;
worker_processes 1;
working_directory {folder};
{core}
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    upstream foodsvc_partners {{ foodsvc_partners; }}
    foodsvc_mongo "{MONGO_URL}";
    foodsvc_redis "{REDIS_URL}";
    foodsvc_rabbitmq "{AMQP_URL}";
    foodsvc_api_key_hash {hash};
    foodsvc_card_company http://127.0.0.1:9;
    foodsvc_callback_url http://127.0.0.1:9/;
    server {{
        listen unix:{folder}/socket;
        location / {{ foodsvc payment; }}
        location = /_foodsvc/partner {{ internal; proxy_pass $foodsvc_partner_url; subrequest_output_buffer_size 64k; }}
    }}
}}
"""


def cores_allowed():
    resource.setrlimit(resource.RLIMIT_CORE, (HARD, HARD))


def ended_by_abort(process):
    """Ends it as a crash does. Was a core written?"""
    os.kill(process.pid, signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGABRT
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT, status
    return os.WCOREDUMP(status)


def start_nginx(folder, core):
    [master] = pids("nginx")
    running = pathlib.Path(os.environ["RUN"], "nginx.conf").read_text(encoding="utf-8")
    load = re.search(r"^load_module .*;$", running, re.MULTILINE)
    (folder / "nginx.conf").write_text(NGINX.format(
        folder=folder, core=core, load_module=load[0] if load else "", user=folder.owner(), hash="0" * 64,
        **os.environ), encoding="utf-8")
    return subprocess.Popen([os.readlink(f"/proc/{master}/exe"), "-e", "stderr", "-c", folder / "nginx.conf"],
                            cwd=folder, preexec_fn=cores_allowed)


def children_of(pid):
    return [int(text) for text in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@PRELOADED
@pytest.mark.parametrize("core", ["", "worker_rlimit_core 1g;"], ids=["unasked", "asked for"])
def test_nginx_leaves_no_core_unless_it_is_told_to(tmp_path, core):
    """That it does when it is told to shows that one would be seen here;
    a machine that allows none has nothing to show."""
    if core and (HARD == 0 and os.geteuid() != 0):
        return
    nginx = start_nginx(tmp_path, core)
    log = tmp_path / "error.log"
    workers = []
    try:
        wait_for(lambda: (tmp_path / "socket").exists() and log.exists() and children_of(nginx.pid), what="nginx")
        workers = children_of(nginx.pid)
        wait_for(lambda: "foodsvc: " in log.read_text() or "rabbitmq" in log.read_text(),
                 what="a worker that has begun")
        os.kill(workers[0], signal.SIGABRT)
        line = wait_for(lambda: re.search(rf"worker process {workers[0]} exited on signal 6.*", log.read_text()),
                        what="the worker's end")[0]
        assert ("core dumped" in line) == bool(core), line
        workers = children_of(nginx.pid)
        assert core or not ended_by_abort(nginx)
    finally:
        if nginx.returncode is None:
            nginx.terminate()
            nginx.wait(30)
        for pid in workers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    assert core or not list(tmp_path.glob("core*"))


@pytest.mark.parametrize("program", ["orderd", "sweepd", "sim"])
def test_a_worker_leaves_no_core(tmp_path, program):
    options = ["--amqp-url", os.environ["AMQP_URL"]]
    if program == "sim":
        options = ["--amqp-url", "off", "--customer-port", "0", "--delivery-port", "0", "--kitchen-port", "0",
                   "--card-port", "0"]
    else:
        options += ["--mongo-url", os.environ["MONGO_URL"], "--redis-url", os.environ["REDIS_URL"]]
    log = tmp_path / "log"
    with open(log, "wb") as file, subprocess.Popen([BIN / f"foodsvc-{program}", *options], cwd=tmp_path, stdout=file,
                                                   stderr=file, preexec_fn=cores_allowed) as process:
        try:
            wait_for(lambda: re.search("started|ready", log.read_text()), what="its start")
            assert not ended_by_abort(process)
        finally:
            if process.returncode is None:
                process.kill()
    assert not list(tmp_path.glob("core*"))


def is_connected(pid):
    """Is this foodctl, and no longer the child that becomes it, and has it a socket?"""
    try:
        return (os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "foodctl"
                and any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
                        for fd in os.listdir(f"/proc/{pid}/fd")))
    except FileNotFoundError:               # closed meanwhile
        return False


def test_foodctl_leaves_no_core(tmp_path):
    """It waits for messages meanwhile."""
    with subprocess.Popen([BIN / "foodctl", "queue", "listen", "OrderService.dead"], cwd=tmp_path,
                          stdout=subprocess.PIPE, preexec_fn=cores_allowed) as process:
        try:
            wait_for(lambda: is_connected(process.pid), what="its connection")
            assert not ended_by_abort(process)
        finally:
            if process.returncode is None:
                process.kill()
    assert not list(tmp_path.glob("core*"))
