"""The simulator's card company on its own: where its callbacks go, and what the ledger says of them."""

import contextlib
import http.server
import json
import os
import subprocess
import threading
import uuid

import pytest
import requests

from conftest import wait_for
from foodctl import ROOT, closed_port
from partners import CARD

SIM = os.path.join(ROOT, os.environ.get("BUILD") or "build", "bin/foodsvc-sim")


class Company:
    """A card company that can be ended, and started again on the same port and with what it knew."""

    def __init__(self, folder):
        self.port, self.log, self.state = closed_port(), folder / "log", folder / "sim.jsonl"
        self.url = f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self, *options):
        with open(self.log, "wb") as log, subprocess.Popen(
                [SIM, "--customer-port=0", "--delivery-port=0", "--kitchen-port=0", f"--card-port={self.port}",
                 "--amqp-url=off", "--speed=1000", f"--state={self.state}", *options],
                stdout=log, stderr=log) as process:
            try:
                wait_for(lambda: b"msg=ready" in self.log.read_bytes(), what="the simulator")
                yield
            finally:
                process.terminate()

    def bill(self, order_id, callback_url, amount=19.99):
        return requests.post(f"{self.url}/billings", headers={"Idempotency-Key": order_id}, timeout=20, json={
            "billing_info": CARD, "amount": amount, "caller_id": order_id, "callback_url": callback_url})

    def charge(self, order_id):
        ledger = requests.get(f"{self.url}/ledger", params={"order_id": order_id}, timeout=20).json()
        return (ledger["charges"] or [None])[0]

    def says(self, *words):
        return any(all(word in line for word in words) for line in self.log.read_text().splitlines())


@pytest.fixture
def company(tmp_path):
    return Company(tmp_path)


@pytest.fixture
def receiver():
    """PaymentService's place: takes each callback. `bodies`: those that came; `url`: its address."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass
    bodies = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.url = bodies, f"http://127.0.0.1:{server.server_address[1]}/callback"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_repeat_with_another_address_has_the_waiting_callback_go_there(company, receiver):
    order_id, nowhere = str(uuid.uuid4()), f"http://127.0.0.1:{closed_port()}/callback"
    with company.running():
        first = company.bill(order_id, nowhere)
        assert first.status_code == 202
        wait_for(lambda: company.says("a callback was not taken and will be repeated", order_id, nowhere),
                 what="a callback that nobody takes")
        assert company.charge(order_id)["called"] is False
        again = company.bill(order_id, receiver.url)
        assert (again.status_code, again.json()) == (202, first.json())
        wait_for(lambda: receiver.bodies, what="the callback")
        wait_for(lambda: company.charge(order_id)["called"], what="the callback to be booked")
        assert [(body["caller_id"], body["status"]) for body in receiver.bodies] == [(order_id, "paymentPaid")]
        # the amount is not to be had anew, nor the address then
        assert company.bill(order_id, nowhere, amount=20).status_code == 422


def test_the_new_address_is_known_after_a_restart(company, receiver):
    order_id, nowhere = str(uuid.uuid4()), f"http://127.0.0.1:{closed_port()}/callback"
    with company.running("--speed=1"):                  # it is not decided yet
        assert company.bill(order_id, nowhere).status_code == 202
        assert company.bill(order_id, receiver.url).status_code == 202
        assert not receiver.bodies
    with company.running():
        wait_for(lambda: receiver.bodies, what="the callback")
        wait_for(lambda: company.charge(order_id)["called"], what="the callback to be booked")
    with company.running():
        assert company.charge(order_id)["called"] is True


def test_a_callback_that_a_rule_dropped_was_not_made(company, receiver):
    order_id = str(uuid.uuid4())
    with company.running("--fail=card.callback:drop:1"):
        assert company.bill(order_id, receiver.url).status_code == 202
        wait_for(lambda: company.charge(order_id), what="the charge")
        assert company.charge(order_id)["called"] is False
        assert company.bill(order_id, receiver.url).status_code == 202      # asked for again, it comes
        wait_for(lambda: company.charge(order_id)["called"], what="the callback to be booked")
        assert len(receiver.bodies) == 1
