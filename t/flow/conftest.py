"""What the flow tests share: the running system, its clients, and the partners.

The system is started by t/run (or by hand: make up PARTNERS=none, then `. build/run/env`), and named by the variables
of its env file. The databases are read with drivers of other languages on purpose:
they see what a foreign service would see.
"""

import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

import pika
import pymongo
import pytest
import redis
import requests
from bson import Binary

from partners import Partners

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "t/lib"))
sys.path.append(os.path.join(ROOT, "scripts/system"))
import render  # noqa: E402
from contract import Contract  # noqa: E402
from settings import Settings  # noqa: E402

PRODUCT = "Lasagna"
STATUSES = ["created", "paymentPaid", "deliveryScheduled", "driverAvailable", "cookingScheduled", "cookingMeal",
            "cookingDone", "pickedUp", "inTransit", "delivered"]


def wait_for(check, timeout=15.0, what="the condition"):
    """Asks until check() gives something true, and returns that. Under valgrind everything takes longer."""
    timeout *= 4 if os.environ.get("VALGRIND") else 1
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come within {timeout} s")
        time.sleep(0.03)


def pytest_configure(config):
    config.addinivalue_line("markers", "raw(reason): says what a proxy that reads and rewrites HTTP cannot pass on")
    config.addinivalue_line("markers", "plain(reason): says what a sanitizer or valgrind keeps from being seen")


def pytest_collection_modifyitems(config, items):
    """All tests run but those that are marked: with Prism before the services (PROXY=prism), or under a sanitizer."""
    away = {"raw": os.environ.get("PROXY") == "prism",
            "plain": bool(os.environ.get("SANITIZE") or os.environ.get("VALGRIND"))}
    left_out = [item for item in items if any(item.get_closest_marker(mark) and away[mark] for mark in away)]
    assert all(marker.args for item in items for mark in away for marker in item.iter_markers(mark)), "no reason given"
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


class Api:
    """One of our services, with the key and the certificate authority of the installation.

    Every answer, whatever a test wants of it, has to be one that the service's own /openapi.json describes."""

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False      # neither a proxy nor another certificate authority of the machine's
        self.session.verify = os.environ["CA_CERT"]
        self.key = {"X-API-Key": os.environ["API_KEY"]}
        self.contract = Contract(self.session.get(url + "/openapi.json", timeout=20).json())

    def call(self, method, path, key=True, headers=None, **kwargs):
        kwargs.setdefault("timeout", 20)
        all_headers = dict(self.key if key else {}, **(headers or {}))
        answer = self.session.request(method, self.url + path, headers=all_headers, **kwargs)
        if not kwargs.get("stream") and path != "/openapi.json" and not path.startswith("/docs"):
            faults = self.contract.faults(method, path, answer)
            assert not faults, (f"{method} {path} -> {answer.status_code}, not as described: {faults}; "
                                f"{answer.text[:300]}")
        return answer

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.call("POST", path, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)


class Queue:
    """The queue as a partner or an operator uses it, over a connection for each act."""

    def __init__(self, url):
        self.parameters = pika.URLParameters(url)

    def _with(self, act):
        connection = pika.BlockingConnection(self.parameters)
        try:
            return act(connection.channel())
        finally:
            connection.close()

    def send(self, body, queue="OrderService", **properties):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        properties.setdefault("content_type", "application/json")
        properties.setdefault("delivery_mode", 2)

        def act(channel):
            channel.queue_declare(queue, durable=True)
            channel.basic_publish("", queue, body, pika.BasicProperties(**properties))
        self._with(act)

    def event(self, order_id, status, customer_id="53c5711d-f5d4-45eb-8651-f0ba9092ba0d", **more):
        self.send({"metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": customer_id},
                   "status": status, **more})

    def take(self, queue):
        """(body, properties) of the next message, acknowledged; None when the queue is empty or not there."""
        def act(channel):
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            return None if method is None else (body, properties)
        try:
            return self._with(act)
        except pika.exceptions.ChannelClosedByBroker:
            return None

    def take_where(self, queue, match, timeout=15.0):
        """Takes messages until one matches; the others are dropped: they are other tests' leftovers."""
        def check():
            message = self.take(queue)
            while message is not None and not match(*message):
                message = self.take(queue)
            return message
        return wait_for(check, timeout, f"a message in {queue}")

    def depth(self, queue):
        def act(channel):
            return channel.queue_declare(queue, passive=True).method.message_count
        return self._with(act)

    def consumers(self, queue):
        return self._with(lambda channel: channel.queue_declare(queue, passive=True).method.consumer_count)


class System:
    """The system under test."""

    def __init__(self):
        self.order = Api(os.environ["ORDER_URL"])
        self.payment = Api(os.environ["PAYMENT_URL"])
        self.mongo = pymongo.MongoClient(os.environ["MONGO_URL"], tz_aware=True)
        self.db = self.mongo["api_db"]
        self.redis = redis.Redis.from_url(os.environ["REDIS_URL"])
        self.queue = Queue(os.environ["AMQP_URL"])

    def payload(self, quantity=1, customer_id=None):
        return {"items": [{"product": PRODUCT, "quantity": quantity}], "customer_id": customer_id or str(uuid.uuid4())}

    def place(self, **kwargs):
        answer = self.order.post("/v1/orders", json=self.payload(**kwargs))
        assert answer.status_code == 202, answer.text
        return answer.json()

    def doc(self, order_id):
        return self.db.orders.find_one({"_id": order_id})

    def show(self, order_id):
        answer = self.order.get(f"/v1/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def history(self, order_id):
        return [step["status"] for step in self.doc(order_id)["updated"]]

    def wait_status(self, order_id, status, timeout=15.0):
        """Until MongoDB and the API both say so."""
        wait_for(lambda: (self.doc(order_id) or {}).get("status") == status, timeout,
                 f"{order_id} at {status} in MongoDB")
        return wait_for(lambda: (self.show(order_id)["status"] == status) and self.show(order_id), timeout,
                        f"{order_id} at {status} in the API")

    def callback(self, order_id, status, transaction_id=None):
        return self.payment.post("/v1/payments/callback", json={
            "status": status, "caller_id": order_id, "transaction_id": transaction_id or str(uuid.uuid4())})

    def paid(self, **kwargs):
        """An order that was paid and whose delivery is scheduled: as far as it goes without an event of a partner."""
        order = self.place(**kwargs)
        assert self.callback(order["id"], "paymentPaid").status_code == 201
        return self.wait_status(order["id"], "deliveryScheduled")

    def cancelled(self):
        """The id of an order that was paid, and is cancelled; the card company has taken its refund."""
        order_id = self.paid()["id"]
        assert self.order.post(f"/v1/orders/{order_id}/cancel").status_code == 202
        wait_for(lambda: set(self.doc(order_id).get("settled", [])) == {"deliveryCancel", "reimbursement"}
                 and "claim" not in self.doc(order_id), what="settled")
        wait_for(lambda: self.db.payments.find_one({"_id": order_id}).get("reimburse_taken"), what="taken")
        return order_id

    def asked_at(self, order_id, when, **more):
        """The card company was asked for its money then, for the first time."""
        self.db.payments.update_one({"_id": order_id}, {"$set": {"asked": when, "created": when} | more})

    def lose(self, order_id, status, transaction_id=None):
        """The card company reports; the event is confirmed, and then the queue loses it. orderd is away meanwhile."""
        make("stop-orderd")
        try:
            assert self.callback(order_id, status, transaction_id).status_code == 201
            wait_for(lambda: "outbox" not in self.db.payments.find_one({"_id": order_id}), what="the mark's end")
            self.queue.take_where("OrderService", lambda body, _: order_id.encode() in body)
        finally:
            make("start-orderd")


@pytest.fixture(scope="session")
def running():
    return System()


@pytest.fixture(scope="session")
def all_partners():
    ports = {service: int(os.environ[name]) for service, name in [
        ("CustomerService", "CUSTOMER_PORT"), ("DeliveryService", "DELIVERY_PORT"), ("KitchenService", "KITCHEN_PORT"),
        ("CreditCardCompany", "CARD_PORT")]}
    partners = Partners(ports)
    yield partners
    partners.close()


@pytest.fixture
def partners(all_partners):
    all_partners.reset()
    yield all_partners
    all_partners.reset()


@pytest.fixture
def system(running, partners):
    return running


def make(target):
    subprocess.run(["make", "-s", target], check=True, stdin=subprocess.DEVNULL, timeout=90)


def pids(part):
    """The processes of a part that run now: RUN/env tells those of its start."""
    return [int(pid) for pid in subprocess.run(["make", "-s", f"pid-{part}"], check=True, capture_output=True,
                                               text=True).stdout.split()]


def nginx_workers():
    """Those of the master that runs now."""
    found, [master] = [], pids("nginx")
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[1] == str(master) and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def rabbitmqctl(*words):
    """RabbitMQ's own tool, for what its protocol does not offer."""
    home = os.path.join(os.environ["RUN"], "data/rabbit")
    subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", "-n", "rabbit@localhost", *words], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60,
                   env=os.environ | {"HOME": home, "ERL_EPMD_PORT": os.environ["EPMD_PORT"],
                                     "RABBITMQ_CONF_ENV_FILE": "/dev/null"})


@pytest.fixture
def without(system):
    """without("redis"): stops one part; after the test it runs again and everything answers."""
    stopped = []

    def stop(part):
        stopped.append(part)
        make(f"stop-{part}")
    yield stop
    for part in stopped:
        make(f"start-{part}")

    def healthy():
        try:
            return system.order.get("/health", key=False).status_code == 200
        except OSError:
            return False
    wait_for(healthy, 20, "a healthy system")


@pytest.fixture
def without_orderd(system):
    make("stop-orderd")
    yield
    make("start-orderd")


def ago(**time):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**time)


def claimed(by="0b7d5ff8-2b5c-4e36-8a26-4a4b5e0fd5a1"):
    """A claim, so that no worker of the running system touches the order."""
    return {"claim": {"by": by, "until": ago(minutes=-50)}}


@pytest.fixture
def stored(system):
    """stored(status, since, **more): an order in MongoDB; it goes after the test."""
    ids = []

    def store(status, since, **more):
        order_id = str(uuid.uuid4())
        ids.append(order_id)
        system.db.orders.insert_one({
            "_id": order_id, "items": [{"product": "Lasagna", "quantity": 1}], "status": status, "created": since,
            "customer_id": Binary(uuid.uuid4().bytes, 4), "kitchen_id": None, "delivery_id": None,
            "updated": [{"status": status, "when": since}]} | more)
        return order_id
    yield store
    system.db.orders.delete_many({"_id": {"$in": ids}})
    system.db.payments.delete_many({"_id": {"$in": ids}})


AGES = [f"--age-{name}=200ms" for name in (
    "created", "payment-paid", "delivery-scheduled", "driver-available", "order-cancelled", "payment-failed",
    "reimbursed")]


class Sweepd:
    """One foodsvc-sweepd of the system under test, in a hurry."""

    def __init__(self, log, *flags):
        self.log = log
        with open(log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [*render.valgrind(Settings()), f"{os.environ['BUILD']}/bin/foodsvc-sweepd",
                 f"--config={os.environ['RUN']}/sweepd.conf", "--interval=100ms", "--age-outbox=200ms", *AGES, *flags],
                stdin=subprocess.DEVNULL, stderr=file)
        wait_for(lambda: "msg=started" in self.text() or self.process.poll() is not None, 40, "a start")

    def text(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def lines(self, message, order_id=""):
        return [line for line in self.text().splitlines() if f'msg="{message}"' in line and order_id in line]

    def end(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def sweepd(system, tmp_path):
    """sweepd("--flag"...) starts one; at the end each has to end well."""
    started = []

    def start(*flags):
        started.append(Sweepd(str(tmp_path / f"sweepd{len(started)}.log"), *flags))
        return started[-1]
    yield start
    running = [one for one in started if one.process.poll() is None]
    assert [one.end() for one in running] == [0] * len(running), "".join(one.text() for one in started)
