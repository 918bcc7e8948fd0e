"""bench/run [SECONDS]: what the services do on this machine, as parts of what nginx's own `return 200` does on the same
listener with an answer of the same size. Four measurements, on a private system of its own (MongoDB, Redis, RabbitMQ,
all durability on) with instant partners:

  cached GET         GET /v1/orders/{id}, out of Redis
  POST /v1/orders    stored with journal, PaymentService asked, cached
  callbacks          POST /v1/payments/callback: stored with journal, event published with confirm
  events             simple events (nothing is owed) from the queue through one orderd to MongoDB and Redis

What was answered with success is looked up afterwards: an order, a payment or an event that is not there fails the run,
and so does an error, or a ratio below its target. The exit status says so. SECONDS: of each measurement, 6."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
RUN = os.path.join(BUILD, "bench")
WORK = os.path.join(RUN, "bench")
sys.path.insert(0, os.path.join(ROOT, "scripts/system"))

# pylint: disable=wrong-import-position
import bson
import pika
import pymongo
import redis
from settings import Settings, Trouble, complain, free_port

TARGETS = {"cached GET": 0.5, "POST /v1/orders": 0.012, "callbacks": 0.02, "events, one orderd": 0.015}
CONNECTIONS = 64
CUSTOMER = uuid.UUID("53c5711d-f5d4-45eb-8651-f0ba9092ba0d")
STAGES = ("cookingMeal", "cookingDone", "pickedUp", "inTransit", "delivered")
CALLBACKS_PER_SECOND = 12000        # payments prepared: more than any machine calls back


def system(*words):
    """scripts/system for the private system of the measurement."""
    env = {k: v for k, v in os.environ.items() if k not in ("MONGO_URL", "REDIS_URL", "AMQP_URL")}
    env |= {"RUN": RUN, "PORTS": "free", "BUILD": BUILD}
    subprocess.run([sys.executable, os.path.join(ROOT, "scripts/system"), *words], env=env, check=True)


def uuid_v7():
    """An id as our services make them."""
    value = int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62
    return str(uuid.UUID(int=value | uuid.uuid4().int & (0xfff << 64 | (1 << 62) - 1)))


class Bench:
    """The system, its clients, and what was measured."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.settings = Settings({**os.environ, "RUN": RUN}).as_saved()
        taken = list(self.settings.ports.values())
        self.port = free_port(taken)
        self.partner_port = free_port(taken + [self.port])
        self.processes = []
        self.rates = {}
        self.returns = []
        self.wrong = []
        self.key = self.settings.secret("api_key")
        self.mongo = pymongo.MongoClient(self.settings.url("mongo"))
        self.db = self.mongo["api_db"]
        self.redis = redis.Redis.from_url(self.settings.url("redis"))
        self.amqp = pika.BlockingConnection(pika.URLParameters(self.settings.url("rabbit"))).channel()
        self.env = os.environ | {"FOODSVC_BENCH_KEY": self.key}

    # the services

    def clean(self):
        """An empty system, whatever the last run left."""
        os.makedirs(WORK, exist_ok=True)
        self.mongo.drop_database("api_db")
        self.redis.flushall()
        for queue in ("OrderService", "OrderService.dead", "Bench"):
            self.amqp.queue_declare(queue, durable=True)
            self.amqp.queue_purge(queue)

    def render(self, name, answer=""):
        """bench/NAME.in with what this run knows."""
        secrets = os.path.join(RUN, "secrets")
        values = {"ROOT": ROOT, "RUN": RUN, "MODULE": os.path.join(BUILD, "modules/ngx_foodsvc_module.so"),
                  "USER_LINE": "user root;" if os.getuid() == 0 else "", "BENCH_PORT": self.port,
                  "PARTNER_PORT": self.partner_port, "ANSWER": answer,
                  "API_KEY_FILE": os.path.join(secrets, "api_key"),
                  "API_KEYS_FILE": os.path.join(secrets, "api_keys.sha256")}
        values |= {f"{n.upper()}_URL": "file:" + os.path.join(secrets, f"{n}_url") for n in ("mongo", "redis", "amqp")}
        with open(os.path.join(ROOT, "bench", name + ".in"), encoding="utf-8") as file:
            text = re.sub(r"@([A-Z_]+)@", lambda match: str(values[match[1]]), file.read())
        path = os.path.join(WORK, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, *command):
        """A process that ends with the run."""
        with open(os.path.join(WORK, os.path.basename(command[0]) + ".log"), "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=WORK)
        self.processes.append(process)
        return process

    def nginx(self, conf, port):
        """An nginx that answers."""
        log = os.path.join(WORK, "start.log")
        process = self.start(self.settings.program("nginx"), "-p", WORK, "-c", conf, "-e", log)
        end = time.monotonic() + 10
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/none", timeout=2):
                    return process
            except urllib.error.HTTPError:
                return process
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise Trouble(f"nginx does not start: see {WORK}") from None
                time.sleep(0.05)

    def stop(self, process):
        """Quits, or is killed."""
        process.send_signal(signal.SIGQUIT if "nginx" in process.args[0] else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def stop_all(self):
        """Everything that this program started."""
        for process in list(self.processes):
            self.stop(process)

    # measuring

    def wrk(self, script=None, path="/", seconds=None, **env):
        """(requests per second, how many of them failed)"""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds or self.seconds}s", "--timeout", "15s"]
        if script:
            command += ["-s", os.path.join(ROOT, "bench", script)]
        result = subprocess.run([*command, f"http://127.0.0.1:{self.port}{path}"], env=self.env | env, check=True,
                                capture_output=True, text=True, stdin=subprocess.DEVNULL)
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)[1])
        errors = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", result.stdout))
        sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", result.stdout)
        errors += sum(int(n) for n in sockets.groups()) if sockets else 0
        return rate, errors

    def measure_return(self):
        """The ceiling, measured before each of the others: a shared machine's speed changes."""
        rate, errors = self.wrk("get.lua", seconds=max(2, self.seconds // 2), FOODSVC_BENCH_PATH="/return")
        self.returns.append(rate)
        self.no_errors("return 200", errors)

    def no_errors(self, what, errors):
        """An error answer fails the run."""
        if errors:
            self.wrong.append(f"{what}: {errors} errors")

    def there(self, what, missing):
        """And so does something that is lost."""
        if missing:
            self.wrong.append(f"{what}: {missing} LOST")

    def cached_get(self, order_id):
        """Out of Redis."""
        path = f"/v1/orders/{order_id}"
        self.rates["cached GET"], errors = self.wrk("get.lua", FOODSVC_BENCH_PATH=path)
        self.no_errors("cached GET", errors)

    def orders(self):
        """Each 202 is in MongoDB."""
        out = os.path.join(WORK, "orders.ids")
        self.rates["POST /v1/orders"], errors = self.wrk("orders.lua", FOODSVC_BENCH_OUT=out)
        self.no_errors("POST /v1/orders", errors)
        accepted = lines(out)
        stored = {doc["_id"] for doc in self.db.orders.find({}, {"_id": 1})}
        self.there(f"POST /v1/orders: of {len(accepted)} accepted orders", len(accepted - stored))

    def callbacks(self):
        """Each 201 is in MongoDB, its event in the queue, and no mark is left."""
        ids = [uuid_v7() for _ in range(self.seconds * CALLBACKS_PER_SECOND)]
        now = bson.datetime_ms.DatetimeMS(int(time.time() * 1000))
        transaction = bson.Binary.from_uuid(uuid.uuid4())
        for first in range(0, len(ids), 5000):
            self.db.payments.insert_many([
                {"_id": i, "metadata": {"receiver": "Bench", "order_id": i, "customer_id": str(CUSTOMER)},
                 "transaction_id": transaction, "status": "pending", "created": now} for i in ids[first:first + 5000]])
        source, out = os.path.join(WORK, "payments.ids"), os.path.join(WORK, "callbacks.ids")
        with open(source, "w", encoding="ascii") as file:
            file.write("\n".join(ids) + "\n")
        self.rates["callbacks"], errors = self.wrk("callbacks.lua", FOODSVC_BENCH_IDS=source, FOODSVC_BENCH_OUT=out)
        self.no_errors("callbacks", errors)
        taken = lines(out)
        if len(taken) == len(ids):
            self.wrong.append("callbacks: there were more than payments: raise CALLBACKS_PER_SECOND")
        paid = {doc["_id"] for doc in self.db.payments.find({"status": "paymentPaid"}, {"_id": 1})}
        self.there(f"callbacks: of {len(taken)} taken", len(taken - paid))
        time.sleep(1)       # the events and marks of the last ones, cut off by wrk's end
        self.there("callbacks: events of payments", len(paid) - self.depth("Bench"))
        self.there("callbacks: cleared marks", self.db.payments.count_documents({"outbox": {"$exists": True}}))

    def depth(self, queue):
        """Messages that are ready."""
        return self.amqp.queue_declare(queue, passive=True).method.message_count

    def events(self):
        """Orders from cookingScheduled to delivered, five events each; all are there before orderd starts."""
        orders = [uuid_v7() for _ in range(max(1000, self.seconds * 700))]
        now = bson.datetime_ms.DatetimeMS(int(time.time() * 1000))
        other = bson.Binary.from_uuid(uuid.uuid4())
        self.db.orders.insert_many([
            {"_id": i, "items": [{"product": "Lasagna", "quantity": 2}], "customer_id": bson.Binary.from_uuid(CUSTOMER),
             "kitchen_id": other, "delivery_id": other, "status": "cookingScheduled", "created": now,
             "updated": [{"status": "cookingScheduled", "when": now}]} for i in orders])
        self.amqp.queue_purge("OrderService")
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        for stage in STAGES:
            for i in orders:
                metadata = {"receiver": "OrderService", "order_id": i, "customer_id": str(CUSTOMER)}
                body = json.dumps({"metadata": metadata, "status": stage})
                self.amqp.basic_publish("", "OrderService", body, properties)
        conf = os.path.join(WORK, "orderd.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("".join(f"{n}_url = file:{RUN}/secrets/{n}_url\n" for n in ("mongo", "redis", "amqp"))
                       + f"api_key_file = {RUN}/secrets/api_key\nca_file = {RUN}/tls/ca.crt\n")
        begin = time.monotonic()
        orderd = self.start(os.path.join(BUILD, "bin/foodsvc-orderd"), "--config", conf)
        delivered = {"_id": {"$in": orders}, "status": "delivered"}
        while (done := self.db.orders.count_documents(delivered)) < len(orders):
            if time.monotonic() > begin + 120 or orderd.poll() is not None:
                break
            time.sleep(0.05)
        self.rates["events, one orderd"] = len(orders) * len(STAGES) / (time.monotonic() - begin)
        self.there(f"events: of {len(orders)} orders to be delivered", len(orders) - done)
        self.stop(orderd)
        histories = self.db.orders.count_documents({"_id": {"$in": orders}, "updated": {"$size": 1 + len(STAGES)}})
        self.there("events: steps in histories of orders", len(orders) - histories)

    def run(self):
        """All of it; True when nothing is wrong."""
        self.clean()
        self.nginx(self.render("partners.conf"), self.partner_port)
        service = self.nginx(self.render("nginx.conf"), self.port)
        order_id, answer = self.one_order()
        self.stop(service)
        self.nginx(self.render("nginx.conf", answer), self.port)
        self.one_get(order_id)
        for measure in (lambda: self.cached_get(order_id), self.orders, self.callbacks, self.events):
            self.measure_return()
            measure()
        self.measure_return()
        return self.report(len(answer))

    def one_order(self):
        """An order that is in Redis, and its answer."""
        body = {"items": [{"product": "Lasagna", "quantity": 2}, {"product": "Double Cheeseburger"}],
                "customer_id": str(CUSTOMER)}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/orders", json.dumps(body).encode(),
                                         {"X-API-Key": self.key, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            order_id = json.load(answer)["id"]
        return order_id, self.one_get(order_id)

    def one_get(self, order_id):
        """What GET answers."""
        url = f"http://127.0.0.1:{self.port}/v1/orders/{order_id}"
        request = urllib.request.Request(url, headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def report(self, size):
        """The table."""
        ceiling = sum(self.returns) / len(self.returns)
        print(f"\n{'':28}{'per second':>12}{'of return 200':>16}{'target':>10}")
        print(f"{f'return 200, {size} bytes':28}{ceiling:12,.0f}{1:16.3f}      "
              f"(from {min(self.returns):,.0f} to {max(self.returns):,.0f})")
        good = True
        for name, target in TARGETS.items():
            ratio = self.rates[name] / ceiling
            good = good and ratio >= target
            verdict = "ok" if ratio >= target else "BELOW"
            print(f"{name:28}{self.rates[name]:12,.0f}{ratio:16.4f}{target:10.3f}  {verdict}")
        for line in self.wrong:
            print(f"WRONG: {line}")
        if not self.wrong:
            print("no errors; every order, callback and event that was taken is stored")
        return good and not self.wrong


def lines(path):
    """The words of a file, one a line."""
    with open(path, encoding="ascii") as file:
        return set(file.read().split())


def main(arguments):
    """Returns the exit status."""
    seconds = int(arguments[0]) if arguments else 6
    bench = None
    try:
        system("up", "--only", "mongo,redis,rabbit")
        bench = Bench(seconds)
        return 0 if bench.run() else 1
    except (Trouble, subprocess.CalledProcessError) as trouble:
        complain(str(trouble))
        return 1
    finally:
        if bench:
            bench.stop_all()
        system("down")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
