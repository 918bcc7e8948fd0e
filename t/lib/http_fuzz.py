"""Requests as nobody should send them, made from a seed: what t/flow/test_160_http_fuzz.py sends to both services.

A case is one connection: over TLS mostly, with one to four requests, sent in one piece or in many, to its end or not. Its
number and the seed make it again. Of its requests either all are well-formed (whatever their bodies say), and then each
answer has to be one that the service describes; or the bytes were spoilt on their way, and then an answer is an error in
JSON, or an honest one, or none."""

import copy
import json
import os
import random
import re
import socket
import ssl
import struct
import uuid

WAIT = 20               # s: an answer to a well-formed request; the deadline is 10
WAIT_SPOILT = 3         # s: an answer to what may be no request at all
LONGEST = 4 << 20       # bytes of answers that are read
# Nothing but these of ours or nginx's own refusals may say that it was the server's fault.
SERVER_ERRORS = {501, 503, 505}

METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO", "get", "CONNECT"]
ROUTES = {
    "order": [("POST", "/v1/orders"), ("GET", "/v1/orders"), ("GET", "/v1/orders/{id}"), ("DELETE", "/v1/orders/{id}"),
              ("POST", "/v1/orders/{id}/cancel"), ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/docs")],
    "payment": [("POST", "/v1/payments"), ("POST", "/v1/payments/reimburse"), ("POST", "/v1/payments/callback"),
                ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/docs")],
}
ODD_PATHS = ["/", "/v1", "/v1/", "//v1/orders", "/v1/orders/", "/v1/orders//cancel", "/v1/orders/../orders", "/v1/./orders",
             "/v1/orders/%2e%2e/x", "/v1%2Forders", "/v1/orders/%00", "/v1/orders/%zz", "/V1/ORDERS", "/v1/orders/{id}/x",
             "/_foodsvc/partner", "/_foodsvc/error", "/_foodsvc/", "/v1/payments/x", "/docs/", "/docs/../../etc/passwd",
             "/openapi.json/x", "/health/", "*", "/v1/orders/" + "a" * 3000, "/v1/orders/\u00e4".encode().decode("latin-1"),
             "http://127.0.0.1/v1/orders", "/v1/orders/{id}/cancel/", "/v1/orders/%7Bid%7D", "/" + "x" * 9000]
QUERIES = ["", "", "", "", "?", "?a=b", "?X-API-Key=1", "?%00", "?" + "q" * 2000, "#f", ";a=b"]
HEADERS = ["Accept: application/json", "Accept: */*", "Accept-Encoding: gzip, br", "Connection: keep-alive",
           "Content-Type: application/json", "Content-Type: text/plain; charset=\xff", "Cookie: a=b", "Range: bytes=0-1",
           "Range: bytes=5-", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", "If-None-Match: *", "If-Match: \"x\"",
           "X-Forwarded-For: 1.2.3.4", "Idempotency-Key: k", 'Idempotency-Key: "k2"', "Idempotency-Key:",
           "Idempotency-Key: " + "k" * 300, "Idempotency-Key: \xff", "X-Accel-Redirect: /_foodsvc/partner", "TE: trailers",
           "User-Agent: " + "u" * 1500, "Origin: null", "X-HTTP-Method-Override: DELETE", "Forwarded: for=_x",
           "Authorization: Basic eDp5", "Upgrade: h2c", "Expect: 100-continue", "X-Empty:", "X_Under: 1", "Via: 1.0 x"]
BAD_HEADERS = ["Content-Length: -1", "Content-Length: 0x10", "Content-Length: 99999999999999999999", "Content-Length: 5, 5",
               "Content-Length: 18446744073709551617", "Content-Length: +3", "Content-Length: 3\r\nContent-Length: 4",
               "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
               "Transfer-Encoding: identity", "Transfer-Encoding:\tchunked", "Transfer-Encoding : chunked",
               "Content-Length: 3\r\nTransfer-Encoding: chunked", "Host: a\r\nHost: b", "Host: a b", "Host: [", "Host:",
               "Expect: nonsense", "X: a\r\n folded", ": no name", "no colon", "X-API-Key: a\r\nX-API-Key: b",
               "X\x00Y: z", "X: \x00", "X: " + "v" * 40000, "Connection: close, upgrade", "Upgrade: websocket",
               "\r\n", "Content-Length:", "Range: bytes=" + "0-0," * 200, "Content-Type: " + "c" * 8000]
SCRAPS = [b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"\xff\xfe", b" ", b"%00", b":", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0",
          b"HTTP/1.0", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"7fffffff\r\n", b"1;ext=\"\r\n", b"A" * 3000,
          b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"\t", b"{", b"\"",
          b"\\"]
VALUES = [None, True, False, 0, -1, 1, 2 ** 31, 2 ** 63 - 1, 2 ** 63, 1e308, 1.5, 3.0, "", "3", "x", "\u0000", "\u20ac",
          "\u0001" * 40, "x" * 300, "x" * 3000, [], {}, [[]], {"a": {"b": {"c": 1}}}, "Lasagna", "paymentPaid", "..", "../x", "a/b?c",
          "reimbursed", "pending", [1] * 300, "4111111111111111"]
TAILS = [b"", b"", b"", b"", b"x", b"\x00", b"\xff", b"}", b" " * 100, b"\xed\xa0\x80"]


class Broken(Exception):
    """What a service did is wrong; the text says what."""


class Answer:
    """One answer, as t/lib/contract.py wants it."""

    def __init__(self, status, headers, content):
        self.status_code, self.headers, self.content = status, headers, content

    def json(self):
        return json.loads(self.content)


class Headers(dict):
    """Names in any case."""

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


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
        return self.uuid() if choice < 0.9 else self.rand.choice(["x", "1" * 32, "{}", "%20", "urn:uuid:" + self.uuid()])

    def value(self, path):
        """What the operation wants, or nearly."""
        items = [{"product": self.rand.choice(["Lasagna", "Double Cheeseburger"]), "quantity": self.rand.choice([1, 2, 99])}]
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
        return ["Transfer-Encoding: chunked"], wire + b"0\r\n" + self.rand.choice([b"", b"", b"X-Trailer: 1\r\n"]) + b"\r\n"

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
            data = self.spoil(data) if self.rand.random() < 0.9 else self.rand.randbytes(self.rand.choice([1, 50, 2000]))
        tls = self.rand.random() < 0.93
        return service, tls, spoilt or not tls, requests, data


# --- sending ---

class Connection:
    """To one service. Ends without a word when it is dropped."""

    def __init__(self, address, tls, timeout):
        self.plain = socket.create_connection(address, 5)
        self.plain.settimeout(timeout)
        self.stream = self.plain
        self.half = None
        if tls:
            # kept beside the one that TLS takes over, to end the sending without a word of TLS
            self.half = self.plain.dup()
            try:
                self.stream = tls.wrap_socket(self.plain, server_hostname="127.0.0.1", suppress_ragged_eofs=True)
            except BaseException:
                self.close()
                raise

    def send(self, data, rand):
        """In one piece, or in some; False when the other side has had enough."""
        pieces = [data]
        if rand.random() < 0.3:
            cuts = sorted(rand.sample(range(len(data) + 1), min(len(data), rand.choice([1, 3, 10]))))
            pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
        try:
            for piece in pieces:
                self.stream.sendall(piece)
        except OSError:
            return False
        return True

    def no_more(self):
        """The end of what is sent."""
        try:
            (self.half or self.plain).shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def read(self):
        """The next bytes; b"" at the end."""
        try:
            return self.stream.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return b""

    def close(self, reset=False):
        if reset:
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for one in (self.half, self.stream):
            if one is not None:
                one.close()


class Reader:
    """Answers, one after the other."""

    def __init__(self, connection):
        self.connection, self.data, self.ended = connection, b"", False

    def more(self):
        chunk = b"" if len(self.data) > LONGEST else self.connection.read()
        self.ended = self.ended or not chunk
        self.data += chunk
        return bool(chunk)

    def until(self, mark):
        """What stands before the mark, which is taken too; None when it doesn't come."""
        while mark not in self.data:
            if not self.more():
                return None
        text, self.data = self.data.split(mark, 1)
        return text

    def exactly(self, size):
        while len(self.data) < size:
            if not self.more():
                raise Broken(f"an answer ends {size - len(self.data)} bytes before its end")
        text, self.data = self.data[:size], self.data[size:]
        return text

    def chunks(self):
        body = b""
        while True:
            line = self.until(b"\r\n")
            if line is None:
                raise Broken("a chunked answer has no end")
            size = int(line.split(b";")[0], 16)
            body += self.exactly(size)
            if self.exactly(2) != b"\r\n":
                raise Broken("a chunk is longer than it says")
            if size == 0:
                return body

    def answer(self, method):
        """The next one, or None at the end of the connection."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            if self.data:
                raise Broken(f"no HTTP: {self.data[:100]!r}")
            return None
        lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0])
        if not match:
            raise Broken(f"no status line: {lines[0][:100]!r}")
        headers = Headers()
        for line in lines[1:]:
            name, separator, value = line.partition(":")
            if not separator or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise Broken(f"no header: {line[:100]!r}")
            headers[name.lower()] = value.strip()
        status = int(match[1])
        if status < 200:
            return self.answer(method)
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self.chunks()
        elif "Content-Length" in headers:
            body = self.exactly(int(headers["Content-Length"]))
        else:
            while self.more():
                pass
            body, self.data = self.data, b""
        return Answer(status, headers, body)


# --- judging ---

def is_error(answer):
    """An error of the documented shape: its words, or one entry for each fault."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return False
    if isinstance(detail, str):
        return 0 < len(detail) < 4096
    return bool(detail) and all(set(fault) >= {"type", "loc", "msg", "input"} for fault in detail)


def judge(contract, request, answer):
    """An answer to a well-formed request."""
    path = request.path.split("?")[0].split("#")[0]
    if answer.status_code >= 500 and answer.status_code not in SERVER_ERRORS:
        raise Broken(f"{request.method} {request.path[:200]}: {answer.status_code} {answer.content[:300]!r}")
    described = contract.operation(request.method, path)[0]
    if described is not None and answer.status_code != 400 and ";" not in path and "%" not in path:
        faults = contract.faults(request.method, path, answer)
        if faults:
            raise Broken(f"{request.method} {request.path[:200]}: {answer.status_code}, not as described: {faults}")
    elif answer.status_code >= 400 and request.method != "HEAD" and not is_error(answer):
        raise Broken(f"{request.method} {request.path[:200]}: {answer.status_code} is no error in JSON: "
                     f"{answer.content[:300]!r}")


def judge_spoilt(sent, data):
    """All that came back on a connection whose requests were spoilt: only complete answers with their length are read, and
    none where a HEAD may have been asked, whose answers have a length and no body."""
    for match in re.finditer(rb"(?:\A|(?<=[}\]\n]))HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(.*?)\r\n\r\n", data, re.S):
        status = int(match[1])
        if status >= 500 and status not in SERVER_ERRORS:
            raise Broken(f"{status} {data[match.end():match.end() + 300]!r}")
        length = re.search(rb"(?i)^Content-Length: (\d+)", match[2], re.M)
        body = data[match.end():match.end() + int(length[1])] if length else b""
        if status >= 400 and length and len(body) == int(length[1]) and b"HEAD" not in sent:
            if not is_error(Answer(status, Headers(), body)):
                raise Broken(f"{status} is no error in JSON: {body[:300]!r}")


class Target:
    """Both services under test."""

    def __init__(self, addresses, contracts, key, ca):
        self.addresses, self.contracts, self.key = addresses, contracts, key
        self.tls = ssl.create_default_context(cafile=ca)
        self.tls.check_hostname = False
        self.ids = []
        self.answers = {}           # status -> how many

    def run(self, seed, number):
        """One case. Broken when a service did wrong."""
        maker = Maker(seed, number, self.key, self.ids[-50:])
        service, tls, spoilt, requests, data = maker.case()
        rand = maker.rand
        try:
            connection = Connection(self.addresses[service], tls and self.tls, WAIT_SPOILT if spoilt else WAIT)
        except ssl.SSLError as error:
            raise Broken(f"no TLS: {error}") from None
        try:
            if rand.random() < 0.1:         # goes away in the middle, or without waiting for an answer
                connection.send(data[:rand.randint(0, len(data))], rand)
                connection.close(reset=rand.random() < 0.5)
            elif spoilt:
                self.spoilt(connection, data, rand)
            else:
                self.sound(connection, self.contracts[service], requests, data, rand)
        finally:
            connection.close()

    def spoilt(self, connection, data, rand):
        connection.send(data, rand)
        connection.no_more()
        reader = Reader(connection)
        try:
            while reader.more():
                pass
        except TimeoutError:
            pass                            # a request may still be waiting for its end
        for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", reader.data[:4096]):
            self.count(int(status))
        judge_spoilt(data, reader.data)

    def sound(self, connection, contract, requests, data, rand):
        connection.send(data, rand)
        reader = Reader(connection)
        for at, request in enumerate(requests):
            try:
                answer = reader.answer(request.method)
            except TimeoutError:
                raise Broken(f"{request.method} {request.path[:200]}: no answer within {WAIT} s") from None
            if answer is None:
                if at == 0:
                    raise Broken(f"{request.method} {request.path[:200]}: no answer")
                return                      # the answer before ended the connection
            self.count(answer.status_code)
            judge(contract, request, answer)
            if answer.status_code == 202 and request.path.startswith("/v1/orders") and answer.content.startswith(b'{"id'):
                self.ids.append(answer.json()["id"])
            if answer.headers.get("Connection", "").lower() == "close" or answer.status_code in (400, 413):
                return

    def count(self, status):
        self.answers[status] = self.answers.get(status, 0) + 1


def descriptors(pids):
    """How many files each process has open."""
    return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in pids}
