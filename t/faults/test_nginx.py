"""Each call of the module that can fail fails once in each kind of request: the client gets an answer that the API's
description knows, the process goes on, and what is stored and charged is right, at the latest when asked again."""

import json
import os
import time
import uuid
from datetime import datetime, timezone

import bson
import pytest
import requests

from partners import Answer
from conftest import flow, keys, wait_for

# Where these fail there is nothing left to answer with: the connection ends.
SPEECHLESS = {"ngx_http_send_header", "ngx_http_output_filter", "ngx_http_send_special",
              "ngx_http_discard_request_body"}
PATIENCE = 20       # s for a call to come that was counted


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


def at_rest(_):
    """Nothing goes on behind the answer."""
    return True


def works(prepare, act, rest):
    """What failed mends itself: a connection that was given up comes back, also for what goes on behind the answer."""
    stage = prepare()
    answer = act(stage)
    if answer.status_code >= 500:
        return None
    wait_for(lambda: rest(stage), 20, f"the end of what goes on behind the answer for {stage}")
    return stage, answer


def each_call_fails(faults, prepare, act, verify, streamed=False, rest=at_rest):
    """prepare() sets the stage, act(stage) asks, verify(stage, answer) looks; all of it once for each call that fails.
    rest(stage) tells whether what goes on behind the answer has ended: its calls are counted and failed, too.

    Returns the stages with their answers, for what has to be looked at later."""
    before, seen, wrong = pids(), [], []

    def counted():
        stage = prepare()
        faults.arm()
        answer = act(stage)
        wait_for(lambda: rest(stage), 20, f"the end of what goes on behind the answer for {stage}")
        faults.disarm()
        verify(stage, answer)
        return faults.chosen()

    def attempt(call):
        """Whether the call has come and failed, or something was wrong."""
        stage, answer = prepare(), None
        faults.arm(call)
        try:
            answer = ask(lambda: act(stage))
            end = time.monotonic() + 1
            while not faults.failed and not rest(stage) and time.monotonic() < end:
                time.sleep(0.005)
            failed = faults.disarm()
            assert answer is not None or streamed or failed in SPEECHLESS, "no answer"
            verify(stage, answer)
            seen.append((stage, answer))
            stage, again = wait_for(lambda: works(prepare, act, rest), 10, "a good answer afterwards")
            verify(stage, again)
        except (AssertionError, pytest.fail.Exception, requests.RequestException) as error:
            failed = faults.disarm() or "nothing"
            wrong.append(f"{faults.where()}: answer {answer is not None and (answer.status_code, answer.text[:160])}: "
                         f"{str(error).splitlines()[0][:300]}")
        return failed

    for _ in range(3):          # what is done once (addresses, connections, prepared scripts) is done then
        counted()
    chosen = counted()
    lines = {way: (place, name.split(b"\0")[0].decode()) for place, way, name in faults.counted()}
    always = set(chosen).intersection(counted(), counted())     # the others are timers' and other threads'
    assert always, "no call was counted"
    missed = []
    for call in chosen:
        end = time.monotonic() + PATIENCE
        while not attempt(call) and call in always:
            if time.monotonic() > end:
                missed.append(faults.line(*lines[call[0]]))
                break
    assert not wrong, "\n".join(wrong)
    assert not missed, "calls that never came again: " + ", ".join(missed)
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
        for order in of_customer(system, customer):
            assert order["status"] in ("created", "paymentFailed")
            assert not partners.calls_of("bill", order["_id"])
    seen = each_call_fails(nginx_faults, lambda: str(uuid.uuid4()),
                           lambda customer: system.order.post("/v1/orders", json=system.payload(customer_id=customer)),
                           verify)
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


def cancel_is_done(system, order_id):
    """orderd was told of the cancel, and has done what it owes."""
    return len(system.doc(order_id).get("settled", [])) == 2


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

    seen = each_call_fails(nginx_faults, prepare, lambda i: system.order.post(f"/v1/orders/{i}/cancel"), verify,
                           rest=lambda i: cancel_is_done(system, i))
    for order_id, _ in seen:
        wait_for(lambda i=order_id: cancelled(i), 30, f"the refund of {order_id}")


def place(system, stage, quantity=1):
    """Orders with an Idempotency-Key. The stage is (customer, key)."""
    return system.order.post("/v1/orders", json=system.payload(quantity, customer_id=stage[0]),
                             headers={"Idempotency-Key": stage[1]})


def new_key():
    return str(uuid.uuid4()), str(uuid.uuid4())


def test_key_first(system, partners, nginx_faults):
    """However the first attempt ends, repeats end in an answer that stays, and in one order."""
    def verify(stage, answer):
        found = of_customer(system, stage[0])
        assert len(found) <= 1
        assert all(len(keys(partners, "bill", order["_id"])) <= 1 for order in found)
        if answer is not None and answer.status_code == 202:
            assert [order["_id"] for order in found] == [answer.json()["id"]]

    def repeated(stage, first):
        again = place(system, stage)
        verify(stage, again)
        if first is not None and first.status_code == 202:
            assert again.status_code in (202, 409, 500, 503) and (again.status_code != 202 or again.text == first.text)
        replayed = again.headers.get("Idempotent-Replayed") == "true"
        assert not (replayed and again.status_code == 500 and "Internal" in again.text), "want of memory is remembered"
        return replayed and [again]

    seen = each_call_fails(nginx_faults, new_key, lambda stage: place(system, stage), verify)
    for stage, first in seen:
        again, = wait_for(lambda s=stage, f=first: repeated(s, f), 40, f"an answer that {stage} keeps")
        assert place(system, stage).text == again.text and len(of_customer(system, stage[0])) == 1


def test_key_repeat(system, partners, nginx_faults):
    def prepare():
        stage = new_key()
        first = place(system, stage)
        assert first.status_code == 202
        return (*stage, first)

    def verify(stage, answer):
        order, = of_customer(system, stage[0])
        assert len(keys(partners, "bill", order["_id"])) == 1
        if answer is not None and answer.status_code < 500:
            assert (answer.status_code, answer.text) == (202, stage[2].text)
            assert answer.headers.get("Idempotent-Replayed") in ("true", None)      # without memory it is left out
    each_call_fails(nginx_faults, prepare, lambda stage: place(system, stage), verify)


def test_key_of_another_payload(system, nginx_faults):
    def prepare():
        stage = new_key()
        assert place(system, stage).status_code == 202
        return stage

    def verify(stage, answer):
        assert answer is None or answer.status_code in (422, 500, 503)
        assert len(of_customer(system, stage[0])) == 1
    each_call_fails(nginx_faults, prepare, lambda stage: place(system, stage, quantity=2), verify)


def test_key_of_a_cancel(system, partners, nginx_faults):
    def prepare():
        order_id = put_order(system, "deliveryScheduled", delivery_id=bson.Binary(uuid.uuid4().bytes, 4))
        put_payment(system, order_id, "paymentPaid")
        return order_id, str(uuid.uuid4())

    def act(stage):
        return system.order.post(f"/v1/orders/{stage[0]}/cancel", headers={"Idempotency-Key": stage[1]})

    def verify(stage, answer):
        status = system.doc(stage[0])["status"]
        assert status in ("deliveryScheduled", "orderCancelled")
        if answer is not None and answer.status_code == 202:
            assert status == "orderCancelled"

    def told(stage):
        """The repeat tells of the cancel that was made, whether its answer was seen or not."""
        answer = act(stage)
        verify(stage, answer)
        return answer.status_code == 202 and len(keys(partners, "reimburse", stage[0])) == 1

    seen = each_call_fails(nginx_faults, prepare, act, verify, rest=lambda stage: cancel_is_done(system, stage[0]))
    for stage, _ in seen:
        wait_for(lambda s=stage: told(s), 40, f"the cancel and the refund of {stage}")


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


class Events:
    """The payments' events in their queue, and the marks that stand for those that are not there yet."""

    def __init__(self, system):
        self.system, self.came = system, set()

    def has(self, order_id):
        while order_id not in self.came and (message := self.system.queue.take("Faults")) is not None:
            self.came.add(json.loads(message[0])["metadata"]["order_id"])
        return order_id in self.came

    def marked(self, order_id):
        return "outbox" in self.system.db.payments.find_one({"_id": order_id})

    def sent(self, order_id):
        """The mark is gone, and it never goes without its event."""
        if self.marked(order_id):
            return False
        assert self.has(order_id), f"the mark of {order_id} went without its event"
        return True


def test_callback(system, nginx_faults):
    events = Events(system)

    def prepare():
        order_id = str(uuid.uuid4())
        put_payment(system, order_id, "pending")
        return order_id

    def rest(order_id):
        return system.db.payments.find_one({"_id": order_id})["status"] == "paymentPaid" and not events.marked(order_id)

    def verify(order_id, answer):
        if answer is None or answer.status_code >= 500:
            answer = system.callback(order_id, "paymentPaid")
        assert answer.status_code == 201
        assert system.db.payments.find_one({"_id": order_id})["status"] == "paymentPaid"
        # when its event could not be made, the mark is left, and the company's repeat helps
        if not events.sent(order_id):
            assert system.callback(order_id, "paymentPaid").status_code == 201
            wait_for(lambda: events.has(order_id), 10, f"the event of {order_id}")

    seen = each_call_fails(nginx_faults, prepare, lambda i: system.callback(i, "paymentPaid"), verify, rest=rest)
    for order_id, _ in seen:
        wait_for(lambda i=order_id: events.sent(i), 30, f"the end of the mark of {order_id}")


def test_callback_with_an_old_mark(system, nginx_faults):
    """The event of an earlier callback was never confirmed: the repeat sends it, and the mark goes, or stays for
    sweepd."""
    events = Events(system)

    def prepare():
        order_id = str(uuid.uuid4())
        put_payment(system, order_id, "paymentPaid")
        system.db.payments.update_one({"_id": order_id}, {"$set": {"outbox": [
            {"id": str(uuid.uuid4()), "status": "paymentPaid", "when": datetime.now(timezone.utc)}]}})
        return order_id

    def verify(order_id, answer):
        assert answer is None or answer.status_code in (201, 500, 503)
        assert system.db.payments.find_one({"_id": order_id})["status"] == "paymentPaid"
        events.sent(order_id)

    seen = each_call_fails(nginx_faults, prepare, lambda i: system.callback(i, "paymentPaid"), verify,
                           rest=lambda i: not events.marked(i))
    for order_id, _ in seen:
        wait_for(lambda i=order_id: events.sent(i), 30, f"the end of the mark of {order_id}")


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
