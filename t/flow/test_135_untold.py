"""Orders whose event RabbitMQ had confirmed, and lost: foodsvc-sweepd has PaymentService tell them again."""

import time
import uuid

from conftest import ago, make, wait_for

SAID = "an order has not heard of its refund, PaymentService is asked again"


def lose(system, order_id, status, transaction_id=None):
    """An event is lost, and that was ten minutes ago."""
    system.lose(order_id, status, transaction_id)
    system.asked_at(order_id, ago(minutes=10))


def test_a_payment_whose_event_got_lost_is_told_of_again(system, partners, sweepd):
    order_id = system.place()["id"]
    lose(system, order_id, "paymentPaid")
    assert system.doc(order_id)["status"] == "created"
    sweepd("--age-callback=1s")
    system.wait_status(order_id, "deliveryScheduled", 20)
    assert len(partners.calls_of("bill", order_id)) == 1
    assert system.history(order_id) == ["paymentPaid", "deliveryScheduled"]


def test_a_refund_whose_event_got_lost_is_told_of_again(system, partners, sweepd, stored):
    """By whichever of two; and a refund that is not overdue, or may not be asked for, is left alone meanwhile."""
    soon, stale, order_id = system.cancelled(), system.cancelled(), system.cancelled()
    system.db.payments.update_one({"_id": stale}, {"$set": {"ask_until": ago(hours=1)}})
    lose(system, order_id, "reimbursed")
    assert system.doc(order_id)["status"] == "orderCancelled"
    system.db.orders.update_many({"_id": {"$in": [soon, stale, order_id]}},
                                 {"$set": {"updated.$[].when": ago(days=3)}})
    both = [sweepd("--age-callback=1m"), sweepd("--age-callback=1m")]
    system.wait_status(order_id, "reimbursed", 20)
    system.wait_status(stored("paymentPaid", ago(minutes=1)), "deliveryScheduled", 20)      # sweeps go on
    assert system.history(order_id)[-2:] == ["orderCancelled", "reimbursed"]
    assert [len(partners.calls_of("reimburse", one)) for one in (soon, stale, order_id)] == [1, 1, 1]
    for one in both:
        assert len(one.lines(SAID, order_id)) <= 1
        assert [one.lines(" asked", other) for other in (soon, stale)] == [[], []]
    assert all(system.doc(one)["settled"] == ["deliveryCancel", "reimbursement"] for one in (soon, stale))


def test_an_order_that_does_not_hear_is_told_less_and_less(system, partners, sweepd, without_orderd):
    """Its event waits for an orderd that is away; the next look is a minute away."""
    make("start-orderd")
    order_id = system.cancelled()
    lose(system, order_id, "reimbursed")
    system.db.orders.update_one({"_id": order_id}, {"$set": {"updated.$[].when": ago(hours=1)}})
    make("stop-orderd")
    one = sweepd("--age-callback=1m")
    wait_for(lambda: one.lines(SAID, order_id), what="the question")
    wait_for(lambda: one.lines("asked for what an order waits for", order_id), what="the answer")
    assert "of=reimbursement" in one.lines("asked for what an order waits for", order_id)[0]
    time.sleep(2.0)                     # two walks and more
    assert len(one.lines(SAID, order_id)) == 1 and len(partners.calls_of("reimburse", order_id)) == 1
    assert one.lines("repaired an order", order_id) == []
    events = []
    while (message := system.queue.take("OrderService")) is not None:
        events += [message] if order_id.encode() in message[0] else []
    assert len(events) == 1
    system.db.orders.delete_one({"_id": order_id})


def test_a_refused_refund_whose_event_got_lost_is_asked_for_anew(system, partners, sweepd):
    order_id = system.cancelled()
    transaction = system.db.payments.find_one({"_id": order_id})["transaction_id"]
    lose(system, order_id, "paymentFailed", str(uuid.UUID(bytes=bytes(transaction))))
    sweepd("--age-callback=1s")
    wait_for(lambda: len(partners.calls_of("reimburse", order_id)) == 2, what="the second refund")
    assert len({call.headers["Idempotency-Key"] for call in partners.calls_of("reimburse", order_id)}) == 2
    assert system.callback(order_id, "reimbursed").status_code == 201
    system.wait_status(order_id, "reimbursed")
