"""Asks each part whether it answers. Every check returns None, or what is wrong, as a text; none takes long."""

import json
import os
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

from settings import ROOT


def mongo(settings):
    """MongoDB answers and has a primary; our own becomes a replica set of one at its first start."""
    import pymongo                              # not at the top: `down` has to work without the virtual environment
    from pymongo.errors import OperationFailure, PyMongoError
    url = settings.url("mongo")
    ours = "mongo" not in settings.given
    options = {"serverSelectionTimeoutMS": 500, "connectTimeoutMS": 500, "socketTimeoutMS": 2000}
    try:
        if not ours:
            with pymongo.MongoClient(url, **options) as client:
                client.admin.command("ping")
            return None
        member = f"127.0.0.1:{settings.ports['mongo']}"
        with pymongo.MongoClient(f"mongodb://{member}/", directConnection=True, **options) as client:
            try:
                config = client.admin.command("replSetGetConfig")["config"]
                if config["members"][0]["host"] != member:      # the data is from a system with other ports
                    config["members"][0]["host"] = member
                    config["version"] += 1
                    client.admin.command("replSetReconfig", config, force=True)
            except OperationFailure as failure:
                if failure.code != 94:                          # NotYetInitialized
                    raise
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": member}]})
            return None if client.admin.command("hello")["isWritablePrimary"] else "not primary yet"
    except PyMongoError as error:
        return str(error).split(",")[0].split(" (")[0]


def redis(settings):
    """Redis answers PING."""
    url = urllib.parse.urlsplit(settings.url("redis"))
    try:
        if url.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(1)
            connection.connect(url.path)
        else:
            connection = socket.create_connection((url.hostname, url.port or 6379), 1)
        with connection:
            commands = [[b"PING"]]
            if url.password:
                commands.insert(0, [b"AUTH", *([url.username.encode()] if url.username else []),
                                    urllib.parse.unquote(url.password).encode()])
            for command in commands:
                connection.sendall(b"*%d\r\n" % len(command) +
                                   b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in command))
                answer = connection.recv(200)
                if not answer.startswith(b"+"):
                    return answer.decode(errors="replace").strip() or "closed the connection"
            return None
    except OSError as error:
        return str(error)


def _amqp(settings):
    import pika
    # A socket that nobody listens to is quicker to find out here, and pika logs less.
    url = urllib.parse.urlsplit(settings.url("rabbit"))
    try:
        socket.create_connection((url.hostname, url.port or 5672), 1).close()
    except OSError as error:
        raise OSError(f"RabbitMQ: {error.strerror or error}") from None
    parameters = pika.URLParameters(settings.url("rabbit"))
    parameters.socket_timeout = 2
    parameters.blocked_connection_timeout = 2
    parameters.stack_timeout = 3
    parameters.connection_attempts = 1
    return pika.BlockingConnection(parameters)


def rabbit(settings):
    """RabbitMQ takes a login and opens a channel."""
    import pika
    try:
        connection = _amqp(settings)
        connection.channel()
        connection.close()
        return None
    except (OSError, pika.exceptions.AMQPError) as error:
        return str(error) or type(error).__name__


def shared_name(constant):
    """What libfoodsvc/foodsvc_names.h, which owns the names, says: a text, or another constant's."""
    with open(os.path.join(ROOT, "libfoodsvc/foodsvc_names.h"), encoding="utf-8") as file:
        text, other = re.search(rf'(?m)^#define {constant}\s+(?:"([^"]*)"|(\w+))$', file.read()).groups()
    return text if other is None else shared_name(other)


def orderd(settings):
    """Each orderd consumes the queue."""
    import pika
    queue = shared_name("FOODSVC_QUEUE")
    try:
        connection = _amqp(settings)
        try:
            answer = connection.channel().queue_declare(queue, passive=True)
        finally:
            connection.close()
        count = answer.method.consumer_count
        return None if count >= settings.orderds else f"{count} of {settings.orderds} consume the queue {queue}"
    except pika.exceptions.ChannelClosedByBroker:
        return f"the queue {queue} is not there yet"
    except (OSError, pika.exceptions.AMQPError) as error:
        return str(error) or type(error).__name__


def sweepd(_settings):
    """Nobody asks it anything: it is well when it runs."""
    return None


def get(settings, url, timeout=6):
    """GET: (status, JSON or None)."""
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=os.path.join(settings.run, "tls/ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=timeout) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    try:
        return status, json.loads(body)
    except ValueError:
        return status, None


def _service(settings, name, full):
    port = settings.ports[name]
    try:
        status, report = get(settings, f"https://127.0.0.1:{port}/health")
    except OSError as error:
        return f"port {port}: {getattr(error, 'reason', error)}"
    if not isinstance(report, dict):
        return f"port {port}: /health answers {status}, and no report"
    if full and status != 200:
        down = [str(r.get("name")) for r in report.get("resources", []) if not r.get("status")]
        return f"{report.get('name')}: {', '.join(down) or status} down"
    return None


def nginx(settings):
    """Both services answer /health; what they say there is `everything`'s matter."""
    return _service(settings, "order", False) or _service(settings, "payment", False)


def everything(settings):
    """Both services say that all is well, the partners included."""
    return _service(settings, "order", True) or _service(settings, "payment", True)


def sim(settings):
    """The partners that it plays answer."""
    return _partners(settings, settings.simulated())


def prism(settings):
    """The partners that Prism mocks answer."""
    return _partners(settings, ("customer", "delivery", "kitchen"))


def _partners(settings, names):
    for name in names:
        try:
            status, _ = get(settings, f"http://127.0.0.1:{settings.ports[name]}/health", 2)
        except OSError as error:
            return f"port {settings.ports[name]}: {getattr(error, 'reason', error)}"
        if status != 200:
            return f"port {settings.ports[name]}: /health answers {status}"
    return None


CHECKS = {"mongo": mongo, "redis": redis, "rabbit": rabbit, "nginx": nginx, "orderd": orderd, "sweepd": sweepd,
          "sim": sim, "prism": prism}
