"""foodctl stuck: what stands too long, and why; and that nothing else is called stuck. No sweepd runs here."""

import json
import re
import uuid

from bson import Binary

from conftest import ago, claimed, wait_for
from foodctl import bad, run


def stuck(*options):
    """(its orders, its payments), by id; the exit code says whether there are any."""
    result = run("stuck", "--json", *options)
    assert result.stderr == "", result
    answer = json.loads(result.stdout)
    assert result.returncode == (1 if answer["orders"] or answer["payments"] or answer["unreadable"] else 0)
    return [{one["id"]: one for one in answer[kind]} for kind in ("orders", "payments")]


def test_an_order_that_owes_something(stored):
    since = ago(seconds=100)
    claim = claimed()
    old = stored("created", since, owes_since=since, updated=[], **claim)
    cancelled = stored("orderCancelled", since, owes_since=since, delivery_id=Binary(uuid.uuid4().bytes, 4), **claim)
    young = stored("created", ago(seconds=3), owes_since=ago(seconds=3), updated=[], **claim)
    foreign = stored("driverAvailable", since, **claim)         # another implementation writes no owes_since
    orders, _ = stuck()
    assert young not in orders
    assert orders[old]["owes"] == ["payment"] and orders[old]["waits_for"] is None and 100 <= orders[old]["age"] < 160
    assert orders[old]["claim"]["by"] == claim["claim"]["by"] and orders[old]["claim"]["until"].endswith("Z")
    assert sorted(orders[cancelled]["owes"]) == ["deliveryCancel", "reimbursement"]
    assert set(orders[foreign]["owes"]) >= {"kitchen"}
    assert young in stuck("--older", "1s")[0] and old not in stuck("--older", "1h")[0]
    text = run("stuck").stdout
    assert re.search(rf"\norder    {old}  created            \d+[sm] +owes payment; claimed by "
                     rf"{claim['claim']['by']} until 2", text)
    assert re.search(r"\nstuck: \d+ orders, \d+ payments?\n$", text) and text.startswith("KIND     ORDER")


def test_an_order_whose_payment_the_card_company_has(stored, system):
    """It may take 20 s, and nobody owes anything meanwhile; what it did not take is owed."""
    def one(age, taken=True, status="pending"):
        order_id = stored("created", age, owes_since=age, updated=[])
        system.db.payments.insert_one({
            "_id": order_id, "metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": "c"},
            "status": status, "created": age} | ({"transaction_id": Binary(uuid.uuid4().bytes, 4)} if taken else {}))
        return order_id

    young, old = one(ago(seconds=40)), one(ago(minutes=3))
    refused, paid = one(ago(seconds=40), taken=False), one(ago(seconds=40), status="paymentPaid")
    orders, payments = stuck()
    assert young not in orders and young not in payments
    assert orders[old]["owes"] == [] and orders[old]["waits_for"] == "paymentPaid" and old in payments
    assert orders[refused]["owes"] == ["payment"] and orders[paid]["owes"] == ["payment"]
    assert (orders[paid]["payment"], orders[paid]["event_sent"]) == ("paymentPaid", True)
    assert "payment" not in orders[refused] and "payment" not in orders[old]
    assert stuck("--older", "30s")[0][young]["waits_for"] == "paymentPaid"


def test_an_order_that_has_not_heard_of_its_payment(stored, system):
    since = ago(seconds=40)
    ids = [stored("created", since, owes_since=since, updated=[], **claimed()) for _ in range(3)]
    mark = {"id": str(uuid.uuid4()), "status": "paymentPaid", "when": since}
    for order_id, status, outbox in zip(ids, ("paymentPaid", "paymentPaid", "paymentFailed"), ([], [mark], [])):
        system.db.payments.insert_one({
            "_id": order_id, "metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": "c"},
            "transaction_id": Binary(uuid.uuid4().bytes, 4), "status": status, "created": since, "outbox": outbox})
    try:
        text = run("stuck").stdout
        for order_id, why in zip(ids, ("paid; its event has not been consumed", "paid; its event has not been sent",
                                       "paymentFailed; its event has not been consumed")):
            assert re.search(rf"\norder    {order_id}  created            \d+[sm] +{why}\n", text), text
    finally:
        system.db.payments.delete_many({"_id": {"$in": ids}})


def test_a_claim_speaks_to_no_terminal(stored):
    stored("paymentPaid", ago(minutes=5), claim={"by": "\x1b[2Jme", "until": ago(minutes=-50)})
    shown = run("stuck").stdout
    assert "me until" in shown and "\x1b" not in shown


def test_an_order_that_waits_for_an_event(stored):
    ids = {"delivery_id": Binary(uuid.uuid4().bytes, 4), "kitchen_id": Binary(uuid.uuid4().bytes, 4)}
    driver = stored("deliveryScheduled", ago(minutes=40), delivery_id=ids["delivery_id"])
    meal = stored("cookingMeal", ago(minutes=70), **ids)
    fine = stored("cookingMeal", ago(minutes=30), **ids)
    money = stored("orderCancelled", ago(minutes=11), settled=["deliveryCancel", "reimbursement"],
                   delivery_id=ids["delivery_id"])
    ended = [stored("delivered", ago(days=3), **ids), stored("paymentFailed", ago(days=3))]
    orders, _ = stuck()
    waits = [orders[one]["waits_for"] for one in (driver, meal, money)]
    assert waits == ["driverAvailable", "cookingDone", "reimbursed"]
    assert orders[meal]["owes"] == [] and not {fine, *ended} & set(orders)
    assert fine in stuck("--older", "10m")[0] and driver not in stuck("--older", "1h")[0]
    assert re.search(rf"order    {meal}  cookingMeal        1h    waits for cookingDone\n", run("stuck").stdout)


def test_a_payment_whose_event_was_not_sent_or_that_is_pending(system):
    for one in (unsent := str(uuid.uuid4())), (pending := str(uuid.uuid4())), (young := str(uuid.uuid4())):
        system.db.payments.insert_one({
            "_id": one, "metadata": {"receiver": "OrderService", "order_id": one, "customer_id": "c"},
            "transaction_id": Binary(uuid.uuid4().bytes, 4), "status": "paymentPaid" if one == unsent else "pending",
            "created": ago(seconds=10) if one == young else ago(minutes=5), "asked": ago(minutes=5)})
    mark = {"id": str(uuid.uuid4()), "status": "paymentPaid", "when": ago(seconds=30)}
    system.db.payments.update_one({"_id": unsent}, {"$set": {"outbox": [mark]}})
    try:
        _, payments = stuck()
        assert payments[unsent]["unsent"] == "paymentPaid" and 30 <= payments[unsent]["age"] < 90
        assert payments[pending]["pending"] == "payment" and payments[pending]["taken"] and young not in payments
        text = run("stuck").stdout
        assert re.search(rf"\npayment  {unsent}  paymentPaid        \d+s +the event paymentPaid was not sent\n", text)
        assert re.search(rf"\npayment  {pending}  pending            5m    the card company has not called back about "
                         "the payment\n", text)
    finally:
        system.db.payments.delete_many({"_id": {"$in": [unsent, pending, young]}})


def test_a_payment_that_is_not_asked_for_again(system):
    system.db.payments.insert_one({
        "_id": (one := str(uuid.uuid4())),
        "metadata": {"receiver": "OrderService", "order_id": one, "customer_id": "c"},
        "amount": 6.25, "status": "pending", "created": ago(hours=25), "asked": ago(hours=24), "attempts": 2,
        "ask_until": ago(hours=2)})
    try:
        assert stuck()[1][one]["stale"]
        assert re.search(rf"payment  {one}  pending            1d    the card company has not taken the payment, "
                         r"and is not "
                         "asked again: it may not know the key\n", run("stuck").stdout)
        system.db.payments.update_one({"_id": one}, {"$set": {"ask_until": ago(hours=-1)}})
        assert not stuck()[1][one]["stale"]
    finally:
        system.db.payments.delete_one({"_id": one})


def test_documents_that_nobody_can_read(system, stored):
    order_id = stored("created", ago(minutes=5), items=5)
    system.db.payments.insert_one({"_id": (payment := str(uuid.uuid4())), "status": "pending",
                                   "created": ago(minutes=5), "metadata": 5})
    try:
        bad_ones = json.loads(run("stuck", "--json").stdout)["unreadable_documents"]
        assert {"kind": "order", "id": order_id, "reason": "items is of another type"} in bad_ones
        assert payment in [one["id"] for one in bad_ones if one["kind"] == "payment"]
        shown = run("stuck")
        assert shown.returncode == 1
        assert f"order    {order_id}  ?                  ?     cannot be read: items" in shown.stdout
    finally:
        system.db.payments.delete_one({"_id": payment})


def test_the_limit_is_told(stored):
    for _ in range(3):          # older than what other tests have left, which counts and need not be stuck
        stored("created", ago(hours=1), owes_since=ago(hours=1), updated=[], **claimed())
    assert "; there may be more: --limit N looks further\n" in run("stuck", "--limit", "2").stdout
    assert len(stuck("--limit", "2")[0]) >= 2


def test_what_a_working_system_does_is_not_stuck(system):
    order_id = system.paid()["id"]
    assert order_id not in stuck()[0]
    wait_for(lambda: order_id in stuck("--older", "1s")[0], what="a second to go by")


def test_mongodb_is_all_it_needs():
    gone = {name: None for name in ("ORDER_URL", "PAYMENT_URL", "REDIS_URL", "AMQP_URL", "API_KEY")}
    assert run("stuck", **gone).returncode in (0, 1) and "stuck: " in run("stuck", **gone).stdout
    bad("stuck", code=1, says="MONGO_URL is not set", MONGO_URL=None)
