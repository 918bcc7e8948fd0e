"""/openapi.json says what the services do: every operation and nothing else is there, and real answers, good and bad,
are as described. (So is each answer of every other flow test: Api.call in conftest.py sees to that.)"""

import json
import os
import re
import uuid

import pika
import pytest
import yaml

from conftest import wait_for
from partners import Answer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WRONG_KEY = {"X-API-Key": "wrong"}
NOBODY = "0193e0a0-0000-7000-8000-000000000000"


def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def services(system):
    return {"ORDER": system.order, "PAYMENT": system.payment}


def payment(order_id=None, **more):
    return {"items": [{"product": "Lasagna"}], "metadata": {
        "receiver": "nobody", "order_id": order_id or str(uuid.uuid4()), "customer_id": str(uuid.uuid4())}, **more}


def test_each_service_serves_its_own_without_a_key(system):
    for api, name in ((system.order, "OrderService"), (system.payment, "PaymentService")):
        answer = api.get("/openapi.json", key=False)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
        spec = answer.json()
        assert spec["info"]["title"] == name
        assert spec["info"]["version"] == api.get("/health").json()["version"]
        for path in ("/docs", "/docs/index.html"):
            headers = api.get(path, key=False).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        for file, kind in (("LICENSE", "text/plain"), ("swagger-ui.css", "text/css"),
                           ("favicon-32x32.png", "image/png")):
            assert api.get(f"/docs/{file}", key=False).headers["Content-Type"].split(";")[0] == kind


@pytest.mark.parametrize("method", [
    "PUT", "PATCH", "OPTIONS", "TRACE",
    pytest.param("HEAD", marks=pytest.mark.raw("Prism misses the body in its answer"))])
def test_each_path_has_the_methods_that_are_described_and_no_other(system, method):
    for api in services(system).values():
        for path, item in api.contract.spec["paths"].items():
            answer = api.session.request(method, api.url + path.replace("{order_id}", NOBODY), headers=api.key,
                                         timeout=20)
            assert answer.status_code == 405, path
            described = {name.upper() for name in item if name != "parameters"}
            assert set(answer.headers["Allow"].split(", ")) == described, path
            if method != "HEAD":
                for operation in (item[name] for name in item if name != "parameters"):
                    assert api.contract.faults_of(operation["responses"]["405"], answer) == []


def test_the_paths_that_are_described_are_those_of_the_code(system):
    constants = dict(re.findall(r'#define (FOODSVC_PATH_\w+)\s+"([^"]*)"', source("libfoodsvc/foodsvc_names.h")))
    routes = re.findall(r'\{ NGX_HTTP_FOODSVC_(\w+), ngx_string\((\w+)(?: "([^"]*)")?\), NGX_HTTP_(\w+),',
                        source("ngx_foodsvc_module/ngx_http_foodsvc_route.c"))
    assert len(routes) > 8
    for role, api in services(system).items():
        code = {(constants[name] + (rest or "").replace("{id}", "{order_id}"), method.lower())
                for owner, name, rest, method in routes if owner == role}
        assert code == {(path, method) for path, method, _ in api.contract.operations()}


def test_the_queues_and_headers_that_are_described_are_there(system):
    events = yaml.safe_load(source("specs/events.asyncapi.yaml"))
    system.queue.send(b"rubbish")
    body, properties = system.queue.take_where("OrderService.dead", lambda body, _: body == b"rubbish")
    headers = events["components"]["messages"]["dead"]["headers"]
    assert set(headers["required"]) <= set(properties.headers)
    assert {name for name in properties.headers if name.startswith("x-foodsvc-")} <= set(headers["properties"])
    connection = pika.BlockingConnection(system.queue.parameters)
    try:
        for channel in events["channels"].values():
            for seconds in channel.get("parameters", {}).get("seconds", {}).get("enum", [""]):
                connection.channel().queue_declare(channel["address"].replace("{seconds}", seconds), passive=True)
    finally:
        connection.close()


def test_orders_answers_are_as_described(system, partners):
    api = system.order
    order = system.paid()
    one = f"/v1/orders/{order['id']}"
    partners.say("bill", Answer(400, {"detail": "The card has expired"}, times=1))
    assert api.post("/v1/orders", json=system.payload()).status_code == 400
    assert api.post("/v1/orders", json={}).status_code == 422
    assert api.post("/v1/orders", data=b" " * 70000).status_code == 413
    assert api.get("/v1/orders").status_code == 200
    assert api.get(one).status_code == 200
    assert api.post(one + "/cancel").status_code == 202
    assert api.post(one + "/cancel").status_code == 400
    for method, path in (("GET", ""), ("POST", "/cancel"), ("DELETE", "")):
        assert api.call(method, f"/v1/orders/{NOBODY}{path}").status_code == 404
        assert api.call(method, f"/v1/orders/no-uuid{path}").status_code == 422
        assert api.call(method, one + path, key=False).status_code == 401
    for method in ("GET", "POST"):
        assert api.call(method, "/v1/orders", key=False, headers=WRONG_KEY).status_code == 401
    assert wait_for(lambda: partners.calls_of("reimburse", order["id"]), what="the reimbursement")
    assert api.delete(one).status_code == 204
    assert api.get("/health").status_code == 200
    partners.say("health:KitchenService", Answer(500, {"status": False}))
    assert api.get("/health").status_code == 500
    nearly_all_seen(api.contract)


def test_a_repeats_header_is_described(system):
    again = {"headers": {"Idempotency-Key": str(uuid.uuid4())}, "json": system.payload()}
    first, second = (system.order.post("/v1/orders", **again) for _ in range(2))
    assert first.json() == second.json() and second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    post = system.order.contract.spec["paths"]["/v1/orders"]["post"]["responses"]
    assert all("Idempotent-Replayed" in post[status]["headers"] for status in ("202", "400", "500"))


def test_payments_answers_are_as_described(system, partners):
    api = system.payment
    order_id = str(uuid.uuid4())
    callback = {"status": "paymentPaid", "caller_id": order_id, "transaction_id": str(uuid.uuid4())}
    assert api.post("/v1/payments", json=payment(order_id)).status_code == 202
    assert api.post("/v1/payments/callback", json=callback).status_code == 201
    assert api.post("/v1/payments/reimburse", json=payment(order_id)).status_code == 202
    assert api.post("/v1/payments/reimburse", json=payment()).status_code == 400
    assert api.post("/v1/payments/callback", json=dict(callback, caller_id=NOBODY)).status_code == 404
    partners.say("bill", Answer(400, {"detail": "The card has expired"}, times=1))
    assert api.post("/v1/payments", json=payment()).status_code == 400
    partners.say("billing", Answer(close=True))
    assert api.post("/v1/payments", json=payment()).status_code == 500
    for path in ("", "/reimburse", "/callback"):
        assert api.post("/v1/payments" + path, json={}).status_code == 422
        assert api.post("/v1/payments" + path, key=False).status_code == 401
        assert api.post("/v1/payments" + path, data=json.dumps({"a": "b" * 70000})).status_code == 413
    assert api.get("/health").status_code == 200
    partners.say("health:CustomerService", Answer(500, {"status": False}))
    assert api.get("/health").status_code == 500
    nearly_all_seen(api.contract)


def nearly_all_seen(contract):
    """Each answer that is described has come. Those of outages come in test_070_outages.py, 403 and 409 in
    test_090_keys.py, 405 above, 429 in t/system/test_limits.py."""
    described = {(operation["operationId"], int(status)) for _, _, operation in contract.operations()
                 for status in operation["responses"]}
    assert {one for one in described - contract.seen if one[1] < 500 and one[1] not in (403, 405, 409, 429)} == set()
