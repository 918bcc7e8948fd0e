"""Each server and each partner away: what can still work does, all else is refused in time, and after its return
everything that is owed gets done with no hand on it.

OUTAGE is how long each is away, in seconds: short here, 10 and 30 by `make degraded`. What is asked meanwhile, and what
the answers may be, stands in EXPECTED; nothing is waited for that can be looked at."""

import contextlib
import os
import signal
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest

from conftest import make, pids, wait_for
from gate import Gate

OUTAGE = float(os.environ.get("OUTAGE", "2"))
DEADLINE = 11           # s: foodsvc_deadline and a little for this machine
# s until all is done after the return: what is promised is 10; a busy machine that runs other tests gets more
RETURN = 10 if "OUTAGE" in os.environ else 40
REPORT = os.environ.get("REPORT")       # a file that gets a line for each outage

# What an operation is answered while something is away; 200, 202, 201 where nothing is said.
FINE = {"cached": {200}, "stored": {200}, "list": {200}, "place": {202}, "cancel": {202}, "callback": {201}}
NO_DATABASE = {"stored": {503}, "list": {503}, "place": {503}, "cancel": {503}, "callback": {503}}
EXPECTED = {
    # sent and not answered: whether it was stored is open, and then 500 says so
    ("mongo", "frozen"): {**NO_DATABASE, "place": {500, 503}, "cancel": {500, 503}, "callback": {500, 503}},
    ("mongo", "killed"): {**NO_DATABASE, "place": {500, 503}, "cancel": {500, 503}, "callback": {500, 503}},
    ("redis", "frozen"): {}, ("redis", "killed"): {},
    ("rabbit", "frozen"): {}, ("rabbit", "killed"): {}, ("rabbit", "alarmed"): {},
    ("PaymentService", "closed"): {"place": {500}}, ("PaymentService", "frozen"): {"place": {500}},
    ("PaymentService", "cut"): {"place": {202, 500}},
    ("CustomerService", "closed"): {"place": {400}}, ("CustomerService", "frozen"): {"place": {400, 500}},
    ("CustomerService", "cut"): {"place": {202, 400, 500}},
    ("CreditCardCompany", "closed"): {"place": {400}},
    ("DeliveryService", "closed"): {}, ("DeliveryService", "frozen"): {}, ("DeliveryService", "cut"): {},
    ("KitchenService", "closed"): {}, ("KitchenService", "frozen"): {}, ("KitchenService", "cut"): {},
}
SERVERS = ("mongo", "redis", "rabbit")


def rabbitmqctl(*words):
    home = os.path.join(os.environ["RUN"], "data/rabbit")
    subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", "-n", "rabbit@localhost", *words], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60,
                   env=os.environ | {"HOME": home, "ERL_EPMD_PORT": os.environ["EPMD_PORT"],
                                     "RABBITMQ_CONF_ENV_FILE": "/dev/null"})


@pytest.fixture(scope="module", autouse=True)
def sweepd():
    """As it is installed: other flow tests do without, this one is about what it is for."""
    make("start-sweepd")
    yield
    make("stop-sweepd")


@pytest.fixture(scope="module")
def gates(running):
    """A gate before each service that is found by its name."""
    urls = {d["_id"]: d["url"] for d in running.db.service_urls.find()}
    made = {}

    def point(table):
        for name, url in table.items():
            running.db.service_urls.update_one({"_id": name}, {"$set": {"url": url}})
        running.redis.delete(*table)
        time.sleep(2.2)             # a process may remember an address for 2 s
    for name, url in urls.items():
        parts = urllib.parse.urlsplit(url)
        made[name] = Gate((parts.hostname, parts.port))
    point({name: f"{urllib.parse.urlsplit(url).scheme}://127.0.0.1:{made[name].port}" for name, url in urls.items()})
    yield made
    point(urls)
    for gate in made.values():
        gate.close()


@contextlib.contextmanager
def server_away(part, how):
    if how == "frozen":
        frozen = pids(part)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
    elif how == "alarmed":
        rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1")
        try:
            yield
        finally:
            rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    else:
        make(f"kill-{part}")
        try:
            yield
        finally:
            make(f"start-{part}")


@contextlib.contextmanager
def partner_away(gate, how):
    over = threading.Event()

    def cut():
        while not over.wait(0.05):
            gate.cut()
    cutter = threading.Thread(target=cut, daemon=True)
    {"closed": gate.shut, "frozen": gate.freeze, "cut": cutter.start}[how]()
    try:
        yield
    finally:
        over.set()
        gate.open()


@contextlib.contextmanager
def card_company_away(partners):
    partners.stop("CreditCardCompany")
    try:
        yield
    finally:
        partners.start("CreditCardCompany")


class Customer:
    """Who orders, reads and cancels during an outage, and a driver, who reports; notes what was answered."""

    def __init__(self, system, expected, away):
        self.system, self.expected = system, {**FINE, **expected}
        self.redis_away, self.queue = away == "redis", away != "rabbit"
        self.id = str(uuid.uuid4())
        self.answered, self.cancelled, self.paid, self.driven = {}, [], [], []

    def ask(self, what, act):
        """Does it and looks at the answer."""
        start = time.monotonic()
        answer = act()
        took = time.monotonic() - start
        assert took < DEADLINE, f"{what} took {took:.1f} s"
        assert answer.status_code in self.expected[what], f"{what}: {answer.status_code} {answer.text}"
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) >= 1
        self.answered.setdefault(what, []).append(answer.status_code)
        return answer

    def prepare(self):
        """Orders as they stand before the outage: some to be read, some to be cancelled, some whose callback comes."""
        self.read = self.system.paid(customer_id=self.id)
        self.stored = self.system.paid(customer_id=self.id)
        self.to_cancel = [self.system.paid(customer_id=self.id) for _ in range(2)]
        self.to_drive = [self.system.paid(customer_id=self.id) for _ in range(2)]
        self.to_pay = [self.system.place(customer_id=self.id) for _ in range(2)]
        self.system.show(self.read["id"])

    def round(self):
        """One of each."""
        api, payment = self.system.order, self.system.payment
        self.ask("cached", lambda: api.get(f"/v1/orders/{self.read['id']}"))
        if not self.redis_away:
            self.system.redis.delete(self.stored["id"])
        self.ask("stored", lambda: api.get(f"/v1/orders/{self.stored['id']}"))
        self.ask("place", lambda: api.post("/v1/orders", json=self.system.payload(customer_id=self.id)))
        if self.to_cancel:
            order = self.to_cancel.pop()
            if self.ask("cancel", lambda: api.post(f"/v1/orders/{order['id']}/cancel")).status_code == 202:
                self.cancelled.append(order["id"])
        if self.to_pay:
            order = self.to_pay.pop()
            callback = {"status": "paymentPaid", "caller_id": order["id"], "transaction_id": str(uuid.uuid4())}
            if self.ask("callback", lambda: payment.post("/v1/payments/callback", json=callback)).status_code == 201:
                self.paid.append(order["id"])
        if self.to_drive and self.queue:
            order = self.to_drive.pop()
            self.system.queue.event(order["id"], "driverAvailable", customer_id=self.id)
            self.driven.append(order["id"])
        self.ask("list", lambda: api.get("/v1/orders"))


def open_debts(system, partners, customer):
    """What is still to be done for this customer's orders, in words; empty when all is."""
    left = []
    for order in system.db.orders.find({"customer_id": uuid_binary(customer.id)}):
        key, status, settled = order["_id"], order["status"], set(order.get("settled", []))
        if status == "created" and not partners.calls_of("bill", key) and key not in customer.paid:
            left.append(f"{key} is not billed")
        elif key in customer.paid and status != "deliveryScheduled":
            left.append(f"{key} was paid and is {status}")
        elif key in customer.driven and status != "cookingScheduled":
            left.append(f"{key} has a driver and is {status}")
        elif status == "orderCancelled" and not (partners.calls_of("reimburse", key)
                                                 and settled >= {"deliveryCancel", "reimbursement"}):
            left.append(f"{key} was cancelled and is not settled: {order.get('settled')}")
    left += [f"{p['_id']} has an event unsent" for p in system.db.payments.find({"outbox": {"$exists": True, "$ne": []},
             "metadata.customer_id": customer.id})]
    return left


def uuid_binary(text):
    import bson
    return bson.Binary(uuid.UUID(text).bytes, 4)


@pytest.mark.parametrize("who, how", EXPECTED)
def test_away(system, partners, gates, who, how):
    customer = Customer(system, EXPECTED[who, how], who)
    customer.prepare()
    if who in SERVERS:
        away = server_away(who, how)
    elif who == "CreditCardCompany":
        away = card_company_away(partners)
    else:
        away = partner_away(gates[who], how)

    with away:
        end, rounds = time.monotonic() + OUTAGE, 0
        while rounds == 0 or time.monotonic() < end:
            customer.round()
            rounds += 1

    returned = time.monotonic()
    done = lambda: not open_debts(system, partners, customer)   # noqa: E731
    wait_for(done, RETURN, f"the end of what is owed: {open_debts(system, partners, customer)}")
    if REPORT:
        with open(REPORT, "a", encoding="utf-8") as file:
            answers = ", ".join(f"{what} {'/'.join(map(str, sorted(set(codes))))}"
                                for what, codes in customer.answered.items())
            file.write(f"{who:17} {how:7} {OUTAGE:4g} s   all done {time.monotonic() - returned:4.1f} s after its "
                       f"return   {answers}\n")
    placed = [o["_id"] for o in system.db.orders.find({"customer_id": uuid_binary(customer.id)})]
    assert len(placed) >= 6
    for order in placed:            # each of our own calls to the company, however often made, is one to the company
        for route, key in (("bill", f"{order}-payment"), ("reimburse", f"{order}-reimburse")):
            assert {call.headers.get("Idempotency-Key") for call in partners.calls_of(route, order)} <= {key}
    wait_for(lambda: system.order.get("/health", key=False).status_code == 200, RETURN, "a healthy system")
