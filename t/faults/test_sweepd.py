"""Each call of sweepd that can fail fails once in an idle sweep and for each kind of what it finds undone: it is done
in the end, once, by the same process."""

import os
import signal
import subprocess
import time
import uuid
from datetime import datetime, timedelta, timezone

import bson
import pytest

from conftest import BUILD, Faults, environment, flow, keys, wait_for

RUN = os.environ["RUN"]
AGES = [f"--age-{status}=200ms" for status in ("created", "payment-paid", "delivery-scheduled", "driver-available",
                                               "order-cancelled", "payment-failed", "reimbursed")]
FLAGS = ["--interval=50ms", "--age-outbox=200ms", "--age-callback=1s", *AGES]
RECEIVER = "FaultsOfSweepd"
PATIENCE = 320      # s: what MongoDB refuses is tried again after 30 s, then 60 and so on, at last every 300


def now():
    return datetime.now(timezone.utc)


def put_order(system, status, **more):
    """One that has stood for a minute."""
    when = now() - timedelta(seconds=60)
    order = {"_id": str(uuid.uuid4()), "items": [{"product": flow.PRODUCT, "quantity": 1}], "status": status,
             "created": when, "customer_id": bson.Binary(uuid.uuid4().bytes, 4), "kitchen_id": None,
             "delivery_id": None,
             "updated": [{"status": status, "when": when}]}
    system.db.orders.insert_one(order | more)
    return order["_id"]


def put_payment(system, order_id, status, **more):
    system.db.payments.insert_one(
        {"_id": order_id, "metadata": {"receiver": RECEIVER, "order_id": order_id, "customer_id": str(uuid.uuid4())},
         "transaction_id": bson.Binary(uuid.uuid4().bytes, 4), "status": status, "amount": 19.99,
         "created": now() - timedelta(minutes=10), "asked": now() - timedelta(minutes=10)} | more)
    return order_id


def owing(system, status, **more):
    return put_order(system, status, owes_since=now() - timedelta(seconds=60), **more)


def refund(system):
    delivery = bson.Binary(uuid.uuid4().bytes, 4)
    return put_payment(system, owing(system, "orderCancelled", delivery_id=delivery), "paymentPaid")


def mark(system):
    marks = [{"id": str(uuid.uuid4()), "status": "paymentPaid", "when": now() - timedelta(seconds=60)}]
    return put_payment(system, str(uuid.uuid4()), "paymentPaid", outbox=marks)


def overdue_refund(system):
    return put_payment(system, settled_order(system), "pending", reimburse=True, reimburse_taken=True)


def settled_order(system):
    return put_order(system, "orderCancelled", delivery_id=None, settled=["deliveryCancel", "reimbursement"])


def told(system, order_id):
    """PaymentService was asked, and has sent its event again."""
    payment = system.db.payments.find_one({"_id": order_id})
    return (payment["asked"] > payment["created"] + timedelta(minutes=1) and "outbox" not in payment
            and "claim" not in system.doc(order_id))


def asked(partners, route, order_id):
    """The card company was asked again, always with one key."""
    assert len(keys(partners, route, order_id)) <= 1
    return bool(partners.calls_of(route, order_id))


# what is found undone: (what puts it there, whether it is done)
DEBTS = {
    "delivery": (lambda system: owing(system, "paymentPaid"),
                 lambda system, partners, i: system.doc(i)["status"] == "deliveryScheduled"),
    "kitchen of a foreign order": (lambda system: put_order(system, "driverAvailable"),
                                   lambda system, partners, i: system.doc(i)["kitchen_id"] is not None),
    "refund": (refund, lambda system, partners, i: len(system.doc(i).get("settled", [])) == 2
               and asked(partners, "reimburse", i)),
    "outbox mark": (mark, lambda system, partners, i: "outbox" not in system.db.payments.find_one({"_id": i})),
    "overdue payment": (lambda system: put_payment(system, put_order(system, "paymentFailed"), "pending"),
                        lambda system, partners, i: asked(partners, "bill", i)),
    "overdue refund": (overdue_refund, lambda system, partners, i: asked(partners, "reimburse", i)
                       and "claim" not in system.doc(i)),
    "refund whose event got lost": (lambda system: put_payment(system, settled_order(system), "reimbursed"),
                                    lambda system, partners, i: told(system, i)),
}


@pytest.fixture(scope="module")
def sweepd(running, tmp_path_factory):
    """A sweepd in a hurry, alone; at the end it has to end well."""
    folder = tmp_path_factory.mktemp("sweepd")
    flow.make("stop-sweepd")
    running.db.orders.delete_many({})
    running.db.payments.delete_many({})
    with open(folder / "log", "w", encoding="utf-8") as file:
        process = subprocess.Popen([f"{BUILD}/bin/foodsvc-sweepd", f"--config={RUN}/sweepd.conf", *FLAGS], stderr=file,
                                   stdin=subprocess.DEVNULL, env=environment(folder))
    wait_for(lambda: "msg=started" in (folder / "log").read_text(), 20, "its start")
    faults = Faults("foodsvc-sweepd", folder)
    faults.process = process
    yield faults
    process.send_signal(signal.SIGTERM)
    status = process.wait(30)
    flow.make("start-sweepd")
    assert status == 0, (folder / "log").read_text()[-3000:]


@pytest.fixture(scope="module")
def idle(sweepd):
    """The calls of sweeps that find nothing."""
    sweepd.arm()
    time.sleep(2)
    sweepd.disarm()
    return {way for way, _ in sweepd.chosen()}


def chosen_calls(system, partners, sweepd, idle, debt):
    """Counts the calls for one debt; those of an idle sweep are tried with the first kind alone."""
    put, done = DEBTS[debt]
    for _ in range(2):
        stage = put(system)
        sweepd.arm()
        wait_for(lambda i=stage: done(system, partners, i), 20, f"{debt} of {stage}")
        time.sleep(0.3)
        sweepd.disarm()
    first = debt == next(iter(DEBTS))
    return [(way, nth) for way, nth in sweepd.chosen() if way not in idle] + [(way, 1) for way in sorted(idle) if first]


@pytest.mark.parametrize("debt", DEBTS)
def test_debt(system, partners, sweepd, idle, debt):
    put, done = DEBTS[debt]
    seen = []
    for call in chosen_calls(system, partners, sweepd, idle, debt):
        stage = put(system)
        sweepd.arm(call)
        wait_for(lambda i=stage: sweepd.failed or done(system, partners, i), PATIENCE, f"{debt} of {stage}")
        seen.append((stage, sweepd.where() if sweepd.failed else "no call failed"))
        time.sleep(0.1)          # what comes of it; whether it is mended is looked at later
        sweepd.disarm()
    late, end = [], time.monotonic() + PATIENCE
    for stage, where in seen:
        try:
            wait_for(lambda i=stage: done(system, partners, i), max(1, end - time.monotonic()), debt)
        except pytest.fail.Exception:
            late.append(f"{where}: {system.doc(stage)} {system.db.payments.find_one({'_id': stage})}")
    assert not late, "\n".join(late)
    assert sweepd.process.poll() is None, "sweepd has ended"
    missed = sum(where == "no call failed" for _, where in seen)
    assert missed < len(seen) / 2, f"{missed} of {len(seen)} calls did not come"
    for stage, where in seen:
        for route in ("delivery", "kitchen"):
            assert len(keys(partners, route, stage)) <= 1, where
    while (message := system.queue.take(RECEIVER)) is not None:
        assert message[1].message_id is not None
    system.db.orders.delete_many({})
    system.db.payments.delete_many({})
