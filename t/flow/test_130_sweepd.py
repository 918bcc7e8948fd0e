"""What dead processes and absent partners left undone is done by sweepd alone, once;
events that were stored are sent."""

import datetime
import os
import re
import signal
import subprocess
import threading
import time
import uuid

import bson
import bson.json_util
import pytest
import requests

from conftest import make, wait_for
from partners import Answer

BUILD = os.environ["BUILD"]
RUN = os.environ["RUN"]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def stored(system, status, ago=60, **changes):
    """An order as the database has it, of somebody who keeps no owes_since."""
    when = now() - datetime.timedelta(seconds=ago)
    doc = {"_id": str(uuid.uuid4()), "items": [{"product": "Lasagna", "quantity": 1}], "status": status,
           "created": when, "customer_id": bson.Binary(uuid.uuid4().bytes, 4), "kitchen_id": None, "delivery_id": None,
           "updated": [] if status == "created" else [{"status": status, "when": when}], **changes}
    system.db.orders.insert_one(doc)
    return doc["_id"]


@pytest.mark.raw("Prism takes a connection that is cut for a fault")
def test_an_order_that_a_killed_nginx_left_is_billed_once(system, partners, sweepd, without_orderd):
    customer = str(uuid.uuid4())
    partners.say("billing", Answer(201, {}, delay=1.5, close=True, times=1))

    def place():
        try:
            system.order.post("/v1/orders", json=system.payload(customer_id=customer))
        except requests.RequestException:
            pass                        # it is killed under the request
    thread = threading.Thread(target=place)
    thread.start()
    wait_for(lambda: [c for c in partners.calls_of("billing") if customer in c.path], what="the billing's call")
    make("kill-nginx")
    thread.join()
    make("start-nginx")
    order = system.db.orders.find_one({"customer_id": bson.Binary(uuid.UUID(customer).bytes, 4)})
    assert order["status"] == "created" and order["owes_since"] == order["created"]
    assert partners.calls_of("bill", order["_id"]) == []
    one = sweepd()
    wait_for(lambda: partners.calls_of("bill", order["_id"]), 20, "the bill")
    wait_for(lambda: one.lines("asked for what an order waits for", order["_id"]), what="the log")
    assert "of=payment is=created" in one.lines("asked for what an order waits for", order["_id"])[0]
    assert one.lines("repaired an order", order["_id"]) == []       # it stands where it stood
    time.sleep(0.5)                     # several sweeps: it has been asked for, and waits for the card company
    assert len(partners.calls_of("bill", order["_id"])) == 1


def test_a_delivery_that_a_killed_orderd_left_is_made_by_sweepd(system, partners, sweepd):
    partners.say("delivery", Answer(202, {}, delay=2.0, close=True, times=1))
    order = system.place()
    system.callback(order["id"], "paymentPaid")
    wait_for(lambda: partners.calls_of("delivery", order["id"]), what="the call")
    make("kill-orderd")
    try:
        doc = system.doc(order["id"])
        assert doc["status"] == "paymentPaid" and doc["owes_since"] == doc["updated"][-1]["when"]
        one = sweepd()
        time.sleep(0.5)
        assert len(partners.calls_of("delivery", order["id"])) == 1         # the dead one's claim holds
        system.db.orders.update_one({"_id": order["id"]}, {"$set": {"claim.until": now()}})
        system.wait_status(order["id"], "deliveryScheduled", 20)
        doc = system.doc(order["id"])
        assert "owes_since" not in doc and "claim" not in doc
        assert re.search(r"did=delivery was=paymentPaid is=deliveryScheduled stood_ms=\d+",
                         one.lines("repaired an order", order["id"])[0])
    finally:
        make("start-orderd")
    calls = partners.calls_of("delivery", order["id"])
    assert len(calls) == 2 and len({call.headers["Idempotency-Key"] for call in calls}) == 1
    system.queue.event(order["id"], "driverAvailable")
    system.wait_status(order["id"], "cookingScheduled")                     # the killed one's event did no harm
    assert len(partners.calls_of("delivery", order["id"])) == 2


def test_a_refund_waits_for_paymentservice_and_follows_at_once(system, partners, sweepd):
    order = system.paid()
    make("stop-orderd")
    url = system.db.service_urls.find_one({"_id": "PaymentService"})["url"]

    def paymentservice_is(address):
        system.db.service_urls.update_one({"_id": "PaymentService"}, {"$set": {"url": address}})
        system.redis.delete("PaymentService")
    try:
        assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 202
        paymentservice_is("https://127.0.0.1:1")
        one = sweepd()
        wait_for(lambda: partners.calls_of("delivery_cancel", system.doc(order["id"])["delivery_id"].hex()) or
                 partners.calls_of("delivery_cancel"), what="the delivery's cancel")
        wait_for(lambda: one.lines("could not do what an order owes", order["id"]), what="the refund's failure")
        assert "owes=reimbursement" in one.lines("could not do what an order owes", order["id"])[0]
        assert partners.calls_of("reimburse", order["id"]) == []
        paymentservice_is(url)
        wait_for(lambda: partners.calls_of("reimburse", order["id"]), 10, "the refund")
        wait_for(lambda: set(system.doc(order["id"])["settled"]) == {"deliveryCancel", "reimbursement"}, what="settled")
        assert "owes_since" not in system.doc(order["id"])
        assert len(partners.calls_of("reimburse", order["id"])) == 1
        assert len(partners.calls_of("delivery_cancel")) == 1
    finally:
        paymentservice_is(url)
        make("start-orderd")


def test_a_clean_stop_between_two_debts_leaves_no_claim(system, partners, sweepd, without_orderd):
    partners.say("delivery_cancel", Answer(201, {"status": "deliveryCancelled"}, delay=5.0))
    order_id = stored(system, "orderCancelled", delivery_id=bson.Binary(uuid.uuid4().bytes, 4))
    one = sweepd("--term-timeout=100ms")
    wait_for(lambda: partners.calls_of("delivery_cancel"), what="the call")
    assert "claim" in system.doc(order_id)
    assert one.end() == 0
    assert "claim" not in system.doc(order_id)


def test_an_order_that_nobody_can_read_is_told_once(system, partners, sweepd, without_orderd):
    bad = stored(system, "paymentPaid", owes_since=now() - datetime.timedelta(seconds=60), items=5)
    try:
        one = sweepd()
        wait_for(lambda: one.lines("a document can't be read, nobody does what it owes", bad), what="the log")
        good = stored(system, "paymentPaid")            # sweeps go on
        system.wait_status(good, "deliveryScheduled", 20)
        assert len(one.lines("a document can't be read, nobody does what it owes", bad)) == 1
    finally:
        system.db.orders.delete_one({"_id": bad})


def test_indexes_that_could_not_be_made_at_the_start_are_made_when_mongodb_is_back(system, sweepd):
    system.db.idempotency_keys.drop_indexes()
    make("stop-mongo")
    try:
        one = sweepd("--mongo-timeout=100ms")
    finally:
        make("start-mongo")
    wait_for(lambda: one.lines("indexes made"), what="the log")
    assert "created_1" in system.db.idempotency_keys.index_information()


@pytest.fixture
def abandoned(system):
    """Payments that the card company never reported on: more than one look finds, and older than all others."""
    ids, when = [str(uuid.uuid4()) for _ in range(1000)], now() - datetime.timedelta(days=30)
    system.db.payments.insert_many([{
        "_id": one, "status": "pending", "created": when,
        "metadata": {"receiver": "OrderService", "order_id": one, "customer_id": str(uuid.uuid4())}} for one in ids])
    yield
    system.db.payments.delete_many({"_id": {"$in": ids}})


def test_a_refund_that_is_not_reported_on_is_asked_for_again(system, partners, sweepd, abandoned):
    order = system.paid()
    assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 202
    wait_for(lambda: set(system.doc(order["id"]).get("settled", [])) == {"deliveryCancel", "reimbursement"},
             what="settled")
    wait_for(lambda: (system.db.payments.find_one({"_id": order["id"]}) or {}).get("reimburse_taken"), what="taken")
    long_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)
    system.db.payments.update_one({"_id": order["id"]}, {"$set": {"asked": long_ago, "created": long_ago}})
    one = sweepd("--age-callback=1s")
    wait_for(lambda: len(partners.calls_of("reimburse", order["id"])) == 2, what="the second request")
    keys = {call.headers["Idempotency-Key"] for call in partners.calls_of("reimburse", order["id"])}
    assert len(keys) == 1 and one.lines("the card company has not reported, it is asked again", order["id"])
    wait_for(lambda: "reimbursement" in system.doc(order["id"])["settled"], what="settled again")
    assert system.history(order["id"])[-1] == "orderCancelled"
    assert system.callback(order["id"], "reimbursed").status_code == 201
    system.wait_status(order["id"], "reimbursed")


def test_a_charge_that_the_company_may_have_forgotten_is_left_to_a_person(system, partners, sweepd):
    partners.say("bill", Answer(500, {"detail": "oops"}))
    customer = str(uuid.uuid4())
    assert system.order.post("/v1/orders", json=system.payload(customer_id=customer)).status_code == 400
    order_id = system.db.orders.find_one({"customer_id": bson.Binary(uuid.UUID(customer).bytes, 4)})["_id"]
    long_ago = now() - datetime.timedelta(hours=25)
    changed = {"asked": long_ago, "created": long_ago, "ask_until": now() - datetime.timedelta(hours=2)}
    system.db.payments.update_one({"_id": order_id}, {"$set": changed})
    one = sweepd("--age-callback=1s")
    said = "the card company has not reported, and may have forgotten the idempotency key: it is not asked again"
    wait_for(lambda: one.lines(said, order_id), what="the report")
    waited = stored(system, "paymentPaid")                      # sweeps and looks go on
    system.wait_status(waited, "deliveryScheduled", 20)
    assert len(one.lines(said, order_id)) == 1 and len(partners.calls_of("bill", order_id)) == 1
    assert system.callback(order_id, "paymentPaid").status_code == 201          # a person asked: it was charged
    wait_for(lambda: partners.calls_of("reimburse", order_id), what="the refund")


def test_a_stale_refund_that_is_owed_is_asked_for_and_reported_on_less_and_less(system, partners, sweepd):
    """The order waits for its next try, and the payment for its next report: neither takes the other's place."""
    order_id = stored(system, "orderCancelled", settled=["deliveryCancel"])
    system.db.payments.insert_one({
        "_id": order_id, "status": "pending", "reimburse": True, "created": now() - datetime.timedelta(hours=25),
        "amount": 6.25, "transaction_id": bson.Binary(uuid.uuid4().bytes, 4),
        "metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": str(uuid.uuid4())},
        "asked": now() - datetime.timedelta(hours=24), "ask_until": now() - datetime.timedelta(hours=2), "attempts": 3})
    one = sweepd("--age-callback=1s", "--interval=100ms")
    said = "the card company has not reported, and may have forgotten the idempotency key: it is not asked again"
    wait_for(lambda: one.lines("could not do what an order owes", order_id), what="the first try")
    wait_for(lambda: one.lines(said, order_id), what="the report")
    for _ in range(2):                                          # sweeps and looks go on
        system.wait_status(stored(system, "paymentPaid"), "deliveryScheduled", 20)
        again = str(uuid.uuid4())
        system.db.payments.insert_one({
            "_id": again, "status": "pending", "created": now() - datetime.timedelta(hours=25), "amount": 6.25,
            "metadata": {"receiver": "OrderService", "order_id": again, "customer_id": str(uuid.uuid4())},
            "asked": now() - datetime.timedelta(hours=24), "ask_until": now() - datetime.timedelta(hours=2),
            "attempts": 3})
        wait_for(lambda again=again: one.lines(said, again), what="the next look")
        system.db.payments.delete_one({"_id": again})
    assert len(one.lines(said, order_id)) == 1
    assert len(one.lines("could not do what an order owes", order_id)) == 1


def test_an_order_whose_charge_is_stale_fails(system, partners, sweepd, without_orderd):
    """It ends; what was charged after all is given back when that is known."""
    order_id = stored(system, "created", ago=90000, owes_since=now() - datetime.timedelta(hours=25))
    system.db.payments.insert_one({
        "_id": order_id, "status": "pending", "created": now() - datetime.timedelta(hours=25), "amount": 6.25,
        "metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": str(uuid.uuid4())},
        "asked": now() - datetime.timedelta(hours=24), "ask_until": now() - datetime.timedelta(hours=2), "attempts": 3})
    sweepd()
    system.wait_status(order_id, "paymentFailed", 20)
    assert partners.calls_of("bill", order_id) == []


def test_a_charge_of_a_failed_order_that_is_not_reported_on_is_found_and_given_back(system, partners, sweepd):
    """The company charges, and neither its answer nor its callback arrives."""
    partners.say("bill", Answer(500, {"detail": "oops"}))
    answer = system.order.post("/v1/orders", json=system.payload(customer_id=(customer := str(uuid.uuid4()))))
    assert answer.status_code == 400
    order_id = system.db.orders.find_one({"customer_id": bson.Binary(uuid.UUID(customer).bytes, 4)})["_id"]
    system.wait_status(order_id, "paymentFailed")
    assert system.db.payments.find_one({"_id": order_id})["status"] == "pending"
    partners.reset()
    long_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)
    system.db.payments.update_one({"_id": order_id}, {"$set": {"asked": long_ago, "created": long_ago}})
    sweepd("--age-callback=1s")
    bill = wait_for(lambda: partners.calls_of("bill", order_id), what="the company asked again")[0]
    assert bill.headers["Idempotency-Key"] == f"{order_id}-payment"
    assert system.callback(order_id, "paymentPaid").status_code == 201
    wait_for(lambda: partners.calls_of("reimburse", order_id), what="the refund")
    assert system.callback(order_id, "reimbursed").status_code == 201
    system.wait_status(order_id, "reimbursed")


def test_stored_events_are_relayed_once_and_in_their_order(system, sweepd):
    receiver, order_id, marks = f"Receiver-{uuid.uuid4()}", str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(2)]
    when = now() - datetime.timedelta(seconds=30)
    metadata = {"receiver": receiver, "order_id": order_id, "customer_id": str(uuid.uuid4())}
    system.db.payments.insert_one({
        "_id": order_id, "metadata": metadata, "status": "reimbursed", "created": when,
        "outbox": [{"id": marks[0], "status": "paymentPaid", "when": when},
                   {"id": marks[1], "status": "reimbursed", "when": when}]})
    one = sweepd()
    wait_for(lambda: "outbox" not in system.db.payments.find_one({"_id": order_id}), what="the marks' end")
    seen = []
    while (message := system.queue.take(receiver)) is not None:
        seen.append((message[1].message_id, bson.json_util.loads(message[0])["status"], message[1].delivery_mode))
        assert bson.json_util.loads(message[0])["metadata"] == metadata
    assert seen == [(marks[0], "paymentPaid", 2), (marks[1], "reimbursed", 2)]
    time.sleep(0.5)
    assert system.queue.take(receiver) is None
    assert len(one.lines("relayed an event", order_id)) == 2


def test_what_a_clock_that_was_ahead_has_written_is_done_at_once(system, partners, sweepd, without_orderd):
    ahead = now() + datetime.timedelta(hours=1)
    order_id = stored(system, "paymentPaid", ago=-3600, owes_since=ahead)
    receiver, payments = f"Receiver-{uuid.uuid4()}", [str(uuid.uuid4()) for _ in range(3)]
    marks = [[{"id": payments[0], "status": "paymentPaid", "when": ahead}],
             [{"id": payments[1], "status": "paymentPaid"}],            # of a time when marks had none
             {"id": payments[2], "status": "paymentPaid"}]
    for payment, mark in zip(payments, marks):
        system.db.payments.insert_one({
            "_id": payment, "status": "paymentPaid", "created": now(), "outbox": mark,
            "metadata": {"receiver": receiver, "order_id": payment, "customer_id": str(uuid.uuid4())}})
    sweepd()
    system.wait_status(order_id, "deliveryScheduled", 20)
    assert len(partners.calls_of("delivery", order_id)) == 1
    for payment in payments:
        wait_for(lambda one=payment: "outbox" not in system.db.payments.find_one({"_id": one}), what="the event")
    assert sorted(system.queue.take(receiver)[1].message_id for _ in payments) == sorted(payments)


def test_events_that_no_queue_takes_do_not_hide_the_others(system, sweepd):
    """As many as one look finds, and older: their receivers are no queue's names, or names that the broker keeps."""
    marks = {}

    def unsent(receiver, ago):
        when, order_id = now() - datetime.timedelta(seconds=ago), str(uuid.uuid4())
        marks[order_id] = {
            "_id": order_id, "status": "paymentPaid", "created": when,
            "metadata": {"receiver": receiver, "order_id": order_id, "customer_id": str(uuid.uuid4())},
            "outbox": [{"id": str(uuid.uuid4()), "status": "paymentPaid", "when": when}]}
        return order_id
    bad = [unsent("x" * 300, 600) for _ in range(600)] + [unsent(f"amq.{i}", 500) for i in range(40)]
    good = unsent(f"Receiver-{uuid.uuid4()}", 60)
    other = f"Receiver-{uuid.uuid4()}"          # its own program declared it, with arguments of its own
    system.queue._with(lambda channel: channel.queue_declare(other, durable=True, arguments={"x-max-length": 10}))
    theirs = unsent(other, 60)
    system.db.payments.insert_many(marks.values())
    try:
        one = sweepd()
        for payment in (good, theirs):
            wait_for(lambda payment=payment: "outbox" not in system.db.payments.find_one({"_id": payment}), 15,
                     "the event")
        assert all("outbox" in system.db.payments.find_one({"_id": payment}) for payment in bad)
        assert one.lines("lost the connection to rabbitmq") == []
    finally:
        system.db.payments.delete_many({"_id": {"$in": list(marks)}})


def test_a_callback_without_rabbitmq_and_without_its_nginx(system, sweepd, partners):
    """Stored, answered 201, and then nginx is killed before the broker is back: the mark alone knows of the event."""
    order = system.place()
    make("stop-rabbit")
    assert system.callback(order["id"], "paymentPaid").status_code == 201
    make("kill-nginx")
    make("start-nginx")
    one = sweepd()
    wait_for(lambda: one.lines("asked for what an order waits for", order["id"]), what="the request")
    make("start-rabbit")
    system.wait_status(order["id"], "deliveryScheduled", 15)
    assert one.lines("relayed an event", order["id"])
    assert len(partners.calls_of("delivery", order["id"])) == 1


def test_two_sweepd_do_each_debt_once(system, partners, sweepd, without_orderd):
    partners.say("delivery", Answer(202, {"delivery_id": str(uuid.uuid4()), "status": "deliveryScheduled"}, delay=0.5))
    both = [sweepd(), sweepd()]
    ids = [stored(system, "paymentPaid") for _ in range(40)]
    for order_id in ids:
        system.wait_status(order_id, "deliveryScheduled", 20)
    assert [len(partners.calls_of("delivery", order_id)) for order_id in ids] == [1] * len(ids)
    repaired = [sum(bool(one.lines("repaired an order", order_id)) for one in both) for order_id in ids]
    assert repaired == [1] * len(ids)


def test_orders_of_the_original_are_found_and_ancient_ones_left(system, partners, sweepd, without_orderd):
    owing, ancient = stored(system, "driverAvailable"), stored(system, "paymentPaid", ago=90000)
    done = stored(system, "paymentPaid", delivery_id=bson.Binary(uuid.uuid4().bytes, 4))
    sweepd()
    wait_for(lambda: system.doc(owing)["kitchen_id"], 20, "the kitchen")
    assert "owes_since" not in system.doc(owing)
    assert system.doc(ancient)["status"] == "paymentPaid" and partners.calls_of("delivery", ancient) == []
    assert partners.calls_of("delivery", done) == [] and "claim" not in system.doc(done)


def test_an_order_that_moved_on_does_not_wait_for_what_was_asked_before(system, sweepd, without_orderd):
    order = system.place()
    one = sweepd()
    wait_for(lambda: one.lines("asked for what an order waits for", order["id"]), what="it")    # in 30 s
    system.db.orders.update_one({"_id": order["id"]}, {
        "$set": {"status": "paymentPaid"}, "$push": {"updated": {"status": "paymentPaid", "when": now()}}})
    system.wait_status(order["id"], "deliveryScheduled", 10)


def test_a_slow_partner_does_not_hold_up_what_others_are_owed(system, partners, sweepd, without_orderd):
    """More orders than are served at a time wait for it, in a status that is looked at first."""
    partners.say("delivery", Answer(503, {}, delay=1.0))
    waiting = [stored(system, "paymentPaid", owes_since=now() - datetime.timedelta(seconds=60)) for _ in range(40)]
    one = sweepd("--orders=4")
    wait_for(lambda: len(one.lines("could not do what an order owes")) > 4, 10, "calls in vain")
    order_id = stored(system, "driverAvailable", delivery_id=bson.Binary(uuid.uuid4().bytes, 4),
                      owes_since=now() - datetime.timedelta(seconds=60))
    try:
        wait_for(lambda: system.doc(order_id)["kitchen_id"], 8, "the kitchen")
    finally:
        system.db.orders.delete_many({"_id": {"$in": waiting}})


def test_a_partner_that_refuses_is_not_hammered(system, partners, sweepd, without_orderd):
    partners.say("kitchen", Answer(422, {"detail": "closed"}))
    order_id = stored(system, "driverAvailable", delivery_id=bson.Binary(uuid.uuid4().bytes, 4))
    one = sweepd()
    wait_for(lambda: one.lines("could not do what an order owes", order_id), 20, "the refusal")
    time.sleep(1.0)                     # ten sweeps
    assert len(partners.calls_of("kitchen", order_id)) == 1
    assert "KitchenService answered 422: closed" in one.lines("could not do what an order owes", order_id)[0]
    assert "claim" not in system.doc(order_id)


def test_the_cache_has_what_was_repaired(system, sweepd, without_orderd):
    order_id = stored(system, "paymentPaid")
    assert system.show(order_id)["status"] == "paymentPaid"         # it is in the cache now
    sweepd()
    system.wait_status(order_id, "deliveryScheduled", 20)
    wait_for(lambda: b'"deliveryScheduled"' in system.redis.get(order_id), what="the cached order")


def test_what_redis_missed_is_told_to_orderd_too(system, sweepd, without_orderd):
    """A sweepd that is killed before Redis is back leaves no old entry behind:
    orderd parks such an event until then."""
    order_id = stored(system, "driverAvailable")
    make("stop-redis")
    try:
        one = sweepd()
        wait_for(lambda: one.lines("repaired an order", order_id), 20, "the kitchen")
        one.process.kill()
        one.process.wait(10)
        body, _ = system.queue.take_where("OrderService", lambda body, _: order_id.encode() in body
                                          and b"cookingScheduled" in body)
        assert bson.json_util.loads(body)["metadata"]["order_id"] == order_id
    finally:
        make("start-redis")


def test_sigterm_finishes_what_is_in_flight(system, partners, sweepd, without_orderd):
    delivery = str(uuid.uuid4())
    order_id = stored(system, "paymentPaid")
    partners.say("delivery", Answer(202, {"delivery_id": delivery, "status": "deliveryScheduled"}, delay=1.0, times=1))
    one = sweepd()
    wait_for(lambda: partners.calls_of("delivery", order_id), 20, "the call")
    assert one.end() == 0
    assert system.doc(order_id)["status"] == "deliveryScheduled"
    assert str(uuid.UUID(bytes=bytes(system.doc(order_id)["delivery_id"]))) == delivery
    assert "claim" not in system.doc(order_id)
    assert len(one.lines("repaired an order", order_id)) == 1


def test_it_waits_for_each_server_and_goes_on(system, sweepd, without_orderd):
    one = sweepd("--mongo-timeout=300ms")
    for server in ("mongo", "redis", "rabbit"):
        make(f"stop-{server}")
        time.sleep(1.0)
        assert one.process.poll() is None
        make(f"start-{server}")
        order_id = stored(system, "paymentPaid")
        system.wait_status(order_id, "deliveryScheduled", 30)
    assert len(one.lines("mongodb is away, waiting for it")) == 1 and len(one.lines("mongodb is back")) == 1
    wait_for(lambda: system.order.get("/health", key=False).status_code == 200, 20, "a healthy system")


def test_sighup_brings_new_ages(system, sweepd, without_orderd, tmp_path):
    conf = tmp_path / "sweepd.conf"
    with open(f"{RUN}/sweepd.conf", encoding="utf-8") as file:
        text = file.read()
    conf.write_text(text.replace("#age_in_transit = 15s", "age_in_transit = 1h"))
    one = sweepd(f"--config={conf}")
    order_id = stored(system, "inTransit", ago=600)         # and no kitchen was ever heard of
    time.sleep(1.0)                                         # ten sweeps
    assert system.doc(order_id)["kitchen_id"] is None
    conf.write_text(text.replace("#age_in_transit = 15s", "age_in_transit = soon"))
    one.process.send_signal(signal.SIGHUP)
    refused = "the configuration was not taken, going on with the old one"
    wait_for(lambda: "age_in_transit" in "".join(one.lines(refused)),
             what="the refusal")
    conf.write_text(text.replace("#age_in_transit = 15s", "age_in_transit = 100ms"))
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: system.doc(order_id)["kitchen_id"], 20, "the kitchen")


def test_a_key_that_sighup_cannot_read_keeps_no_other_setting_away(system, partners, sweepd, without_orderd, tmp_path):
    """A claim that is shorter now is too short for the calls of before: nothing would be called any more."""
    conf, key = tmp_path / "sweepd.conf", tmp_path / "key"
    with open(f"{RUN}/sweepd.conf", encoding="utf-8") as file:
        text = re.sub(r"(?m)^api_key_file = .*$", f"api_key_file = {key}", file.read())
    key.write_text(os.environ["API_KEY"] + "\n")
    conf.write_text(text)
    one = sweepd(f"--config={conf}")
    key.write_text("")          # it is just being written, say
    conf.write_text(text.replace("#partner_timeout = 10s", "partner_timeout = 500ms")
                    .replace("#claim = 30s", "claim = 1500ms"))
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: one.lines("read the configuration again"), what="the new configuration")
    assert one.lines("going on with the old API key")
    cancelled = stored(system, "orderCancelled", settled=["deliveryCancel"])
    system.db.payments.insert_one({
        "_id": cancelled, "status": "paymentPaid", "created": now(), "amount": 6.25,
        "transaction_id": bson.Binary(uuid.uuid4().bytes, 4),
        "metadata": {"receiver": "OrderService", "order_id": cancelled, "customer_id": str(uuid.uuid4())}})
    wait_for(lambda: partners.calls_of("reimburse", cancelled), what="a refund, for which the old key is shown")


@pytest.mark.parametrize("flags, told", [
    (["--age-created=soon"], "age"), (["--interval=1ms"], "interval"), (["--orders=0"], "orders"),
    (["--claim=29s"], "claim (29000 ms) must be at least three times partner_timeout (10000 ms)"),
    (["--config=/nowhere/sweepd.conf"], "/nowhere/sweepd.conf"), (["--mongo-url=http://x"], "mongo"),
    (["--api-key-file=/nowhere/key"], "/nowhere/key")])
def test_a_bad_setting_is_named(flags, told):
    result = subprocess.run([f"{BUILD}/bin/foodsvc-sweepd", "--check", *flags], capture_output=True, text=True,
                            check=False, timeout=20)
    assert result.returncode == 2 and told in result.stderr, result
    good = subprocess.run([f"{BUILD}/bin/foodsvc-sweepd", "--check", f"--config={RUN}/sweepd.conf"], check=False,
                          timeout=20, capture_output=True, text=True)
    assert good.returncode == 0, good
