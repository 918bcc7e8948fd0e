"""Broken requests to both services: each gets a clear error that locates every fault, and stores nothing."""

import socket
import ssl
import os
import urllib.parse
import uuid

import pytest

CUSTOMER = "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
PRODUCTS = ("'Lasagna', 'Double Cheeseburger', 'Veil with glazed onions and blue cheese' or "
            "'Vegetarian Salad with healthy produce'")
BROKEN = pytest.mark.raw("Prism answers itself what is odd about HTTP, or mends it")
PARSED = pytest.mark.raw("Prism parses bodies, and passes on what it has read")


def post(system, body, path="/v1/orders"):
    api = system.payment if "payments" in path else system.order
    return api.post(path, data=body, headers={"Content-Type": "application/json"})


def test_every_fault_is_located(system):
    answer = post(system, '{"items":[{"product":"Pizza","quantity":0},{"quantity":"x"}],"customer_id":"no"}')
    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"type": "enum", "loc": ["body", "items", 0, "product"], "msg": f"Input should be {PRODUCTS}",
         "input": "Pizza", "ctx": {"expected": PRODUCTS}},
        {"type": "greater_than", "loc": ["body", "items", 0, "quantity"], "msg": "Input should be greater than 0",
         "input": 0, "ctx": {"gt": 0}},
        {"type": "missing", "loc": ["body", "items", 1, "product"], "msg": "Field required",
         "input": {"quantity": "x"}},
        {"type": "int_parsing", "loc": ["body", "items", 1, "quantity"],
         "msg": "Input should be a valid integer, unable to parse string as an integer", "input": "x"},
        {"type": "uuid_parsing", "loc": ["body", "customer_id"],
         "msg": "Input should be a valid UUID, invalid character: found `n` at 0", "input": "no",
         "ctx": {"error": "invalid character: found `n` at 0"}}]


@pytest.mark.raw("it speaks HTTP where TLS is spoken")
def test_422_has_its_words_and_plain_http_is_told_what_to_speak(system):
    assert post(system, "").reason == "Unprocessable Entity"
    address = urllib.parse.urlsplit(system.order.url)
    with socket.create_connection((address.hostname, address.port), 5) as plain:
        plain.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        answer = plain.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b'{"detail":"This port takes HTTPS only"}')


@pytest.mark.parametrize("body, kind, loc", [
    ("", "missing", ["body"]),
    ("[1]", "model_attributes_type", ["body"]),
    ("null", "missing", ["body"]),
    pytest.param('"x"', "model_attributes_type", ["body"], marks=PARSED),
    pytest.param('{"items": [', "json_invalid", ["body", 11], marks=PARSED),
    ('{"items":[],"customer_id":"%s"}' % CUSTOMER, "too_short", ["body", "items"]),
    ('{"items":{},"customer_id":"%s"}' % CUSTOMER, "list_type", ["body", "items"]),
    ('{"items":[7],"customer_id":"%s"}' % CUSTOMER, "model_attributes_type", ["body", "items", 0]),
    ('{"items":[{"product":"Lasagna","quantity":true}],"customer_id":"%s"}' % CUSTOMER, None,
     ["body", "items", 0, "quantity"]),
    ('{"items":[{"product":"Lasagna","quantity":1.5}],"customer_id":"%s"}' % CUSTOMER, "int_from_float",
     ["body", "items", 0, "quantity"]),
    ('{"items":[{"product":"Lasagna","quantity":-1}],"customer_id":"%s"}' % CUSTOMER, "greater_than",
     ["body", "items", 0, "quantity"]),
    ('{"items":[{"product":null}],"customer_id":"%s"}' % CUSTOMER, "enum", ["body", "items", 0, "product"]),
    ('{"items":[{"product":"Lasagna"}],"customer_id":7}', "uuid_type", ["body", "customer_id"]),
    ('{"items":[{"product":"Lasagna"}]}', "missing", ["body", "customer_id"]),
])
def test_order_payloads(system, body, kind, loc):
    before = system.db.orders.count_documents({})
    answer = post(system, body)
    assert answer.status_code == 422, answer.text
    [fault] = answer.json()["detail"]
    assert fault["loc"] == loc and (kind is None or fault["type"] == kind)
    assert fault["msg"] and "input" in fault
    assert system.db.orders.count_documents({}) == before


@PARSED
@pytest.mark.parametrize("body", [
    b'{"items":[{"product":"Lasagna","product":"Lasagna"}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b'{"items":[{"product":"Lasagna","quantity":NaN}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b'{"items":[{"product":"Lasagna","quantity":Infinity}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b'{"items":[{"product":"Lasagna","quantity":1e400}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b'{"items":[{"product":"Lasagna","quantity":9223372036854775808}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b'{"items":[{"product":"Las\xffgna"}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b'{"items":[{"product":"Lasagna"}],"customer_id":"%s"} x' % CUSTOMER.encode(),
    b'{"x":"\\ud800","items":[{"product":"Lasagna"}],"customer_id":"%s"}' % CUSTOMER.encode(),
    b"[" * 5000,
    b'{"a":' * 100 + b"1" + b"}" * 100,
])
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/payments", "/v1/payments/callback"])
def test_what_is_no_json_is_422_everywhere(system, body, path):
    answer = post(system, body, path)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize("quantity, taken", [("3.0", 3), ('"3"', 3), pytest.param(
    "9223372036854775807", 2**63 - 1, marks=pytest.mark.raw("JavaScript has no such number: Prism passes another on"))])
def test_quantities_that_are_integers_in_another_dress(system, quantity, taken):
    answer = post(system, '{"items":[{"product":"Lasagna","quantity":%s}],"customer_id":"%s"}' % (quantity, CUSTOMER))
    assert answer.status_code == 202, answer.text
    assert answer.json()["items"] == [{"product": "Lasagna", "quantity": taken}]


def test_unknown_fields_are_ignored_and_never_stored(system):
    answer = post(system, '{"items":[{"product":"Lasagna","spice":1}],"customer_id":"%s","surplus":1}' % CUSTOMER)
    assert answer.status_code == 202
    assert "surplus" not in answer.json()
    doc = system.doc(answer.json()["id"])
    assert "surplus" not in doc and doc["items"] == [{"product": "Lasagna", "quantity": 1}]


def test_a_body_beyond_the_limit_is_413(system):
    answer = post(system, b'{"x":"' + b"a" * (1 << 20) + b'"}')
    assert answer.status_code == 413 and "detail" in answer.json()


def test_the_key_comes_before_the_size(system):
    big = b"x" * 200_000
    assert system.order.post("/v1/orders", data=big, key=False).status_code == 401
    assert system.order.post("/v1/orders", data=big).status_code == 413


def test_payment_payloads(system):
    answer = post(system, '{"items":[],"metadata":{"receiver":1}}', "/v1/payments")
    assert answer.status_code == 422
    assert [(f["type"], f["loc"]) for f in answer.json()["detail"]] == [
        ("too_short", ["body", "items"]), ("string_type", ["body", "metadata", "receiver"]),
        ("missing", ["body", "metadata", "order_id"]), ("missing", ["body", "metadata", "customer_id"])]


def test_callbacks(system):
    answer = post(system, '{"status":"nope","caller_id":"x"}', "/v1/payments/callback")
    assert answer.status_code == 422
    assert [(f["type"], f["loc"]) for f in answer.json()["detail"]] == [
        ("enum", ["body", "status"]), ("uuid_parsing", ["body", "caller_id"]),
        ("missing", ["body", "transaction_id"])]


def raw(url, request, timeout=5):
    """What the service answers to these bytes, on a connection of their own; b"" when it closes without an answer."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context(cafile=os.environ["CA_CERT"])
    with socket.create_connection((parts.hostname, parts.port), timeout) as plain:
        with context.wrap_socket(plain, server_hostname=parts.hostname) as connection:
            connection.settimeout(timeout)
            connection.sendall(request)
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except (TimeoutError, ConnectionError, ssl.SSLError):
                pass
            return answer


def head(*lines):
    return "\r\n".join(("POST /v1/orders HTTP/1.1", "Host: localhost", "Connection: close",
                        f"X-API-Key: {os.environ['API_KEY']}", *lines, "", "")).encode()


@BROKEN
@pytest.mark.parametrize("request_bytes, statuses", [
    (head("Content-Length: 2", "Content-Length: 3") + b"{}", (400,)),
    (head("Content-Length: x") + b"{}", (400,)),
    (head("Content-Length: -1") + b"{}", (400,)),
    (head("Content-Length: 2", "Transfer-Encoding: chunked") + b"0\r\n\r\n", (400,)),
    (head("Transfer-Encoding: chunked") + b"zz\r\n", (400,)),
    (head(), (422,)),
    (head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n", (422,)),
    (b"GARBAGE\r\n\r\n", (400,)),
])
def test_content_lengths_and_framing(running, request_bytes, statuses):
    answer = raw(running.order.url, request_bytes)
    assert answer and int(answer.split(b" ", 2)[1]) in statuses, answer[:200]


@BROKEN
@pytest.mark.parametrize("request_line, header, status", [
    (b"GET /openapi.json HTTP/1.1", b'If-Match: "x"', 412),
    (b"GET /openapi.json HTTP/1.1", b"Range: bytes=99999999-", 416),
    (b"GET /health HTTP/2.0", b"Accept: */*", 505),
    (b"POST /v1/orders HTTP/1.1", b"Transfer-Encoding: gzip", 501),
])
def test_what_nginx_refuses_is_told_in_json(running, request_line, header, status):
    answer = raw(running.order.url, request_line + b"\r\nHost: localhost\r\nConnection: close\r\n" + header +
                 b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert answer.endswith(b'"}') and b'\r\n\r\n{"detail":"' in answer, answer[-300:]


@pytest.mark.raw("Prism passes on no half of a body")
def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(running):
    before = running.db.orders.count_documents({})
    assert raw(running.order.url, head("Content-Length: 100") + b'{"items":', timeout=0.5) == b""
    assert running.order.get(f"/v1/orders/{uuid.uuid4()}").status_code == 404
    assert running.db.orders.count_documents({}) == before
