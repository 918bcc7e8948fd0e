"""No card, key or password in what is written: logs, queues, database, cache. Runs after the other flows, on what they
left, and on flows of its own: paid, refused, cancelled, malformed, dead and parked."""

import os
import pathlib
import stat
import uuid

import pytest

from conftest import wait_for
from partners import CARD, Answer

LOUD = {"CardNumber": "4929123456781234", "CVV": "#CVV-7391#", "Name": "Loud Holder"}


def secrets():
    run = pathlib.Path(os.environ["RUN"])
    found = {path.read_text().strip().encode() for path in (run / "secrets").iterdir()
             if path.is_file() and not path.name.endswith(".sha256") and path.stat().st_size < 200}
    assert os.environ["API_KEY"].encode() in found
    return found | {card[name].encode() for card in (CARD, LOUD) for name in ("CardNumber", "CVV")}


def assert_received(partners, card):
    """What is searched for has been there: the company got this card's number and CVV."""
    for name in ("CardNumber", "CVV"):
        assert [call for call in partners.calls_of("bill") if card[name].encode() in call.body], name


@pytest.fixture(scope="module", autouse=True)
def flows(running, all_partners):
    """Each way that a card, or a key, comes by."""
    system, partners = running, all_partners
    partners.reset()
    system.paid()
    assert_received(partners, CARD)
    card = dict(CARD, **LOUD)
    partners.say("billing", Answer(201, {"amount": 19.99, "billing_info": card}))
    paid = system.paid()
    assert_received(partners, card)
    assert system.order.post(f"/v1/orders/{paid['id']}/cancel", headers={"Idempotency-Key": str(uuid.uuid4())}).ok
    wait_for(lambda: partners.calls_of("reimburse", paid["id"]), what="the reimbursement")
    partners.say("bill", Answer(400, {"detail": "The card has expired", "billing_info": card}, times=1))
    assert system.order.post("/v1/orders", json=system.payload()).status_code == 400
    for broken in ({"amount": -1, "billing_info": card}, {"billing_info": card},
                   {"amount": "x", "billing_info": dict(card, CVV=7)}):
        partners.say("billing", Answer(201, broken, times=1))
        assert system.order.post("/v1/orders", json=system.payload()).status_code in (400, 500)
    partners.say("billing", Answer(201, b'{"amount": 1, "billing_info": {"CardNumber": "4929123456781234"', times=1))
    system.order.post("/v1/orders", json=system.payload())
    for body in ({"billing_info": card}, {"items": [card], "customer_id": LOUD["CardNumber"]}):
        system.order.post("/v1/orders", json=body, headers={"X-Other": os.environ["API_KEY"]})
    system.order.get("/v1/orders", key=False, headers={"X-API-Key": os.environ["API_KEY"] + "x"})
    partners.say("delivery", Answer(503, {"detail": "away"}, times=1))
    waits = system.place()
    system.callback(waits["id"], "paymentPaid")
    system.queue.send(b"rubbish that is nobody's secret")
    wait_for(lambda: system.queue.depth("OrderService.dead"), what="a dead message")
    system.wait_status(waits["id"], "deliveryScheduled", 40)
    yield
    partners.reset()


def test_logs(system):
    run = pathlib.Path(os.environ["RUN"])
    logs = [path for path in (run / "logs").rglob("*") if path.is_file()]
    assert {"error.log", "access.log", "orderd.log"} <= {path.name for path in logs}
    for path in logs:
        text = path.read_bytes()
        for secret in secrets():
            assert secret not in text, path


def test_database(system):
    names = system.db.list_collection_names()
    assert {"orders", "payments", "idempotency_keys"} <= set(names)
    for name in names:
        for raw in system.db[name].find():
            text = repr(raw).encode()
            for secret in secrets():
                assert secret not in text, name


def test_cache(system):
    for key in system.redis.scan_iter():
        text = key + (system.redis.dump(key) or b"")
        if system.redis.type(key) == b"string":
            text += system.redis.get(key) or b""
        for secret in secrets():
            assert secret not in text, key


@pytest.fixture
def parked(system, partners):
    """The event of an order that was paid, in a retry queue: its delivery cannot be had at present."""
    partners.say("delivery", Answer(503, {"detail": "away"}))
    order = system.place()
    assert_received(partners, CARD)
    system.callback(order["id"], "paymentPaid")
    yield order["id"]
    partners.say("delivery", None)
    system.wait_status(order["id"], "deliveryScheduled", 60)


def test_queues(system, parked):
    """Every message that is anywhere is looked at and put back, headers too; until one of a flow was seen parked."""
    seen = []

    def look(channel):
        for queue in ("OrderService", "OrderService.dead", *(f"OrderService.retry.{n}" for n in (1, 5, 30, 120, 300))):
            for _ in range(channel.queue_declare(queue, passive=True).method.message_count):
                method, properties, body = channel.basic_get(queue)
                if method:
                    seen.append((queue, body + repr(vars(properties)).encode()))
        # the connection's end gives them back

    def seen_parked():
        system.queue._with(look)
        return any(queue.startswith("OrderService.retry.") and parked.encode() in text for queue, text in seen)
    wait_for(seen_parked, 20, "the parked event")
    assert any(queue == "OrderService.dead" for queue, _ in seen)
    for queue, text in seen:
        for secret in secrets():
            assert secret not in text, queue


def test_files_are_for_their_owner_only():
    run = pathlib.Path(os.environ["RUN"])
    files = [*(run / "secrets").iterdir(), run / "env", *(run / "tls").glob("*.key"), run / "nginx.conf",
             run / "orderd.conf"]
    assert len(files) > 8
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o177 == 0, path
    for folder in (run, run / "secrets", run / "tls"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
