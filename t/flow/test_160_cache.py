"""The cache never takes back what was shown, whatever Redis holds."""

import json
import os
import signal
import uuid

import pytest

from conftest import make, nginx_workers, pids, wait_for


@pytest.fixture
def older(system):
    """An order at driverAvailable, and its entry from when it was at deliveryScheduled."""
    order = system.paid()
    system.show(order["id"])
    entry = system.redis.get(order["id"])
    assert b"driverAvailable" not in entry
    system.queue.event(order["id"], "driverAvailable")
    system.wait_status(order["id"], "cookingScheduled")
    return order["id"], entry


def test_an_entry_that_is_older_than_what_was_shown_is_not_believed(system, older):
    order_id, entry = older
    system.redis.set(order_id, entry)
    assert system.show(order_id)["status"] == "cookingScheduled"
    assert b"cookingScheduled" in system.redis.get(order_id)       # and it was mended


def test_a_list_counts_as_shown(system):
    order = system.paid()
    system.show(order["id"])
    entry = system.redis.get(order["id"])
    system.db.orders.update_one({"_id": order["id"]}, {"$set": {"status": "driverAvailable"}, "$push": {
        "updated": {"status": "driverAvailable", "when": order["created"]}}})
    assert system.redis.get(order["id"]) == entry                   # nobody knows but MongoDB
    assert system.show(order["id"])["status"] == "deliveryScheduled"
    listed = {o["id"]: o["status"] for o in system.order.get("/v1/orders").json()}
    assert listed[order["id"]] == "driverAvailable"
    assert system.show(order["id"])["status"] == "driverAvailable"


def test_what_was_shown_outlives_a_reload(system, older):
    order_id, entry = older
    pid = pids("nginx")[0]
    os.kill(pid, signal.SIGHUP)
    system.redis.set(order_id, entry)
    for _ in range(10):
        assert system.order.get(f"/v1/orders/{order_id}", headers={"Connection": "close"}).json()["status"] \
            == "cookingScheduled"
        system.redis.set(order_id, entry)


def in_redis_alone(system):
    """An order that MongoDB has not, and so is shown by who believes Redis."""
    order_id = str(uuid.uuid4())
    system.redis.set(order_id, json.dumps({
        "items": [], "customer_id": order_id, "kitchen_id": None, "delivery_id": None, "status": "created",
        "updated": [], "created": "2026-11-23 10:22:51.910000", "id": order_id}), ex=1800)
    return order_id


def shows(system, order_id):
    """What each of some new connections is answered: they meet all workers."""
    return {system.order.get(f"/v1/orders/{order_id}", headers={"Connection": "close"}).status_code for _ in range(10)}


def test_what_was_in_redis_is_believed_after_a_reload_and_not_after_a_start(system):
    wait_for(lambda: shows(system, in_redis_alone(system)) == {200}, what="a settled nginx")
    order_ids = [in_redis_alone(system) for _ in range(2)]
    workers = nginx_workers()
    os.kill(pids("nginx")[0], signal.SIGHUP)
    wait_for(lambda: not set(nginx_workers()) & set(workers), what="the reload")
    # a worker that has just connected to Redis may not believe it yet
    wait_for(lambda: shows(system, order_ids[0]) == {200}, what="the entry")

    make("kill-nginx")
    make("start-nginx")
    wait_for(lambda: shows(system, in_redis_alone(system)) == {200}, what="a settled nginx")    # Redis is in use again
    assert [shows(system, order_id) for order_id in order_ids] == [{404}, {404}]
    system.redis.delete(*order_ids)


def test_a_deleted_order_does_not_come_back_with_an_emptied_redis(system, older):
    order_id, entry = older
    assert system.order.delete(f"/v1/orders/{order_id}").status_code == 204
    system.redis.flushall()                                         # its tombstone is gone, too
    system.redis.set(order_id, entry)
    assert system.order.get(f"/v1/orders/{order_id}").status_code == 404


def test_a_killed_redis_does_not_begin_with_an_old_dump(system, older):
    order_id, entry = older
    system.redis.set(order_id, entry)
    make("stop-redis")                      # in order: what it had is saved
    make("start-redis")
    assert system.redis.get(order_id) == entry
    make("kill-redis")
    make("start-redis")
    assert system.redis.get(order_id) is None
    assert system.show(order_id)["status"] == "cookingScheduled"
