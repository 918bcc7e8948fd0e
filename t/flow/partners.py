"""The partners of a flow test: four small HTTP servers that record each call and answer as the test says.

They are somebody else's services, so they are simulated; MongoDB, RabbitMQ, Redis, nginx and orderd are the real ones.
Nothing happens here by itself: the test sends the card company's callbacks and the events of delivery and kitchen.
"""

import json
import re
import socket
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A CVV like no other text there is, so that it is found wherever it is written (test_080_secrets.py)
CARD = {
    "CVV": "#937-CVV#", "Bank": "SOME BANK", "Name": "Jane Doe", "Expiry": "11/2031", "Address": "1 Main Street",
    "Country": "Norway", "MoneyRange": "$1000-$2000", "CardNumber": "4111111111111111", "IssuingNetwork": "Visa",
}
ADDRESS = {"name": "Jane Doe", "city": "Oslo", "street": "1 Main Street", "zipcode": "0150"}
AMOUNT = 19.99


class Call:
    """One request that a partner got."""

    def __init__(self, service, method, path, headers, body):
        self.service, self.method, self.path, self.headers, self.body = service, method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.service} {self.method} {self.path}>"


class Answer:
    """What a partner says instead of its usual answer: a status and a body (object or bytes), after a delay.

    close: the connection is closed without an answer. times: how often, then the usual answer comes again.
    """

    def __init__(self, status=200, body=None, delay=0.0, close=False, times=None):
        self.status, self.body, self.delay, self.close, self.times = status, body, delay, close, times


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, *args):
        super().__init__(*args)
        self.connections = set()

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request):
        self.connections.discard(request)
        super().close_request(request)

    def handle_error(self, request, client_address):
        """A client that is killed or cut off in the middle is what these tests are about."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def close_connections(self):
        """Ends the connections that clients keep open: a service that is gone answers on none of them."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Partners:
    """CustomerService, DeliveryService, KitchenService and the Credit Card Company on the ports of the system."""

    ROUTES = [
        ("CustomerService", "POST", r"/v1/customers/[^/]+/billing$", "billing"),
        ("CustomerService", "GET", r"/v1/customers/[^/]+/address$", "address"),
        ("DeliveryService", "POST", r"/v1/deliveries$", "delivery"),
        ("DeliveryService", "POST", r"/v1/deliveries/[^/]+/cancel$", "delivery_cancel"),
        ("KitchenService", "POST", r"/v1/kitchen$", "kitchen"),
        ("CreditCardCompany", "POST", r"/billings$", "bill"),
        ("CreditCardCompany", "POST", r"/billings/reimburse$", "reimburse"),
    ]

    def __init__(self, ports):
        self._lock = threading.RLock()      # a function that says an answer may ask for the usual one
        self._ports = ports
        self._servers = {}
        self.reset()
        for service in ports:
            self.start(service)

    def reset(self):
        with self._lock:
            self.calls = []
            self.answers = {}
            self.transactions = {}

    def start(self, service):
        server = _Server(("127.0.0.1", self._ports[service]), self._handler(service))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self._servers[service] = server
        self._ports[service] = server.server_address[1]

    def move(self, service, port=0):
        """From now on it listens there (0: at any port); returns where it did before, and does now."""
        before = self._ports[service]
        self.stop(service)
        self._ports[service] = port
        self.start(service)
        return before, self._ports[service]

    def stop(self, service):
        server = self._servers.pop(service)
        server.shutdown()
        server.server_close()
        server.close_connections()

    def close(self):
        for service in list(self._servers):
            self.stop(service)

    def say(self, route, answer):
        """From now on `route` (a name in ROUTES, or "health:<service>") answers so.

        answer: an Answer, or a function that is asked with the Call for each one; None: the usual answer."""
        with self._lock:
            self.answers[route] = answer

    def calls_of(self, route, order_id=None):
        """The calls of one route, of one order where the call names it."""
        with self._lock:
            calls = [c for c in self.calls if self._route(c.service, c.method, c.path) == route]
        return [c for c in calls if order_id is None or order_id in c.path or order_id.encode() in c.body]

    def _route(self, service, method, path):
        if path == "/health":
            return f"health:{service}"
        for owner, verb, pattern, name in self.ROUTES:
            if owner == service and verb == method and re.match(pattern, path):
                return name
        return None

    def usual(self, route, call):
        """What it answers when the test says nothing else; the card company's books have the request then."""
        if route.startswith("health:"):
            return Answer(200, {"status": True, "version": "1.0.0", "name": call.service})
        if route == "billing":
            return Answer(201, {"amount": AMOUNT, "billing_info": CARD})
        if route == "address":
            return Answer(200, ADDRESS)
        if route == "delivery_cancel":
            return Answer(201, {"delivery_id": call.path.split("/")[3], "status": "deliveryCancelled"})
        if route in ("bill", "reimburse"):
            key = call.headers.get("Idempotency-Key") or str(uuid.uuid4())
            with self._lock:
                transaction = self.transactions.setdefault(key, str(uuid.uuid4()))
            return Answer(202, {"transaction_id": transaction})
        member, status = {"delivery": ("delivery_id", "deliveryScheduled")}.get(
            route, ("kitchen_id", "cookingScheduled"))
        return Answer(202, {member: str(uuid.uuid4()), "items": call.json["items"], "metadata": call.json["metadata"],
                            "status": status, "scheduled": "2026-11-23T10:22:51.910Z"})

    def _take(self, route, call):
        with self._lock:
            answer = self.answers.get(route)
            if callable(answer):
                return answer(call)
            if answer is not None and answer.times is not None:
                answer.times -= 1
                if answer.times <= 0:
                    del self.answers[route]
            return answer

    def _handler(self, service):
        partners = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                call = Call(service, self.command, self.path, dict(self.headers), self.rfile.read(length))
                with partners._lock:
                    partners.calls.append(call)
                route = partners._route(service, self.command, self.path)
                answer = Answer(404, {"detail": "Not Found"}) if route is None else (
                    partners._take(route, call) or partners.usual(route, call))
                if answer.delay:
                    time.sleep(answer.delay)
                if answer.close:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _serve

            def log_message(self, *args):
                pass

        return Handler
