"""An order goes from created to delivered, and every store sees it as the contract says."""

import datetime
import json
import uuid

import bson
import pytest

from conftest import STATUSES, wait_for
from partners import AMOUNT, CARD


def test_every_status_in_turn(system, partners):
    order = system.place(quantity=2)
    order_id = order["id"]
    assert order["status"] == "created" and order["kitchen_id"] is None and order["delivery_id"] is None

    assert system.callback(order_id, "paymentPaid").status_code == 201
    shown = system.wait_status(order_id, "deliveryScheduled")
    assert shown["delivery_id"]
    system.queue.event(order_id, "driverAvailable")
    shown = system.wait_status(order_id, "cookingScheduled")
    assert shown["kitchen_id"]
    for status in STATUSES[STATUSES.index("cookingMeal"):]:
        system.queue.event(order_id, status)
        system.wait_status(order_id, status)
    assert system.history(order_id) == STATUSES[1:]

    [bill] = partners.calls_of("bill", order_id)
    assert bill.json["amount"] == AMOUNT and bill.json["billing_info"] == CARD and bill.json["caller_id"] == order_id
    assert bill.json["callback_url"].endswith("/v1/payments/callback")
    [delivery] = partners.calls_of("delivery", order_id)
    assert delivery.json["address"]["zipcode"] == "0150"
    assert delivery.json["metadata"] == {"receiver": "OrderService", "order_id": order_id,
                                         "customer_id": order["customer_id"]}
    [kitchen] = partners.calls_of("kitchen", order_id)
    assert kitchen.json["items"] == [{"product": "Lasagna", "quantity": 2}]


def test_the_documents_have_the_types_of_the_contract(system, partners):
    order = system.paid()
    doc = system.doc(order["id"])
    assert doc["_id"] == order["id"] and uuid.UUID(order["id"]).version == 7
    for field in ("customer_id", "delivery_id"):
        assert isinstance(doc[field], bson.Binary) and doc[field].subtype == 4
        assert str(uuid.UUID(bytes=bytes(doc[field]))) == order[field]
    assert doc["kitchen_id"] is None
    assert isinstance(doc["created"], datetime.datetime)
    assert doc["items"] == [{"product": "Lasagna", "quantity": 1}]
    assert [set(step) for step in doc["updated"]] == [{"status", "when"}] * 2
    assert all(isinstance(step["when"], datetime.datetime) for step in doc["updated"])

    payment = system.db.payments.find_one({"_id": order["id"]})
    assert payment["status"] == "paymentPaid"
    assert payment["metadata"] == {"receiver": "OrderService", "order_id": order["id"],
                                   "customer_id": order["customer_id"]}
    assert isinstance(payment["transaction_id"], bson.Binary) and payment["transaction_id"].subtype == 4
    assert isinstance(payment["created"], datetime.datetime)


@pytest.mark.parametrize("quantity, size", [(2**31 - 1, "int"), (2**31, "long"), pytest.param(
    2**63 - 1, "long", marks=pytest.mark.raw("JavaScript has no such number: Prism passes on another one"))])
def test_quantities_are_stored_as_int32_or_int64_as_they_fit(system, quantity, size):
    order = system.place(quantity=quantity)
    assert order["items"][0]["quantity"] == quantity
    assert system.db.orders.count_documents({"_id": order["id"], "items.0.quantity": {"$type": size}}) == 1


def test_the_cache_entry_is_the_order_as_json(system):
    order = system.paid()
    entry = json.loads(wait_for(lambda: system.redis.get(order["id"]), what="a cache entry"))
    doc = system.doc(order["id"])
    assert entry["id"] == order["id"] and "_id" not in entry
    assert entry["status"] == doc["status"] and len(entry["updated"]) == len(doc["updated"])
    assert entry["delivery_id"] == order["delivery_id"] and entry["created"] == order["created"]
    assert 1700 < system.redis.ttl(order["id"]) <= 1800


def test_the_answers_times_are_iso_8601_in_utc(system):
    order = system.place()
    for text in (order["created"], system.show(order["id"])["created"]):
        assert text.endswith("Z")
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        assert abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()) < 60


def test_the_service_urls_are_cached_for_a_day(system):
    system.place()
    url = wait_for(lambda: system.redis.get("PaymentService"), what="the cached url")
    assert url.decode() == system.db.service_urls.find_one({"_id": "PaymentService"})["url"]
    assert 86000 < system.redis.ttl("PaymentService") <= 86400


def test_the_event_of_a_payment_has_the_form_of_the_contract(system):
    order_id, receiver = str(uuid.uuid4()), f"Receiver-{uuid.uuid4()}"
    metadata = {"receiver": receiver, "order_id": order_id, "customer_id": str(uuid.uuid4())}
    answer = system.payment.post("/v1/payments", json={"items": [{"product": "Lasagna"}], "metadata": metadata})
    assert (answer.status_code, answer.json()) == (202, {"status": "requestReceived", "order_id": order_id})
    assert system.callback(order_id, "paymentPaid").status_code == 201
    body, properties = wait_for(lambda: system.queue.take(receiver), what="the event")
    assert json.loads(body) == {"metadata": metadata, "status": "paymentPaid"}
    assert properties.content_type == "application/json" and properties.delivery_mode == 2 and properties.message_id
