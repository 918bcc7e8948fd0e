"""Every row of OrderService's table in the contract: paths, successes, errors, headers and bodies."""

import os
import socket
import ssl
import urllib.parse
import uuid

import pytest

from conftest import wait_for
from partners import Answer

NEW_ID = "0193e0a0-0000-7000-8000-000000000000"


def test_get_lists_all_newest_first(system):
    ids = [system.place()["id"] for _ in range(3)]
    answer = system.order.get("/v1/orders")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    listed = [order["id"] for order in answer.json()]
    assert [i for i in listed if i in ids] == ids[::-1]
    times = [order["created"] for order in answer.json()]
    assert times == sorted(times, reverse=True)


def test_get_list_pages_through_more_orders_than_a_page(system):
    for _ in range(205):
        system.db.orders.insert_one({
            "_id": str(uuid.uuid4()), "items": [{"product": "Lasagna", "quantity": 1}], "status": "delivered",
            "created": "2020-01-01 10:22:51.910000", "customer_id": str(uuid.uuid4()), "kitchen_id": None,
            "delivery_id": None, "updated": [], "mark": "paging"})
    try:
        listed = [order["id"] for order in system.order.get("/v1/orders").json()]
        assert len(listed) == len(set(listed)) == system.db.orders.count_documents({})
    finally:
        system.db.orders.delete_many({"mark": "paging"})


def raw_list(system):
    """The bytes of GET /v1/orders until the connection ends."""
    address = urllib.parse.urlsplit(system.order.url)
    context = ssl.create_default_context(cafile=os.environ["CA_CERT"])
    with socket.create_connection((address.hostname, address.port), 5) as plain, \
            context.wrap_socket(plain, server_hostname=address.hostname) as connection:
        connection.sendall(f"GET /v1/orders HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
                           f"X-API-Key: {os.environ['API_KEY']}\r\n\r\n".encode())
        return connection.makefile("rb").read()


@pytest.mark.raw("it looks at TLS records")
def test_a_page_that_ends_one_byte_before_a_tls_record_does_not_wait_for_a_timeout(system):
    """The last byte of a chunk's line end is then alone in the next record, and nothing behind it pushes it out."""
    record = 4096               # ssl_buffer_size
    try:
        system.db.orders.insert_many([{
            "_id": str(uuid.uuid4()), "items": [{"product": "Lasagna", "quantity": 1}], "status": "delivered",
            "created": "2100-01-01 10:22:51.910000", "customer_id": str(uuid.uuid4()), "kitchen_id": None,
            "delivery_id": None, "updated": [], "mark": "record"} for _ in range(201)])
        head, rest = raw_list(system).split(b"\r\n\r\n", 1)
        line = rest.split(b"\r\n", 1)[0]
        padding = -(len(head) + 4 + len(line) + 2 + int(line, 16) + 1) % record
        assert len(f"{int(line, 16) + padding:x}") == len(line)
        first = system.db.orders.find_one({"mark": "record"}, sort=[("created", -1), ("_id", -1)])
        system.db.orders.update_one({"_id": first["_id"]}, {"$set": {"items.0.product": "Lasagna" + "a" * padding}})
        assert raw_list(system).endswith(b"]\r\n0\r\n\r\n")
    finally:
        system.db.orders.delete_many({"mark": "record"})


def test_get_one_unknown_is_404(system):
    answer = system.order.get(f"/v1/orders/{NEW_ID}")
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"order_id '{NEW_ID}' not found in DB api_db.orders"}


@pytest.mark.parametrize("method, path", [("GET", "/v1/orders/xyz"), ("DELETE", "/v1/orders/xyz"),
                                          ("POST", "/v1/orders/xyz/cancel")])
def test_an_id_that_is_no_uuid_is_422(system, method, path):
    answer = system.order.call(method, path)
    assert answer.status_code == 422
    assert answer.json()["detail"] == [{
        "type": "uuid_parsing", "loc": ["path", "order_id"], "input": "xyz",
        "msg": "Input should be a valid UUID, invalid character: found `x` at 0",
        "ctx": {"error": "invalid character: found `x` at 0"}}]


def test_an_id_in_capitals_is_the_same_order(system):
    order = system.place()
    assert system.order.get(f"/v1/orders/{order['id'].upper()}").json()["id"] == order["id"]


def test_delete_removes_the_order_and_its_cache_entry(system):
    order = system.place()
    system.show(order["id"])
    answer = system.order.delete(f"/v1/orders/{order['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert system.doc(order["id"]) is None
    assert system.redis.get(order["id"]) is None
    assert system.order.get(f"/v1/orders/{order['id']}").status_code == 404
    assert system.order.delete(f"/v1/orders/{order['id']}").status_code == 404


def test_a_deleted_order_does_not_come_back_from_a_late_event(system):
    order = system.paid()
    assert system.order.delete(f"/v1/orders/{order['id']}").status_code == 204
    system.queue.event(order["id"], "driverAvailable")
    other = system.paid()
    system.queue.event(other["id"], "driverAvailable")
    system.wait_status(other["id"], "cookingScheduled")
    assert system.redis.get(order["id"]) is None and system.doc(order["id"]) is None


def test_cancel_too_early_and_too_late_is_400_and_nothing_is_refunded(system, partners):
    early = system.place()
    answer = system.order.post(f"/v1/orders/{early['id']}/cancel")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"Could not cancel order with id {early['id']}")
    late = system.paid()
    system.queue.event(late["id"], "driverAvailable")
    system.wait_status(late["id"], "cookingScheduled")
    assert system.order.post(f"/v1/orders/{late['id']}/cancel").status_code == 400
    assert system.doc(late["id"])["status"] == "cookingScheduled"
    assert partners.calls_of("reimburse") == [] and partners.calls_of("delivery_cancel") == []


def test_cancel_of_an_unknown_order_is_404(system):
    assert system.order.post(f"/v1/orders/{NEW_ID}/cancel").status_code == 404


def test_cancel_reimburses_once(system, partners):
    order = system.paid()
    answer = system.order.post(f"/v1/orders/{order['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "orderCancelled" and answer.json()["id"] == order["id"]
    assert system.order.post(f"/v1/orders/{order['id']}/cancel").status_code == 400
    wait_for(lambda: partners.calls_of("reimburse", order["id"]), what="the reimbursement")
    assert system.callback(order["id"], "reimbursed").status_code == 201
    system.wait_status(order["id"], "reimbursed")
    assert len(partners.calls_of("reimburse", order["id"])) == 1
    assert [c.path for c in partners.calls_of("delivery_cancel")] == [f"/v1/deliveries/{order['delivery_id']}/cancel"]
    assert system.history(order["id"]) == ["paymentPaid", "deliveryScheduled", "orderCancelled", "reimbursed"]
    assert system.db.payments.find_one({"_id": order["id"]})["status"] == "reimbursed"


def test_payment_refused_is_400_and_the_order_failed(system, partners):
    partners.say("bill", Answer(422, {"detail": "The card has expired"}))
    answer = system.order.post("/v1/orders", json=system.payload())
    assert answer.status_code == 400 and isinstance(answer.json()["detail"], str)
    newest = system.order.get("/v1/orders").json()[0]
    assert newest["status"] == "paymentFailed"


def test_payment_service_away_is_500_and_the_order_failed(system, partners):
    url = system.db.service_urls.find_one({"_id": "PaymentService"})["url"]
    system.db.service_urls.update_one({"_id": "PaymentService"}, {"$set": {"url": "https://127.0.0.1:1"}})
    system.redis.delete("PaymentService")
    try:
        customer = str(uuid.uuid4())

        def refused():
            answer = system.order.post("/v1/orders", json=system.payload(customer_id=customer))
            return [answer] if answer.status_code == 500 else None      # an answer of 500 counts as false itself
        [answer] = wait_for(refused, 5, "the changed address to take effect")
        assert isinstance(answer.json()["detail"], str)
        newest = system.order.get("/v1/orders").json()[0]
        assert newest["customer_id"] == customer and newest["status"] == "paymentFailed"
    finally:
        system.db.service_urls.update_one({"_id": "PaymentService"}, {"$set": {"url": url}})
        system.redis.delete("PaymentService")

    def accepted():
        answer = system.order.post("/v1/orders", json=system.payload())
        return answer.status_code == 202
    wait_for(accepted, 5, "the address to be taken back")


def test_health(system):
    answer = system.order.get("/health", key=False)
    assert answer.status_code == 200
    health = answer.json()
    assert health["name"] == "OrderService" and health["status"] is True and health["cert_remaining_days"] > 0
    assert [r["name"] for r in health["resources"]] == [
        "Certificate.valid", "MongoDb", "RabbitMQ", "PaymentService", "KitchenService", "DeliveryService",
        "CustomerService"]
    assert all(r["status"] is True for r in health["resources"])


def test_health_is_500_when_a_service_is_down(system, partners):
    partners.say("health:KitchenService", Answer(500, {"detail": "down"}))
    answer = system.order.get("/health", key=False)
    assert answer.status_code == 500 and answer.json()["status"] is False
    assert [r["name"] for r in answer.json()["resources"] if not r["status"]] == ["KitchenService"]


@pytest.mark.parametrize("key", [None, "", "no", "a" * 5000])
@pytest.mark.parametrize("method, path, body", [
    ("GET", "/v1/orders", None), ("POST", "/v1/orders", "{broken"), ("GET", "/v1/orders/xyz", None),
    ("DELETE", f"/v1/orders/{NEW_ID}", None), ("POST", f"/v1/orders/{NEW_ID}/cancel", None)])
def test_the_key_is_checked_before_anything_else(system, method, path, body, key):
    headers = {} if key is None else {"X-API-Key": key}
    answer = system.order.call(method, path, key=False, headers=headers, data=body)
    assert answer.status_code in ((401,) if key is None or len(key) < 100 else (400, 401, 431))
    if answer.status_code == 401:
        assert answer.json() == {"detail": "Invalid or missing API Key"}
        assert answer.headers["WWW-Authenticate"] == "X-API-Key"


def test_unknown_paths_and_methods(system):
    answer = system.order.get("/nope")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = system.order.call("PUT", "/v1/orders")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert "POST" in answer.headers["Allow"]
