"""foodctl when something is wrong: one line that says what to do, exit 2 for a wrong question and 1 for a failure."""

import http.server
import json
import os
import re
import subprocess
import threading
import uuid

import pytest

from foodctl import FOODCTL, bad, closed_port, environment, from_json, good, run

SOME = "01a20869-b77a-7000-a231-1fc5d3d2d7fc"
NOWHERE = f"127.0.0.1:{closed_port()}"


@pytest.mark.parametrize("arguments, says", [
    ([], "a command is missing: see `foodctl --help`"),
    (["frobnicate"], 'no command "frobnicate"'),
    (["order"], '"order" alone is no command: see `foodctl order --help`'),
    (["order", "frobnicate"], 'no command "order frobnicate": see `foodctl order --help`'),
    (["--frobnicate", "health"], "no option --frobnicate before the command"),
    (["order", "list", "--frobnicate=1"], "no option --frobnicate: see `foodctl order list --help`"),
    (["order", "list", "-x"], "no option -x"),
    (["order", "list", "--json=yes"], "--json takes no value"),
    (["order", "list", "--order-url"], "--order-url needs a value"),
    (["order", "list", "more"], '"more" is too much'),
    (["help", "frobnicate"], 'no command "frobnicate"'),
    (["order", "help"], 'no command "order help"'),
    (["order", "show"], "needs ORDER"),
    (["order", "show", "x"], "no order's id .*`foodctl order list`"),
    (["order", "cancel", "x\ny"], "no order's id"),
    (["order", "delete", "x"], "no order's id"),
    (["order", "watch", "x"], "no order's id"),
    (["order", "watch", SOME, "--until", "done"], '"done" is no status: they are created, '),
    (["order", "watch", SOME, "--timeout", "soon"], "--timeout takes seconds"),
    (["order", "watch", SOME, "--timeout", "0"], "--timeout takes seconds"),
    (["order", "place", "--item", "Lasagna=many"], "no item: it must be like 'Lasagna=2'"),
    (["order", "place", "--item", "Pizza"], "items.0.product"),
    (["order", "place", "--item", "Lasagna=0", "--item", "Pizza"], "items.0.quantity: .*; items.1.product: "),
    (["order", "place", "--customer", "me"], "--customer: \"me\" is no UUID"),
    (["order", "place", "--key", "mine"], "--key: give --customer, too"),
    (["order", "place", "--customer", SOME, "--key", "a\tb"], "--key takes 1 to 255 characters"),
    (["order", "cancel", SOME, "--key", "x" * 256], "--key takes 1 to 255 characters"),
    (["order", "cancel", SOME, "--key", ""], "--key needs a value that is not empty"),
    (["urls", "load"], "needs FILE"),
    (["urls", "load", "Nobody=http://127.0.0.1:1"], '"Nobody" is no service: they are OrderService, '),
    (["urls", "load", "CustomerService=ftp://x"], "address of CustomerService is none"),
    (["urls", "load", "CustomerService=http://me:s3cret@127.0.0.1:1"], "address of CustomerService is none"),
    (["cache", "show", "x"], "neither an order's id nor a service: `foodctl cache list`"),
    (["cache", "flush", "x"], "neither an order's id nor a service"),
    (["queue", "send"], "needs JSON"),
    (["queue", "send", "{}", "--queue", ""], "--queue needs a value that is not empty"),
    (["queue", "send", "{}", "--queue", "x" * 256], "no queue's name"),
    (["queue", "listen", "x" * 256], "no queue's name"),
    (["queue", "listen", "--count", "0"], "--count takes a number"),
    (["queue", "listen", "--count", "1x"], "--count takes a number"),
    (["respond", SOME], "needs ORDER STATUS"),
    (["respond", "x", "delivered"], "no order's id"),
    (["respond", SOME, "orderCancelled"], "no status that a partner sends: they are paymentPaid, "),
    (["dead", "show"], "needs ID"),
    (["dead", "list", "--older", "10"], "--older takes an age, as --older 90s, 10m, 2h or 1d"),
    (["dead", "list", "--older", "0m"], "--older takes an age"),
    (["dead", "list", "--newer", "1w"], "--newer takes an age"),
    (["dead", "list", "--newer", "9999999d"], "--newer takes an age"),
    (["dead", "list", "--order", "x"], "no order's id"),
    (["dead", "list", "--limit", "0"], "--limit takes a number"),
    (["dead", "list", "--all"], "no option --all"),
    (["dead", "redrive"], "which messages.* --all"),
    (["dead", "redrive", "--reason", ""], "--reason needs a value that is not empty"),
    (["dead", "redrive", "--all", "x"], "--all leaves nothing to choose"),
    (["dead", "drop", "--all", "--reason", "x"], "--all leaves nothing to choose"),
    (["dead", "drop", "--yes"], "which messages.* --all"),
    (["dead", "drop", "x"], "give --yes"),
    (["keys", "new", "key"], '"key" is too much: `foodctl keys new` takes no arguments'),
    (["keys", "new", "--scope", "orders"], '"orders" is no scope: use orders:read, orders:write, payments or callback'),
    (["keys", "new", "--scope", "callback,"], '"" is no scope'),
    (["keys", "new", "--scope", ",".join(["orders:write"] * 5)], "a scope more than once"),
    (["keys", "new", "--scope", "orders:read", "--scope=payments"], "--scope is given more than once"),
    (["dead", "list", "--older", "1m", "--older", "2m"], "--older is given more than once"),
    (["completion", "fish"], "no shell that foodctl knows: they are bash, zsh"),
    (["manual", "--json"], "leave --json out"),
])
def test_wrongly_asked(system, arguments, says):
    bad(*arguments, code=2, says=says)


@pytest.mark.parametrize("name, text, code, says", [
    ("empty", "# nothing\n", 2, "has no addresses"),
    ("line", "CustomerService=http://127.0.0.1:1\nrubbish\n", 2, ":2: the line must be like"),
    ("json", '{"CustomerService": 1}', 2, "address of CustomerService is none"),
    ("document", '[{"url": "http://127.0.0.1:1"}]', 2, "is no service"),
    ("binary", b"\xff\x00\xfe", 2, "the line must be like"),
    (None, None, 1, "cannot be read"),
])
def test_a_bad_file_of_addresses_writes_nothing(system, tmp_path, name, text, code, says):
    before = list(system.db.service_urls.find())
    path = tmp_path / str(name)
    if name:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    bad("urls", "load", str(path), code=code, says=says)
    bad("urls", "load", str(tmp_path), code=1, says="cannot be read")
    assert list(system.db.service_urls.find()) == before


SERVERS = {"ORDER_URL": ("https", "`make start-nginx` starts it", "foodsvc-nginx"),
           "MONGO_URL": ("mongodb", "`make start-mongo` starts it", "mongod"),
           "REDIS_URL": ("redis", "`make start-redis` starts it", "redis-server"),
           "AMQP_URL": ("amqp", "`make start-rabbit` starts it", "rabbitmq-server")}


@pytest.mark.parametrize("arguments, variable", [
    (["order", "list"], "ORDER_URL"),
    (["order", "place"], "ORDER_URL"),
    (["order", "watch", SOME], "ORDER_URL"),
    (["respond", SOME, "delivered"], "ORDER_URL"),
    (["urls", "list"], "MONGO_URL"),
    (["urls", "load", "CustomerService=http://127.0.0.1:1"], "MONGO_URL"),
    (["urls", "flush"], "REDIS_URL"),
    (["cache", "list"], "REDIS_URL"),
    (["cache", "show", SOME], "REDIS_URL"),
    (["cache", "flush"], "REDIS_URL"),
    (["queue", "send", "{}"], "AMQP_URL"),
    (["queue", "listen"], "AMQP_URL"),
    (["dead", "list"], "AMQP_URL"),
    (["dead", "redrive", "--all"], "AMQP_URL"),
])
def test_the_server_is_not_there(tmp_path, arguments, variable):
    """What to do is make's where build/run/env names the server, else systemd's."""
    scheme, make, unit = SERVERS[variable]
    url = f"{scheme}://me:s3cret@{NOWHERE}"
    line = bad(*arguments, code=1, says=f"`systemctl status {unit}` on its host tells", **{variable: url})
    assert NOWHERE in line and "make" not in line
    (tmp_path / "build/run").mkdir(parents=True)
    (tmp_path / "build/run/env").write_text(f"export {variable}='{url}'\n")
    for given in (None, url):
        line = bad(*arguments, code=1, says=make, cwd=tmp_path, **{variable: given})
        assert NOWHERE in line and "systemctl" not in line
    other = url.replace("127.0.0.1", "127.0.0.2")
    bad(*arguments, code=1, says=f"`systemctl status {unit}` on its host", cwd=tmp_path, **{variable: other})
    bad(*arguments, code=1, says=f"{variable} is not set and there is no build/run/env here or above: set it in the "
        "environment, or with a flag .`foodctl [a-z ]+ --help`.", **{variable: None})
    (tmp_path / "build/run/env").write_text("# nothing\n")
    bad(*arguments, code=1, says=f"{variable} is not set, and build/run/env has none: `make up` writes it",
        cwd=tmp_path, **{variable: None})


@pytest.mark.parametrize("arguments, variable, part", [
    (["order", "list"], "ORDER_URL", "order"), (["stuck"], "MONGO_URL", "mongo"),
    (["cache", "list"], "REDIS_URL", "redis"), (["dead", "list"], "AMQP_URL", "rabbit")])
def test_the_system_of_this_folder_is_down(tmp_path, arguments, variable, part):
    """`make down` has taken build/run/env away, and a shell still has its variables."""
    scheme, _, unit = SERVERS[variable]
    url = f"{scheme}://me:s3cret@{NOWHERE}"
    (tmp_path / "build/run").mkdir(parents=True)
    saved = tmp_path / "build/run/system.json"
    saved.write_text(json.dumps({"ports": {part: int(NOWHERE.split(":")[1])}}))
    bad(*arguments, code=1, says="`make up` starts it", cwd=tmp_path, **{variable: url})
    bad(*arguments, code=1, says=f"{variable} is not set, and the system of build/run is down: `make up` starts it",
        cwd=tmp_path, **{variable: None})
    for text in ('{"ports": {"%s": 1}}' % part, '{"ports": 5}', "rubbish", ""):
        saved.write_text(text)
        bad(*arguments, code=1, says=f"`systemctl status {unit}` on its host", cwd=tmp_path, **{variable: url})


@pytest.mark.parametrize("url", ["https://me:s3cret", "s3cret", "me:s3cret", "https://s3cret x", "ftp://me:s3cret@h"])
def test_an_address_that_is_none_is_not_repeated(url):
    """It may be a password, or a login whose @host was forgotten."""
    bad("order", "list", code=1, says="ORDER_URL is no address: it must be like https://127.0.0.1:8000", ORDER_URL=url)
    bad("health", code=1, says="PAYMENT_URL is no address", PAYMENT_URL=url, prints="ok")


def test_addresses_are_not_loaded_when_they_could_not_be_flushed(system):
    before = list(system.db.service_urls.find())
    load = ["urls", "load", "--flush", f"KitchenService=http://{NOWHERE}"]
    bad(*load, code=1, says="REDIS_URL is not set", REDIS_URL=None)
    bad(*load, code=1, says="Redis at .* cannot be reached", REDIS_URL=f"redis://{NOWHERE}")
    assert list(system.db.service_urls.find()) == before


def test_health_is_a_table_and_one_line():
    bad("health", code=1, says=f"{NOWHERE} cannot be reached", PAYMENT_URL=f"https://{NOWHERE}",
        prints=rf"(?s)OrderService +ok.*PaymentService +DOWN +{NOWHERE} cannot be reached")
    bad("health", "--json", code=1, says=f"{NOWHERE} cannot be reached", ORDER_URL=f"https://{NOWHERE}",
        prints=r'\[\{"name":"OrderService","status":false,"detail":"')
    bad("health", code=1, says="PAYMENT_URL is not set", PAYMENT_URL=None)


def test_health_names_what_the_services_do_not_ask(without, tmp_path):
    bad("health", code=1, says=f"health: Redis at {NOWHERE} cannot be reached", REDIS_URL=f"redis://{NOWHERE}",
        prints=rf"(?s)OrderService +ok.*\nRedis +DOWN +Redis at {NOWHERE} cannot be reached.*\norderd +ok +consumers")
    bad("health", code=1, says="RabbitMQ at .* refused the login",
        AMQP_URL=re.sub(r"//.*@", "//me:s3cret@", os.environ["AMQP_URL"]),
        prints=r"\norderd +DOWN +RabbitMQ at .* refused the login")
    without("orderd")
    why = "nobody consumes OrderService: `{}`"
    bad("health", code=1, says=why.format("systemctl status 'foodsvc-orderd@.'"), prints=r"\norderd +DOWN +nobody")
    (tmp_path / "build/run").mkdir(parents=True)
    (tmp_path / "build/run/env").write_text(f"export AMQP_URL='{os.environ['AMQP_URL']}'\n")
    bad("health", "--json", code=1, says=why.format("make start-orderd"), cwd=tmp_path,
        prints='"name":"orderd","status":false,"detail":"nobody')


def test_certificates_that_cannot_be_read_are_named(tmp_path):
    bad("health", code=1, says=f"CA_CERT names, {tmp_path}/none.crt, cannot be read", CA_CERT=f"{tmp_path}/none.crt",
        prints=rf"OrderService +DOWN +the file that CA_CERT names, {tmp_path}/none.crt, cannot be read")


def test_the_key_is_refused(system):
    order_id = system.place()["id"]
    for arguments in (["order", "place"], ["order", "list"], ["order", "show", order_id], ["order", "cancel", order_id],
                      ["order", "delete", order_id], ["order", "watch", order_id], ["respond", order_id, "delivered"]):
        bad(*arguments, code=1, says="the API key was refused: set API_KEY", API_KEY="s3cret")
        bad(*arguments, code=1, says="the API key is missing: set API_KEY", API_KEY=None)
    bad("order", "list", code=1, says="API_KEY has characters that no key has", API_KEY="s3cret\r\nX-More: 1")
    bad("order", "list", code=1, says="API_KEY: /nowhere cannot be read", API_KEY="file:/nowhere")


def with_login(url, login):
    return re.sub(r"//([^@/]*@)?", f"//{login}@", url)


@pytest.mark.parametrize("arguments, variable, login, says", [
    (["cache", "list"], "REDIS_URL", ":s3cret", "Redis refused the login: REDIS_URL must name"),
    (["cache", "list"], "REDIS_URL", "me:s3cret", "Redis refused the login"),
    (["urls", "flush"], "REDIS_URL", "", "Redis refused the login"),
    (["queue", "send", "{}"], "AMQP_URL", "foodsvc:s3cret", "refused the login: AMQP_URL must name"),
    (["queue", "listen"], "AMQP_URL", "me:s3cret", "refused the login: AMQP_URL must name"),
    (["urls", "list"], "MONGO_URL", "me:s3cret", "refused the login: MONGO_URL must name"),
])
def test_the_login_is_refused(arguments, variable, login, says):
    url = with_login(os.environ[variable], login) if login else re.sub(r"//[^@]*@", "//", os.environ[variable])
    bad(*arguments, code=1, says=says, **{variable: url})


@pytest.mark.raw("Prism has no certificate")
def test_the_certificate():
    bad("order", "list", code=1, says="certificate of .* is not trusted: set CA_CERT", CA_CERT=None)
    bad("order", "list", code=1, says="CA_CERT names, /nowhere, cannot be read", CA_CERT="/nowhere")


@pytest.mark.parametrize("arguments, variable, value, says", [
    (["order", "list"], "ORDER_URL", "nonsense://me:s3cret@h", 'ORDER_URL is no address'),
    (["order", "list"], "ORDER_URL", "https://nowhere.invalid", "no host of the name nowhere.invalid: correct"),
    (["order", "list"], "ORDER_URL", "https://nobody.invalid:4711", "no host of the name nobody.invalid: correct"),
    (["order", "list"], "ORDER_URL", "https://me:s3cret", "ORDER_URL is no address"),
    (["order", "list"], "ORDER_URL", "REDIS", "does not answer in time"),
    (["cache", "list"], "REDIS_URL", "http://me:s3cret@h", "REDIS_URL is not a Redis url; write redis://host"),
    (["cache", "list"], "REDIS_URL", "MONGO", "Redis"),
    (["cache", "list"], "REDIS_URL", "unix:/nowhere", "cannot be reached"),
    (["cache", "list"], "REDIS_URL", "/77777", "Redis refused the login|not a Redis url"),
    (["queue", "listen"], "AMQP_URL", "http://me:s3cret@h", "AMQP_URL is not an AMQP url; write amqp://host"),
    (["queue", "listen"], "AMQP_URL", "REDIS", "RabbitMQ"),
    (["queue", "listen"], "AMQP_URL", "/nowhere", "no such vhost"),
    (["urls", "list"], "MONGO_URL", "http://me:s3cret@h", "MONGO_URL is not right"),
    (["urls", "list"], "MONGO_URL", "mongodb://me:s3cret@h:x/?nonsense=1", "MONGO_URL is not right"),
])
def test_the_address_is_wrong(arguments, variable, value, says):
    if value in ("REDIS", "MONGO"):
        port = re.search(r":(\d+)(/|$)", os.environ[f"{value}_URL"])[1]
        value = {"ORDER_URL": "https", "AMQP_URL": "amqp", "REDIS_URL": "redis"}[variable] + f"://127.0.0.1:{port}"
    elif value.startswith("/"):
        value = re.sub(r"(//[^/]*).*", rf"\1{value}", os.environ[variable])
    bad(*arguments, code=1, says=says, **{variable: value})


@pytest.mark.raw("Prism speaks no TLS")
def test_http_where_tls_is_spoken_and_the_reverse(system):
    plain = f"http://127.0.0.1:{os.environ['CUSTOMER_PORT']}"
    asked = ["order", "list"]
    bad(*asked, code=1, says=r"\(status 400\)", ORDER_URL=os.environ["ORDER_URL"].replace("s:", ":"))
    bad(*asked, code=1, says="does not speak TLS", ORDER_URL=plain.replace(":", "s:", 1))
    bad(*asked, code=1, says=r"\(status 404\)", ORDER_URL=plain)


def test_an_unknown_order(system):
    nobody = str(uuid.uuid4())
    for arguments in (["order", "show", nobody], ["order", "cancel", nobody], ["order", "delete", nobody],
                      ["order", "watch", nobody], ["respond", nobody, "delivered"]):
        bad(*arguments, code=1, says=f"order {nobody} does not exist: `foodctl order list`")
    bad("cache", "show", nobody, code=1, says=f"{nobody} is not in the cache")
    bad("cache", "show", "OrderService", code=1, says="OrderService is not in the cache")


def test_an_unknown_queue():
    queue = f"Nobody-{uuid.uuid4()}"        # a name that no other test's payment has made a queue of
    says = f'RabbitMQ has no queue "{queue}"'
    bad("queue", "send", "{}", "--queue", queue, code=1, says=says)
    bad("queue", "listen", queue, code=1, says=says)
    bad("queue", "listen", queue, "--take", code=1, says=says)


def test_an_order_that_cannot_be_cancelled(system):
    bad("order", "cancel", system.place()["id"], code=1, says=r"order cancel: .*\(status 400\)")


def test_a_watch_that_ends_badly(system):
    order_id = system.place()["id"]
    bad("order", "watch", order_id, "--timeout", "0.5", code=1, says="still created after 0.5 s", prints="created")
    assert system.callback(order_id, "paymentFailed").status_code == 201
    bad("order", "watch", order_id, code=1, says="the payment failed", prints="paymentFailed")
    bad("order", "watch", order_id, "--until", "delivered", code=1, says="paymentFailed, without delivered",
        prints="paymentFailed")


def test_messages_that_do_not_come():
    bad("queue", "listen", "OrderService.retry.1", "--take", "--count", "1", "--timeout", "0.3", code=1,
        says="0 of 1 messages came to OrderService.retry.1 within 0.3 s")


def test_a_result_that_cannot_be_written():
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([FOODCTL, "keys", "new"], env=environment({}), cwd="/", stdout=full,
                                stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"foodctl: cannot write the result: [^\n]+\n", result.stderr)


@pytest.mark.parametrize("command", ["foodctl keys new", "foodsvc-orderd --version", "foodsvc-sweepd --version"])
def test_what_a_killed_process_left_is_not_complained_about(command):
    """libmongoc names shared memory after the process id, and says so when there is one already."""
    program, *arguments = command.split()
    script = 'echo x > "/dev/shm/mongoc-$$" && exec "$0" "$@"'
    result = subprocess.run(["bash", "-c", script, os.path.join(os.path.dirname(FOODCTL), program), *arguments],
                            env=environment({}), cwd="/", capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stderr) == (0, "")


ESCAPE = "\x1b]0;x\x07\x9b31m\x7f"        # a window's title, and a colour by a C1 control
ESCAPED = r"\x1b]0;x\x07\xc2\x9b31m\x7f"


def harmless(text):
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


@pytest.fixture
def speaker():
    """The url of a server whose answers speak to terminals, and have members of wrong types."""
    class Handler(http.server.BaseHTTPRequestHandler):
        """All paths."""

        def do_GET(self):
            """Any order, the list of orders, health."""
            answer = {"id": ESCAPE, "status": "delivered", "updated": [{"status": ESCAPE}, 5, None],
                      "items": [{"product": ESCAPE, "quantity": "x"}, 4], "version": ESCAPE, "cert_remaining_days": 1,
                      "resources": [{"name": ESCAPE, "status": True}, 7], "detail": ESCAPE}
            body = json.dumps([answer, 3, None] if self.path.endswith("orders") else answer).encode()
            self.send_response(500 if SOME in self.path else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_no_answer_speaks_to_the_terminal(speaker):
    urls = {"ORDER_URL": speaker, "PAYMENT_URL": speaker}
    for arguments in (["health"], ["order", "list"], ["order", "show", str(uuid.uuid4())],
                      ["order", "watch", str(uuid.uuid4())]):
        shown = run(*arguments, **urls).stdout
        assert ESCAPED in shown and harmless(shown)
        shown = run(*arguments, "--json", **urls).stdout
        assert harmless(shown) and ESCAPE in [text for line in shown.splitlines() for text in strings(json.loads(line))]
    assert harmless(bad("order", "show", SOME, code=1, says="status 500", **urls))


def strings(value):
    """All texts in a JSON value."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inside for text in strings(one)]


def test_no_entry_speaks_to_the_terminal(system):
    order_id, marks = str(uuid.uuid4()), [b"foodsvc:deleted:{\x1b[31m}", b"foodsvc:deleted:{\xff}", b"foodsvc:deleted:"]
    service = {"_id": ESCAPE[:20], "url": "http://" + ESCAPE}
    system.redis.set(order_id, json.dumps({"status": ESCAPE}, ensure_ascii=False))
    for mark in marks:
        system.redis.set(mark, "1")
    system.db.service_urls.insert_one(service)
    try:
        listed = good("cache", "list")
        assert ESCAPED in listed and harmless(listed) and "deleted:{\\x1b" not in listed
        assert harmless(good("cache", "show", order_id)) and harmless(good("cache", "list", "--json"))
        assert from_json("cache", "show", order_id)["value"] == {"status": ESCAPE}
        assert harmless(good("urls", "list")) and harmless(good("urls", "list", "--json"))
    finally:
        system.redis.delete(order_id, *marks)
        system.db.service_urls.delete_one({"_id": service["_id"]})


def test_what_is_read_in_part_is_not_used(tmp_path):
    """A file of addresses that ends in an address cut short; standard input that cannot be read."""
    cut = "CustomerService=http://127.0.0.1:80"
    (tmp_path / "long").write_text("#" + "x" * (65536 - 2 - len(cut)) + "\n" + cut + "02\n")
    bad("urls", "load", str(tmp_path / "long"), code=2, says="is larger than 64 KB")
    folder = os.open(tmp_path, os.O_RDONLY)
    result = subprocess.run([FOODCTL, "queue", "send", "-"], env=environment({}), cwd="/", stdin=folder,
                            capture_output=True, text=True, timeout=30, check=False)
    os.close(folder)
    assert (result.returncode, result.stdout) == (1, "") and "cannot be read: nothing was sent" in result.stderr


def test_an_env_that_is_a_pipe_holds_nobody(tmp_path):
    (tmp_path / "build/run").mkdir(parents=True)
    os.mkfifo(tmp_path / "build/run/env")
    bad("order", "list", code=1, says="ORDER_URL is not set and there is no build/run/env", cwd=tmp_path,
        ORDER_URL=None)
