"""The checker itself: a clean run that it must pass, and the same with one anomaly planted, which it must name."""

import copy
import os
import sys

import pytest

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from checker import Checker, Facts  # noqa: E402
from clients import PRODUCTS  # noqa: E402
from history import FAIL, INFO, OK, Op  # noqa: E402
from machine import Machine  # noqa: E402
from nemesis import plan  # noqa: E402
from world import ROOT  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
PATH = ["paymentPaid", "deliveryScheduled", "driverAvailable", "cookingScheduled", "cookingMeal", "cookingDone",
        "pickedUp", "inTransit", "delivered"]
CANCELLED = ["paymentPaid", "deliveryScheduled", "orderCancelled", "reimbursed"]
A, B, C, D = "order-a", "order-b", "order-c", "order-d"


@pytest.fixture(scope="module", name="machine")
def the_machine():
    """The library's own table."""
    return Machine.of_program(os.path.join(BUILD, "docs/state-machine"))


def order(name, history):
    """A document as the collector reads it."""
    return {"status": history[-1], "customer_id": f"customer of {name}", "updated": list(history), "owes_since": None,
            "delivery_id": f"delivery of {name}" if len(history) > 1 else None,
            "kitchen_id": f"kitchen of {name}" if history[-1] == "delivered" else None}


def booked(name, key):
    """An entry of the ledger."""
    return {"order_id": name, "amount": 10, "idempotency_key": f"{name}-{key}"}


@pytest.fixture(name="facts")
def clean():
    """Four orders: delivered, cancelled, refused, and one whose answer was lost. Read, listed, at rest."""
    orders = {A: order(A, PATH), B: order(B, CANCELLED), C: order(C, ["paymentFailed"]), D: order(D, PATH)}
    shown = {name: {k: v for k, v in document.items() if k != "owes_since"} for name, document in orders.items()}
    ops = [Op("place", 1, 1.1, OK, order=name, customer=f"customer of {name}", code=202, seen="created")
           for name in (A, B)]
    ops += [Op("place", 1, 1.1, INFO, customer=f"customer of {name}") for name in (C, D)]
    ops += [Op("place", 1, 1.1, INFO, customer="customer whose order was never stored")]
    ops += [Op("get", 2, 2.1, OK, order=A, code=200, seen="paymentPaid"),
            Op("get", 2.05, 2.2, OK, order=A, code=200, seen="created"),       # beside the other: either order is right
            Op("cancel", 2, 2.1, FAIL, order=A, code=400),
            Op("cancel", 3, 3.1, OK, order=B, code=202, seen="orderCancelled"),
            Op("list", 4, 4.1, OK, code=200, seen={A: "deliveryScheduled", B: "reimbursed", D: "cookingMeal"}),
            Op("get", 5, 5.1, OK, order=A, code=200, seen="delivered")]
    return Facts(
        ops, orders=orders, cache=copy.deepcopy({A: shown[A], B: shown[B]}), api=copy.deepcopy(shown),
        payments={A: {"status": "paymentPaid"}, B: {"status": "reimbursed"}, C: {"status": "pending"},
                  D: {"status": "paymentPaid"}},
        charges=[booked(name, "payment") for name in (A, B, D)], refunds=[booked(B, "reimburse")],
        deliveries={A: "taken", B: "cancelled", D: "taken"}, kitchens={A, D},
        queues={"OrderService": 0, "OrderService.retry.1": 0, "OrderService.dead": 1},
        dead=[{"reason": "order nobody does not exist", "order": "nobody", "status": "delivered"}])


def names(facts, machine):
    """What the checker finds, sorted."""
    return sorted({violation.name for violation in Checker(facts, machine).run()})


def test_a_clean_run_passes(facts, machine):
    checker = Checker(facts, machine)
    assert checker.run() == []
    assert checker.counts() == {"attempted": 5, "acknowledged": 2, "recovered": 2, "not stored": 1, "lost": 0,
                                "duplicated": 0, "unexpected": 0}


def drop(mapping, *keys):
    """Takes something away."""
    for key in keys:
        del mapping[key]


def history(facts, name, steps):
    """Another history, everywhere."""
    for place in (facts.orders, facts.cache, facts.api):
        if name in place:
            place[name] |= {"updated": list(steps), "status": steps[-1] if steps else "created"}


def end_as(facts, name, steps, charges, refunds, payment):
    """Another end, with its money."""
    history(facts, name, steps)
    facts.charges = [e for e in facts.charges if e["order_id"] != name] + [booked(name, "payment")] * charges
    facts.refunds = [e for e in facts.refunds if e["order_id"] != name] + [booked(name, "reimburse")] * refunds
    facts.payments[name] = {"status": payment}


# name: (what is planted, what has to be found: these names and no other)
ANOMALIES = {
    "an acknowledged order is not there": (
        lambda f: [drop(p, A) for p in (f.orders, f.cache, f.api)] + [f.charges.pop(0), f.payments.pop(A)],
        ["lost-order"]),
    "and its money is": (lambda f: [drop(p, A) for p in (f.orders, f.cache, f.api, f.payments)],
                         ["charge-without-order", "lost-order"]),
    "an order stands": (lambda f: history(f, D, PATH[:6]), ["stuck"]),
    "an order stands at created": (lambda f: history(f, C, []), ["stuck"]),
    "paid after failed, not given back": (
        lambda f: end_as(f, C, ["paymentFailed", "paymentPaid"], 1, 0, "paymentPaid") or f.orders[C].update(
            status="paymentFailed") or f.api[C].update(status="paymentFailed"), ["stuck"]),
    "a step twice": (lambda f: history(f, A, PATH[:3] + PATH[2:]), ["double-step"]),
    "a step back": (lambda f: history(f, D, PATH[:5] + ["deliveryScheduled"] + PATH[5:]), ["double-step"]),
    "a cancel after the driver": (
        lambda f: end_as(f, B, PATH[:3] + ["orderCancelled", "reimbursed"], 1, 1, "reimbursed"), ["illegal-history"]),
    "an unknown status": (lambda f: history(f, D, ["lunch"] + PATH), ["illegal-history"]),
    "a status that its history does not have": (lambda f: f.orders[D].update(status="inTransit") or f.api[D].update(
        status="inTransit"), ["illegal-history"]),
    "two charges": (lambda f: f.charges.append(booked(A, "payment")), ["double-charge"]),
    "two refunds": (lambda f: f.refunds.append(booked(B, "reimburse")), ["double-refund"]),
    "no charge": (lambda f: f.charges.pop(0), ["lost-charge"]),
    "no refund": (lambda f: f.refunds.clear(), ["lost-refund"]),
    "charged and failed": (lambda f: f.charges.append(booked(C, "payment")), ["charge-without-reason"]),
    "refunded and delivered": (lambda f: f.refunds.append(booked(A, "reimburse")), ["refund-without-reason"]),
    "reimbursed, for no reason": (
        lambda f: end_as(f, D, ["paymentPaid", "deliveryScheduled", "reimbursed"], 1, 1, "reimbursed") or
        f.deliveries.update({D: "cancelled"}) or [drop(op.seen, D) for op in f.ops if op.what == "list"],
        ["refund-without-reason"]),
    "not booked yet": (lambda f: f.pending.append(booked(D, "reimburse")), ["lost-booking"]),
    "something is still owed": (lambda f: f.orders[A].update(owes_since="10:00"), ["lost-debt"]),
    "no driver": (lambda f: drop(f.deliveries, A), ["lost-delivery"]),
    "the driver was cancelled": (lambda f: f.deliveries.update({A: "cancelled"}), ["lost-delivery"]),
    "no cook": (lambda f: f.kitchens.remove(D), ["lost-meal"]),
    "the driver comes for nothing": (lambda f: f.deliveries.update({B: "taken"}), ["lost-cancel"]),
    "a driver for an unpaid meal": (lambda f: f.deliveries.update({C: "taken"}), ["delivery-unpaid"]),
    "an old entry in Redis": (lambda f: f.cache[A].update(status="inTransit", updated=PATH[:-1]), ["disagree-cache"]),
    "another id in Redis": (lambda f: f.cache[A].update(delivery_id=None), ["disagree-cache"]),
    "an old answer": (lambda f: f.api[D].update(status="inTransit", updated=PATH[:-1]), ["disagree-api"]),
    "404 for what is there": (lambda f: f.api.update({D: 404}), ["disagree-api"]),
    "no payment": (lambda f: drop(f.payments, A), ["lost-payment"]),
    "a payment that is not its order's": (lambda f: f.payments.update({A: {"status": "pending"}}),
                                          ["disagree-payment"]),
    "an event was not sent": (lambda f: f.payments[A].update(outbox=[{"id": "x"}]), ["lost-event"]),
    "an order was not told of its payment": (
        lambda f: history(f, C, []) or f.payments.update({C: {"status": "paymentPaid"}}), ["lost-event", "stuck"]),
    "an order was not told of its refund": (
        lambda f: history(f, B, CANCELLED[:3]) or [drop(op.seen, B) for op in f.ops if op.what == "list"],
        ["lost-event", "stuck"]),
    "a payment of nothing": (lambda f: f.payments.update({"x": {"status": "pending"}}), ["payment-without-order"]),
    "two orders for one wish": (
        lambda f: f.orders.update({"order-e": f.orders[C]}) or f.payments.update({"order-e": {"status": "pending"}}),
        ["double-order"]),
    "an answer with another id": (
        lambda f: f.ops.append(Op("place", 2, 2.1, OK, order=C, customer=f"customer of {A}", seen="created")),
        ["double-order"]),
    "an order of nobody": (lambda f: f.orders[C].update(customer_id="nobody") or f.api[C].update(customer_id="nobody"),
                           ["stray-order"]),
    "a read goes back": (lambda f: f.ops.append(Op("get", 6, 6.1, OK, order=A, code=200, seen="inTransit")),
                         ["stale-read"]),
    "a list goes back": (lambda f: f.ops.append(Op("list", 6, 6.1, OK, code=200, seen={A: "created"})), ["stale-read"]),
    "a read of what never was": (
        lambda f: f.ops.append(Op("get", 2, 2.1, OK, order=D, code=200, seen="orderCancelled")), ["lost-status"]),
    "404 for an acknowledged order": (lambda f: f.ops.append(Op("get", 6, 6.1, FAIL, order=A, code=404)),
                                      ["lost-read"]),
    "a cancel that was forgotten": (
        lambda f: f.ops.append(Op("cancel", 1.5, 1.6, OK, order=D, code=202, seen="orderCancelled")),
        ["lost-cancel", "lost-status"]),
    "a cancel that nobody wanted": (lambda f: [f.ops.remove(op) for op in list(f.ops) if op.what == "cancel"],
                                    ["stray-cancel"]),
    "a deleted order is there": (lambda f: f.ops.append(Op("delete", 6, 6.1, OK, order=A, code=204)), ["returned"]),
    "a deleted order is read": (
        lambda f: [drop(p, A) for p in (f.orders, f.cache)] + [f.api.update({A: 404}), f.ops.extend([
            Op("delete", 6, 6.1, OK, order=A, code=204), Op("get", 7, 7.1, OK, order=A, code=200, seen="delivered")])],
        ["returned"]),
    "a deleted order is in Redis": (
        lambda f: [drop(f.orders, A), f.api.update({A: 404}),
                   f.ops.append(Op("delete", 6, 6.1, OK, order=A, code=204))],
        ["returned"]),
    "a message is left": (lambda f: f.queues.update({"OrderService.retry.5": 2}), ["left-in-queue"]),
    "a message is held": (lambda f: f.queues.update(OrderService=1), ["left-in-queue"]),
    "a dead letter of an order that lives": (
        lambda f: f.dead.append({"reason": "whatever", "order": A, "status": "delivered"}), ["dead-letter"]),
    "a dead letter of nobody knows what": (lambda f: f.dead.append({"reason": "no JSON", "body": "x"}),
                                           ["dead-letter"]),
    "an entry gets older": (lambda f: f.entries.update({A: [(1, 1, 2), (2, 1, 3), (3, 1, 2)]}), ["stale-entry"]),
    "a foreign collection": (lambda f: f.foreign.append("a collection lunch"), ["foreign"]),
}


@pytest.mark.parametrize("title", ANOMALIES)
def test_an_anomaly_is_found(facts, machine, title):
    plant, expected = ANOMALIES[title]
    plant(facts)
    assert names(facts, machine) == expected


def test_an_order_that_was_deleted_is_not_missed(facts, machine):
    """Its payment and its money stay, which is right."""
    facts.ops.append(Op("delete", 6, 6.1, OK, order=A, code=204))
    facts.ops.append(Op("get", 7, 7.1, FAIL, order=A, code=404))
    drop(facts.orders, A)
    drop(facts.cache, A)
    facts.api[A] = 404
    assert names(facts, machine) == []


def test_a_disagreement_says_who_says_what(facts, machine):
    facts.cache[A].update(status="inTransit", updated=PATH[:-1])
    facts.api.update({B: 404, D: facts.api[D] | {"status": "pickedUp", "updated": PATH[:-2]}})
    assert sorted(violation.text for violation in Checker(facts, machine).run()) == [
        "status is inTransit in Redis, delivered in MongoDB", "status is pickedUp in the API, delivered in MongoDB",
        "the API answers 404, and it is in MongoDB"]


def test_one_step_is_one_step(facts, machine):
    facts.entries[A] = [(1, 1, 1), (2.5, 1, 0)]
    assert [violation.text for violation in Checker(facts, machine).run()] == [
        "its entry in Redis had 1 step, and at 2.50 s 0"]


def test_an_entry_may_be_older_in_a_redis_that_was_emptied(facts, machine):
    facts.entries[A] = [(1, 1, 2), (2, 1, 3), (3, 2, 2), (4, 2, 3)]
    assert names(facts, machine) == []


def test_the_plan_follows_from_the_seed():
    assert plan(7, 60) == plan(7, 60)
    assert plan(7, 60) != plan(8, 60)
    assert len(PRODUCTS) == 4


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_plan_has_enough_kills_of_everything(seed):
    faults = plan(seed, 600)
    kills = [fault for fault in faults if fault.kind == "kill"]
    assert len(kills) >= 200
    assert {fault.target for fault in kills} == {"orderd", "sweepd", "worker", "nginx", "redis", "mongo", "rabbit"}
    assert {fault.kind for fault in faults} == {"kill", "pause", "stop", "cut", "flush", "reload", "alarm"}
