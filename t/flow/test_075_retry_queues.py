"""The retry queues: what is parked comes back, also when RabbitMQ is killed just then; and a queue that is there with
other arguments is told, since nobody may delete it but a person."""

import os
import signal
import subprocess
import time
import uuid

import pika

from conftest import make, pids, wait_for

ORDERD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                      os.environ.get("BUILD") or "build", "bin/foodsvc-orderd")
PARKED = 300


def park(system, queue):
    """Parks that many messages, for longer than the first of them stay parked. Returns their ids."""
    ids = [str(uuid.uuid4()) for _ in range(PARKED)]

    def act(channel):
        channel.confirm_delivery()
        for message_id in ids:
            channel.basic_publish("", queue, b'{"parked": 1}', pika.BasicProperties(
                delivery_mode=2, message_id=message_id), mandatory=True)
            time.sleep(0.004)       # not a wait: they have to come back one after the other
    system.queue._with(act)
    return ids


def take(system, missing):
    """Takes all that is in OrderService, and its ids out of `missing`. True: none is missing."""
    def act(channel):
        method, properties, _ = channel.basic_get("OrderService", auto_ack=True)
        while method:
            missing.discard(properties.message_id)
            method, properties, _ = channel.basic_get("OrderService", auto_ack=True)
        return not missing
    return system.queue._with(act)


def test_rabbitmq_killed_while_what_was_parked_comes_back_loses_none_of_it(system, without):
    without("orderd")               # which has declared them
    ids = park(system, "OrderService.retry.1")
    wait_for(lambda: system.queue.depth("OrderService") > PARKED / 3, what="the first that come back")
    [broker] = [pid for pid in pids("rabbit") if open(f"/proc/{pid}/comm", encoding="ascii").read().startswith("beam")]
    os.kill(broker, signal.SIGKILL)
    make("kill-rabbit")             # what is left of it
    make("start-rabbit")
    missing, end = set(ids), time.monotonic() + 20
    while not take(system, missing) and time.monotonic() < end:
        time.sleep(0.1)
    assert not missing, f"{len(missing)} of {PARKED} parked messages are lost"


def test_a_retry_queue_that_is_there_with_other_arguments_is_told_and_waited_for(system, without, tmp_path):
    queue, log = "OrderService.retry.5", tmp_path / "orderd.log"
    without("orderd")
    system.queue._with(lambda channel: channel.queue_delete(queue))
    system.queue._with(lambda channel: channel.queue_declare(queue, durable=True, arguments={
        "x-message-ttl": 5000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "OrderService"}))
    with open(log, "wb") as file, subprocess.Popen(
            [ORDERD, "--mongo-url", os.environ["MONGO_URL"], "--redis-url", os.environ["REDIS_URL"],
             "--amqp-url", os.environ["AMQP_URL"]], stdin=subprocess.DEVNULL, stdout=file, stderr=file) as orderd:
        try:
            wait_for(lambda: f"rabbitmqctl delete_queue --if-empty {queue}" in log.read_text(), what="what is to do")
            told = [line for line in log.read_text().splitlines() if "delete_queue" in line]
            assert f"queue={queue}" in told[0] and "406" in told[0] and "level=error" in told[0], told
            time.sleep(1)           # several attempts
            assert log.read_text().count("delete_queue") == 1 and orderd.poll() is None
            assert system.queue.consumers("OrderService") == 0
            system.queue._with(lambda channel: channel.queue_delete(queue, if_empty=True))
            wait_for(lambda: system.queue.consumers("OrderService") == 1, what="its consumer")
        finally:
            orderd.terminate()
            assert orderd.wait(20) == 0
