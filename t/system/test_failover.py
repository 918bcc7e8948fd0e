"""A MongoDB replica set that loses its majority, and one that loses its primary: nothing is taken for done that a
failover takes back, and everything goes on by itself."""

import datetime
import json
import os
import re
import sys
import time
import uuid

import pika
import pymongo
import pytest
import requests
from bson import Binary
from test_setup_and_up import ROOT, Private

sys.path.insert(0, os.path.join(ROOT, "t/lib"))
from load import FINAL, Load  # noqa: E402
from replica_set import FIRST, SECOND, ReplicaSet  # noqa: E402

# What was left undone is taken up within seconds.
TIMES = {"FOODSVC_PARTNER_TIMEOUT": "2s", "FOODSVC_CLAIM": "6s", "FOODSVC_INTERVAL": "500ms",
         "FOODSVC_AGE_OUTBOX": "2s"}
TIMES |= {f"FOODSVC_AGE_{status}": "5s" for status in ("CREATED", "PAYMENT_PAID", "DELIVERY_SCHEDULED",
                                                       "DRIVER_AVAILABLE")}
QUEUES = ("OrderService", *(f"OrderService.retry.{delay}" for delay in (1, 5, 30, 120, 300)))


@pytest.fixture(scope="module")
def mongo(tmp_path_factory):
    with ReplicaSet(tmp_path_factory.mktemp("mongo")) as servers:
        yield servers


@pytest.fixture(scope="module")
def system(mongo, tmp_path_factory):
    private = Private(tmp_path_factory.mktemp("failover"))
    private.env |= TIMES | {"MONGO_URL": mongo.url, "SPEED": "3000"}
    try:
        result = private("up")
        assert result.returncode == 0, result.stdout + result.stderr
        yield private
    finally:
        private("down")
    assert private.processes() == []


def wait_for(check, what, patience=30):
    deadline = time.monotonic() + patience
    while not (value := check()):
        assert time.monotonic() < deadline, f"{what} does not come within {patience} s"
        time.sleep(0.05)
    return value


def call(system, method, service, path, **more):
    variables = system.variables()
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, variables[service] + path, headers={"X-API-Key": variables["API_KEY"]},
                               verify=variables["CA_CERT"], timeout=20, **more)


def stored(mongo, status, payment=None, alone=False):
    """The id of an order that stands at a status, perhaps with a payment; a majority has it, or the primary alone."""
    order, now = str(uuid.uuid4()), datetime.datetime.now(datetime.timezone.utc)
    customer = uuid.uuid4()
    with mongo.member(FIRST) if alone else pymongo.MongoClient(mongo.url, w="majority") as client:
        if payment:
            client.api_db.payments.insert_one({
                "_id": order, "status": payment, "created": now, "transaction_id": Binary(uuid.uuid4().bytes, 4),
                "metadata": {"receiver": "OrderService", "order_id": order, "customer_id": str(customer)}})
        client.api_db.orders.insert_one({
            "_id": order, "status": status, "created": now, "customer_id": Binary(customer.bytes, 4),
            "items": [{"product": "Lasagna", "quantity": 1}], "kitchen_id": None, "delivery_id": None,
            "updated": [{"status": status, "when": now}] if status != "created" else []})
    return order


def with_channel(system, act):
    connection = pika.BlockingConnection(pika.URLParameters(system.variables()["AMQP_URL"]))
    try:
        return act(connection.channel())
    finally:
        connection.close()


def tell(system, order, status):
    """An event of a partner."""
    body = json.dumps({"metadata": {"receiver": "OrderService", "order_id": order, "customer_id": str(uuid.uuid4())},
                       "status": status})
    with_channel(system, lambda channel: channel.basic_publish("", "OrderService", body))


def waiting(system):
    """How many messages wait in the queue, or to return to it."""
    return with_channel(system, lambda channel: sum(channel.queue_declare(queue, passive=True).method.message_count
                                                    for queue in QUEUES))


def at(mongo, member, collection, key, status):
    with mongo.member(member) as client:
        return client.api_db[collection].find_one({"_id": key, "status": status}) is not None


def test_what_a_primary_without_majority_has_is_not_taken_for_done(mongo, system):
    paying, arriving = stored(mongo, "created", "pending"), stored(mongo, "inTransit")
    callback = {"status": "paymentPaid", "caller_id": paying, "transaction_id": str(uuid.uuid4())}

    def call_back():
        return call(system, "POST", "PAYMENT_URL", "/v1/payments/callback", json=callback).status_code

    with mongo.without(SECOND):
        tell(system, arriving, "delivered")
        assert call_back() >= 500
        assert at(mongo, FIRST, "payments", paying, "paymentPaid")      # on the primary alone
        assert call_back() >= 500
        wait_for(lambda: at(mongo, FIRST, "orders", arriving, "delivered"), "the event's write on the primary alone")
        shown = call(system, "GET", "ORDER_URL", f"/v1/orders/{arriving}")
        assert (shown.status_code, shown.json()["status"]) == (200, "inTransit")
        assert system("kill", "orderd").returncode == 0                 # what it has not acknowledged comes back
        wait_for(lambda: waiting(system) == 1, "the event, which is not acknowledged", 10)

    assert system("start", "orderd").returncode == 0
    wait_for(lambda: call_back() == 201, "a callback that is taken")
    for order in (paying, arriving):
        wait_for(lambda key=order: call(system, "GET", "ORDER_URL", f"/v1/orders/{key}").json()["status"]
                 == "delivered", f"the end of {order}")
    assert waiting(system) == 0


def test_what_a_primary_without_majority_has_is_not_denied_either(mongo, system):
    def show(order):
        return call(system, "GET", "ORDER_URL", f"/v1/orders/{order}")

    with mongo.without(SECOND):
        paying, arriving = stored(mongo, "created", "pending", alone=True), stored(mongo, "inTransit", alone=True)
        callback = {"status": "paymentPaid", "caller_id": paying, "transaction_id": str(uuid.uuid4())}
        answer = show(arriving)
        assert (answer.status_code, "a majority" in answer.text) == (503, False)    # how it is stored is not theirs
        assert call(system, "POST", "PAYMENT_URL", "/v1/payments/callback", json=callback).status_code == 503
        assert show(uuid.uuid4()).status_code == 404
        tell(system, arriving, "delivered")
        wait_for(lambda: waiting(system) == 0, "orderd, which takes the event")
        time.sleep(1)                                                   # and would be done with it
        assert system("kill", "orderd").returncode == 0                 # what it has not acknowledged comes back
        wait_for(lambda: waiting(system) == 1, "the event, which is not acknowledged", 10)

    assert system("start", "orderd").returncode == 0
    wait_for(lambda: call(system, "POST", "PAYMENT_URL", "/v1/payments/callback", json=callback).status_code == 201,
             "a callback that is taken")
    for order in (paying, arriving):
        wait_for(lambda key=order: show(key).json()["status"] == "delivered", f"the end of {order}")
    assert waiting(system) == 0


def test_everything_goes_on_when_the_primary_is_killed(mongo, system):
    mongo.until_primary(FIRST)
    mongo.until_secondary(SECOND)
    with Load(system.variables(), placers=0, keepers=2, readers=1) as load:
        wait_for(lambda: len(load.acknowledged) >= 20, "some orders")
        mongo.kill(FIRST)
        mongo.until_primary(SECOND)
        mongo.start(FIRST)          # as who supervises it does: of two that have data, one is no majority
        before = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) >= before + 20, "orders after the failover")
    refused = list(load.failed)
    load.failed.clear()             # nobody promised that all are answered; but
    assert not [text for text in refused if re.search(r": [1-4]\d\d ", text)], refused[:20]
    assert not load.verdict(40)     # each that was is there, came to its end, and was charged once

    with pymongo.MongoClient(mongo.url) as client:
        orders = client.api_db.orders
        wait_for(lambda: orders.count_documents({"status": {"$nin": [*FINAL, "paymentFailed"]}}) == 0,
                 "the end of those that were not answered")
    assert waiting(system) == 0
