"""Keys: one order for one Idempotency-Key, whoever dies meanwhile; API keys with scopes,
changed without a failed request."""

import hashlib
import os
import pathlib
import signal
import threading
import time
import uuid

import pytest
import requests

from conftest import nginx_workers, pids, wait_for
from partners import Answer


class Poster(threading.Thread):
    """One POST /v1/orders with a key, beside the test; an error is an outcome, too."""

    def __init__(self, api, key, body, start=None):
        super().__init__(daemon=True)
        self.api, self.key, self.body, self.at, self.answer = api, key, body, start, None

    def run(self):
        if self.at:
            self.at.wait()
        try:
            self.answer = requests.post(self.api.url + "/v1/orders", json=self.body, verify=os.environ["CA_CERT"],
                                        timeout=30, headers=dict(self.api.key, **{"Idempotency-Key": self.key}))
        except requests.RequestException as error:
            self.answer = error


def test_many_at_once_make_one_order(system, partners):
    key, body, start = str(uuid.uuid4()), system.payload(), threading.Barrier(12)
    posters = [Poster(system.order, key, body, start) for _ in range(12)]
    for poster in posters:
        poster.start()
    for poster in posters:
        poster.join(30)
    answers = [poster.answer for poster in posters]
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.text for answer in answers if answer.status_code == 202}) == 1
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 409)
    assert system.db.orders.count_documents({"customer_id": uuid_binary(body)}) == 1
    again = system.order.post("/v1/orders", json=body, headers={"Idempotency-Key": key})
    assert again.status_code == 202 and again.headers["Idempotent-Replayed"] == "true"
    assert len(partners.calls_of("bill", again.json()["id"])) == 1


def uuid_binary(body):
    import bson
    return bson.Binary(uuid.UUID(body["customer_id"]).bytes, 4)


@pytest.mark.raw("Prism makes an answer of a connection that is cut")
def test_a_worker_killed_in_the_middle_leaves_one_order_that_a_repeat_finds(system, partners):
    key, body = str(uuid.uuid4()), system.payload()
    partners.say("billing", Answer(503, {"detail": "never heard"}, delay=8, times=1))
    poster = Poster(system.order, key, body)
    poster.start()
    stored = wait_for(lambda: system.db.orders.find_one({"customer_id": uuid_binary(body)}),
                      what="the order in MongoDB")
    wait_for(lambda: partners.calls_of("billing"), what="the call that hangs")
    killed = nginx_workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    poster.join(30)
    assert isinstance(poster.answer, requests.RequestException)
    wait_for(lambda: nginx_workers() and not set(nginx_workers()) & set(killed), what="new workers")

    record = system.db.idempotency_keys.find_one({"order_id": stored["_id"]})
    assert "status" not in record

    def again():
        """A list, for an answer of 409 is as good as false."""
        try:
            return [system.order.post("/v1/orders", json=body, headers={"Idempotency-Key": key})]
        except requests.ConnectionError:
            return []
    first = wait_for(again, what="an answer")[0]
    assert first.status_code == 409 and first.json()["detail"] and first.headers["Retry-After"]
    answer = wait_for(lambda: [got for got in again() if got.status_code != 409], 20, "the end of the lease")[0]
    assert answer.status_code == 202 and answer.json()["id"] == stored["_id"]
    assert "Idempotent-Replayed" not in answer.headers
    repeat = system.order.post("/v1/orders", json=body, headers={"Idempotency-Key": key})
    assert repeat.text == answer.text and repeat.headers["Idempotent-Replayed"] == "true"
    assert system.db.orders.count_documents({"customer_id": uuid_binary(body)}) == 1
    wait_for(lambda: partners.calls_of("bill", stored["_id"]), 20, "the bill: the taker told orderd of the debt")
    assert system.callback(stored["_id"], "paymentPaid").status_code == 201
    system.wait_status(stored["_id"], "deliveryScheduled")
    assert len(partners.calls_of("bill", stored["_id"])) == 1


def test_neither_key_is_in_the_record(system, partners):
    key = f"secret-{uuid.uuid4()}"
    order = system.order.post("/v1/orders", json=system.payload(), headers={"Idempotency-Key": key}).json()
    record = system.db.idempotency_keys.find_one({"order_id": order["id"]})
    assert key not in str(record) and os.environ["API_KEY"] not in str(record)
    name = hashlib.sha256(hashlib.sha256(os.environ["API_KEY"].encode()).digest() + key.encode()).hexdigest()
    assert record["_id"] == name


def test_records_end_after_a_day(system):
    assert system.db.idempotency_keys.index_information()["created_1"]["expireAfterSeconds"] == 86400


def test_without_a_key_there_is_no_record(system, partners):
    before = system.db.idempotency_keys.count_documents({})
    order = system.place()
    system.order.post(f"/v1/orders/{order['id']}/cancel")
    assert system.db.idempotency_keys.count_documents({}) == before


# --- where urls may lead ---

def test_a_url_that_leads_elsewhere_is_not_called(system, partners):
    """The development system allows the loopback interface: orderd parks the event, and health is down."""
    urls, name = system.db.service_urls, "KitchenService"
    before = urls.find_one({"_id": name})["url"]
    try:
        urls.update_one({"_id": name}, {"$set": {"url": "http://169.254.169.254"}})
        system.redis.delete(name)
        time.sleep(2.2)             # a process may remember an address for 2 s
        order = system.paid()
        wait_for(lambda: system.order.get("/health").status_code == 500, what="health without KitchenService")
        down = [one["name"] for one in system.order.get("/health").json()["resources"] if not one["status"]]
        assert down == [name]
        system.queue.event(order["id"], "driverAvailable")
        system.wait_status(order["id"], "driverAvailable")
        log = pathlib.Path(os.environ["RUN"]) / "logs"
        wait_for(lambda: "partner_allow does not have its host, 169.254.169.254" in (log / "orderd.log").read_text(),
                 what="orderd's reason")
        assert "foodsvc_partner_allow does not have its host, 169.254.169.254" in (log / "error.log").read_text()
    finally:
        urls.update_one({"_id": name}, {"$set": {"url": before}})
        system.redis.delete(name)
    system.wait_status(order["id"], "cookingScheduled", 40)


# --- API keys ---

@pytest.fixture
def keys_file():
    path = pathlib.Path(os.environ["RUN"]) / "secrets/api_keys.sha256"
    before = path.read_text()
    yield path
    path.write_text(before)
    os.kill(pids("nginx")[0], signal.SIGHUP)


def line(key, *scopes):
    return " ".join([hashlib.sha256(key.encode()).hexdigest(), *scopes]) + "\n"


def reload(path, text, key, wanted, api):
    """Writes the file, and has it read again: until `key` gets what is wanted from every worker that is left."""
    old = nginx_workers()
    path.write_text(text)
    os.kill(pids("nginx")[0], signal.SIGHUP)
    wait_for(lambda: not set(old) & set(nginx_workers()), 20, "the end of the old workers")
    answer = requests.get(api.url + "/v1/orders/x", headers={"X-API-Key": key}, verify=os.environ["CA_CERT"],
                          timeout=20)
    assert answer.status_code == wanted


def test_scopes_are_answered_as_described(system, partners, keys_file):
    text = keys_file.read_text()
    reload(keys_file, text + line("card-company", "callback") + line("reader", "orders:read"), "reader", 422,
           system.order)
    card, reader = {"X-API-Key": "card-company"}, {"X-API-Key": "reader"}
    answer = system.order.post("/v1/orders", json=system.payload(), key=False, headers=reader)
    assert (answer.status_code, answer.json()) == (
        403, {"detail": "This API key may not do that: it needs the scope orders:write"})
    order = system.place()
    assert system.order.get("/v1/orders", key=False, headers=card).status_code == 403
    assert system.order.get(f"/v1/orders/{order['id']}", key=False, headers=reader).status_code == 200
    assert system.order.post(f"/v1/orders/{order['id']}/cancel", key=False, headers=reader).status_code == 403
    assert system.order.delete(f"/v1/orders/{order['id']}", key=False, headers=reader).status_code == 403
    for path in ("", "/reimburse"):
        assert system.payment.post("/v1/payments" + path, json={}, key=False, headers=card).status_code == 403
    callback = {"status": "paymentPaid", "caller_id": order["id"], "transaction_id": str(uuid.uuid4())}
    assert system.payment.post("/v1/payments/callback", json=callback, key=False, headers=reader).status_code == 403
    assert system.payment.post("/v1/payments/callback", json=callback, key=False, headers=card).status_code == 201


def test_keys_change_without_a_failed_request(system, partners, keys_file):
    text, order = keys_file.read_text(), system.place()
    client = {"key": "old-key", "stop": False, "answers": []}

    def ask():
        while not client["stop"]:
            try:
                got = requests.get(f"{system.order.url}/v1/orders/{order['id']}", verify=os.environ["CA_CERT"],
                                   timeout=20, headers={"X-API-Key": client["key"], "Connection": "close"})
                client["answers"].append((client["key"], got.status_code))
            except requests.RequestException as error:
                client["answers"].append((client["key"], repr(error)))

    reload(keys_file, text + line("old-key"), "old-key", 422, system.order)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    reload(keys_file, text + line("old-key") + line("new-key"), "new-key", 422, system.order)
    client["key"] = "new-key"
    seen = len(client["answers"])
    wait_for(lambda: len(client["answers"]) > seen + 5, what="answers to the new key")
    reload(keys_file, text + line("new-key"), "old-key", 401, system.order)
    seen = len(client["answers"])
    wait_for(lambda: len(client["answers"]) > seen + 5, what="answers without the old key")
    client["stop"] = True
    thread.join(20)
    assert {answer for _, answer in client["answers"]} == {200}
    assert {key for key, _ in client["answers"]} == {"old-key", "new-key"}
