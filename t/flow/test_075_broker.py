"""RabbitMQ takes things away while orderd and nginx use them: the queue, the connections, the queues for what has to
wait or is dead. No process is restarted, no event is lost."""

import os
import pathlib
import uuid

import pytest

from conftest import pids, rabbitmqctl, wait_for
from partners import Answer

QUEUE, DEAD = "OrderService", "OrderService.dead"
RETRY = [f"OrderService.retry.{seconds}" for seconds in (1, 5, 30, 120, 300)]


@pytest.fixture(autouse=True)
def nobody_is_restarted(system):
    before = {part: pids(part) for part in ("nginx", "orderd")}
    yield
    assert {part: pids(part) for part in before} == before


def said(what):
    """How often orderd has said it."""
    return (pathlib.Path(os.environ["RUN"]) / "logs/orderd.log").read_text(encoding="utf-8").count(what)


def delete(system, *queues):
    def act(channel):
        for queue in queues:
            channel.queue_delete(queue)
    system.queue._with(act)


def there(system, queue):
    try:
        system.queue.depth(queue)
    except Exception as error:          # pylint: disable=broad-except
        assert "NOT_FOUND" in str(error), error
        return False
    return True


def gone_on(system, partners, orders):
    """Each was told of its payment, and its delivery asked for by one name."""
    for order in orders:
        system.wait_status(order, "deliveryScheduled", 30)
        assert {call.headers["Idempotency-Key"] for call in partners.calls_of("delivery", order)} == {
            f"{order}-delivery"}


@pytest.mark.parametrize("at_once", [True, False])
def test_the_queue_is_deleted_under_its_consumer(system, partners, at_once):
    """A callback just behind it: its event finds a queue, or is sent again."""
    orders = [system.place()["id"] for _ in range(3)]
    before = said("the broker cancelled the consumer")
    delete(system, QUEUE)
    if not at_once:
        wait_for(lambda: said("the broker cancelled the consumer") > before, what="the cancel")
        wait_for(lambda: there(system, QUEUE) and system.queue.consumers(QUEUE), what="orderd to consume again")
    for order in orders:
        assert system.callback(order, "paymentPaid").status_code == 201
    gone_on(system, partners, orders)
    assert said("the broker cancelled the consumer") == before + 1


def test_the_queue_is_deleted_while_orderd_is_at_an_event(system, partners):
    """What it has begun it ends, though it can acknowledge nothing any more."""
    order = system.place()["id"]
    usual = partners.usual

    def late(call):
        answer = usual("delivery", call)
        answer.delay = 2.0
        return answer
    partners.say("delivery", late)
    system.callback(order, "paymentPaid")
    wait_for(lambda: partners.calls_of("delivery", order), what="the call")
    delete(system, QUEUE)
    gone_on(system, partners, [order])
    system.queue.event(order, "driverAvailable")
    system.wait_status(order, "cookingScheduled")
    assert len(partners.calls_of("delivery", order)) == 1


def test_the_queue_is_deleted_again_and_again(system, partners):
    orders = [system.place()["id"] for _ in range(5)]
    for order in orders:
        before = said("the broker cancelled the consumer")
        delete(system, QUEUE)
        wait_for(lambda before=before: said("the broker cancelled the consumer") > before, what="the cancel")
        wait_for(lambda: there(system, QUEUE) and system.queue.consumers(QUEUE), what="orderd to consume again")
        system.callback(order, "paymentPaid")
    gone_on(system, partners, orders)


def test_the_broker_closes_all_connections(system, partners):
    """One order's event is under way meanwhile, and comes again; another's is published behind it."""
    orders = [system.place()["id"] for _ in range(4)]
    under_way = orders[0]
    partners.say("delivery", Answer(503, {"detail": "away"}, delay=3.0, times=1))
    system.callback(under_way, "paymentPaid")
    wait_for(lambda: partners.calls_of("delivery", under_way), what="the call")
    before = said("connected to rabbitmq")
    rabbitmqctl("close_all_connections", "a test wants it")
    for order in orders[1:]:
        assert system.callback(order, "paymentPaid").status_code == 201
    gone_on(system, partners, orders)
    assert said("connected to rabbitmq") == before + 1
    assert said("a test wants it")
    wait_for(lambda: system.payment.get("/health", key=False).status_code == 200, what="a healthy system")


def test_what_cannot_be_processed_makes_its_queue_anew(system):
    marks = [str(uuid.uuid4()) for _ in range(3)]
    delete(system, DEAD)
    for mark in marks:
        system.queue.send(b"not json", message_id=mark)
    seen = {}

    def all_dead():
        while there(system, DEAD) and (message := system.queue.take(DEAD)):
            seen[message[1].message_id] = message
        return set(marks) <= set(seen)
    wait_for(all_dead, 30, "the dead messages")
    for mark in marks:
        body, properties = seen[mark]
        assert body == b"not json" and properties.headers["x-foodsvc-reason"]


def test_an_event_that_was_deleted_with_its_retry_queue_is_made_up_for_by_sweepd(system, partners, sweepd):
    """RabbitMQ has lost it; what the order owes stands in MongoDB."""
    partners.say("delivery", Answer(503, {"detail": "away"}))
    order = system.place()["id"]
    system.callback(order, "paymentPaid")
    lost = []

    def act(channel):
        for queue in RETRY[1:]:
            lost.append(channel.queue_delete(queue).method.message_count)

    def parked():
        system.queue._with(act)
        return any(lost)
    wait_for(lambda: len(partners.calls_of("delivery", order)) > 1, 30, "a second try")
    wait_for(parked, what="the event in a queue that is deleted")
    partners.say("delivery", None)
    sweepd()
    gone_on(system, partners, [order])


def test_queues_for_what_has_to_wait_or_is_dead_are_made_anew(system, partners):
    delete(system, DEAD, *RETRY)
    partners.say("delivery", Answer(503, {"detail": "away"}, times=3))
    orders = [system.place()["id"] for _ in range(3)]
    for order in orders:
        system.callback(order, "paymentPaid")
    gone_on(system, partners, orders)
    assert all(len(partners.calls_of("delivery", order)) >= 2 for order in orders)
    assert all(there(system, queue) for queue in [DEAD, *RETRY])
