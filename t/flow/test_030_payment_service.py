"""Every row of PaymentService's table in the contract, and that money moves once."""

import concurrent.futures
import uuid

import pytest

from conftest import wait_for
from partners import Answer


def request(order_id=None, **changes):
    metadata = {"receiver": f"Receiver-{uuid.uuid4()}", "order_id": order_id or str(uuid.uuid4()),
                "customer_id": str(uuid.uuid4())}
    return dict({"items": [{"product": "Lasagna", "quantity": 2}], "metadata": metadata}, **changes)


def stored(system, order_id):
    return system.db.payments.find_one({"_id": order_id})


@pytest.fixture
def pay(system):
    def post(body):
        return system.payment.post("/v1/payments", json=body)
    return post


@pytest.fixture
def reimburse(system):
    def post(body):
        return system.payment.post("/v1/payments/reimburse", json=body)
    return post


def test_a_request_is_billed_and_pending(system, partners, pay):
    body = request()
    order_id = body["metadata"]["order_id"]
    answer = pay(body)
    assert (answer.status_code, answer.json()) == (202, {"status": "requestReceived", "order_id": order_id})
    doc = stored(system, order_id)
    assert doc["status"] == "pending" and doc["metadata"] == body["metadata"]
    [bill] = partners.calls_of("bill", order_id)
    assert bytes(doc["transaction_id"]) == uuid.UUID(partners.transactions[bill.headers["Idempotency-Key"]]).bytes
    [billing] = partners.calls_of("billing")
    assert billing.path == f"/v1/customers/{body['metadata']['customer_id']}/billing"
    assert billing.json == [{"product": "Lasagna", "quantity": 2}]


def test_no_partner_but_payment_service_sees_the_api_key(system, partners):
    order = system.paid()
    system.queue.event(order["id"], "driverAvailable")
    system.wait_status(order["id"], "cookingScheduled")
    assert partners.calls
    assert not [c for c in partners.calls if "x-api-key" in {name.lower() for name in c.headers}]


def test_a_repeat_bills_once(system, partners, pay):
    body = request()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pay(body), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    keys = {call.headers["Idempotency-Key"] for call in partners.calls_of("bill", body["metadata"]["order_id"])}
    assert len(keys) == 1
    before = len(partners.calls_of("bill", body["metadata"]["order_id"]))
    assert pay(body).status_code == 202
    assert len(partners.calls_of("bill", body["metadata"]["order_id"])) == before


@pytest.mark.parametrize("route, answer, status", [
    ("billing", Answer(404, {"detail": "Unknown customer"}), 400),
    ("billing", Answer(422, {"detail": [{"loc": ["path"], "msg": "no", "type": "x"}]}), 400),
    ("bill", Answer(422, {"detail": "The card has expired"}), 400),
    ("billing", Answer(close=True), 500),
    ("billing", Answer(500, {"detail": "oops"}), 500),
    ("billing", Answer(201, b"{not json"), 500),
    ("billing", Answer(201, {"amount": -1, "billing_info": {}}), 500),
    ("billing", Answer(201, b"[" * 100000), 500),
    ("billing", Answer(200, {"amount": 1}), 500),
    ("bill", Answer(close=True), 500),
    ("bill", Answer(503, {"detail": "later"}), 500),
])
def test_what_a_partner_may_answer(system, partners, pay, route, answer, status):
    partners.say(route, answer)
    body = request()
    reply = pay(body)
    assert reply.status_code == status, reply.text
    assert isinstance(reply.json()["detail"], str)
    assert "4111" not in reply.text
    if route == "billing":
        assert partners.calls_of("bill", body["metadata"]["order_id"]) == []


def test_the_card_company_is_asked_again_with_the_same_key(system, partners, pay):
    partners.say("bill", Answer(close=True, times=1))
    body = request()
    assert pay(body).status_code in (202, 500)
    pay(body)
    calls = partners.calls_of("bill", body["metadata"]["order_id"])
    assert len(calls) >= 2
    assert len({c.headers["Idempotency-Key"] for c in calls}) == 1
    assert len({c.json["amount"] for c in calls}) == 1
    assert stored(system, body["metadata"]["order_id"])["status"] == "pending"


def test_a_callback_is_stored_and_answered_with_itself(system, pay):
    body = request()
    order_id, transaction = body["metadata"]["order_id"], str(uuid.uuid4())
    pay(body)
    answer = system.callback(order_id, "paymentPaid", transaction)
    assert answer.status_code == 201
    assert answer.json() == {"status": "paymentPaid", "caller_id": order_id, "transaction_id": transaction}
    doc = stored(system, order_id)
    assert doc["status"] == "paymentPaid" and bytes(doc["transaction_id"]) == uuid.UUID(transaction).bytes


def test_repeated_and_out_of_order_callbacks_have_no_second_effect(system, pay):
    body = request()
    order_id, receiver = body["metadata"]["order_id"], body["metadata"]["receiver"]
    pay(body)
    for status in ("paymentPaid", "paymentPaid", "pending", "paymentFailed", "paymentPaid"):
        assert system.callback(order_id, status).status_code == 201
    assert stored(system, order_id)["status"] == "paymentPaid"
    wait_for(lambda: "outbox" not in stored(system, order_id), what="the outbox mark to be cleared")
    assert system.queue.depth(receiver) == 1


def test_simultaneous_callbacks_publish_one_event(system, pay):
    body = request()
    order_id, receiver = body["metadata"]["order_id"], body["metadata"]["receiver"]
    pay(body)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: system.callback(order_id, "paymentPaid"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    wait_for(lambda: "outbox" not in stored(system, order_id), what="the outbox mark to be cleared")
    messages = []
    while (message := system.queue.take(receiver)) is not None:
        messages.append(message)
    assert len({properties.message_id for _, properties in messages}) == 1


def test_a_pending_callback_moves_nothing_and_leaves_its_transaction_id(system, pay):
    body, transaction = request(), str(uuid.uuid4())
    order_id = body["metadata"]["order_id"]
    pay(body)
    assert system.callback(order_id, "pending", transaction).status_code == 201
    doc = stored(system, order_id)
    assert doc["status"] == "pending" and "outbox" not in doc
    assert bytes(doc["transaction_id"]) == uuid.UUID(transaction).bytes
    assert system.queue.take(body["metadata"]["receiver"]) is None


def test_a_callback_for_an_unknown_order_is_404(system):
    caller = str(uuid.uuid4())
    answer = system.callback(caller, "paymentPaid")
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"Caller ID '{caller}' does not exist in DB api_db.payments."}


def test_a_reimbursement_goes_back_to_pending_then_reimbursed(system, partners, pay, reimburse):
    body = request()
    order_id = body["metadata"]["order_id"]
    pay(body)
    system.callback(order_id, "paymentPaid")
    answer = reimburse(body)
    assert (answer.status_code, answer.json()) == (202, {"status": "requestReceived", "order_id": order_id})
    assert stored(system, order_id)["status"] == "pending"
    assert system.callback(order_id, "paymentPaid").status_code == 201
    assert stored(system, order_id)["status"] == "pending"
    assert reimburse(body).status_code == 202
    assert system.callback(order_id, "reimbursed").status_code == 201
    assert stored(system, order_id)["status"] == "reimbursed"
    assert reimburse(body).status_code == 202
    assert len({c.headers["Idempotency-Key"] for c in partners.calls_of("reimburse", order_id)}) == 1
    bill, refund = partners.calls_of("bill", order_id)[0], partners.calls_of("reimburse", order_id)[0]
    assert bill.headers["Idempotency-Key"] != refund.headers["Idempotency-Key"]
    assert bill.json["amount"] == refund.json["amount"]


def test_what_was_not_paid_is_not_reimbursed(system, partners, pay, reimburse):
    never, pending = request(), request()
    pay(pending)
    for body in (never, pending):
        answer = reimburse(body)
        assert answer.status_code == 400 and isinstance(answer.json()["detail"], str)
    assert partners.calls_of("reimburse") == []


def test_health(system):
    health = system.payment.get("/health", key=False)
    assert health.status_code == 200
    assert [r["name"] for r in health.json()["resources"]] == ["Certificate.valid", "MongoDb", "RabbitMQ",
                                                               "CustomerService"]
    assert health.json()["name"] == "PaymentService"
