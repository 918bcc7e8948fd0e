"""Each call of the module that can fail fails once in each kind of request: the client gets an answer that the API's
description knows, the process goes on, and what is stored and charged is right, at the latest when asked again."""

import os
import uuid
from datetime import datetime, timezone

import bson
import pytest
import requests

from partners import Answer
from conftest import flow, wait_for

# Where these fail there is nothing left to answer with: the connection ends.
SPEECHLESS = {"ngx_http_send_header", "ngx_http_output_filter", "ngx_http_send_special",
              "ngx_http_discard_request_body"}


def pids():
    """nginx's processes."""
    master = os.environ["NGINX_PID"]
    with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as file:
        return [master, *file.read().split()]


def ask(act):
    """The answer; None when the connection ended without one."""
    try:
        return act()
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return None


def works(prepare, act):
    """What failed mends itself: a connection that was given up comes back."""
    stage = prepare()
    answer = act(stage)
    return answer.status_code < 500 and (stage, answer)


def each_call_fails(faults, prepare, act, verify, streamed=False):
    """prepare() sets the stage, act(stage) asks, verify(stage, answer) looks; all of it once for each call that fails.

    Returns the stages with their answers, for what has to be looked at later."""
    before = pids()
    for _ in range(3):          # what is done once (addresses, connections, prepared scripts) is done then
        stage = prepare()
        verify(stage, act(stage))
    stage = prepare()
    faults.arm()
    answer = act(stage)
    calls = faults.disarm()
    verify(stage, answer)
    assert calls, "no call was counted"
    chosen, missed, seen, wrong = faults.chosen(), 0, [], []
    for n in chosen:
        stage, answer = prepare(), None
        faults.arm(n)
        try:
            answer = ask(lambda: act(stage))
            faults.disarm()
            failed = faults.failed
            missed += failed is None
            assert answer is not None or streamed or failed in SPEECHLESS, "no answer"
            verify(stage, answer)
            seen.append((stage, answer))
            stage, again = wait_for(lambda: works(prepare, act), 10, "a good answer afterwards")
            verify(stage, again)
        except (AssertionError, pytest.fail.Exception, requests.RequestException) as error:
            faults.disarm()
            wrong.append(f"{faults.where()}: answer {answer is not None and (answer.status_code, answer.text[:160])}: "
                         f"{str(error).splitlines()[0][:300]}")
    print(f"{len(chosen) - missed} of {calls} calls failed")
    assert not wrong, "\n".join(wrong)
    assert missed < len(chosen) / 2
    assert pids() == before, "a process has ended"
    return seen


def put_order(system, status, **more):
    """An order in MongoDB alone; and its payment."""
    order_id, customer, now = str(uuid.uuid4()), uuid.uuid4(), datetime.now(timezone.utc)
    order = {"_id": order_id, "items": [{"product": flow.PRODUCT, "quantity": 1}], "status": status, "created": now,
             "customer_id": bson.Binary(customer.bytes, 4), "kitchen_id": None, "delivery_id": None,
             "updated": [{"status": status, "when": now}]}
    system.db.orders.insert_one(order | more)
    return order_id


def put_payment(system, order_id, status):
    system.db.payments.insert_one(
        {"_id": order_id, "metadata": {"receiver": "Faults", "order_id": order_id, "customer_id": str(uuid.uuid4())},
         "transaction_id": bson.Binary(uuid.uuid4().bytes, 4), "status": status, "created": datetime.now(timezone.utc)})


def payment_body(order_id):
    return {"items": [{"product": flow.PRODUCT, "quantity": 1}],
            "metadata": {"receiver": "Faults", "order_id": order_id, "customer_id": str(uuid.uuid4())}}


def keys(partners, route, order_id):
    """The idempotency keys that the card company was asked with for this order: one is one movement of money."""
    return {call.headers.get("Idempotency-Key") for call in partners.calls_of(route, order_id)}


def of_customer(system, customer):
    return list(system.db.orders.find({"customer_id": bson.Binary(uuid.UUID(customer).bytes, 4)}))


def test_order_post(system, partners, nginx_faults):
    def verify(customer, answer):
        found = of_customer(system, customer)
        assert len(found) <= 1
        if answer is not None and answer.status_code == 202:
            assert [order["_id"] for order in found] == [answer.json()["id"]]
        for order in found:
            assert order["status"] in ("created", "paymentFailed")
            assert len(keys(partners, "bill", order["_id"])) <= 1
            if answer is not None and answer.status_code == 202:
                assert system.db.payments.find_one({"_id": order["_id"]})["status"] == "pending"

    def settled(customer):
        """The order failed, or its payment was asked for in the end."""
        return all(order["status"] == "paymentFailed" or system.db.payments.find_one({"_id": order["_id"]})
                   for order in of_customer(system, customer))

    seen = each_call_fails(nginx_faults, lambda: str(uuid.uuid4()),
                           lambda customer: system.order.post("/v1/orders", json=system.payload(customer_id=customer)),
                           verify)
    for customer, answer in seen:
        wait_for(lambda c=customer: settled(c), 30, f"the payment of the order of {customer} {answer}")
        verify(customer, None)


def test_order_post_bad(system, nginx_faults):
    def verify(_, answer):
        assert answer is None or answer.status_code in (422, 500)
    each_call_fails(nginx_faults, lambda: None,
                    lambda _: system.order.post("/v1/orders", json={"items": [{"product": "x", "quantity": True}]}),
                    verify)


def test_order_post_refused(system, partners, nginx_faults):
    partners.say("billing", Answer(404, {"detail": "no such customer"}))

    def verify(customer, answer):
        assert answer is None or answer.status_code in (400, 500, 503)
        assert not partners.calls_of("bill")
        assert {order["status"] for order in of_customer(system, customer)} <= {"created", "paymentFailed"}
    seen = each_call_fails(nginx_faults, lambda: str(uuid.uuid4()),
                           lambda customer: system.order.post("/v1/orders", json=system.payload(customer_id=customer)),
                           verify)
    partners.reset()
    for customer, answer in seen:
        verify(customer, answer)


@pytest.mark.parametrize("cached", [True, False])
def test_order_get(system, nginx_faults, cached):
    order_id = put_order(system, "created")

    def prepare():
        if not cached:
            system.redis.delete(order_id)

    def verify(_, answer):
        assert answer is None or answer.status_code >= 500 or answer.json()["id"] == order_id
    each_call_fails(nginx_faults, prepare, lambda _: system.order.get(f"/v1/orders/{order_id}"), verify)


def test_order_get_unknown(system, nginx_faults):
    def verify(_, answer):
        assert answer is None or answer.status_code in (404, 500, 503)
    each_call_fails(nginx_faults, lambda: str(uuid.uuid4()), lambda i: system.order.get(f"/v1/orders/{i}"), verify)


def test_order_list(system, nginx_faults):
    """More than a page, so that the answer is streamed: what fails behind its first part can only cut it off."""
    system.db.orders.delete_many({})
    wanted = {put_order(system, "created") for _ in range(210)}

    def verify(_, answer):
        if answer is not None and answer.status_code == 200:
            assert wanted == {order["id"] for order in answer.json()}
    each_call_fails(nginx_faults, lambda: None, lambda _: system.order.get("/v1/orders"), verify, streamed=True)


def test_order_cancel(system, partners, nginx_faults):
    def prepare():
        order_id = put_order(system, "deliveryScheduled", delivery_id=bson.Binary(uuid.uuid4().bytes, 4))
        put_payment(system, order_id, "paymentPaid")
        return order_id

    def verify(order_id, answer):
        status = system.doc(order_id)["status"]
        assert status in ("deliveryScheduled", "orderCancelled")
        if answer is not None and answer.status_code == 202:
            assert status == "orderCancelled"

    def cancelled(order_id):
        """In the end, also when nobody was told: a repeat helps. What it owed is done, once."""
        answer = system.order.post(f"/v1/orders/{order_id}/cancel")
        assert answer.status_code in (202, 400), answer.text
        assert system.doc(order_id)["status"] == "orderCancelled"
        return len(partners.calls_of("delivery_cancel", None)) and len(keys(partners, "reimburse", order_id)) == 1

    seen = each_call_fails(nginx_faults, prepare, lambda i: system.order.post(f"/v1/orders/{i}/cancel"), verify)
    for order_id, _ in seen:
        wait_for(lambda i=order_id: cancelled(i), 30, f"the refund of {order_id}")


def test_order_delete(system, nginx_faults):
    def prepare():
        order_id = put_order(system, "created")
        assert system.order.get(f"/v1/orders/{order_id}").status_code == 200    # and into the cache
        return order_id

    def verify(order_id, answer):
        if answer is not None and answer.status_code == 204:
            assert system.doc(order_id) is None
        assert system.order.delete(f"/v1/orders/{order_id}").status_code in (204, 404)
        assert system.order.get(f"/v1/orders/{order_id}").status_code == 404
    each_call_fails(nginx_faults, prepare, lambda i: system.order.delete(f"/v1/orders/{i}"), verify)


def test_payment_post(system, partners, nginx_faults):
    def act(order_id):
        return system.payment.post("/v1/payments", json=payment_body(order_id))

    def verify(order_id, answer):
        assert len(keys(partners, "bill", order_id)) <= 1
        if answer is None or answer.status_code >= 500:
            answer = act(order_id)
        if answer.status_code == 202:
            assert len(keys(partners, "bill", order_id)) == 1
            assert system.db.payments.find_one({"_id": order_id})["status"] == "pending"
    each_call_fails(nginx_faults, lambda: str(uuid.uuid4()), act, verify)


def test_payment_reimburse(system, partners, nginx_faults):
    def prepare():
        order_id = str(uuid.uuid4())
        put_payment(system, order_id, "paymentPaid")
        return order_id

    def act(order_id):
        return system.payment.post("/v1/payments/reimburse", json=payment_body(order_id))

    def verify(order_id, answer):
        assert len(keys(partners, "reimburse", order_id)) <= 1
        if answer is None or answer.status_code >= 500:
            answer = act(order_id)
        if answer.status_code == 202:
            assert len(keys(partners, "reimburse", order_id)) == 1
    each_call_fails(nginx_faults, prepare, act, verify)


def test_callback(system, nginx_faults):
    def prepare():
        order_id = str(uuid.uuid4())
        put_payment(system, order_id, "pending")
        return order_id

    def verify(order_id, answer):
        if answer is None or answer.status_code >= 500:
            answer = system.callback(order_id, "paymentPaid")
        assert answer.status_code == 201
        assert system.db.payments.find_one({"_id": order_id})["status"] == "paymentPaid"
        # its event has come; when it could not be made, the mark is left, and the company's repeat helps
        if not taken(system, order_id, 0.5):
            assert system.callback(order_id, "paymentPaid").status_code == 201
            assert taken(system, order_id, 5), f"{order_id} has no event"
    each_call_fails(nginx_faults, prepare, lambda i: system.callback(i, "paymentPaid"), verify)


def taken(system, order_id, timeout):
    """Whether the event of this payment is in its queue."""
    import time
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        message = system.queue.take("Faults")
        if message and order_id.encode() in message[0]:
            return True
    return False


@pytest.mark.parametrize("service", ["order", "payment"])
def test_health(system, nginx_faults, service):
    def verify(_, answer):
        assert answer is None or answer.status_code in (200, 500)
    each_call_fails(nginx_faults, lambda: None, lambda _: getattr(system, service).get("/health", key=False), verify)


def test_wrong_key(system, nginx_faults):
    def verify(_, answer):
        assert answer is None or answer.status_code in (401, 500)
    each_call_fails(nginx_faults, lambda: None,
                    lambda _: system.order.get("/v1/orders", headers={"X-API-Key": "another"}), verify)
