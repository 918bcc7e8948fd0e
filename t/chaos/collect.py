"""Looks at the whole system from outside, past the proxy: whether it has come to rest,
and then everything that is left."""

import concurrent.futures
import glob
import http.client
import json
import os
import subprocess
import threading
import time
import urllib.request

import pika
import pymongo
import redis

from checker import Facts
from clients import Connection
from world import Trouble

COLLECTIONS = ("orders", "payments", "service_urls", "idempotency_keys")


def as_order(document):
    """An order of MongoDB as the API shows it, its history without times."""
    shown = {key: document.get(key) for key in ("status", "customer_id", "delivery_id", "kitchen_id")}
    shown = {key: str(value) if value is not None and not isinstance(value, str) else value
             for key, value in shown.items()}
    return shown | {"updated": [step["status"] for step in document.get("updated") or []]}


class Collector:
    """Reads all there is."""

    def __init__(self, world):
        self.world = world
        self.mongo = pymongo.MongoClient(world.url("mongo"), serverSelectionTimeoutMS=3000, socketTimeoutMS=10000,
                                         uuidRepresentation="standard", tz_aware=True)
        self.db = self.mongo["api_db"]

    def simulator(self, path):
        """One of the simulator's own calls."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.world.env["CARD_URL"] + path, timeout=10) as answer:
            return json.loads(answer.read())

    def rules(self, rules):
        """Tells the simulator how to fail."""
        request = urllib.request.Request(self.world.env["CARD_URL"] + "/simulator/rules", json.dumps(rules).encode(),
                                         method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            answer.read()

    # at rest?

    def moving(self):
        """What still moves, as words for the screen; {}: nothing. None: it can't be asked."""
        try:
            open_orders = self.db.orders.count_documents(
                {"status": {"$nin": ["delivered", "reimbursed", "paymentFailed"]}})
            counts = {"open orders": open_orders,
                      "debts": self.db.orders.count_documents({"owes_since": {"$type": "date"}}),
                      "outbox marks": self.db.payments.count_documents(
                          {"outbox": {"$exists": True, "$nin": [None, []]}}),
                      "messages": sum(self.depths().values())}
            state = self.simulator("/simulator/state")
            events = (state["events"] or {}).get("waiting", 0)
            counts["simulator"] = state["callbacks_waiting"] + events + state["planned"]
            if not any(counts.values()):
                counts["messages"] = sum(count for name, count in self.all_messages().items()
                                         if name in self.queue_names())
        except (OSError, Trouble, subprocess.SubprocessError, pymongo.errors.PyMongoError, pika.exceptions.AMQPError,
                http.client.HTTPException, ValueError):
            return None
        return {name: count for name, count in counts.items() if count}

    def queue_names(self):
        """All queues that are there."""
        return ["OrderService"] + [f"OrderService.retry.{n}" for n in (1, 5, 30, 120, 300)]

    def depths(self):
        """queue -> messages that wait there, as AMQP tells it."""
        connection = pika.BlockingConnection(pika.URLParameters(self.world.url("rabbit") + "?socket_timeout=3"))
        depths = {}
        try:
            for name in self.queue_names():
                try:
                    depths[name] = connection.channel().queue_declare(name, passive=True).method.message_count
                except pika.exceptions.ChannelClosedByBroker:
                    pass
        finally:
            connection.close()
        return depths

    def all_messages(self):
        """queue -> all its messages: those in somebody's hands, too, and those that RabbitMQ is just bringing back
        from a retry queue, which the protocol doesn't show. The retry queues' numbers may be 5 s old."""
        lines = self.world.rabbitmqctl("list_queues", "name", "messages", "--no-table-headers").splitlines()
        return {words[0]: int(words[1]) for words in (line.split() for line in lines)
                if len(words) == 2 and words[1].isdigit()}

    def rest(self, limit, tell):
        """Waits until nothing moves for three looks in a row, at most `limit` seconds. Returns the seconds, or None."""
        start, still = time.monotonic(), 0
        while time.monotonic() - start < limit:
            moving = self.moving()
            still = still + 1 if moving == {} else 0
            if still == 1:
                since = time.monotonic() - start
            if still >= 3:
                return since
            tell(moving)
            time.sleep(1)
        return None

    # everything

    def facts(self, ops):
        """All that the checker wants to know."""
        facts = Facts(ops)
        for document in self.db.orders.find():
            facts.orders[document["_id"]] = as_order(document) | {"owes_since": document.get("owes_since")}
        for document in self.db.payments.find():
            facts.payments[document["_id"]] = {"status": document.get("status"), "outbox": document.get("outbox")}
        self.strangers(facts)
        self.cache(facts)
        self.ledgers(facts)
        self.queues(facts)
        self.api(facts)
        return facts

    def strangers(self, facts):
        """Collections that are not the system's."""
        for name in self.db.list_collection_names():
            if name not in COLLECTIONS:
                facts.foreign.append(f"a collection {name}, {self.db[name].estimated_document_count()} documents")
        for name in self.mongo.list_database_names():
            if name not in ("admin", "config", "local", "api_db"):
                facts.foreign.append(f"a database {name}")

    def cache(self, facts):
        """What Redis has of orders; what it has besides is a url, a tombstone, or foreign."""
        with redis.Redis.from_url(self.world.url("redis"), socket_timeout=5) as server:
            for raw in server.scan_iter(count=1000):
                key = raw.decode()
                if key.startswith("foodsvc:") or key.endswith("Service"):
                    continue
                try:
                    facts.cache[key] = as_order(json.loads(server.get(key)))
                except (ValueError, TypeError, redis.RedisError):
                    facts.foreign.append(f"Redis has {key}, which is no order")

    def ledgers(self, facts):
        """What the partners know."""
        ledger = self.simulator("/ledger")
        facts.charges, facts.refunds, facts.pending = ledger["charges"], ledger["reimbursements"], ledger["pending"]
        with open(os.path.join(self.world.folder, "services/data/sim.jsonl"), encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if entry["type"] == "delivery":
                    facts.deliveries.setdefault(entry["order_id"], "taken")
                elif entry["type"] == "cancel":
                    facts.deliveries[entry["order_id"]] = "cancelled"
                elif entry["type"] == "kitchen":
                    facts.kitchens.add(entry["order_id"])

    def queues(self, facts):
        """Every queue's messages, those that somebody holds included; and the dead letters themselves."""
        facts.queues.update(self.all_messages())
        connection = pika.BlockingConnection(pika.URLParameters(self.world.url("rabbit")))
        try:
            channel = connection.channel()
            while facts.queues.get("OrderService.dead"):
                method, properties, body = channel.basic_get("OrderService.dead")
                if method is None:
                    break
                headers = properties.headers or {}
                letter = {"reason": headers.get("x-foodsvc-reason")}
                try:
                    event = json.loads(body)
                    letter |= {"status": event["status"], "order": event["metadata"]["order_id"]}
                except (ValueError, KeyError, TypeError):
                    letter["body"] = body[:200].decode(errors="replace")
                facts.dead.append(letter)
        finally:
            connection.close()              # they go back: nothing was acknowledged

    def api(self, facts):
        """Each order that anybody knows, as OrderService shows it."""
        known = set(facts.orders) | {op.order for op in facts.ops if op.order}
        local = threading.local()

        def ask(order):
            if not hasattr(local, "connection"):
                local.connection = Connection(self.world.env["ORDER_URL"], self.world.env["CA_CERT"],
                                              self.world.env["API_KEY"])
            for _ in range(3):
                try:
                    status, answer = local.connection.ask("GET", f"/v1/orders/{order}")
                    return order, as_order(answer) if status == 200 else status
                except (OSError, http.client.HTTPException) as error:
                    failure = type(error).__name__
            return order, failure
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            facts.api = dict(pool.map(ask, sorted(known)))


def log_lines(world, orders, limit=400):
    """The lines of all logs that name one of these orders."""
    found = []
    for path in sorted(glob.glob(os.path.join(world.folder, "services/logs/*.log"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if any(order in line for order in orders):
                    found.append(f"{os.path.basename(path)}: {line.rstrip()}")
    return found[:limit * len(orders)]
