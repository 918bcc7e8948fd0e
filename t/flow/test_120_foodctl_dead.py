"""foodctl dead: what lists, shows, redrives and drops dead messages, and that none is ever lost by it."""

import base64
import datetime
import json
import os
import pty
import subprocess
import uuid

import pika
import pytest

from conftest import STATUSES, wait_for
from foodctl import FOODCTL, bad, environment, from_json, good, run

DEAD = "OrderService.dead"


def ago(**time):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**time)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Dead:
    """Dead messages of one test, told from others' by their reason."""

    def __init__(self, system):
        self.system = system
        self.word = f"test {uuid.uuid4()}"
        self.order_id = str(uuid.uuid4())

    def send(self, body=None, reason=None, first=None, attempts=3, **properties):
        """One message as orderd would bury it; its message_id."""
        properties.setdefault("message_id", str(uuid.uuid4()))
        body = body or {"metadata": {"receiver": "OrderService", "order_id": self.order_id, "customer_id": "c"},
                        "status": "driverAvailable"}
        headers = {"x-foodsvc-reason": f"{self.word}: {reason}", "x-foodsvc-attempts": attempts,
                   "x-foodsvc-first": first or ago(seconds=5), **properties.pop("more", {})}
        self.system.queue.send(body, queue=DEAD, headers=headers, **properties)
        return properties["message_id"]

    def ids(self, *options):
        """Those of the test that `dead list` shows, in its order."""
        listed = from_json("dead", "list", "--limit", "100000", *options)
        return [one["id"] for one in listed if self.word in (one["reason"] or "")]


@pytest.fixture
def dead(system):
    mine = Dead(system)
    yield mine
    good("dead", "drop", "--reason", mine.word, "--yes", "--limit", "100000")
    assert mine.ids() == []


def test_list_is_a_table_and_leaves_all_where_it_was(system, dead):
    first, second = dead.send(reason="unknown order"), dead.send({"n": 1}, reason="metadata is missing", attempts=0)
    depth = system.queue.depth(DEAD)
    lines = [line for line in good("dead", "list").splitlines() if dead.word in line or line.startswith("ID")]
    assert lines[0].split() == ["ID", "ORDER", "STATUS", "ATTEMPTS", "AGE", "REASON"]
    assert lines[1].split()[:4] == [first, dead.order_id, "driverAvailable", "3"]
    assert lines[2].split()[:4] == [second, "-", "-", "0"] and lines[2].endswith(": metadata is missing")
    assert dead.ids() == [first, second] == dead.ids()
    wait_for(lambda: system.queue.depth(DEAD) == depth, what="all messages in the queue")
    one, = [one for one in from_json("dead", "list") if one["id"] == first]
    assert one["order"] == dead.order_id and one["attempts"] == 3 and 5 <= one["age"] < 60


def test_a_list_of_nothing_says_so(system, dead):
    dead.send(reason="why")
    depth = system.queue.depth(DEAD)
    assert good("dead", "list", "--reason", str(uuid.uuid4())) \
        == f"dead: 0 of {depth} {'message' if depth == 1 else 'messages'}\n"
    good("dead", "drop", "--all", "--yes", "--limit", "100000")
    assert good("dead", "list") == "dead: 0 messages\n"
    assert from_json("dead", "list") == []


def test_what_is_said_of_a_list_comes_after_it_in_one_file(dead):
    for _ in range(2):
        dead.send(reason="why")
    result = subprocess.run([FOODCTL, "dead", "list", "--limit", "1"], env=environment({}), cwd="/", check=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert result.stdout.splitlines()[0].startswith("ID ")
    assert result.stdout.splitlines()[-1].startswith("foodctl: only the first 1 of ")


def test_choosing(dead):
    other = Dead(dead.system)
    other.word = dead.word
    young, old = dead.send(reason="partner away"), dead.send(reason="Unknown Order", first=ago(hours=3))
    timeless, third = dead.send(reason="unknown order", first="soon"), other.send(reason="refused", first=ago(days=2))
    assert dead.ids("--reason", "unknown ORDER") == [old, timeless]
    assert dead.ids("--older", "2h") == [old, third] and dead.ids("--newer", "2h") == [young]
    assert dead.ids("--older", "2h", "--newer", "1d") == [old]
    assert dead.ids("--order", other.order_id.upper()) == [third]
    assert dead.ids("--reason", "order", "--older", "1d") == []
    shown = good("dead", "show", third)
    assert "(2d ago)\n" in shown and shown.startswith(f"id        {third}\norder     {other.order_id}\n")
    bad("dead", "show", third, "nobody", code=1, says="no message nobody among the ")
    bad("dead", "drop", "--yes", third, "nobody", code=1, says="no message nobody among the ")
    assert dead.ids() == [young, old, timeless, third]


def test_show_has_all_of_it_and_speaks_to_no_terminal(dead):
    raw = b"\xff\x1b[31m"
    dead.send(raw, reason="\x1b[31mred", message_id=None, more={"x-other": [1, {"two": "\x1b"}]}, content_type="a/b")
    one_id, = dead.ids()
    assert one_id[0] == "h" and len(one_id) == 17
    text = good("dead", "show", one_id)
    assert "\x1b" not in text and text.endswith("body      \\xff\\x1b[31m\n") and "header    x-other: [1,{" in text
    assert f"reason    {dead.word}: \\x1b[31mred\n" in text
    shown = from_json("dead", "show", one_id)
    assert base64.b64decode(shown["body_base64"]) == raw and shown["headers"]["x-other"] == [1, {"two": "\x1b"}]
    assert shown["content_type"] == "a/b" and shown["order"] is None
    dead.send({"again": 1}, reason="", message_id="of two")
    dead.send({"again": 2}, reason="", message_id="ofTwo")
    dead.send({"again": 3}, reason="", message_id="ofTwo")
    assert len(dead.ids()) == 4 and dead.ids()[1][0] == "h"         # a blank is nothing to type
    assert [json.loads(line)["body"] for line in good("dead", "show", "ofTwo", "--json").splitlines()] == [
        {"again": 2}, {"again": 3}]


def test_redrive_moves_the_order_on(system, dead):
    order_id = system.paid()["id"]
    dead.order_id = order_id
    sent = dead.send(reason="partner away")
    assert good("dead", "redrive", sent) == f"{sent}  order {order_id}  driverAvailable\nredriven: 1\n"
    system.wait_status(order_id, "cookingScheduled")
    assert dead.ids() == []
    bad("dead", "redrive", sent, code=1, says=f"no message {sent} among the ")
    assert good("dead", "redrive", "--order", order_id) == "redriven: 0\n"


def test_redrive_takes_the_reasons_away_and_keeps_the_rest(system, dead, without):
    without("orderd")
    ids = [dead.send({"n": n}, reason="why", more={"x-mine": n}, priority=3, correlation_id="c", content_type="a/b",
                     delivery_mode=1) for n in range(3)]
    assert from_json("dead", "redrive", "--reason", dead.word)["redriven"] == ids
    for n in range(3):
        body, properties = system.queue.take_where("OrderService", lambda _, p: p.message_id in ids)
        assert json.loads(body) == {"n": n} and properties.message_id == ids[n] and properties.headers == {"x-mine": n}
        assert (properties.delivery_mode, properties.content_type, properties.correlation_id) == (2, "a/b", "c")
    assert dead.ids() == []


def test_redrive_into_a_queue_that_is_gone_loses_nothing(system, dead, without):
    ids = [dead.send({"n": n}, reason="why") for n in range(3)]
    without("orderd")
    system.queue._with(lambda channel: channel.queue_delete("OrderService"))
    bad("dead", "redrive", "--reason", dead.word, code=1, prints="redriven: 0",
        says=f'no queue "OrderService", or it takes nothing: 3 of 3 messages stay in {DEAD}')
    assert dead.ids() == ids


def test_a_redrive_that_is_killed_loses_nothing(system, dead, without):
    """Whatever is killed, and when: each message is in one of the two queues, or in both."""
    without("orderd")
    ids = [dead.send({"n": n}, reason="why") for n in range(200)]
    for wait in (0.01, 0.03, 0.06, 0.1, 0.15):
        process = subprocess.Popen([FOODCTL, "dead", "redrive", "--reason", dead.word], env=environment({}), cwd="/",
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    wait_for(lambda: set(dead.ids()) | waiting(system) >= set(ids), what="every message in one of the queues")
    good("dead", "redrive", "--reason", dead.word)
    assert waiting(system) >= set(ids) and dead.ids() == []


def waiting(system):
    """The ids of what is in OrderService; it stays there."""
    def act(channel):
        found = set()
        while True:
            method, properties, _ = channel.basic_get("OrderService")
            if method is None:
                channel.basic_nack(0, multiple=True)
                return found
            found.add(properties.message_id)
    return system.queue._with(act)


def test_two_redrives_at_once_take_each_message_once(system, dead, without):
    without("orderd")
    ids = [dead.send({"n": n}, reason="why") for n in range(100)]
    both = [subprocess.Popen([FOODCTL, "dead", "redrive", "--reason", dead.word, "--json"], env=environment({}),
                             cwd="/", stdout=subprocess.PIPE, text=True) for _ in range(2)]
    taken = [one for process in both for one in json.loads(process.communicate(timeout=60)[0])["redriven"]]
    assert len(taken) == len(set(taken)) and not set(dead.ids()) & set(taken)
    assert set(taken) | set(dead.ids()) == set(ids)


def test_drop(dead):
    ids = [dead.send({"n": n}, reason=f"n={n}") for n in range(4)]
    assert good("dead", "drop", ids[1], "--yes") == f"{ids[1]}\ndropped: 1\n"
    assert from_json("dead", "drop", "--reason", f"{dead.word}: n=2", "--yes") == {"dropped": [ids[2]]}
    bad("dead", "drop", "--reason", dead.word, "--json", code=2, says="give --yes")
    assert dead.ids() == [ids[0], ids[3]]


def on_terminal(answer, *arguments):
    """(exit code, what it wrote), with an answer typed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([FOODCTL, *arguments], env=environment({}), cwd="/", stdin=theirs, stdout=theirs,
                          stderr=theirs) as process:
        os.close(theirs)
        text = b""
        while b"[y/N]" not in text:
            text += os.read(ours, 4096)
        os.write(ours, answer)
        while True:
            try:
                text += os.read(ours, 4096)
            except OSError:
                break
        code = process.wait(30)
    os.close(ours)
    return code, text.decode()


def test_drop_asks_on_a_terminal_and_holds_nothing_meanwhile(system, dead):
    ids = [dead.send({"n": n}, reason="why") for n in range(2)]
    code, text = on_terminal(b"n\n", "dead", "drop", *ids)
    assert code == 1 and "Drop these messages of OrderService.dead for ever? [y/N]" in text
    assert "nothing was dropped" in text and dead.ids() == ids
    code, text = on_terminal(b"y\n", "dead", "drop", *ids)
    assert code == 0 and "dropped: 2" in text and dead.ids() == []


def test_the_limit_is_told(dead):
    first, second = dead.send({"n": 1}, reason="why"), dead.send({"n": 2}, reason="why")
    result = run("dead", "list", "--limit", "1")
    assert result.returncode == 0 and len(result.stdout.splitlines()) == 2
    assert result.stderr.startswith("foodctl: only the first 1 of ") and result.stderr.count("\n") == 1
    assert dead.ids() == [first, second]


def test_what_orderd_buries_can_be_found(system, dead):
    order_id = str(uuid.uuid4())
    system.queue.event(order_id, STATUSES[1], message_id="m")
    system.queue.send({"metadata": {"order_id": order_id}, "status": "nonsense"}, message_id=f"bad-{order_id}")
    one = wait_for(lambda: from_json("dead", "list", "--order", order_id), what="the dead message")[0]
    assert one["id"] == f"bad-{order_id}" and one["status"] == "nonsense" and one["attempts"] == 0
    good("dead", "drop", "--order", order_id, "--yes")


def test_without_its_queue(without):
    without("orderd")
    with pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])) as connection:
        connection.channel().queue_delete(DEAD)
    bad("dead", "list", code=1, says=f'RabbitMQ has no queue "{DEAD}"')
