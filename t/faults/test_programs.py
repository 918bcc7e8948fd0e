"""Programs that begin and end: each call that can fail fails once in nginx -t, in the workers' start, and in foodctl's
commands. They end as they should or say what is wrong, and never by a signal or with a fault that a sanitizer sees."""

import os
import signal
import socket
import subprocess
import time
import uuid

import bson
import pytest
import requests

from conftest import BUILD, Faults, environment, flow, keys, wait_for
from partners import Answer

RUN = os.path.dirname(os.environ["CA_CERT"]).removesuffix("/tls")
NGINX = ["nginx", "-t", "-q", "-p", os.path.join(RUN, "data/nginx"), "-c", os.path.join(RUN, "nginx.conf"),
         "-e", "stderr"]
DEAD = "OrderService.dead"
# foodctl's commands that leave things as they are, or may be done again and again
CARELESS = ["health", "order list", "order place", "order show {stage}", "order watch {stage} --until created",
            "urls list", "urls flush", "cache list", "cache show {stage}", "cache flush {stage}", "dead list",
            "dead show m",
            "keys new"]


def each_call_fails(faults, run, allowed, prepare=lambda: None, verify=lambda *_: None, good=0):
    """run(stage) returns (status, what it said); the good status, or one that is allowed, with a word about it."""
    stage = prepare()
    faults.arm()
    status, said = run(stage)
    faults.disarm()
    assert status == good, said
    verify(stage, status)
    wrong, stages = [], []
    for call in faults.chosen():
        stage = prepare()
        faults.arm(call)
        status, said = run(stage)
        faults.disarm()
        stages.append(stage)
        try:
            assert status in (good, *allowed) and (status == 0 or said.strip()), f"{status} {said[-300:]}"
            verify(stage, status)
        except (AssertionError, pytest.fail.Exception) as error:
            wrong.append(f"{faults.where()}: {error}")
    assert not wrong, "\n".join(wrong)
    return stages


def preload():
    names = [subprocess.run(["cc", f"-print-file-name={lib}"], check=True, capture_output=True, text=True).stdout
             for lib in ("libasan.so", "libubsan.so")]
    return " ".join(os.path.realpath(name.strip()) for name in names)


def test_nginx_configuration(tmp_path):
    env = environment(tmp_path) | {"LD_PRELOAD": preload()}

    def run(_):
        result = subprocess.run(NGINX, env=env, capture_output=True, text=True, timeout=30, check=False)
        return result.returncode, result.stderr
    each_call_fails(Faults("nginx", tmp_path), run, allowed=(1,))


@pytest.mark.parametrize("worker", ["orderd", "sweepd"])
def test_worker_start(tmp_path, worker):
    """It starts, perhaps at a later attempt, and ends when it is told to, or it says at once why it doesn't start."""
    program, log = f"foodsvc-{worker}", tmp_path / "log"

    def run(_):
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([f"{BUILD}/bin/{program}", "--config", f"{RUN}/{worker}.conf"], stderr=file,
                                       env=environment(tmp_path))
        wait_for(lambda: process.poll() is not None or "msg=started" in log.read_text(), 20, "its start")
        if process.poll() is None:
            time.sleep(0.05)        # its first rounds
            process.send_signal(signal.SIGTERM)
        return process.wait(20), log.read_text()
    each_call_fails(Faults(program, tmp_path), run, allowed=(1, 2))


def free_ports(n):
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def another_nginx(folder):
    """The system's configuration with ports and a folder of its own; (file, a url)."""
    with open(os.path.join(RUN, "nginx.conf"), encoding="utf-8") as file:
        text = file.read()
    old = [os.environ[name].rsplit(":", 1)[1] for name in ("ORDER_URL", "PAYMENT_URL")]
    new = free_ports(2)
    for i in range(2):
        text = text.replace(f"127.0.0.1:{old[i]}", f"127.0.0.1:{new[i]}")
    text = text.replace(f"{RUN}/nginx.pid", f"{folder}/nginx.pid").replace(f"{RUN}/logs/", f"{folder}/")
    (folder / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", "stderr"], \
        f"https://127.0.0.1:{new[0]}/health"


def answers(url):
    try:
        return requests.get(url, verify=os.environ["CA_CERT"], timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_nginx_worker_start(system, tmp_path):
    """A worker that can't start is followed by one that can: nobody has to start nginx again."""
    command, url = another_nginx(tmp_path)
    faults = Faults("nginx", tmp_path)
    env = environment(tmp_path) | {"LD_PRELOAD": preload()}
    with open(tmp_path / "stderr", "w", encoding="utf-8") as stderr, \
            subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stderr=stderr) as nginx:
        try:
            wait_for(lambda: answers(url), 20, "the first start")

            def run(_):
                children = f"/proc/{nginx.pid}/task/{nginx.pid}/children"
                with open(children, encoding="ascii") as file:
                    os.kill(int(file.read().split()[0]), signal.SIGKILL)
                wait_for(lambda: answers(url), 20, "another worker")
                return 0, ""
            each_call_fails(faults, run, allowed=())
        finally:
            nginx.send_signal(signal.SIGQUIT)
            assert nginx.wait(20) == 0


# --- foodctl ---

def foodctl(folder):
    """Runs a command, with {stage} in it."""
    def runner(command):
        def run(stage):
            result = subprocess.run([f"{BUILD}/bin/foodctl", *command.format(stage=stage).split()],
                                    env=environment(folder),
                                    capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=30, check=False)
            return result.returncode, result.stderr + (result.stdout if result.returncode else "")
        return run
    return runner


@pytest.fixture
def empty(system):
    """Without what other tests left."""
    system.db.orders.delete_many({})
    system.db.payments.delete_many({})
    while system.queue.take(DEAD):
        pass
    return system


def put_order(system, status, since, **more):
    order_id = str(uuid.uuid4())
    system.db.orders.insert_one(
        {"_id": order_id, "items": [{"product": flow.PRODUCT, "quantity": 1}], "status": status, "created": since,
         "customer_id": bson.Binary(uuid.uuid4().bytes, 4), "kitchen_id": None, "delivery_id": None,
         "updated": [{"status": status, "when": since}]} | more)
    return order_id


def put_payment(system, order_id, status, since, **more):
    system.db.payments.insert_one(
        {"_id": order_id, "metadata": {"receiver": "FaultsOfFoodctl", "order_id": order_id, "customer_id": "c"},
         "transaction_id": bson.Binary(uuid.uuid4().bytes, 4), "status": status, "created": since} | more)


def bury(system, order_id, **more):
    """An event that orderd has given up."""
    system.queue.send({"metadata": {"receiver": "OrderService", "order_id": order_id, "customer_id": "c"},
                       "status": "paymentFailed"}, queue=DEAD, message_id="m",
                      headers={"x-foodsvc-reason": "a test's", "x-foodsvc-attempts": 3} | more)
    return order_id


@pytest.mark.parametrize("command", CARELESS)
def test_foodctl(empty, tmp_path, command):
    order_id = bury(empty, empty.place()["id"])
    each_call_fails(Faults("foodctl", tmp_path), foodctl(tmp_path)(command), allowed=(1, 2, 3),
                    prepare=lambda: order_id)


def test_foodctl_stuck(empty, tmp_path):
    """It ends with 1, for it has found some."""
    since = flow.ago(hours=1)
    order_id = put_order(empty, "paymentPaid", since, owes_since=since, **flow.claimed())
    put_payment(empty, order_id, "pending", since)
    each_call_fails(Faults("foodctl", tmp_path), foodctl(tmp_path)("stuck"), allowed=(1, 2, 3), good=1)


@pytest.mark.parametrize("command", ["cancel", "delete"])
def test_foodctl_order(empty, tmp_path, command):
    def verify(order_id, status):
        if status == 0:
            order = empty.doc(order_id)
            assert order is None if command == "delete" else order["status"] == "orderCancelled"

    def prepare():
        order_id = put_order(empty, "deliveryScheduled", now := flow.ago(seconds=0),
                             delivery_id=bson.Binary(uuid.uuid4().bytes, 4))
        put_payment(empty, order_id, "paymentPaid", now)
        return order_id
    each_call_fails(Faults("foodctl", tmp_path), foodctl(tmp_path)(f"order {command} {{stage}}"), allowed=(1, 2, 3),
                    prepare=prepare, verify=verify)


def test_foodctl_repair(empty, partners, tmp_path):
    """A delivery is owed, and an event was not sent."""
    def prepare():
        now = flow.ago(seconds=0)
        order_id = put_order(empty, "paymentPaid", now, owes_since=now)
        put_payment(empty, order_id, "paymentPaid", now,
                    outbox=[{"id": str(uuid.uuid4()), "status": "paymentPaid", "when": now}])
        return order_id

    def mended(order_id):
        return (empty.doc(order_id)["status"] == "deliveryScheduled"
                and "outbox" not in empty.db.payments.find_one({"_id": order_id}))

    def verify(order_id, status):
        assert len(keys(partners, "delivery", order_id)) <= 1
        assert status != 0 or mended(order_id), f"0, but {empty.doc(order_id)}"
    stages = each_call_fails(Faults("foodctl", tmp_path), foodctl(tmp_path)("order repair {stage}"), allowed=(1, 2, 3),
                             prepare=prepare, verify=verify)
    for order_id in stages:
        wait_for(lambda i=order_id: mended(i), 120, f"sweepd's work for {order_id}, when foodctl's claim has ended")
        verify(order_id, 0)


@pytest.mark.parametrize("status", ["pending", "reimbursed"])
def test_foodctl_repair_of_a_refund_that_is_not_heard_of(empty, partners, tmp_path, status):
    """The card company's report is overdue, or its event got lost; for sweepd it is too early."""
    more = {"reimburse": True, "reimburse_taken": True} if status == "pending" else {}

    def prepare():
        when = flow.ago(seconds=130)
        order_id = put_order(empty, "orderCancelled", when, settled=["deliveryCancel", "reimbursement"])
        put_payment(empty, order_id, status, when, asked=when, **more)
        return order_id

    def verify(order_id, code):
        asked = len(keys(partners, "reimburse", order_id))
        assert asked == (status == "pending") if code == 0 else asked <= (status == "pending")
        assert code != 0 or empty.db.payments.find_one({"_id": order_id})["asked"] > flow.ago(seconds=100)
    each_call_fails(Faults("foodctl", tmp_path), foodctl(tmp_path)("order repair {stage}"), allowed=(1, 2, 3),
                    prepare=prepare, verify=verify)


@pytest.mark.parametrize("status", ["paymentPaid", "deliveryScheduled"])
def test_foodctl_refund(empty, partners, tmp_path, status):
    """DeliveryService refuses the first; the second has a delivery, which is cancelled."""
    partners.say("delivery", Answer(422, {"detail": "We do not deliver there"}))
    scheduled = status == "deliveryScheduled"
    deliveries = {}

    def prepare():
        delivery = uuid.uuid4()
        more = ({"delivery_id": bson.Binary(delivery.bytes, 4)} if scheduled
                else {"owes_since": flow.ago(seconds=0)})
        order_id = put_order(empty, status, now := flow.ago(seconds=0), **more)
        put_payment(empty, order_id, "paymentPaid", now)
        deliveries[order_id] = str(delivery)
        return order_id

    def done(order_id):
        sent_home = any(deliveries[order_id] in call.path for call in partners.calls_of("delivery_cancel", None))
        return sent_home == scheduled and len(keys(partners, "reimburse", order_id)) == 1

    def verify(order_id, code):
        is_now = empty.doc(order_id)["status"]
        assert is_now == "orderCancelled" if code == 0 else is_now in (status, "orderCancelled")
        assert done(order_id) if code == 0 else len(keys(partners, "reimburse", order_id)) <= (is_now != status)
    stages = each_call_fails(Faults("foodctl", tmp_path), foodctl(tmp_path)("order refund {stage}"), allowed=(1, 2, 3),
                             prepare=prepare, verify=verify)
    for order_id in stages:
        if empty.doc(order_id)["status"] == "orderCancelled":
            wait_for(lambda i=order_id: done(i), 120, f"sweepd's work for {order_id}, when foodctl's claim has ended")


def test_foodctl_redrive(empty, tmp_path):
    """What becomes of foodctl, the event is in one of the queues, and gets to the order in the end."""
    run = foodctl(tmp_path)("dead redrive --all")

    def prepare():
        return bury(empty, put_order(empty, "created", flow.ago(seconds=0)))

    def verify(order_id, status):
        wait_for(lambda: empty.doc(order_id)["status"] == "paymentFailed" or (status != 0 and run(None) and None), 20,
                 f"the event of {order_id}")
    each_call_fails(Faults("foodctl", tmp_path), run, allowed=(1, 2, 3), prepare=prepare, verify=verify)


def test_foodctl_drop(empty, tmp_path):
    run = foodctl(tmp_path)("dead drop --all --yes")

    def verify(_, status):
        if status == 0:
            assert empty.queue.depth(DEAD) == 0
        else:           # what was not dropped comes back when the broker sees that foodctl has gone
            wait_for(lambda: run(None)[0] == 0 and empty.queue.depth(DEAD) == 0, 20, "the end of the messages")
    each_call_fails(Faults("foodctl", tmp_path), run, allowed=(1, 2, 3),
                    prepare=lambda: [bury(empty, str(uuid.uuid4())) for _ in range(3)], verify=verify)
