"""The card company is asked once for an order, whoever asks, and whatever it answers: late, twice or never."""

import collections
import concurrent.futures
import datetime
import os
import subprocess
import uuid

import pytest
import requests

from conftest import wait_for
from foodctl import ROOT
from partners import AMOUNT, CARD, Answer
from test_030_payment_service import request, stored


@pytest.fixture
def at_once(system):
    """at_once(path, body): ten requests at the same time; their answers."""
    def post(path, body):
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            return list(pool.map(lambda _: system.payment.post(path, json=body), range(10)))
    return post


def ago(**kwargs):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**kwargs)


def test_ten_at_once_are_one_request_to_the_company(system, partners, at_once):
    partners.say("bill", Answer(202, {"transaction_id": str(uuid.uuid4())}, delay=0.5))
    body = request()
    order_id = body["metadata"]["order_id"]
    assert [a.status_code for a in at_once("/v1/payments", body)] == [202] * 10
    assert len(partners.calls_of("bill", order_id)) == 1
    assert "attempt" not in stored(system, order_id)


def test_ten_at_once_are_refused_by_one_answer(partners, at_once):
    partners.say("bill", Answer(422, {"detail": "The card has expired"}, delay=0.5))
    body = request()
    answers = at_once("/v1/payments", body)
    assert [a.status_code for a in answers] == [400] * 10
    assert "The card has expired" in {a.json()["detail"] for a in answers}
    assert len(partners.calls_of("bill", body["metadata"]["order_id"])) == 1


def test_ten_reimbursements_at_once_are_one(system, partners, at_once):
    body = request()
    order_id = body["metadata"]["order_id"]
    system.payment.post("/v1/payments", json=body)
    system.callback(order_id, "paymentPaid")
    partners.say("reimburse", Answer(202, {"transaction_id": str(uuid.uuid4())}, delay=0.5))
    assert [a.status_code for a in at_once("/v1/payments/reimburse", body)] == [202] * 10
    assert len(partners.calls_of("reimburse", order_id)) == 1


def test_who_hangs_up_and_asks_again_finds_the_first_request_running(system, partners):
    partners.say("bill", Answer(202, {"transaction_id": str(uuid.uuid4())}, delay=2, times=1))
    body = request()
    with pytest.raises(requests.exceptions.Timeout):
        system.payment.post("/v1/payments", json=body, timeout=0.5)
    assert system.payment.post("/v1/payments", json=body).status_code == 202
    assert len({c.headers["Idempotency-Key"] for c in partners.calls_of("bill", body["metadata"]["order_id"])}) == 1
    assert "attempt" not in stored(system, body["metadata"]["order_id"])


def test_the_amount_is_the_first_one_whatever_customer_service_says_then(system, partners):
    body = request()
    order_id = body["metadata"]["order_id"]
    partners.say("bill", Answer(503, {"detail": "later"}, times=1))
    assert system.payment.post("/v1/payments", json=body).status_code == 500
    partners.say("billing", Answer(201, {"amount": AMOUNT + 1, "billing_info": CARD}))
    assert system.payment.post("/v1/payments", json=body).status_code == 202
    system.callback(order_id, "paymentPaid")
    assert system.payment.post("/v1/payments/reimburse", json=body).status_code == 202
    bills = partners.calls_of("bill", order_id)
    assert len(bills) >= 2
    assert {c.json["amount"] for c in bills + partners.calls_of("reimburse", order_id)} == {AMOUNT}
    assert stored(system, order_id)["amount"] == AMOUNT


@pytest.mark.parametrize("path, route", [("/v1/payments", "bill"), ("/v1/payments/reimburse", "reimburse")])
def test_a_callback_that_does_not_come_is_asked_for(system, partners, path, route):
    body = request()
    order_id = body["metadata"]["order_id"]
    system.payment.post("/v1/payments", json=body)
    if route == "reimburse":
        system.callback(order_id, "paymentPaid")
        system.payment.post(path, json=body)
    assert system.payment.post(path, json=body).status_code == 202
    assert len(partners.calls_of(route, order_id)) == 1
    system.db.payments.update_one({"_id": order_id}, {"$set": {"asked": ago(minutes=3)}})
    assert system.payment.post(path, json=body).status_code == 202
    assert system.payment.post(path, json=body).status_code == 202
    first, again = partners.calls_of(route, order_id)
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]
    assert first.json == again.json


def asked_in_vain(system, partners, path, route):
    """A request whose outcome nobody knows: the company has answered 503. Returns its body, and the order's id."""
    body = request()
    order_id = body["metadata"]["order_id"]
    if route == "reimburse":
        system.payment.post("/v1/payments", json=body)
        system.callback(order_id, "paymentPaid")
    partners.say(route, Answer(503, {"detail": "later"}, times=1))
    assert system.payment.post(path, json=body).status_code == 500
    return body, order_id


@pytest.mark.parametrize("path, route", [("/v1/payments", "bill"), ("/v1/payments/reimburse", "reimburse")])
def test_a_company_that_may_have_forgotten_the_key_is_not_asked(system, partners, path, route):
    body, order_id = asked_in_vain(system, partners, path, route)
    doc = stored(system, order_id)
    assert doc["ask_until"] - doc["asked"] == datetime.timedelta(hours=23)
    system.db.payments.update_one({"_id": order_id}, {"$set": {"ask_until": ago(seconds=0)}})
    answer = system.payment.post(path, json=body)
    assert answer.status_code == 409 and "is not asked again" in answer.json()["detail"]
    assert len(partners.calls_of(route, order_id)) == 1
    # A person has found out that it was not made: a charge has failed, a refund is owed again, by a key of its own.
    assert system.callback(order_id, "paymentFailed").status_code == 201
    doc = stored(system, order_id)
    assert doc["status"] == ("paymentFailed" if route == "bill" else "paymentPaid") and "ask_until" not in doc
    if route == "reimburse":
        assert system.payment.post(path, json=body).status_code == 202
        assert [c.headers["Idempotency-Key"] for c in partners.calls_of(route, order_id)] == [
            f"{order_id}-reimburse", f"{order_id}-reimburse-2"]


@pytest.mark.parametrize("path, route", [("/v1/payments", "bill"), ("/v1/payments/reimburse", "reimburse")])
def test_what_a_later_refusal_says_is_not_taken_for_the_end_of_the_first_request(system, partners, path, route):
    """The first may have been carried out; then the company has revoked our key, answers for other reasons,
    and forgets."""
    body, order_id = asked_in_vain(system, partners, path, route)
    until = stored(system, order_id)["ask_until"]
    for status in 401, 403, 409, 429:
        partners.say(route, Answer(status, {"detail": "not now"}, times=1))
        answer = system.payment.post(path, json=body)
        assert answer.status_code == 500 and "not now; the payment is open" in answer.json()["detail"]
        assert stored(system, order_id)["status"] == "pending"
    partners.say(route, Answer(422, {"detail": "another body than before"}, times=1))
    assert system.payment.post(path, json=body).status_code == 400
    doc = stored(system, order_id)
    assert doc["status"] == ("paymentFailed" if route == "bill" else "paymentPaid") and doc["ask_until"] == until
    system.db.payments.update_one({"_id": order_id}, {"$set": {"ask_until": ago(seconds=0)}})
    before = len(partners.calls_of(route, order_id))
    assert system.payment.post(path, json=body).status_code == 409
    assert len(partners.calls_of(route, order_id)) == before
    assert system.callback(order_id, "paymentPaid" if route == "bill" else "reimbursed").status_code == 201
    assert "ask_until" not in stored(system, order_id)


def test_an_attempt_that_died_is_taken_over_when_its_time_is_over(system, partners):
    body = request()
    order_id = body["metadata"]["order_id"]
    partners.say("bill", Answer(503, {"detail": "later"}, times=1))
    system.payment.post("/v1/payments", json=body)
    wait_for(lambda: "attempt" not in stored(system, order_id), what="the lease's end")
    system.db.payments.update_one({"_id": order_id}, {"$set": {"attempt": {"by": "dead", "until": ago(seconds=-1)}}})
    answer = system.payment.post("/v1/payments", json=body)
    assert answer.status_code == 202
    assert len({c.headers["Idempotency-Key"] for c in partners.calls_of("bill", order_id)}) == 1


def test_a_refund_that_the_company_refuses_is_asked_for_again(system, partners):
    order_id = system.paid()["id"]
    assert system.order.post(f"/v1/orders/{order_id}/cancel").status_code == 202
    wait_for(lambda: "reimbursement" in system.doc(order_id).get("settled", []), what="the refund to be asked for")
    key = f"{order_id}-reimburse"
    assert system.callback(order_id, "paymentFailed").status_code == 201         # the charge's, late: nothing happens
    assert stored(system, order_id)["status"] == "pending"
    assert system.callback(order_id, "paymentFailed", partners.transactions[key]).status_code == 201
    wait_for(lambda: len(partners.calls_of("reimburse", order_id)) == 2, what="the second request")
    calls = partners.calls_of("reimburse", order_id)
    assert [c.headers["Idempotency-Key"] for c in calls] == [key, key + "-2"]
    assert calls[0].json == calls[1].json
    wait_for(lambda: stored(system, order_id).get("reimburse_taken"), what="the second request to be taken")
    assert system.callback(order_id, "reimbursed", partners.transactions[key + "-2"]).status_code == 201
    system.wait_status(order_id, "reimbursed")
    assert stored(system, order_id)["reimburse_refused"] == 1


def test_the_simulator_s_company_refuses_refunds_too(system, partners, tmp_path):
    """By its callback, twice, and gives the money back the third time."""
    partners.stop("CreditCardCompany")
    company = f"http://127.0.0.1:{os.environ['CARD_PORT']}"
    try:
        with open(tmp_path / "log", "wb") as log, subprocess.Popen(
                [os.path.join(ROOT, os.environ.get("BUILD") or "build", "bin/foodsvc-sim"), "--customer-port=0",
                 "--delivery-port=0", "--kitchen-port=0", "--card-port", os.environ["CARD_PORT"], "--amqp-url=off",
                 "--speed=1000", "--ca-file", os.environ["CA_CERT"], "--fail=card.refund:refuse:first=2"],
                stdout=log, stderr=log, env=os.environ | {"FOODSVC_API_KEY": os.environ["API_KEY"]}) as sim:
            try:
                wait_for(lambda: b"msg=ready" in (tmp_path / "log").read_bytes(), what="the simulator")
                order_id = system.place()["id"]
                system.wait_status(order_id, "deliveryScheduled")
                assert system.order.post(f"/v1/orders/{order_id}/cancel").status_code == 202
                system.wait_status(order_id, "reimbursed", 30)
                ledger = requests.get(f"{company}/ledger", params={"order_id": order_id}, timeout=20).json()
            finally:
                sim.terminate()
    finally:
        partners.start("CreditCardCompany")
    assert {name: len(entries) for name, entries in ledger.items()} == {
        "charges": 1, "reimbursements": 1, "declined": 2, "pending": 0}
    assert {entry["amount"] for entries in ledger.values() for entry in entries} == {AMOUNT}
    assert stored(system, order_id)["reimburse_refused"] == 2


def test_a_refund_s_failure_that_is_faster_than_the_answer_is_told_again(system, partners):
    body, transaction = request(), str(uuid.uuid4())
    order_id = body["metadata"]["order_id"]
    system.payment.post("/v1/payments", json=body)
    system.callback(order_id, "paymentPaid")
    partners.say("reimburse", Answer(202, {"transaction_id": transaction}, delay=1, times=1))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(system.payment.post, "/v1/payments/reimburse", json=body)
        wait_for(lambda: partners.calls_of("reimburse", order_id), what="the company to be asked")
        early = system.callback(order_id, "paymentFailed", transaction)
        assert (early.status_code, "Retry-After" in early.headers) == (503, True)
        assert asked.result().status_code == 202
    assert system.callback(order_id, "paymentFailed", transaction).status_code == 201
    assert stored(system, order_id)["status"] == "paymentPaid"
    assert stored(system, order_id)["reimburse_refused"] == 1


def test_paid_after_failed_is_given_back_once(system, partners):
    order_id = system.place()["id"]
    system.callback(order_id, "paymentFailed")
    system.wait_status(order_id, "paymentFailed")
    system.callback(order_id, "paymentPaid")
    wait_for(lambda: partners.calls_of("reimburse", order_id), what="the refund to be asked for")
    system.callback(order_id, "reimbursed")
    system.wait_status(order_id, "reimbursed")
    assert system.callback(order_id, "paymentPaid").status_code == 201
    assert stored(system, order_id)["status"] == "reimbursed"
    assert len(partners.calls_of("reimburse", order_id)) == 1


class Company:
    """A card company that takes every request, books once for a key, and answers some of them late, or not at all, the
    first time."""

    def __init__(self, faults):
        self.faults = faults
        self.booked = collections.defaultdict(dict)     # order: key: transaction
        self.unanswered = []                            # orders whose first request got no answer in time

    def answer(self, call):
        order, key = call.json["caller_id"], call.headers["Idempotency-Key"]
        fresh = key not in self.booked[order]
        transaction = self.booked[order].setdefault(key, str(uuid.uuid4()))
        fault = self.faults[(len(self.booked) - 1) % len(self.faults)] if fresh else "fine"
        if fault in ("late", "never"):
            self.unanswered.append(order)
        return Answer(202, {"transaction_id": transaction}, delay=6.0 if fault == "late" else 0.0,
                      close=fault == "never")


def test_a_company_that_answers_late_twice_or_never_sees_one_charge_an_order(system, partners, sweepd):
    """Every tenth request: taken, but answered late, not at all, or followed by its callback twice. Who got no answer
    asks again, with the same key, and before the callback says how it ended."""
    company = Company(["fine"] * 7 + ["late", "never", "fine"])
    partners.say("bill", company.answer)
    sweepd()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: system.order.post("/v1/orders", json=system.payload()), range(30)))
    assert {a.status_code for a in answers} <= {202, 400, 500}
    assert len(company.booked) == 30 and len(company.unanswered) == 6
    for order_id in company.unanswered:
        wait_for(lambda: len(partners.calls_of("bill", order_id)) > 1, 40, f"{order_id} asked for again")
    for number, (order_id, keys) in enumerate(list(company.booked.items())):
        for _ in range(2 if number % 10 == 9 else 1):
            system.callback(order_id, "paymentPaid", next(iter(keys.values())))
    for order_id in company.booked:
        wait_for(lambda: system.doc(order_id)["status"] == "deliveryScheduled"
                 or partners.calls_of("reimburse", order_id), 40, f"{order_id} delivered or given back")
    for order_id, keys in company.booked.items():
        bills = partners.calls_of("bill", order_id)
        assert list(keys) == [f"{order_id}-payment"] and len({c.json["amount"] for c in bills}) == 1
        if system.doc(order_id)["status"] == "deliveryScheduled":
            system.queue.event(order_id, "driverAvailable")
            system.queue.event(order_id, "delivered")
            system.wait_status(order_id, "delivered")
            assert partners.calls_of("reimburse", order_id) == []
        else:
            assert {c.headers["Idempotency-Key"] for c in partners.calls_of("reimburse", order_id)} == {
                f"{order_id}-reimburse"}
