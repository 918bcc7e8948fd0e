"""Events on the queue: duplicate, late, early, swapped, and those that cannot be processed."""

import json
import uuid

import pytest

from conftest import wait_for
from partners import Answer

DEAD = "OrderService.dead"


def test_duplicates_change_nothing(system, partners):
    order = system.paid()
    for _ in range(3):
        system.queue.event(order["id"], "driverAvailable")
    system.wait_status(order["id"], "cookingScheduled")
    for _ in range(3):
        system.queue.event(order["id"], "cookingMeal")
    system.queue.event(order["id"], "cookingDone")
    system.wait_status(order["id"], "cookingDone")
    assert system.history(order["id"]) == ["paymentPaid", "deliveryScheduled", "driverAvailable", "cookingScheduled",
                                           "cookingMeal", "cookingDone"]
    assert len(partners.calls_of("kitchen", order["id"])) == 1
    assert len(partners.calls_of("delivery", order["id"])) == 1


def test_an_early_event_moves_the_order_forward_and_the_overtaken_one_is_late(system):
    order = system.paid()
    system.queue.event(order["id"], "driverAvailable")
    system.wait_status(order["id"], "cookingScheduled")
    system.queue.event(order["id"], "inTransit")
    system.wait_status(order["id"], "inTransit")
    system.queue.event(order["id"], "pickedUp")
    system.queue.event(order["id"], "delivered")
    system.wait_status(order["id"], "delivered")
    assert system.history(order["id"])[-3:] == ["cookingScheduled", "inTransit", "delivered"]


def test_an_early_driver_still_gets_the_kitchen_asked(system, partners):
    order = system.place()
    system.queue.event(order["id"], "driverAvailable", delivery_id=str(uuid.uuid4()))
    system.wait_status(order["id"], "cookingScheduled")
    assert len(partners.calls_of("kitchen", order["id"])) == 1
    assert partners.calls_of("delivery", order["id"]) == []


def test_payment_failed(system, partners):
    order = system.place()
    assert system.callback(order["id"], "paymentFailed").status_code == 201
    system.wait_status(order["id"], "paymentFailed")
    assert partners.calls_of("delivery", order["id"]) == []


def test_paid_after_failed_is_given_back(system, partners):
    order = system.place()
    system.callback(order["id"], "paymentFailed")
    system.wait_status(order["id"], "paymentFailed")
    system.callback(order["id"], "paymentPaid")
    wait_for(lambda: partners.calls_of("reimburse", order["id"]), what="the reimbursement")
    assert system.callback(order["id"], "reimbursed").status_code == 201
    system.wait_status(order["id"], "reimbursed")
    assert len(partners.calls_of("reimburse", order["id"])) == 1
    assert partners.calls_of("delivery", order["id"]) == []


def metadata(order_id=None):
    return {"receiver": "OrderService", "order_id": order_id or str(uuid.uuid4()), "customer_id": str(uuid.uuid4())}


@pytest.mark.parametrize("body", [
    b"", b"not json", b"[]", b"7", b"null", b'{"status":"delivered"}', b'{"metadata":7,"status":"delivered"}',
    json.dumps({"metadata": metadata("x"), "status": "delivered"}).encode(),
    json.dumps({"metadata": {"receiver": "OrderService"}, "status": "delivered"}).encode(),
    json.dumps({"metadata": metadata(), "status": "eaten"}).encode(),
    json.dumps({"metadata": metadata()}).encode(),
    json.dumps({"metadata": metadata(), "status": 7}).encode(),
    b'{"metadata":"' + b"a" * 1_000_000 + b'"}',
    b"[" * 1_000_000,
    b"\xff\xfe",
])
def test_what_cannot_be_processed_is_dead_with_its_reason_and_the_queue_goes_on(system, body):
    system.queue.send(body, message_id=(mark := str(uuid.uuid4())))
    order = system.place()
    system.callback(order["id"], "paymentPaid")
    dead, properties = system.queue.take_where(DEAD, lambda _, p: p.message_id == mark)
    assert dead == body
    assert properties.headers["x-foodsvc-reason"]
    system.wait_status(order["id"], "deliveryScheduled")


def test_headers_that_leave_no_room_for_ours_do_not_stop_the_queue(system):
    mark = str(uuid.uuid4())
    system.queue.send(b"not json", message_id=mark, headers={"pad": "a" * 130_900})     # a frame takes 131064 bytes
    dead, properties = system.queue.take_where(DEAD, lambda _, p: p.message_id == mark)
    assert dead == b"not json"
    assert properties.headers["x-foodsvc-reason"]
    order = system.paid()
    assert system.queue.depth(DEAD) == 0
    assert system.show(order["id"])["status"] == "deliveryScheduled"


def test_a_scheduled_delivery_without_an_id_is_asked_for_again_and_can_be_cancelled(system, partners):
    order = system.place()
    partners.say("delivery", Answer(202, b"the answer is lost", times=1))
    system.callback(order["id"], "paymentPaid")
    wait_for(lambda: partners.calls_of("delivery", order["id"]), what="the first request")
    system.queue.event(order["id"], "deliveryScheduled")
    wait_for(lambda: system.show(order["id"])["delivery_id"], what="the delivery's id")
    keys = {call.headers.get("Idempotency-Key") for call in partners.calls_of("delivery", order["id"])}
    assert keys == {f"{order['id']}-delivery"}
    assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 202
    cancels = wait_for(lambda: partners.calls_of("delivery_cancel"), what="the delivery's cancel")
    assert str(system.show(order["id"])["delivery_id"]) in cancels[0].path
    assert system.history(order["id"]) == ["paymentPaid", "deliveryScheduled", "orderCancelled"]


def test_a_cancelled_order_whose_deliverys_id_was_lost_still_cancels_the_delivery(system, partners):
    order = system.place()
    partners.say("delivery", Answer(202, b"the answer is lost"))
    system.callback(order["id"], "paymentPaid")
    wait_for(lambda: partners.calls_of("delivery", order["id"]), what="the first request")
    system.queue.event(order["id"], "deliveryScheduled")
    system.wait_status(order["id"], "deliveryScheduled")
    assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 202
    wait_for(lambda: partners.calls_of("reimburse", order["id"]),
             what="the refund, which doesn't wait for the delivery")
    partners.reset()                # from now on its answers arrive
    cancels = wait_for(lambda: partners.calls_of("delivery_cancel"), what="the delivery's cancel")
    assert str(system.show(order["id"])["delivery_id"]) in cancels[0].path
    assert {call.headers.get("Idempotency-Key") for call in partners.calls_of("delivery", order["id"])} \
        == {f"{order['id']}-delivery"}


def test_a_message_may_come_without_properties(system):
    order = system.paid()
    system.queue.send({"metadata": metadata(order["id"]), "status": "driverAvailable", "more": [1, {}]},
                      content_type=None, delivery_mode=None)
    system.wait_status(order["id"], "cookingScheduled")


def test_an_event_of_an_unknown_order_is_tried_again(system):
    order_id = str(uuid.uuid4())
    system.queue.event(order_id, "paymentPaid")
    system.db.orders.insert_one({
        "_id": order_id, "items": [{"product": "Lasagna", "quantity": 1}], "status": "created",
        "created": "2026-11-23 10:22:51.910000", "customer_id": str(uuid.uuid4()), "kitchen_id": None,
        "delivery_id": None, "updated": []})
    system.wait_status(order_id, "deliveryScheduled")
