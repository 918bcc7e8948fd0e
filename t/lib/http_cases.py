"""The cases of t/lib/http_fuzz.py: connections' bytes, made from a seed and a number. A case's requests are
well-formed, whatever their bodies say; or its bytes were spoilt on their way, and it says so."""

import copy
import json
import random
import uuid

METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO", "get", "CONNECT"]
ROUTES = {
    "order": [("POST", "/v1/orders"), ("GET", "/v1/orders"), ("GET", "/v1/orders/{id}"), ("DELETE", "/v1/orders/{id}"),
              ("POST", "/v1/orders/{id}/cancel"), ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/docs")],
    "payment": [("POST", "/v1/payments"), ("POST", "/v1/payments/reimburse"), ("POST", "/v1/payments/callback"),
                ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/docs")],
}
ODD_PATHS = ["/", "/v1", "/v1/", "//v1/orders", "/v1/orders/", "/v1/orders//cancel", "/v1/orders/../orders",
             "/v1/./orders", "/v1/orders/%2e%2e/x", "/v1%2Forders", "/v1/orders/%00", "/v1/orders/%zz", "/V1/ORDERS",
             "/v1/orders/{id}/x", "/_foodsvc/partner", "/_foodsvc/error", "/_foodsvc/", "/v1/payments/x", "/docs/",
             "/docs/../../etc/passwd", "/openapi.json/x", "/health/", "*", "/v1/orders/" + "a" * 3000,
             "/v1/orders/\u00e4".encode().decode("latin-1"), "http://127.0.0.1/v1/orders", "/v1/orders/{id}/cancel/",
             "/v1/orders/%7Bid%7D", "/" + "x" * 9000]
QUERIES = ["", "", "", "", "?", "?a=b", "?X-API-Key=1", "?%00", "?" + "q" * 2000, "#f", ";a=b"]
HEADERS = ["Accept: application/json", "Accept: */*", "Accept-Encoding: gzip, br", "Connection: keep-alive",
           "Content-Type: application/json", "Content-Type: text/plain; charset=\xff", "Cookie: a=b",
           "Range: bytes=0-1", "Range: bytes=5-", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
           "If-None-Match: *", "If-Match: \"x\"", "X-Forwarded-For: 1.2.3.4", "Idempotency-Key: k",
           'Idempotency-Key: "k2"', "Idempotency-Key:", "Idempotency-Key: " + "k" * 300, "Idempotency-Key: \xff",
           "X-Accel-Redirect: /_foodsvc/partner", "TE: trailers", "User-Agent: " + "u" * 1500, "Origin: null",
           "X-HTTP-Method-Override: DELETE", "Forwarded: for=_x", "Authorization: Basic eDp5", "Upgrade: h2c",
           "Expect: 100-continue", "X-Empty:", "X_Under: 1", "Via: 1.0 x"]
BAD_HEADERS = ["Content-Length: -1", "Content-Length: 0x10", "Content-Length: 99999999999999999999",
               "Content-Length: 5, 5", "Content-Length: 18446744073709551617", "Content-Length: +3",
               "Content-Length: 3\r\nContent-Length: 4",
               "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
               "Transfer-Encoding: identity", "Transfer-Encoding:\tchunked", "Transfer-Encoding : chunked",
               "Content-Length: 3\r\nTransfer-Encoding: chunked", "Host: a\r\nHost: b", "Host: a b", "Host: [", "Host:",
               "Expect: nonsense", "X: a\r\n folded", ": no name", "no colon", "X-API-Key: a\r\nX-API-Key: b",
               "X\x00Y: z", "X: \x00", "X: " + "v" * 40000, "Connection: close, upgrade", "Upgrade: websocket",
               "\r\n", "Content-Length:", "Range: bytes=" + "0-0," * 200, "Content-Type: " + "c" * 8000]
SCRAPS = [b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"\xff\xfe", b" ", b"%00", b":", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0",
          b"HTTP/1.0", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"7fffffff\r\n", b"1;ext=\"\r\n", b"A" * 3000,
          b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"\t", b"{",
          b"\"", b"\\"]
VALUES = [None, True, False, 0, -1, 1, 2 ** 31, 2 ** 63 - 1, 2 ** 63, 1e308, 1.5, 3.0, "", "3", "x", "\u0000", "\u20ac",
          "\u0001" * 40, "x" * 300, "x" * 3000, [], {}, [[]], {"a": {"b": {"c": 1}}}, "Lasagna", "paymentPaid", "..",
          "../x", "a/b?c", "reimbursed", "pending", [1] * 300, "4111111111111111"]
TAILS = [b"", b"", b"", b"", b"x", b"\x00", b"\xff", b"}", b" " * 100, b"\xed\xa0\x80"]


class Request:
    """One request, and its bytes."""

    def __init__(self, method, path, lines, body):
        self.method, self.path, self.lines, self.body = method, path, lines, body

    def bytes(self):
        head = "\r\n".join([f"{self.method} {self.path} HTTP/1.1", *self.lines, "", ""])
        return head.encode("latin-1") + self.body


class Maker:
    """Makes the cases of a seed. ids: orders that were placed before, newest last."""

    def __init__(self, seed, number, key, ids):
        self.rand = random.Random(f"{seed}/{number}")
        self.key, self.ids = key, ids

    def uuid(self):
        return str(uuid.UUID(int=self.rand.getrandbits(128)))

    def order_id(self):
        choice = self.rand.random()
        if self.ids and choice < 0.75:
            return self.rand.choice(self.ids)
        return self.uuid() if choice < 0.9 else self.rand.choice(
            ["x", "1" * 32, "{}", "%20", "urn:uuid:" + self.uuid()])

    def value(self, path):
        """What the operation wants, or nearly."""
        items = [{"product": self.rand.choice(["Lasagna", "Double Cheeseburger"]),
                  "quantity": self.rand.choice([1, 2, 99])}]
        if path == "/v1/orders":
            value = {"items": items, "customer_id": self.uuid()}
        elif path.endswith("callback"):
            value = {"status": self.rand.choice(["paymentPaid", "paymentFailed", "reimbursed", "pending"]),
                     "caller_id": self.order_id(), "transaction_id": self.uuid()}
        else:
            value = {"items": items, "metadata": {"receiver": "OrderService", "order_id": self.order_id(),
                                                  "customer_id": self.uuid()}}
        for _ in range(self.rand.choice([0, 0, 0, 1, 1, 2, 4])):
            self.spoil_value(value)
        return value

    def spoil_value(self, value):
        """Changes one member somewhere in it."""
        while True:
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            if not keys:
                return
            key = self.rand.choice(keys)
            if isinstance(value[key], (dict, list)) and self.rand.random() < 0.7:
                value = value[key]
                continue
            act = self.rand.random()
            if act < 0.2:
                del value[key]
            elif act < 0.3 and isinstance(value, list):
                value += value * self.rand.choice([1, 5, 30])
            elif act < 0.4 and isinstance(value, dict):
                name = self.rand.choice(["x", "", "\u20ac", "id", "_id", "$set", "a.b"])
                value[name] = copy.deepcopy(self.rand.choice(VALUES))
            else:
                value[key] = copy.deepcopy(self.rand.choice(VALUES))
            return

    def body(self, path):
        """Bytes of JSON, mostly."""
        choice = self.rand.random()
        if choice < 0.05:
            return self.rand.choice([b"", b"null", b"[", b"[" * 40, b"{}", b"NaN", b'{"a":1e400}', b'{"a":1,"a":2}',
                                     b'{"x":"' + b"y" * 70000 + b'"}', b'"\\ud800"', b" " * 500])
        data = json.dumps(self.value(path), ensure_ascii=self.rand.random() < 0.5).encode("utf-8", "surrogatepass")
        return data + self.rand.choice(TAILS)

    def framed(self, body):
        """The header that says how long the body is, and the body on the wire."""
        if self.rand.random() < 0.7:
            return [f"Content-Length: {len(body)}"], body
        wire, rest = b"", body
        while rest:
            size = self.rand.randint(1, max(1, len(body)))
            part, rest = rest[:size], rest[size:]
            wire += b"%x%s\r\n%s\r\n" % (len(part), self.rand.choice([b"", b"", b";a=b"]), part)
        trailer = self.rand.choice([b"", b"", b"X-Trailer: 1\r\n"])
        return ["Transfer-Encoding: chunked"], wire + b"0\r\n" + trailer + b"\r\n"

    def request(self, service):
        """One that is well-formed."""
        method, path = self.rand.choice(ROUTES[service])
        if self.rand.random() < 0.08:
            method = self.rand.choice(METHODS[:9])
        if self.rand.random() < 0.08:
            path = self.rand.choice([p for p in ODD_PATHS if len(p) < 8000])
        shape = path
        path = path.replace("{id}", self.order_id()) + self.rand.choice(QUERIES)
        lines = ["Host: 127.0.0.1"]
        if self.rand.random() < 0.9:
            lines.append(f"X-API-Key: {self.key}")
        elif self.rand.random() < 0.5:
            lines.append("X-API-Key: " + self.rand.choice(["", "wrong", self.key + "x", self.key[:-1], "\xff" * 40]))
        lines += self.rand.sample(HEADERS, self.rand.choice([0, 1, 2, 4]))
        body = b""
        if method == "POST" or self.rand.random() < 0.1:
            more, body = self.framed(self.body(shape))
            lines += more
        return Request(method, path, lines, body)

    def spoil(self, data):
        """Bytes that are no longer what they were."""
        for _ in range(self.rand.choice([1, 1, 2, 3, 8])):
            at = self.rand.randint(0, len(data))
            act = self.rand.random()
            if act < 0.25:
                data = data[:at] + self.rand.choice(SCRAPS) + data[at:]
            elif act < 0.4:
                data = data[:at] + data[at + self.rand.choice([1, 2, 10, 100]):]
            elif act < 0.6:
                data = data[:at] + bytes([self.rand.getrandbits(8)]) + data[at + 1:]
            elif act < 0.8:
                header = self.rand.choice(BAD_HEADERS).encode("latin-1")
                data = data.replace(b"\r\n", b"\r\n" + header + b"\r\n", 1)
            elif act < 0.9:
                data = data.replace(b" /", b" " + self.rand.choice(ODD_PATHS).encode("latin-1") + b"/", 1)
            else:
                data = data.replace(b"POST", self.rand.choice(METHODS).encode(), 1)
        return data

    def case(self):
        """(service, tls, spoilt, requests, bytes)"""
        service = self.rand.choice(["order", "payment"])
        requests = [self.request(service) for _ in range(self.rand.choice([1, 1, 1, 2, 4]))]
        data = b"".join(request.bytes() for request in requests)
        spoilt = self.rand.random() < 0.5
        if spoilt:
            data = (self.spoil(data) if self.rand.random() < 0.9
                    else self.rand.randbytes(self.rand.choice([1, 50, 2000])))
        tls = self.rand.random() < 0.93
        return service, tls, spoilt or not tls, requests, data
