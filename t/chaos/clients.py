"""The customers: threads that place, read, list, cancel and delete orders, and write down what they were told.

Each has its own random numbers, made of the run's seed; what they are told depends on the faults, so that two runs of
one seed have the same wishes and the same faults, not the same answers. An order that is placed has a customer of its
own: so an order that was stored without being acknowledged is found again."""

import collections
import http.client
import json
import random
import ssl
import threading
import time
import urllib.parse
import uuid

from history import FAIL, INFO, OK, Op

PRODUCTS = ("Lasagna", "Double Cheeseburger", "Veil with glazed onions and blue cheese",
            "Vegetarian Salad with healthy produce")
TIMEOUT = 6                 # s: some clients give up before the service does
CLIENTS = 12
UNKNOWN = "00000000"        # customers whose id begins so are unknown to CustomerService
LIST_EVERY = 8              # s
KEYS = 0.5                  # of the orders are placed with an Idempotency-Key


class Connection:
    """HTTPS to OrderService, kept open."""

    def __init__(self, url, ca_file, key):
        parts = urllib.parse.urlsplit(url)
        self.address = (parts.hostname, parts.port)
        self.context = ssl.create_default_context(cafile=ca_file)
        self.headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        """(status, JSON or None). OSError or HTTPException: no answer."""
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(*self.address, timeout=TIMEOUT, context=self.context)
        try:
            self.connection.request(method, path, json.dumps(body) if body is not None else None,
                                    self.headers | (headers or {}))
            answer = self.connection.getresponse()
            text = answer.read()
            if answer.will_close:
                self.close()
        except BaseException:
            self.close()
            raise
        return answer.status, json.loads(text) if text else None

    def close(self):
        """The next request makes a new one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Board:
    """The orders that clients speak of: all share it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.recent = collections.deque(maxlen=400)
        self.final = collections.deque(maxlen=200)

    def placed(self, order):
        """A new one."""
        with self._lock:
            self.recent.append(order)

    def ended(self, order):
        """It was seen in a final state."""
        with self._lock:
            if order in self.recent:
                self.recent.remove(order)
                self.final.append(order)

    def some(self, chooser, final=False):
        """One of them, or None. Often one of the last ones, so that several clients read it at a time."""
        with self._lock:
            orders = self.final if final else self.recent
            if not orders:
                return None
            if chooser.random() < 0.5:
                return orders[-chooser.randint(1, min(len(orders), 12))]
            return orders[chooser.randrange(len(orders))]

    def take_final(self):
        """One that is to be deleted: nobody else gets it."""
        with self._lock:
            return self.final.popleft() if len(self.final) > 20 else None


class Client(threading.Thread):
    """One customer's thread."""

    def __init__(self, number, seed, world, history, board, pace):
        super().__init__(name=f"client-{number}", daemon=True)
        self.number, self.history, self.board, self.pace = number, history, board, pace
        self.random = random.Random(f"{seed} client {number}")
        self.connection = Connection(world.env["ORDER_URL"], world.env["CA_CERT"], world.env["API_KEY"])
        self.cancels = []               # (when, order)
        self.stopping = threading.Event()
        self.listed = 0.0
        self.trouble = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
                self.stopping.wait(self.random.expovariate(1 / self.pace))
        except Exception as error:                      # pylint: disable=broad-except
            self.trouble = error                        # the run's end reports it
        finally:
            self.connection.close()

    def step(self):
        """The next operation."""
        now = time.monotonic()
        if self.cancels and self.cancels[0][0] <= now:
            self.cancel(self.cancels.pop(0)[1])
            return
        chance = self.random.random()
        if chance < 0.36:
            self.place()
        elif self.number == 0 and now - self.listed > LIST_EVERY:
            self.listed = now
            self.list()
        elif chance > 0.985 and (order := self.board.take_final()):
            self.delete(order)
        else:
            order = self.board.some(self.random, final=chance > 0.95)
            if order:
                self.get(order)

    def ask(self, op, method, path, body=None, headers=None):
        """Does it, and fills in the op. Returns the answer's JSON."""
        op.client, op.begin = self.number, self.history.now()
        answer = None
        try:
            op.code, answer = self.connection.ask(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            op.error = type(error).__name__
        op.end = self.history.now()
        if op.code in (401, 422, 405, 413):
            raise RuntimeError(f"{method} {path}: {op.code} {answer}")       # a fault of ours, not of the system
        return answer

    def place(self):
        """A new order. With an Idempotency-Key it is asked for again until the answer is known."""
        customer = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        if self.random.random() < 0.02:
            customer = UNKNOWN + customer[8:]
        body = {"customer_id": customer, "items": [{"product": self.random.choice(PRODUCTS),
                                                    "quantity": self.random.randint(1, 5)}]}
        key = str(uuid.UUID(int=self.random.getrandbits(128))) if self.random.random() < KEYS else None
        cancel = self.random.uniform(0.05, 1.2) if self.random.random() < 0.3 else None
        for attempt in range(6):
            op = Op("place", 0, customer=customer, key=key)
            answer = self.ask(op, "POST", "/v1/orders", body, {"Idempotency-Key": f'"{key}"'} if key else None)
            if op.code == 202:
                op.how, op.order, op.seen = OK, answer["id"], answer["status"]
                self.board.placed(op.order)
                if cancel:
                    self.cancels.append((time.monotonic() + cancel, op.order))
                    self.cancels.sort()
            self.history.add(op)
            if op.code == 202 or not key or (op.code == 400) or self.stopping.wait(0.2 * (attempt + 1)):
                return

    def get(self, order):
        """Reads one."""
        op = Op("get", 0, order=order)
        answer = self.ask(op, "GET", f"/v1/orders/{order}")
        if op.code == 200:
            op.how, op.seen = OK, answer["status"]
            if op.seen in ("delivered", "reimbursed"):
                self.board.ended(order)
        elif op.code is not None:
            op.how = FAIL
        self.history.add(op)

    def list(self):
        """Reads all."""
        op = Op("list", 0)
        answer = self.ask(op, "GET", "/v1/orders")
        op.how = FAIL
        if op.code == 200:
            op.how, op.seen = OK, {order["id"]: order["status"] for order in answer}
        self.history.add(op)

    def cancel(self, order):
        """Cancels one, perhaps too early or too late."""
        op = Op("cancel", 0, order=order)
        answer = self.ask(op, "POST", f"/v1/orders/{order}/cancel")
        if op.code == 202:
            op.how, op.seen = OK, answer["status"]
        elif op.code in (400, 404):
            op.how = FAIL
        self.history.add(op)

    def delete(self, order):
        """Deletes one that was final."""
        op = Op("delete", 0, order=order)
        self.ask(op, "DELETE", f"/v1/orders/{order}")
        if op.code == 204:
            op.how = OK
        elif op.code == 404:
            op.how = FAIL
        else:
            op.how = INFO
        self.history.add(op)


class Crowd:
    """All clients."""

    def __init__(self, seed, world, history, rate):
        board = Board()
        self.clients = [Client(number, seed, world, history, board, CLIENTS / rate) for number in range(CLIENTS)]

    def start(self):
        """They begin."""
        for client in self.clients:
            client.start()

    def stop(self):
        """They end what they do. Returns what went wrong with them, or None."""
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(TIMEOUT * 3)
        return next((client.trouble for client in self.clients if client.trouble), None)
