"""Clients that go on placing, reading and cancelling orders while something is done to the system; and the verdict.

What a failed request is. nginx closes connections that are idle when a worker ends, and a client may have sent its next
request in that moment: HTTP (RFC 9112, 9.3.1) lets it repeat a request that got not a single byte of an answer on a
connection used before, when repeating does no harm. So:
  - a reader, and a customer whose orders carry an Idempotency-Key, keep their connection, and repeat what got nothing
    on a used one, on a new connection, once;
  - all others place and cancel orders on connections of their own, that nobody has a reason to close, and never repeat.
All else that is no answer is a failed request; so is any status but the expected ones."""

import http.client
import json
import ssl
import threading
import time
import urllib.parse
import urllib.request
import uuid

import pymongo

FINAL = ("delivered", "reimbursed")


class Load:
    """with Load(variables) as load: ...   then load.verdict()"""

    def __init__(self, variables, placers=3, keepers=2, readers=3):
        self.variables = variables
        self.tls = ssl.create_default_context(cafile=variables["CA_CERT"])
        self.failed, self.acknowledged, self.cancelled = [], [], set()
        self.requests, self.repeated = 0, 0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True)
                         for target, number in ((self._place_on, placers), (self._keep_on, keepers),
                                                (self._read_on, readers)) for _ in range(number)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a client got no answer within a minute"

    def connect(self):
        """A new connection, not yet open."""
        where = urllib.parse.urlsplit(self.variables["ORDER_URL"])
        return http.client.HTTPSConnection(where.hostname, where.port, context=self.tls, timeout=20)

    def ask(self, connection, method, path, body=None, **headers):
        """(status, JSON) of one request."""
        headers |= {"X-API-Key": self.variables["API_KEY"], "Content-Type": "application/json"}
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def count(self, what):
        """One more of "requests" or of "repeated"."""
        with self._lock:
            setattr(self, what, getattr(self, what) + 1)

    def _once(self, method, path, expected, body=None):
        """On a connection of its own: (status, JSON), or None when it failed."""
        connection = self.connect()
        self.count("requests")
        try:
            status, answer = self.ask(connection, method, path, body, Connection="close")
            if status in expected:
                return status, answer
            self.failed.append(f"{method} {path}: {status} {answer}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.failed.append(f"{method} {path}: {error!r}")
        finally:
            connection.close()
        return None

    @staticmethod
    def _order(number):
        return {"items": [{"product": "Lasagna", "quantity": number}], "customer_id": str(uuid.uuid4())}

    def _place_on(self):
        number = 0
        while not self._end.wait(0.03):
            number += 1
            placed = self._once("POST", "/v1/orders", [202], self._order(number))
            if placed is None:
                continue
            order = placed[1]["id"]
            self.acknowledged.append(order)
            while number % 3 == 0 and not self._end.wait(0.02):         # until it can be cancelled, or no more
                seen = self._once("GET", f"/v1/orders/{order}", [200])
                if seen is None or seen[1]["status"] not in ("created", "paymentPaid"):
                    if self._once("POST", f"/v1/orders/{order}/cancel", [202, 400])[0:1] == (202,):
                        self.cancelled.add(order)
                    break

    def _keep_on(self):
        kept = Kept(self)
        number = 0
        while not self._end.wait(0.03):
            number += 1
            placed = kept.ask("POST", "/v1/orders", 202, self._order(number), **{"Idempotency-Key": str(uuid.uuid4())})
            if placed is not None:
                self.acknowledged.append(placed["id"])
        kept.close()

    def _read_on(self):
        kept = Kept(self)
        while not self._end.wait(0.01):
            kept.ask("GET", f"/v1/orders/{self.acknowledged[-1]}" if self.acknowledged else "/health", 200)
        kept.close()

    def verdict(self, patience=90):
        """What is wrong, as a list of texts: failed requests, orders without an end,
        charges that are too many or too few."""
        wrong = list(self.failed)
        with pymongo.MongoClient(self.variables["MONGO_URL"]) as mongo:
            deadline = time.monotonic() + patience
            while True:
                ends = {one["_id"]: one["status"] for one in mongo.api_db.orders.find(
                    {"_id": {"$in": self.acknowledged}}, {"status": 1})}
                open_orders = [order for order in self.acknowledged if ends.get(order) not in FINAL]
                if not open_orders or time.monotonic() > deadline:
                    break
                time.sleep(0.2)
        wrong += [f"{order} stands at {ends.get(order)}" for order in open_orders]
        with urllib.request.urlopen(self.variables["CARD_URL"] + "/ledger", timeout=20) as answer:
            ledger = json.load(answer)
        for kind in ("charges", "reimbursements"):
            count = {}
            for entry in ledger[kind]:
                count[entry["order_id"]] = count.get(entry["order_id"], 0) + 1
            wrong += [f"{order} has {number} {kind}" for order, number in count.items() if number > 1]
            due = set(self.acknowledged) if kind == "charges" else self.cancelled
            wrong += [f"{order} has no {kind}" for order in due - set(count)]
            if kind == "reimbursements":
                given = set(count) & set(self.acknowledged)
                wrong += [f"{order} was reimbursed and not cancelled" for order in given - due]
        return wrong


class Kept:
    """A connection that is kept open between requests, each of which may be repeated."""

    def __init__(self, load):
        self.load, self.connection, self.used = load, load.connect(), False

    def close(self):
        """The next request finds a new connection."""
        self.connection.close()
        self.used = False

    def ask(self, method, path, expected, body=None, **headers):
        """The JSON of its answer; None when it failed."""
        self.load.count("requests")
        while True:
            try:
                status, answer = self.load.ask(self.connection, method, path, body, **headers)
                self.used = True
                if status == expected:
                    return answer
                self.load.failed.append(f"{method} {path}: {status} {answer}")
                return None
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError) as error:
                again, wrong = self.used, error
            except (OSError, http.client.HTTPException, ValueError) as error:
                again, wrong = False, error
            self.close()
            if not again:
                self.load.failed.append(f"{method} {path}: {wrong!r}")
                return None
            self.load.count("repeated")
