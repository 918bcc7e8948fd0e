"""foodctl order refund: an order that a partner refuses for good is given up, and its money back, once. No sweepd
runs here."""

import os
import signal
import subprocess
import uuid

import pytest
from bson import Binary

from conftest import ago, claimed, pids, wait_for
from foodctl import FOODCTL, bad, closed_port, environment, from_json, good
from partners import Answer


def paid(system):
    order_id = system.place()["id"]
    system.callback(order_id, "paymentPaid")
    return order_id


def reimbursed(system, partners, order_id):
    """The card company's part; then all is done, and a repeat changes nothing."""
    assert len(partners.calls_of("reimburse", order_id)) == 1
    system.callback(order_id, "reimbursed")
    system.wait_status(order_id, "reimbursed")
    assert system.show(order_id)["status"] == "reimbursed"      # the cache's, too
    wait_for(lambda: good("order", "refund", order_id) == f"nothing is owed\norder {order_id} is reimbursed\n",
             what="an order that owes nothing, a cleared mark included")
    assert len(partners.calls_of("reimburse", order_id)) == 1


def test_what_kitchen_service_refuses(system, partners):
    """The customer can't cancel any more. The driver is sent home, and the money given back."""
    partners.say("kitchen", Answer(422, {"detail": "We are out of pasta"}))
    order_id = paid(system)
    system.wait_status(order_id, "deliveryScheduled")
    good("respond", order_id, "driverAvailable")
    wait_for(lambda: partners.calls_of("kitchen", order_id), what="the kitchen's refusal")
    wait_for(lambda: "claim" not in system.doc(order_id), what="the end of orderd's claim")
    system.wait_status(order_id, "driverAvailable")
    bad("order", "cancel", order_id, code=1, says=r"\(status 400\)")
    assert good("order", "refund", order_id, "--wait", "20") == (
        "given up: it is cancelled\nreimbursement asked: accepted\ndeliveryCancel asked: accepted\n"
        f"order {order_id} is orderCancelled\n")
    assert len(partners.calls_of("delivery_cancel", None)) == 1
    reimbursed(system, partners, order_id)
    assert system.history(order_id) == ["paymentPaid", "deliveryScheduled", "driverAvailable", "orderCancelled",
                                        "reimbursed"]


def test_what_delivery_service_refuses(system, partners):
    """There is no delivery to be cancelled."""
    partners.say("delivery", Answer(422, {"detail": "We do not deliver there"}))
    order_id = paid(system)
    wait_for(lambda: partners.calls_of("delivery", order_id), what="the delivery's refusal")
    wait_for(lambda: "claim" not in system.doc(order_id), what="the end of orderd's claim")
    bad("order", "cancel", order_id, code=1, says=r"\(status 400\)")
    partners.say("delivery", Answer(409, {"detail": "The first request is at work"}))
    bad("order", "refund", order_id, "--wait", "20", code=1, says="DeliveryService answered 409",
        prints=r"given up: it is cancelled\nreimbursement asked: accepted\ndelivery asked: later: .*\n")
    partners.say("delivery", Answer(422, {"detail": "We do not deliver there"}))
    assert from_json("order", "refund", order_id) == {
        "id": order_id, "status": "orderCancelled", "given_up": False, "relayed": [],
        "did": [{"owed": "delivery", "outcome": "there is none to cancel", "reason": None}]}
    assert not partners.calls_of("delivery_cancel", None)
    reimbursed(system, partners, order_id)
    assert system.history(order_id) == ["paymentPaid", "orderCancelled", "reimbursed"]


def test_a_scheduled_delivery(system, partners):
    """Nothing is owed, so that there is no claim to be had: it is as the customer's cancel."""
    order_id = paid(system)
    system.wait_status(order_id, "deliveryScheduled")
    assert good("order", "refund", order_id).startswith("given up: it is cancelled\n")
    reimbursed(system, partners, order_id)


def test_what_another_implementation_left(system, partners, stored):
    """Paid, its delivery scheduled, and never told so: nothing is owed, and the customer can't cancel."""
    order_id = system.place()["id"]
    system.db.payments.update_one({"_id": order_id}, {"$set": {"status": "paymentPaid"}})
    now = ago(seconds=1)
    system.db.orders.update_one({"_id": order_id}, {
        "$set": {"status": "paymentPaid", "updated": [{"status": "paymentPaid", "when": now}],
                 "delivery_id": Binary(uuid.uuid4().bytes, 4)}, "$unset": {"owes_since": "", "claim": ""}})
    partners.say("delivery_cancel", Answer(404, {"detail": "no such delivery"}))
    assert good("order", "refund", order_id).startswith(
        "given up: it is cancelled\nreimbursement asked: accepted\ndeliveryCancel asked: accepted\n")
    assert len(partners.calls_of("reimburse", order_id)) == 1


def test_a_customer_who_is_unknown_says_nothing_of_the_delivery(system, partners):
    partners.say("delivery", Answer(500, {"detail": "it may have been taken"}))
    order_id = paid(system)
    wait_for(lambda: partners.calls_of("delivery", order_id), what="the delivery's request")
    partners.say("address", Answer(404, {"detail": "no such customer"}))
    bad("order", "refund", order_id, "--wait", "40", code=1, says="CustomerService answered 404",
        prints=r"given up: it is cancelled\nreimbursement asked: accepted\ndelivery asked: refused: CustomerService")


def test_not_while_another_may_be_calling_kitchen_service(system, partners, stored):
    claim = claimed()
    since = ago(minutes=1)
    order_id = stored("driverAvailable", since, owes_since=since, delivery_id=Binary(uuid.uuid4().bytes, 4), **claim)
    for wait in ([], ["--wait", "0.5"]):
        bad("order", "refund", order_id, *wait, code=1,
            says=f"{claim['claim']['by']} does what the order owes, and has claimed it until 2.*Z: --wait")
    assert system.doc(order_id)["status"] == "driverAvailable" and not partners.calls_of("reimburse", order_id)


def test_a_claim_that_ran_out_before_the_call_is_no_claim(system, partners, without_orderd, tmp_path):
    """orderd has claimed the order, and hangs in Redis; the order is given up meanwhile. No meal is cooked for it."""
    [server] = pids("redis")
    with open(tmp_path / "orderd.log", "wb") as log, subprocess.Popen(
            [f"{os.environ['BUILD']}/bin/foodsvc-orderd", f"--config={os.environ['RUN']}/orderd.conf", "--claim=3s",
             "--partner-timeout=1s", "--redis-timeout=60s"], stdin=subprocess.DEVNULL, stderr=log) as orderd:
        try:
            order_id = system.paid()["id"]
            os.kill(server, signal.SIGSTOP)
            try:
                system.queue.event(order_id, "driverAvailable")
                wait_for(lambda: system.doc(order_id)["status"] == "driverAvailable", what="the event")
                bad("order", "refund", order_id, "--wait", "30", code=1, says="order refund: ",
                    prints="given up: it is cancelled\n", REDIS_URL=f"redis://127.0.0.1:{closed_port()}")
            finally:
                os.kill(server, signal.SIGCONT)
            system.callback(order_id, "reimbursed")
            system.wait_status(order_id, "reimbursed")
            assert not partners.calls_of("kitchen", order_id)
        finally:
            orderd.terminate()
            assert orderd.wait(20) == 0


@pytest.mark.parametrize("status, more", [
    ("created", {"updated": []}), ("cookingScheduled", {}), ("inTransit", {}), ("delivered", {}),
    ("driverAvailable", {"kitchen_id": Binary(uuid.uuid4().bytes, 4), "delivery_id": Binary(uuid.uuid4().bytes, 4)}),
    ("paymentFailed", {}), ("cookingScheduled", {"delivery_id": None}),
])
def test_what_cannot_be_given_up(system, partners, stored, status, more):
    order_id = stored(status, ago(minutes=1), **more)
    before = system.doc(order_id)
    bad("order", "refund", order_id, code=1,
        says=f"order {order_id} is {status}: an order can be given up while it is paid and KitchenService")
    after = system.doc(order_id)
    assert (after["status"], after["updated"]) == (before["status"], before["updated"]) and "claim" not in after
    assert not partners.calls_of("reimburse", order_id) and not partners.calls_of("bill", order_id)


@pytest.mark.parametrize("scheduled", [True, False])
def test_many_at_once_give_back_once(system, partners, scheduled):
    """Operators, and the customer's cancel."""
    if not scheduled:
        partners.say("delivery", Answer(422, {"detail": "We do not deliver there"}))
    order_id = paid(system)
    system.wait_status(order_id, "deliveryScheduled" if scheduled else "paymentPaid")
    foodctls = [subprocess.Popen([FOODCTL, "order", "refund", order_id, "--wait", "20"], env=environment({}), cwd="/",
                                 stdout=subprocess.DEVNULL) for _ in range(3)]
    assert system.order.post(f"/v1/orders/{order_id}/cancel").status_code in (202, 400)
    assert [process.wait(40) for process in foodctls] == [0, 0, 0]
    wait_for(lambda: partners.calls_of("reimburse", order_id), what="the refund to be asked for")
    wait_for(lambda: partners.calls_of("delivery_cancel", None) or not scheduled, what="the delivery's cancel")
    assert len({call.headers["Idempotency-Key"] for call in partners.calls_of("reimburse", order_id)}) == 1
    system.callback(order_id, "reimbursed")
    system.wait_status(order_id, "reimbursed")
    assert system.history(order_id).count("orderCancelled") == 1


def test_a_service_that_is_away_gets_it_later(system, partners):
    """Given up is given up: the rest is owed, as of any cancelled order."""
    order_id = paid(system)
    system.wait_status(order_id, "deliveryScheduled")
    partners.stop("DeliveryService")
    try:
        bad("order", "refund", order_id, code=1, says="try again when it is back",
            prints=r"given up: it is cancelled\nreimbursement asked: accepted\ndeliveryCancel asked: later: .*\n")
    finally:
        partners.start("DeliveryService")
    assert good("order", "refund", order_id) == (f"deliveryCancel asked: accepted\norder {order_id} is "
                                                 "orderCancelled\n")
    reimbursed(system, partners, order_id)


def test_wrongly_asked(system):
    nobody = str(uuid.uuid4())
    bad("order", "refund", "x", code=2, says="no order's id")
    bad("order", "refund", nobody, code=1, says="order .* does not exist: `foodctl order list`")
