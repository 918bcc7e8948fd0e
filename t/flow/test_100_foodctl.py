"""foodctl: what each command does when all is well, as text and as JSON; help, completion, manual."""

import base64
import hashlib
import http.server
import json
import os
import pty
import re
import shutil
import subprocess
import threading
import uuid

import pytest
import requests
from bson import Binary

from conftest import STATUSES, wait_for
from foodctl import FOODCTL, bad, commands, environment, from_json, good, run


@pytest.fixture
def own_queue(system):
    """A queue that nobody else reads."""
    name = f"foodctl.{uuid.uuid4()}"
    system.queue._with(lambda channel: channel.queue_declare(name, durable=True))
    yield name
    system.queue._with(lambda channel: channel.queue_delete(name))


def start(*arguments):
    return subprocess.Popen([FOODCTL, *arguments], env=environment({}), cwd="/", stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, timeout=40):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def test_every_command_has_help():
    names = commands()
    assert len(names) == len(set(names)) == 26
    for name in [*names, "order", "queue"]:
        text = good(*name.split(), "--help")
        assert text.startswith(f"Usage: foodctl {name}")
        assert all(len(line) < 80 for line in text.splitlines()), text
        assert re.search(r"--json|has no", text) or name in ("completion", "manual", "order", "queue")
        assert good("help", *name.split()) == text
    assert good("help") == good("--help") == good("help", "--help")
    assert "paymentFailed" in good("respond", "--help") and "orderCancelled" not in good("respond", "--help")
    assert re.fullmatch(r"foodctl \d+\.\d+\.\d+\n", good("--version"))


def test_place_show_list_delete(system):
    order_id = good("order", "place", "--item", "Lasagna=3", "--item=Double Cheeseburger", "--quiet").strip()
    items = [(item["product"], item["quantity"]) for item in system.doc(order_id)["items"]]
    assert items == [("Lasagna", 3), ("Double Cheeseburger", 1)]
    assert f"id        {order_id}\nstatus    created" in good("order", "show", order_id.upper())
    assert from_json("order", "show", order_id)["id"] == order_id
    assert re.match(f"{order_id}  created +2", good("order", "list"))
    assert order_id in [order["id"] for order in from_json("--json", "order", "list")]
    customer = str(uuid.uuid4())
    placed = from_json("order", "place", "--customer", customer)
    assert placed["customer_id"] == customer and len(placed["items"]) == 2
    assert "status    created" in good("order", "place")
    assert good("order", "delete", order_id) == f"{order_id} is deleted\n"
    assert from_json("order", "delete", placed["id"]) == {"id": placed["id"], "deleted": True}
    assert system.doc(order_id) is None and system.doc(placed["id"]) is None


def test_cancel(system):
    first, second = system.paid()["id"], system.paid()["id"]
    assert "status    orderCancelled" in good("order", "cancel", first)
    assert from_json("order", "cancel", second)["status"] == "orderCancelled"


def test_watch_follows_what_respond_sends_to_the_end(system):
    order_id = system.paid()["id"]
    lines, objects = start("order", "watch", order_id), start("order", "watch", order_id, "--json")
    for status in STATUSES[3:]:
        if status == "cookingScheduled":        # the kitchen's answer, not an event
            continue
        if status == "driverAvailable":
            sent = from_json("respond", order_id, status)
            assert sent["metadata"]["order_id"] == order_id and sent["status"] == status
            system.wait_status(order_id, "cookingScheduled")
        else:
            assert good("respond", order_id, status) == f"{status} sent to OrderService for order {order_id}\n"
            system.wait_status(order_id, status)
    code, out, err = finish(lines)
    assert (code, err) == (0, "")
    assert [line.split()[2] for line in out.splitlines()] == STATUSES
    code, out, err = finish(objects)
    assert (code, err) == (0, "")
    assert [json.loads(line)["status"] for line in out.splitlines()] == STATUSES


def test_watch_until_a_status(system):
    order_id = system.paid()["id"]
    assert good("order", "watch", order_id, "--until", "paymentPaid").splitlines()[-1].split()[2] == "paymentPaid"


def in_terminal(*arguments, **changes):
    """What it writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([FOODCTL, *arguments], env=environment({"TERM": "xterm", **changes}), cwd="/",
                          stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:
                break
            text += chunk
        process.wait(30)
    os.close(ours)
    return text.decode()


def test_colours_on_a_terminal_alone(system):
    order_id = system.paid()["id"]
    watch = ("order", "watch", order_id, "--until", "deliveryScheduled")
    live = in_terminal(*watch)
    assert "\x1b[32m" in live and live.count("\n") == 1 and " > " in live
    assert "\x1b" not in in_terminal(*watch, NO_COLOR="1")
    assert "\x1b" not in in_terminal(*watch, TERM="dumb")
    assert "\x1b" not in good(*watch)
    wait_for(lambda: run("health").returncode == 0, what="a healthy system")
    assert "\x1b[32mok\x1b[0m" in in_terminal("health")


def test_health(system):
    wait_for(lambda: run("health").returncode == 0, what="a healthy system")
    text = good("health")
    assert text.startswith("SERVICE                  STATUS\nOrderService             ok      version ")
    assert "\n  RabbitMQ               ok\n" in text and "DOWN" not in text
    assert re.search(r"\nRedis                    ok\norderd                   ok      consumers of OrderService: \d, "
                     r"events that wait: \d+\n$", text)
    good_ones = [("OrderService", True), ("PaymentService", True), ("Redis", True), ("orderd", True)]
    assert [(one["name"], one["status"]) for one in from_json("health")] == good_ones
    # what is not known is not asked, and said to be so
    assert good("health", REDIS_URL=None, AMQP_URL=None).splitlines()[-2:] \
        == [f"{name:24} not asked: {url} is not set" for name, url in (("Redis", "REDIS_URL"), ("orderd", "AMQP_URL"))]
    assert [(one["name"], one["status"]) for one in from_json("health", REDIS_URL=None, AMQP_URL=None)] \
        == good_ones[:2]


def test_urls(system, tmp_path):
    listed = dict(line.split() for line in good("urls", "list").splitlines())
    assert listed == from_json("urls", "list") and "CustomerService" in listed
    customer, kitchen = listed["CustomerService"], listed["KitchenService"]
    forms = {"lines": f"# ours\nCustomerService={customer}\n\n KitchenService={kitchen}\r\n",
             "object": json.dumps({"CustomerService": customer, "KitchenService": kitchen}),
             "documents": json.dumps([{"_id": "CustomerService", "url": customer},
                                      {"_id": "KitchenService", "url": kitchen}])}
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        system.db.service_urls.delete_one({"_id": "CustomerService"})
        assert from_json("urls", "load", str(tmp_path / name))["loaded"] == {"CustomerService": customer,
                                                                            "KitchenService": kitchen}
        assert system.db.service_urls.find_one({"_id": "CustomerService"})["url"] == customer
    system.redis.set("CustomerService", customer)
    out = good("urls", "load", f"CustomerService={customer}", "--flush")
    assert out == f"CustomerService  {customer}\naddresses dropped from Redis: 1\n"
    assert system.redis.get("CustomerService") is None
    for service in listed:
        system.redis.set(service, listed[service])
    assert good("urls", "flush") == "addresses dropped from Redis: 5\n"
    assert from_json("urls", "flush") == {"dropped": 0}


def test_cache(system):
    order_id, gone = system.paid()["id"], system.place()["id"]
    good("order", "delete", gone)
    mark = f"foodsvc:deleted:{{{gone}}}"
    wait_for(lambda: system.redis.exists(order_id) and system.redis.exists(mark), what="the entries")
    system.redis.set("CustomerService", system.db.service_urls.find_one({"_id": "CustomerService"})["url"], ex=100)
    system.redis.set("somebody.else", "kept")
    lines = good("cache", "list").splitlines()
    assert lines[0].split() == ["KEY", "EXPIRES", "WHAT"]
    assert any(re.match(rf"{order_id} +1[78]\d\d s  deliveryScheduled", line) for line in lines)
    assert any(re.match(rf"{re.escape(mark)} +3\d\d\d s  deleted", line) for line in lines)
    kinds = {entry["key"]: entry["kind"] for entry in from_json("cache", "list")}
    assert kinds["CustomerService"] == "url" and kinds[order_id] == "order" and "somebody.else" not in kinds
    shown = from_json("cache", "show", order_id)
    assert shown["value"]["id"] == order_id and 1700 < shown["ttl"] <= 1800
    assert '"status": "deliveryScheduled"' in good("cache", "show", order_id)
    assert good("cache", "show", "CustomerService").startswith("expires in ")
    assert good("cache", "flush", order_id, "CustomerService") == "entries dropped from Redis: 2\n"
    assert not system.redis.exists(order_id)
    system.redis.rpush(order_id, "rubbish")
    assert "not the system's" in good("cache", "show", order_id)
    assert from_json("cache", "flush")["dropped"] >= 1
    assert {line.split()[-1] for line in good("cache", "list").splitlines()[1:]} <= {"deleted"}
    assert system.redis.get("somebody.else") == b"kept" and system.redis.exists(mark)
    system.redis.delete("somebody.else")
    assert system.show(order_id)["status"] == "deliveryScheduled"


def test_queue_send_and_take(system, own_queue):
    assert good("queue", "send", '{"a": 1}', "--queue", own_queue) == f"8 bytes sent to {own_queue}\n"
    sent = from_json("queue", "send", "-", "--queue", own_queue, text="no json \x1b[31m")
    assert sent["queue"] == own_queue and sent["bytes"] == 13
    assert good("queue", "listen", own_queue, "--take", "--count", "1") == '{"a": 1}\n'
    assert system.queue.depth(own_queue) == 1
    assert good("queue", "listen", own_queue, "--once") == "no json \\x1b[31m\n"
    taken = json.loads(good("queue", "listen", own_queue, "--take", "--once", "--json"))
    assert taken["body"] == "no json \x1b[31m" and taken["message_id"] == sent["message_id"]
    assert system.queue.depth(own_queue) == 0
    system.queue.send(b"\xff\x00no text", queue=own_queue, message_id="m", headers={"h": b"\xfe"})
    taken = json.loads(good("queue", "listen", own_queue, "--take", "--once", "--json"))
    assert base64.b64decode(taken["body_base64"]) == b"\xff\x00no text" and "body" not in taken
    assert taken["message_id"] == "m" and base64.b64decode(taken["headers"]["h"]["base64"]) == b"\xfe"
    system.queue.send(b"", queue=own_queue, headers={"x-foodsvc-reason": "why\n", "n": [1, {"t": True}]})
    assert good("queue", "listen", own_queue, "--once") == "\n    x-foodsvc-reason: why\\x0a\n"
    assert from_json("queue", "listen", own_queue, "--once")["headers"]["n"] == [1, {"t": True}]


def test_a_message_is_not_lost_when_it_cannot_be_printed(system, own_queue):
    system.queue.send({"kept": True}, queue=own_queue)
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([FOODCTL, "queue", "listen", own_queue, "--take", "--once"], env=environment({}),
                                cwd="/", stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and "cannot write" in result.stderr
    wait_for(lambda: system.queue.depth(own_queue) == 1, what="the message back in its queue")


def test_listen_prints_as_they_come_and_leaves_them_there(system, own_queue):
    system.queue.send({"n": 0}, queue=own_queue)
    listener = start("queue", "listen", own_queue, "--count", "4", "--timeout", "30")
    assert json.loads(listener.stdout.readline()) == {"n": 0}
    for n in (1, 1, 2):                             # the second is another message like the first
        system.queue.send({"n": n}, queue=own_queue)
    code, out, err = finish(listener)
    assert (code, err) == (0, "")
    assert [json.loads(line)["n"] for line in out.splitlines()] == [1, 1, 2]
    wait_for(lambda: system.queue.depth(own_queue) == 4, what="all messages in the queue")
    assert [json.loads(system.queue.take(own_queue)[0])["n"] for _ in range(4)] == [0, 1, 1, 2]


def test_listening_to_the_services_queue_steals_nothing(system):
    listener = start("queue", "listen", "--timeout", "4")
    orders = [system.paid()["id"] for _ in range(3)]
    assert finish(listener)[::2] == (0, "")
    assert all(system.show(order_id)["status"] == "deliveryScheduled" for order_id in orders)


def test_keys_new():
    words = good("keys", "new").split()
    assert words[::2] == ["key", "sha256"] and len(words[1]) == 64
    assert hashlib.sha256(words[1].encode()).hexdigest() == words[3]
    made = from_json("keys", "new")
    assert hashlib.sha256(made["key"].encode()).hexdigest() == made["sha256"] and made["key"] != words[1]
    assert made["line"] == made["sha256"]
    words = good("keys", "new", "--scope", "orders:read,callback").split()
    assert words[3:] == [hashlib.sha256(words[1].encode()).hexdigest(), "orders:read", "callback"]
    made = from_json("keys", "new", "--scope", "payments")
    assert made["line"] == made["sha256"] + " payments"


def test_settings_from_flags_files_and_the_env_file(system, tmp_path):
    key = tmp_path / "key"
    key.write_text(os.environ["API_KEY"] + "\n")
    good("order", "list", API_KEY=f"file:{key}")
    good("order", "list", "--api-key", os.environ["API_KEY"], API_KEY="wrong")
    below = tmp_path / "build/run"
    below.mkdir(parents=True)
    (below / "env").write_text(f"# of a shell\nexport ORDER_URL='{os.environ['ORDER_URL']}'\n"
                               f"export API_KEY=\"{os.environ['API_KEY']}\"\nCA_CERT={os.environ['CA_CERT']}\n")
    folder = tmp_path / "some/where"
    folder.mkdir(parents=True)
    good("order", "list", cwd=folder, ORDER_URL=None, API_KEY=None, CA_CERT=None)


def test_a_url_without_a_vhost_means_the_usual_one(system, own_queue):
    url = os.environ["AMQP_URL"].rstrip("/")
    for form in (url, url + "/", url + "/%2f"):
        good("queue", "send", "{}", "--queue", own_queue, AMQP_URL=form)
    assert system.queue.depth(own_queue) == 3


COMPLETE = r"""
source <("$0" completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _foodctl
printf '%s\n' "${COMPREPLY[@]}"
"""


def complete(*words):
    """What bash offers for the last word."""
    result = subprocess.run(["bash", "-c", COMPLETE, FOODCTL, "foodctl", *words], env=environment({}),
                            capture_output=True, text=True, timeout=30, check=True, cwd="/")
    assert result.stderr == ""
    return result.stdout.split("\n")[:-1]


def test_bash_completion():
    assert complete("qu") == ["queue"]
    assert sorted(complete("order", "")) == ["cancel", "delete", "list", "place", "refund", "repair", "show", "watch"]
    assert complete("order", "watch", "--until", "paymentF") == ["paymentFailed"]
    assert complete("--api-key", "x", "order", "watch", "--until", "=", "cookingM") == ["cookingMeal"]
    assert complete("respond", "x", "cookingM") == ["cookingMeal"] and complete("respond", "") == [""]
    assert complete("respond", "x", "orderC") == [""]
    assert complete("order", "place", "--item", "Dou") == ["Double\\ Cheeseburger"]
    assert complete("cache", "flush", "OrderService", "Kit") == ["KitchenService"]
    assert complete("queue", "listen", "OrderService.d") == ["OrderService.dead"]
    assert "--take" in complete("queue", "listen", "--") and "--take" not in complete("queue", "send", "--")
    assert complete("order", "list", "--ca-cert", "/dev/nul") == ["/dev/null"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_word_and_can_be_parsed(shell, tmp_path):
    script = tmp_path / "completion"
    script.write_text(good("completion", shell))
    text = script.read_text()
    for name in commands():
        assert all(re.search(rf"\b{word}\b", text) for word in name.split()), name
        for option in re.findall(r"^  --([a-z-]+)", good(*name.split(), "--help"), re.MULTILINE):
            assert f"--{option}" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True)


def test_manual(tmp_path):
    page = tmp_path / "foodctl.1"
    page.write_text(good("manual"))
    text = page.read_text()
    with open(os.path.join(os.path.dirname(FOODCTL), "../share/man/man1/foodctl.1"), encoding="ascii") as built:
        assert built.read() == text
    assert text.isascii() and re.match(r'\.\\" .*\n\.TH FOODCTL 1 ', text)
    for name in commands():
        assert f".SS foodctl {name}" in text
    assert all(line[1:].split()[0] in ("TH", "SH", "SS", "TP", "PP", "B", "I", "nh", '\\"')
               for line in text.splitlines() if line[0] in ".'")
    for linter in (["mandoc", "-T", "lint", "-W", "warning"],
                   ["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"]):
        if shutil.which(linter[0]):
            result = subprocess.run([*linter, page], capture_output=True, text=True, check=False)
            assert result.returncode == 0 and result.stderr == "", result.stderr


class Cut:
    """Stands before OrderService and answers the first `cuts` calls of a kind by closing the connection: before it
    passes them on, or behind."""

    def __init__(self, url, cuts, before):
        self.url, self.left, self.before, self.keys = url, cuts, before, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                outer.keys.append(self.headers["Idempotency-Key"])
                cut = outer.left > 0
                outer.left -= 1
                if cut and outer.before:
                    return
                answer = requests.post(outer.url + self.path, data=body, timeout=20, verify=os.environ["CA_CERT"],
                                       headers={name: self.headers[name] for name in
                                                ("X-API-Key", "Idempotency-Key", "Content-Type")
                                                if self.headers[name]})
                if not cut:
                    self.send_response(answer.status_code)
                    self.send_header("Content-Length", str(len(answer.content)))
                    self.end_headers()
                    self.wfile.write(answer.content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return {"ORDER_URL": f"http://127.0.0.1:{self.server.server_address[1]}"}

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_an_order_whose_answer_is_cut_off_is_asked_for_again_and_placed_once(system, before):
    customer = str(uuid.uuid4())
    cut = Cut(os.environ["ORDER_URL"], 1, before)
    with cut as there:
        order = from_json("order", "place", "--customer", customer, **there)
    assert len(cut.keys) == 2 and cut.keys[0] == cut.keys[1] and uuid.UUID(cut.keys[0])
    stored = system.db.orders.find({"customer_id": Binary.from_uuid(uuid.UUID(customer))})
    assert [doc["_id"] for doc in stored] == [order["id"]]


def test_when_nobody_knows_whether_there_is_an_order_the_message_says_how_to_ask_again(system):
    with Cut(os.environ["ORDER_URL"], 2, False) as there:
        said = bad("order", "place", code=1, says="no answer that HTTP knows.*; it may be done all the same", **there)
    again = re.search("--customer ([0-9a-f-]{36}) --key '([0-9a-f-]{36})'", said)
    ids = {from_json("order", "place", "--customer", again[1], "--key", again[2])["id"] for _ in range(2)}
    assert ids == {doc["_id"] for doc in system.db.orders.find({"customer_id": Binary.from_uuid(uuid.UUID(again[1]))})}
    assert len(ids) == 1


def test_a_cancel_whose_answer_is_cut_off_is_asked_for_again(system, partners):
    order = system.paid()
    cut = Cut(os.environ["ORDER_URL"], 1, False)
    with cut as there:
        assert from_json("order", "cancel", order["id"], **there)["status"] == "orderCancelled"
    assert len(cut.keys) == 2 and cut.keys[0] == cut.keys[1]
    wait_for(lambda: partners.calls_of("reimburse", order["id"]), what="the reimbursement")
    wait_for(lambda: partners.calls_of("delivery_cancel", order["delivery_id"]), what="the delivery's cancel")


def test_a_key_that_was_used_is_answered_as_the_first_time(system):
    order = system.paid()
    first, second = (from_json("order", "cancel", order["id"], "--key", "of mine " + order["id"]) for _ in range(2))
    assert first["status"] == second["status"] == "orderCancelled"
