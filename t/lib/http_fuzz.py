"""Requests as nobody should send them: what t/flow/test_160_http_fuzz.py sends to both services, and judges.

A case (http_cases.py) is one connection: over TLS mostly, with one to four requests, sent in one piece or in many, to
its end or not. Its number and the seed make it again. Of its requests either all are well-formed, and then each answer
has to be one that the service describes; or the bytes were spoilt on their way, and then an answer is an error in JSON,
or an honest one, or none."""

import json
import os
import re
import socket
import ssl
import struct

from http_cases import Maker

WAIT = 20               # s: an answer to a well-formed request; the deadline is 10
WAIT_SPOILT = 3         # s: an answer to what may be no request at all
LONGEST = 4 << 20       # bytes of answers that are read
# Nothing but these of ours or nginx's own refusals may say that it was the server's fault.
SERVER_ERRORS = {501, 503, 505}


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
    """All that came back on a connection whose requests were spoilt: only complete answers with their length are read,
    and none where a HEAD may have been asked, whose answers have a length and no body."""
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
            if (answer.status_code == 202 and request.path.startswith("/v1/orders")
                    and answer.content.startswith(b'{"id')):
                self.ids.append(answer.json()["id"])
            if answer.headers.get("Connection", "").lower() == "close" or answer.status_code in (400, 413):
                return

    def count(self, status):
        self.answers[status] = self.answers.get(status, 0) + 1


def descriptors(pids):
    """How many files each process has open."""
    return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in pids}
