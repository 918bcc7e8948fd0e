"""What another implementation of either service leaves in the stores: read, kept, and never trusted blindly."""

import datetime
import json
import uuid

import bson
import pytest

from conftest import ago, wait_for
from foodctl import bad


def original(**changes):
    """An order as the Python original stores it, with times and UUIDs in their other forms too."""
    doc = {"_id": str(uuid.uuid4()), "items": [{"product": "Lasagna", "quantity": 2}], "status": "deliveryScheduled",
           "created": datetime.datetime(2026, 11, 23, 10, 22, 51, 910000),
           "customer_id": bson.Binary(uuid.uuid4().bytes, 4), "kitchen_id": None,
           "delivery_id": bson.Binary(uuid.uuid4().bytes, 4),
           "updated": [{"status": s, "when": datetime.datetime(2026, 11, 23, 10, 23)}
                       for s in ("paymentPaid", "paymentPaid", "deliveryScheduled")]}
    return dict(doc, **changes)


@pytest.mark.parametrize("changes", [
    {}, {"customer_id": str(uuid.uuid4())}, {"created": "2026-11-23 10:22:51.910000"},
    {"created": "2026-11-23T10:22:51.910000+00:00"}, {"delivery_id": str(uuid.uuid4())}, {"surplus": {"a": [1]}},
    {"items": [{"product": "Lasagna", "quantity": 2.0}]},
])
def test_an_order_of_the_originals_is_read_and_moved_on(system, changes):
    doc = original(**changes)
    system.db.orders.insert_one(doc)
    shown = system.show(doc["_id"])
    assert shown["status"] == "deliveryScheduled" and shown["created"] == "2026-11-23T10:22:51.910Z"
    assert shown["items"] == [{"product": "Lasagna", "quantity": 2}]
    system.queue.event(doc["_id"], "driverAvailable")
    system.wait_status(doc["_id"], "cookingScheduled")
    after = system.doc(doc["_id"])
    assert after.get("surplus") == doc.get("surplus")
    assert [s["status"] for s in after["updated"]][-2:] == ["driverAvailable", "cookingScheduled"]


@pytest.mark.parametrize("state, left", [("paymentPaid", "delivery_id"), ("driverAvailable", "kitchen_id")])
def test_where_the_original_left_it_nothing_is_owed(system, partners, state, left):
    doc = original(status=state, **({"kitchen_id": bson.Binary(uuid.uuid4().bytes, 4)} if left == "kitchen_id" else {}))
    system.db.orders.insert_one(doc)
    system.queue.event(doc["_id"], state)
    following = "deliveryScheduled" if left == "delivery_id" else "cookingScheduled"
    system.queue.event(doc["_id"], following)
    system.wait_status(doc["_id"], following)
    assert partners.calls_of("delivery", doc["_id"]) == [] and partners.calls_of("kitchen", doc["_id"]) == []


def test_a_cache_entry_of_the_originals_is_answered_in_our_form(system):
    order_id, customer = str(uuid.uuid4()), str(uuid.uuid4())
    entry = json.dumps({
        "items": [{"product": "Lasagna", "quantity": 2}], "customer_id": customer, "kitchen_id": None,
        "delivery_id": None, "status": "created", "updated": [], "created": "2026-11-23 10:22:51.910000",
        "id": order_id}, separators=(",", ":"))

    def show():
        system.redis.set(order_id, entry, ex=1800)
        answer = system.order.get(f"/v1/orders/{order_id}")
        return answer.status_code == 200 and answer.json()
    shown = wait_for(show, what="an nginx that has settled")
    assert shown["created"] == "2026-11-23T10:22:51.910Z" and shown["customer_id"] == customer
    system.redis.delete(order_id)


@pytest.mark.parametrize("rubbish", [b"", b"x", b"{}", b'{"id":7}', b"[" * 10000, b"\xff\x00\xfe", "cut", "wrong sum"])
def test_rubbish_in_the_cache_is_as_good_as_nothing(system, rubbish):
    order = system.paid()
    if isinstance(rubbish, str):
        entry = wait_for(lambda: system.redis.get(order["id"]), what="the entry")
        rubbish = entry[:-5] if rubbish == "cut" else entry.replace(b"deliveryScheduled", b"deliveryScheduleX", 1)
    system.redis.set(order["id"], rubbish)
    assert system.show(order["id"])["status"] == "deliveryScheduled"
    assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 202


def test_a_wrong_type_in_the_cache_is_as_good_as_nothing(system):
    order = system.paid()
    system.redis.delete(order["id"])
    system.redis.rpush(order["id"], "x")
    assert system.show(order["id"])["status"] == "deliveryScheduled"
    system.queue.event(order["id"], "driverAvailable")
    system.wait_status(order["id"], "cookingScheduled")
    wait_for(lambda: system.redis.type(order["id"]) == b"string", what="the entry to be replaced")


@pytest.mark.parametrize("changes, unset", [
    ({"status": 7}, None), ({"status": "eaten"}, None), ({"items": "x"}, None), ({"created": 7}, None),
    ({"customer_id": bson.Binary(b"short", 4)}, None), ({"updated": "x"}, None), ({}, "items"), ({}, "status"),
])
def test_a_document_beyond_reading_is_an_error_of_its_own_and_others_go_on(system, changes, unset):
    doc = original(**changes)
    if unset:
        del doc[unset]
    system.db.orders.insert_one(doc)
    try:
        answer = system.order.get(f"/v1/orders/{doc['_id']}")
        assert answer.status_code == 500 and isinstance(answer.json()["detail"], str)
        good = system.place()
        listed = [order["id"] for order in system.order.get("/v1/orders").json()]
        assert good["id"] in listed and doc["_id"] not in listed
        system.queue.event(doc["_id"], "driverAvailable")
        system.callback(good["id"], "paymentPaid")
        system.wait_status(good["id"], "deliveryScheduled")
    finally:
        system.db.orders.delete_one({"_id": doc["_id"]})


@pytest.fixture
def asked_by_the_original(system):
    """An order, and its payment as the Python original's PaymentService stores it when the company has taken it."""
    ids = []

    def put(status, payment, **more):
        ids.append(order_id := str(uuid.uuid4()))
        system.db.payments.insert_one({
            "_id": order_id, "status": payment, "created": ago(hours=1),
            "transaction_id": bson.Binary(uuid.uuid4().bytes, 4),
            "metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": str(uuid.uuid4())}})
        system.db.orders.insert_one(
            original(_id=order_id, status=status, created=ago(hours=1), delivery_id=None) | more)
        return order_id, system.db.payments.find_one({"_id": order_id})
    yield put
    system.db.orders.delete_many({"_id": {"$in": ids}})
    system.db.payments.delete_many({"_id": {"$in": ids}})


def test_a_charge_that_the_original_asked_for_is_not_asked_for_again(system, partners, sweepd, asked_by_the_original):
    order_id, payment = asked_by_the_original("created", "pending", updated=[])
    one = sweepd()
    [line] = wait_for(lambda: one.lines("could not do what an order owes", order_id), what="the refusal")
    assert "another implementation's PaymentService has asked for it, without a key, and it is pending" in line
    bad("order", "repair", order_id, code=1, prints="payment asked: refused: another implementation's PaymentService",
        says="asking again will hardly help")
    assert system.doc(order_id)["status"] == "created" and system.db.payments.find_one({"_id": order_id}) == payment
    assert system.callback(order_id, "paymentPaid").status_code == 201
    system.wait_status(order_id, "deliveryScheduled")
    assert partners.calls_of("bill", order_id) == []


@pytest.mark.parametrize("status", ["paymentPaid", "reimbursed"])
def test_a_refund_that_the_original_asked_for_is_not_asked_for_again(system, partners, sweepd, asked_by_the_original,
                                                                     status):
    """Its event is late, or lost."""
    steps = [{"status": state, "when": ago(hours=1)} for state in ("paymentPaid", "orderCancelled")]
    order_id, payment = asked_by_the_original("orderCancelled", status, settled=["reimbursement"], updated=steps)
    one = sweepd("--age-callback=1s")
    [line] = wait_for(lambda: one.lines("an order has not heard of its refund, and another PaymentService asked for "
                                        "that: it is not asked again", order_id), what="the word")
    assert f"payment={status}" in line
    bad("order", "repair", order_id, code=1, prints=f"order {order_id} is orderCancelled",
        says=f"another implementation's PaymentService asked for the reimbursement, without a key, and it is {status}")
    assert system.db.payments.find_one({"_id": order_id}) == payment
    assert partners.calls_of("reimburse", order_id) == []
