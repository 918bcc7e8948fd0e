"""Prism as partners (PARTNERS=prism), and as a proxy that finds no violation between the services and their
partners."""

import json
import os
import subprocess
import sys
import time
import uuid

import pymongo
import pytest
import redis
import requests
from test_setup_and_up import ROOT, Private

sys.path.insert(0, os.path.join(ROOT, "t/lib"))
from prism import Proxies  # noqa: E402
import settings as system_settings  # noqa: E402  (scripts/system: test_setup_and_up put it into the path)

BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
TOOLS = os.path.join(ROOT, os.environ.get("TOOLS") or os.environ.get("BUILD") or "build")
PRODUCTS = [{"product": "Lasagna", "quantity": 2}, {"product": "Double Cheeseburger"}]
SPEED = "3000"


class Client:
    """The web application, and whoever sends events."""

    def __init__(self, system, order_url=None):
        self.variables = system.variables()
        self.order_url = order_url or self.variables["ORDER_URL"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self.variables["CA_CERT"]
        self.session.headers["X-API-Key"] = self.variables["API_KEY"]

    def place(self):
        answer = self.session.post(self.order_url + "/v1/orders", timeout=20,
                                   json={"items": PRODUCTS, "customer_id": str(uuid.uuid4())})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def show(self, order):
        return self.session.get(f"{self.order_url}/v1/orders/{order}", timeout=20).json()

    def cancel(self, order):
        return self.session.post(f"{self.order_url}/v1/orders/{order}/cancel", timeout=20)

    def wait(self, order, status, patience=30):
        deadline = time.monotonic() + patience
        while status not in [step["status"] for step in self.show(order)["updated"]]:
            assert time.monotonic() < deadline, f"{status} does not come: {self.show(order)}"
            time.sleep(0.1)

    def respond(self, order, status):
        """As a partner would: an event."""
        subprocess.run([os.path.join(BUILD, "bin/foodctl"), "respond", order, status], check=True,
                       env=os.environ | self.variables, stdout=subprocess.DEVNULL)


@pytest.fixture
def system(tmp_path):
    private = Private(tmp_path)
    private.env["SPEED"] = SPEED
    yield private
    private("down")
    assert private.processes() == []


def ledger(variables, order):
    """What the card company has done for an order."""
    return requests.get(f"{variables['CARD_URL']}/ledger", params={"order_id": order}, timeout=20).json()


def test_an_order_goes_as_far_as_prism_answers_and_on_by_events(system):
    result = system("up", PARTNERS="prism")
    assert result.returncode == 0, result.stdout + result.stderr
    status = system("status")
    assert status.returncode == 0 and "prism    answers" in status.stdout, status.stdout
    client = Client(system)
    order = client.place()
    client.wait(order, "deliveryScheduled")
    for event, then in (("driverAvailable", "cookingScheduled"), ("cookingMeal", None), ("cookingDone", None),
                        ("pickedUp", None), ("inTransit", None), ("delivered", None)):
        client.respond(order, event)
        client.wait(order, then or event)
    shown = client.show(order)
    assert shown["status"] == "delivered" and shown["delivery_id"] and shown["kitchen_id"]

    other = client.place()
    client.wait(other, "deliveryScheduled")
    assert client.cancel(other).status_code == 202
    client.wait(other, "reimbursed")
    assert len(ledger(client.variables, other)["reimbursements"]) == 1

    result = system("up", PARTNERS="none")
    assert result.returncode == 0, result.stderr
    assert not any(system.listens(name) for name in ("customer", "delivery", "kitchen", "card"))


@pytest.fixture
def proxied(system, tmp_path):
    """The system with Prism before everybody: before each partner of the simulator, and before both services."""
    result = system("up", PARTNERS="none")
    assert result.returncode == 0, result.stdout + result.stderr
    ports, variables = system.ports(), system.variables()
    free = {}
    for name in ("customer", "delivery", "kitchen", "card", "order", "payment"):
        free[name] = system_settings.free_port([*ports.values(), *free.values()])
    specs = os.path.join(BUILD, "share/openapi")
    proxies = Proxies(TOOLS, specs, str(tmp_path), variables["CA_CERT"])
    simulator = subprocess.Popen(
        [os.path.join(BUILD, "bin/foodsvc-sim"), "--config", os.path.join(system.run, "sim.conf"),
         *(f"--{name}-port={free[name]}" for name in ("customer", "delivery", "kitchen", "card"))],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for name in ("customer", "delivery", "kitchen"):
            proxies.start(f"{name}-service", ports[name], f"http://127.0.0.1:{free[name]}")
        proxies.start("card-company", ports["card"], f"http://127.0.0.1:{free['card']}")
        proxies.start("order-service", free["order"], variables["ORDER_URL"])
        proxies.start("payment-service", free["payment"], variables["PAYMENT_URL"])
        proxies.ready()
        with pymongo.MongoClient(variables["MONGO_URL"]) as mongo, redis.from_url(variables["REDIS_URL"]) as cache:
            url = {"$set": {"url": f"http://127.0.0.1:{free['payment']}"}}
            mongo.api_db.service_urls.update_one({"_id": "PaymentService"}, url)
            cache.delete("PaymentService")
        variables["CARD_URL"] = f"http://127.0.0.1:{free['card']}"
        time.sleep(2.1)                 # as long as a process may remember the url from before
        yield proxies, Client(system, f"http://127.0.0.1:{free['order']}"), variables
    finally:
        proxies.end()
        simulator.terminate()
        simulator.wait(20)


def test_prism_as_a_proxy_finds_no_violation(proxied):
    proxies, client, variables = proxied
    orders = [client.place() for _ in range(3)]
    cancelled = None
    for _ in range(10):                 # a driver may be quicker
        cancelled = client.place()
        client.wait(cancelled, "deliveryScheduled")
        if client.cancel(cancelled).status_code == 202:
            break
    client.wait(cancelled, "reimbursed")
    for order in orders:
        client.wait(order, "delivered", 60)
    assert len(ledger(variables, orders[0])["charges"]) == 1

    # errors are as described, too; these requests are in order, or wrong in what Prism lets pass
    url, session = client.order_url, client.session
    assert client.cancel(orders[0]).status_code == 400
    nobody = "0193e0a0-0000-7000-8000-000000000000"
    for method, path, status in (("GET", "/v1/orders", 200), ("GET", f"/v1/orders/{nobody}", 404),
                                 ("DELETE", f"/v1/orders/{orders[0]}", 204), ("GET", "/v1/orders/no-uuid", 422),
                                 ("GET", "/health", 200)):
        assert session.request(method, url + path, timeout=20).status_code == status, path
    assert session.post(url + "/v1/orders", json={"items": []}, timeout=20).status_code == 422
    assert session.get(url + "/v1/orders", headers={"X-API-Key": "wrong"}, timeout=20).status_code == 401
    for name in ("customer-service", "delivery-service", "kitchen-service", "card-company", "order-service",
                 "payment-service"):
        assert proxies.seen(name) >= 4, name
    # What the services send each other and their partners is as described without exception.
    services = ("customer-service", "delivery-service", "kitchen-service", "card-company", "payment-service")
    assert proxies.violations(requests=services) == []
