"""foodctl order repair: what an order owes is done now, once, and it says what it did. No sweepd runs here."""

import datetime
import os
import re
import subprocess
import uuid

import pytest
import redis
from bson import Binary

from conftest import ago, claimed, make, wait_for
from foodctl import FOODCTL, bad, environment, from_json, good, run
from partners import Answer


def owing(stored, status, **more):
    """An order that nobody has looked after for a minute."""
    since = ago(minutes=1)
    return stored(status, since, owes_since=since, **more)


def test_a_payment_that_was_never_asked_for(system, partners, stored):
    order_id = owing(stored, "created", updated=[])
    said = f"payment asked: accepted\norder {order_id} is created\n"
    assert good("order", "repair", order_id) == said
    assert len(partners.calls_of("bill", order_id)) == 1 and "claim" not in system.doc(order_id)
    bad("order", "repair", order_id, code=1, prints=f"^{said}$",
        says="asked for the payment at .*, and has not reported")
    assert len(partners.calls_of("bill", order_id)) == 1
    assert system.callback(order_id, "paymentPaid").status_code == 201
    system.wait_status(order_id, "deliveryScheduled")
    wait_for(lambda: good("order", "repair", order_id) == f"nothing is owed\norder {order_id} is deliveryScheduled\n",
             what="an order that owes nothing, a cleared mark included")


def test_a_payment_that_is_refused(partners, stored):
    partners.say("bill", Answer(400, {"detail": "no"}))
    order_id = owing(stored, "created", updated=[])
    assert from_json("order", "repair", order_id) == {
        "id": order_id, "status": "paymentFailed", "relayed": [],
        "did": [{"owed": "payment", "outcome": "paymentFailed", "reason": None}]}


def test_a_delivery_and_the_cache(system, partners, stored):
    order_id = owing(stored, "paymentPaid")
    assert system.show(order_id)["status"] == "paymentPaid"     # now Redis has it, too
    partners.stop("DeliveryService")
    try:
        bad("order", "repair", order_id, code=1, says=r"DeliveryService: .*: try again when it is back",
            prints=rf"delivery asked: later: DeliveryService.*\norder {order_id} is paymentPaid\n")
        assert "claim" not in system.doc(order_id)
    finally:
        partners.start("DeliveryService")
    assert good("order", "repair", order_id) == (f"delivery asked: deliveryScheduled\n"
                                                 f"order {order_id} is deliveryScheduled\n")
    assert system.show(order_id)["status"] == "deliveryScheduled"
    assert len(partners.calls_of("delivery", order_id)) == 1


def test_all_debts_of_a_cancelled_order(system, partners, stored):
    order_id = owing(stored, "created", updated=[])
    good("order", "repair", order_id)
    system.callback(order_id, "paymentPaid")
    system.wait_status(order_id, "deliveryScheduled")
    system.db.orders.update_one({"_id": order_id}, {
        "$set": {"status": "orderCancelled", "owes_since": ago(minutes=1)},
        "$push": {"updated": {"status": "orderCancelled", "when": ago(minutes=1)}}})
    partners.say("delivery_cancel", Answer(422, {"detail": "too late"}))
    bad("order", "repair", order_id, code=1, says="DeliveryService answered 422: .*asking again will hardly help",
               prints=r"reimbursement asked: accepted\ndeliveryCancel asked: refused: .*too late\n")
    partners.say("delivery_cancel", Answer(201, {"status": "deliveryCancelled"}))
    assert good("order", "repair", order_id).startswith("deliveryCancel asked: accepted\norder ")
    assert len(partners.calls_of("reimburse", order_id)) == 1


def test_an_order_that_another_has_claimed(system, partners, stored):
    claim = claimed()
    order_id = owing(stored, "paymentPaid", **claim)
    by = claim["claim"]["by"]
    bad("order", "repair", order_id, code=1, prints=f"order {order_id} is paymentPaid",
        says=f"{by} does what the order owes, and has claimed it until 2.*Z: --wait SECONDS waits")
    bad("order", "repair", order_id, "--wait", "0.5", code=1, says=by, prints="is paymentPaid")
    assert not partners.calls_of("delivery", order_id)
    system.db.orders.update_one({"_id": order_id}, {"$set": {"claim.until": ago(seconds=-2)}})
    assert good("order", "repair", order_id, "--wait", "20").startswith("delivery asked: deliveryScheduled\n")


def test_two_at_once_call_once(partners, stored):
    partners.say("delivery", Answer(202, {"delivery_id": str(uuid.uuid4()), "status": "deliveryScheduled"}, delay=1.0))
    order_id = owing(stored, "paymentPaid")
    both = [subprocess.Popen([FOODCTL, "order", "repair", order_id, "--wait", "20"], env=environment({}), cwd="/",
                             stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=40)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said[0].startswith("delivery asked: deliveryScheduled\n") and "nothing is owed" in said[1]
    assert len(partners.calls_of("delivery", order_id)) == 1


def test_a_payments_event_that_was_not_sent(system, stored):
    order_id = owing(stored, "created", updated=[])
    good("order", "repair", order_id)
    marks = [{"id": str(uuid.uuid4()), "status": status, "when": datetime.datetime.now(datetime.timezone.utc)}
             for status in ("paymentFailed", "paymentPaid")]
    system.db.payments.update_one({"_id": order_id}, {"$set": {"status": "paymentPaid", "outbox": marks}})
    bad("order", "repair", order_id, code=1, says="AMQP_URL is not set", prints="payment asked", AMQP_URL=None)
    assert re.search("\nevent sent: paymentFailed\nevent sent: paymentPaid\norder", good("order", "repair", order_id))
    assert "outbox" not in system.db.payments.find_one({"_id": order_id})
    wait_for(lambda: "paymentPaid" in system.history(order_id), what="the events")
    assert system.history(order_id)[:2] == ["paymentFailed", "paymentPaid"]


def test_without_redis_it_is_done_and_told(system, stored, without):
    order_id = owing(stored, "paymentPaid")
    without("redis")
    bad("order", "repair", order_id, code=1, says=f"it is done, but Redis .*`foodctl cache flush {order_id}`",
        prints="delivery asked: deliveryScheduled")
    assert system.doc(order_id)["status"] == "deliveryScheduled"
    make("start-redis")


def test_redis_behind_a_socket_of_the_file_system(system, stored, tmp_path):
    """orderd and sweepd speak to it with the same code."""
    socket = str(tmp_path / "redis")
    order_id = owing(stored, "paymentPaid")
    with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", tmp_path],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: os.path.exists(socket), what="its socket")
            good("order", "repair", order_id, REDIS_URL=f"unix:{socket}")
            assert b'"deliveryScheduled"' in redis.Redis(unix_socket_path=socket).get(order_id)
        finally:
            server.terminate()


@pytest.mark.parametrize("arguments, code, says, changes", [
    (["x"], 2, "no order's id", {}),
    ([], 2, "needs ORDER", {}),
    ([str(uuid.uuid4())], 1, "order .* does not exist: `foodctl order list`", {}),
    ([str(uuid.uuid4())], 1, "MONGO_URL is not set", {"MONGO_URL": None}),
    ([str(uuid.uuid4())], 1, "REDIS_URL is not set", {"REDIS_URL": None}),
    ([str(uuid.uuid4())], 1, "REDIS_URL is not a Redis url", {"REDIS_URL": "http://me:s3cret@h"}),
])
def test_wrongly_asked(system, arguments, code, says, changes):
    bad("order", "repair", *arguments, code=code, says=says, **changes)


def test_a_key_that_payment_service_does_not_know(stored):
    order_id = owing(stored, "created", updated=[])
    bad("order", "repair", order_id, code=1, says="PaymentService answered 401", prints="payment asked: later",
        API_KEY="s3cret")
    assert run("order", "repair", order_id).returncode == 0


def test_partners_are_called_where_they_may_be_alone(partners, stored):
    order_id = owing(stored, "paymentPaid")
    bad("order", "repair", order_id, code=1, says="partner_allow does not have", prints="delivery asked: later",
        PARTNER_ALLOW="10.0.0.0/8")
    bad("order", "repair", order_id, code=1, says="PARTNER_ALLOW: ", PARTNER_ALLOW="10.0.0.0/99")
    assert not partners.calls_of("delivery", order_id)
    repaired = good("order", "repair", order_id, PARTNER_ALLOW="10.0.0.0/8 127.0.0.1")
    assert repaired.startswith("delivery asked: delivery")


def test_unknown_partners(system, stored):
    """Neither Redis nor MongoDB knows where a service is."""
    order_id = owing(stored, "driverAvailable", delivery_id=Binary(uuid.uuid4().bytes, 4))
    kitchen = system.db.service_urls.find_one_and_delete({"_id": "KitchenService"})
    system.redis.delete("KitchenService")
    try:
        bad("order", "repair", order_id, code=1, says="KitchenService", prints="kitchen asked: later: ")
    finally:
        system.db.service_urls.insert_one(kitchen)


@pytest.mark.parametrize("status", ["pending", "paymentPaid"])
def test_a_payment_that_is_not_reported_on_is_asked_for_again(system, partners, status):
    """Or whose event got lost. What orderd would do was done: it is not for repair to look as if it had helped."""
    order_id = system.place()["id"]
    if status == "paymentPaid":
        system.lose(order_id, status)
    asked = system.db.payments.find_one({"_id": order_id})["asked"].strftime("%Y-%m-%dT%H:%M:%S")
    told = "asked for the payment at .*, and has not reported" if status == "pending" else "the order has not heard"
    said = bad("order", "repair", order_id, code=1, says=told,
               prints=f"^payment asked: accepted\norder {order_id} is created\n$")
    assert asked in said
    system.asked_at(order_id, ago(minutes=10))
    assert good("order", "repair", order_id).startswith("payment asked: accepted\n")
    if status == "pending":
        wait_for(lambda: len(partners.calls_of("bill", order_id)) == 2, what="the card company asked again")
        assert system.callback(order_id, "paymentPaid").status_code == 201
    system.wait_status(order_id, "deliveryScheduled")
    assert len({call.headers["Idempotency-Key"] for call in partners.calls_of("bill", order_id)}) == 1


def test_a_refund_that_is_not_reported_on_is_asked_for_again(system, partners):
    order_id = system.cancelled()
    asked = system.db.payments.find_one({"_id": order_id})["asked"].strftime("%Y-%m-%dT%H:%M:%S")
    said = bad("order", "repair", order_id, code=1, prints=f"^order {order_id} is orderCancelled\n$",
               says="asked for the reimbursement at .*, and has not reported: when it has had 2 minutes, repair has it")
    assert asked in said and len(partners.calls_of("reimburse", order_id)) == 1
    result = run("order", "repair", order_id, "--json")
    assert result.returncode == 1 and f'"waits":{{"of":"reimbursement","since":"{asked}' in result.stdout
    system.asked_at(order_id, ago(minutes=10))
    assert good("order", "repair", order_id) == (f"reimbursement asked: accepted\n"
                                                 f"order {order_id} is orderCancelled\n")
    wait_for(lambda: len(partners.calls_of("reimburse", order_id)) == 2, what="the card company asked again")
    assert len({call.headers["Idempotency-Key"] for call in partners.calls_of("reimburse", order_id)}) == 1
    doc = system.doc(order_id)
    assert "claim" not in doc and "owes_since" not in doc and "reimbursement" in doc["settled"]
    assert system.callback(order_id, "reimbursed").status_code == 201
    system.wait_status(order_id, "reimbursed")
    # a mark that was cleared just now is read until a majority has that: its event is sent once more, and harms nobody
    wait_for(lambda: good("order", "repair", order_id) == f"nothing is owed\norder {order_id} is reimbursed\n",
             what="an order that owes nothing")


def test_a_refund_that_the_company_may_have_forgotten(system, partners):
    order_id = system.cancelled()
    system.asked_at(order_id, ago(hours=25), ask_until=ago(hours=2))
    since = ago(hours=25).strftime("%Y-%m-%dT%H:")
    bad("order", "repair", order_id, code=1, prints=f"^order {order_id} is orderCancelled\n$",
        says=f"asked for the reimbursement at {since}.*, has not reported, and may have forgotten the key")
    assert len(partners.calls_of("reimburse", order_id)) == 1


def test_a_charge_of_a_failed_order_that_is_not_reported_on(system, partners):
    """The company may have charged all the same."""
    partners.say("bill", Answer(500, {"detail": "oops"}))
    customer = str(uuid.uuid4())
    assert system.order.post("/v1/orders", json=system.payload(customer_id=customer)).status_code == 400
    order_id = system.db.orders.find_one({"customer_id": Binary(uuid.UUID(customer).bytes, 4)})["_id"]
    system.wait_status(order_id, "paymentFailed")
    partners.say("bill", None)
    before = len(partners.calls_of("bill", order_id))
    bad("order", "repair", order_id, code=1, says="asked for the payment at .*, and has not reported",
        prints=f"^order {order_id} is paymentFailed\n$")
    assert len(partners.calls_of("bill", order_id)) == before
    system.asked_at(order_id, ago(minutes=10))
    assert good("order", "repair", order_id) == f"payment asked: accepted\norder {order_id} is paymentFailed\n"
    wait_for(lambda: len(partners.calls_of("bill", order_id)) == before + 1, what="the card company asked again")
    assert len({call.headers["Idempotency-Key"] for call in partners.calls_of("bill", order_id)}) == 1
    system.asked_at(order_id, ago(minutes=10))
    bad("order", "repair", order_id, code=1, says="PaymentService answered 401: try again",
        prints="payment asked: later", API_KEY="s3cret")


@pytest.mark.parametrize("status", ["reimbursed", "paymentPaid"])
def test_an_event_that_the_queue_has_lost(system, partners, status):
    """Of a refund; of a payment that failed first."""
    if status == "reimbursed":
        order_id = system.cancelled()
    else:
        order_id = system.place()["id"]
        assert system.callback(order_id, "paymentFailed").status_code == 201
        system.wait_status(order_id, "paymentFailed")
    system.lose(order_id, status)
    bad("order", "repair", order_id, code=1, prints=f"^order {order_id} is ",
        says=f"the payment is {status}, and the order has not heard; PaymentService was asked at 2")
    system.asked_at(order_id, ago(minutes=10))
    debt = "reimbursement" if status == "reimbursed" else "payment"
    assert good("order", "repair", order_id).startswith(f"{debt} asked: accepted\n")
    if status == "paymentPaid":         # and so the money goes back
        wait_for(lambda: partners.calls_of("reimburse", order_id), what="the refund")
        assert system.callback(order_id, "reimbursed").status_code == 201
    system.wait_status(order_id, "reimbursed")
    assert len(partners.calls_of("bill", order_id)) == len(partners.calls_of("reimburse", order_id)) == 1


def test_a_refund_that_is_refused_again_and_again(system, partners):
    order_id = system.cancelled()
    system.asked_at(order_id, ago(minutes=10), status="paymentPaid", reimburse_refused=4)
    system.db.payments.update_one({"_id": order_id}, {"$unset": {"reimburse": 1, "reimburse_taken": 1}})
    bad("order", "repair", order_id, code=1, says="refused the reimbursement 4 times, and was asked last at 2",
        prints=f"^order {order_id} is orderCancelled\n$")
    assert len(partners.calls_of("reimburse", order_id)) == 1
