"""Each call of orderd that can fail fails once at each kind of event: the order gets where the event leads, at the
latest when the message comes again; what it owes is done once; nothing is buried that isn't the message's fault."""

import os
import time
import uuid
from datetime import datetime, timezone

import bson
import pytest

from conftest import flow, wait_for

# event: the status before it, the status it leads to, and the call that the order owes then
STEPS = {
    "paymentPaid": ("created", "deliveryScheduled", "delivery"),
    "driverAvailable": ("deliveryScheduled", "cookingScheduled", "kitchen"),
    "delivered": ("inTransit", "delivered", None),
    "paymentFailed": ("created", "paymentFailed", None),
    "orderCancelled": ("orderCancelled", "orderCancelled", "delivery_cancel"),
}


def put_order(system, status):
    order_id, now = str(uuid.uuid4()), datetime.now(timezone.utc)
    has_delivery = status not in ("created", "paymentFailed")
    order = {"_id": order_id, "items": [{"product": flow.PRODUCT, "quantity": 1}], "status": status, "created": now,
             "customer_id": bson.Binary(uuid.uuid4().bytes, 4), "kitchen_id": None,
             "delivery_id": bson.Binary(uuid.uuid4().bytes, 4) if has_delivery else None,
             "updated": [{"status": status, "when": now}]}
    system.db.orders.insert_one(order)
    if status == "orderCancelled":
        system.db.payments.insert_one(
            {"_id": order_id, "metadata": {"receiver": "Faults", "order_id": order_id,
                                           "customer_id": str(uuid.uuid4())},
             "transaction_id": bson.Binary(uuid.uuid4().bytes, 4), "status": "paymentPaid", "created": now})
    return order_id


def settled(system, order_id, status):
    """The order has come to its status, and owes nothing that orderd does."""
    order = system.doc(order_id)
    done = order["status"] == status and "claim" not in order
    if status == "orderCancelled":
        done = done and len(order.get("settled", [])) == 2
    return done


def chosen_calls(system, faults, event):
    """Counts the calls of one event, from its arrival to its acknowledgement."""
    before, after, _ = STEPS[event]
    for _ in range(2):
        order_id = put_order(system, before)
        faults.arm()
        system.queue.event(order_id, event)
        wait_for(lambda i=order_id: settled(system, i, after), 20, f"{event} of {order_id}")
        faults.disarm()
    return faults.chosen()


@pytest.mark.parametrize("event", STEPS)
def test_event(system, partners, orderd_faults, event):
    faults, pids = orderd_faults, os.environ["ORDERD_PIDS"].split()
    before, after, route = STEPS[event]
    orders = []
    for call in chosen_calls(system, faults, event):
        order_id = put_order(system, before)
        faults.arm(call)
        system.queue.event(order_id, event)
        wait_for(lambda i=order_id: faults.failed or settled(system, i, after), 20, f"{event} of {order_id}")
        orders.append((order_id, faults.where() if faults.failed else "no call failed"))
        until = time.monotonic() + 0.3      # a connection is back by then; what is parked is looked at later
        while not settled(system, order_id, after) and time.monotonic() < until:
            time.sleep(0.02)
        faults.disarm()
    late = []
    for order_id, where in orders:
        try:
            wait_for(lambda i=order_id: settled(system, i, after), 40, f"{order_id} at {after}")
        except pytest.fail.Exception:
            late.append(f"{where}: {system.doc(order_id)}")
        calls = partners.calls_of(route, order_id) if route and route != "delivery_cancel" else []
        keys = {call.headers.get("Idempotency-Key") for call in calls}
        assert len(keys) == (1 if calls else 0), f"{where}: {calls}"
    assert not late, "\n".join(late)
    assert system.queue.take("OrderService.dead") is None
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids), "orderd has ended"
