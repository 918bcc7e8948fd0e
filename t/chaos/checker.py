"""Judges a run: what the clients saw, against what is left in MongoDB, Redis, the API and the queues, and against the
ledgers of the simulated partners, who are nobody's to break.

Pure: it reads Facts and returns Violations; nothing is asked of a server here. What a state leads to comes from the
library's own table (machine.py). What an end state means in money is the promise that is checked,
and stands in ENDS."""

import collections
import dataclasses
import json

from history import INFO, OK

LOST, DUPLICATED, UNEXPECTED = "lost", "duplicated", "unexpected"

# The end states, each with the charges and refunds that the card company must have booked.
ENDS = {"delivered": (1, 0), "reimbursed": (1, 1), "paymentFailed": (0, 0)}

# What the payment of an order in an end state may be. A request without a clear answer stays pending: if the card
# company has it after all, its callback comes, and what was paid is given back.
PAYMENTS = {"delivered": ("paymentPaid",), "reimbursed": ("reimbursed",), "paymentFailed": ("paymentFailed", "pending")}

# What a payment may not have come to while its order still stands so: an event says it to the order.
UNTOLD = {"created": ("paymentPaid", "paymentFailed", "reimbursed"), "orderCancelled": ("reimbursed",)}

# Fields of an order that Redis and the API must have as MongoDB has them.
SHOWN = ("status", "customer_id", "delivery_id", "kitchen_id", "updated")


def many(count, word):
    """1 step, 2 steps."""
    return f"{count:g} {word}{'' if count == 1 else 's'}"


@dataclasses.dataclass
class Facts:
    """What was found when nothing moved any more."""

    ops: list
    orders: dict = dataclasses.field(default_factory=dict)      # id -> document, ids as text, updated: [status]
    payments: dict = dataclasses.field(default_factory=dict)    # id -> document
    cache: dict = dataclasses.field(default_factory=dict)       # id -> order as above
    api: dict = dataclasses.field(default_factory=dict)         # id -> order as above, or an HTTP status
    charges: list = dataclasses.field(default_factory=list)    # the card company's: {order_id, amount, idempotency_key}
    refunds: list = dataclasses.field(default_factory=list)
    pending: list = dataclasses.field(default_factory=list)
    deliveries: dict = dataclasses.field(default_factory=dict)  # id -> "taken" or "cancelled", DeliveryService's
    kitchens: set = dataclasses.field(default_factory=set)      # ids that the kitchen took
    queues: dict = dataclasses.field(default_factory=dict)      # name -> messages, unacknowledged ones too
    dead: list = dataclasses.field(default_factory=list)        # {reason, order, status}
    entries: dict = dataclasses.field(default_factory=dict)     # id -> [(second, epoch of Redis, steps)]: watcher.py
    foreign: list = dataclasses.field(default_factory=list)     # documents and collections that nobody should have made


@dataclasses.dataclass(frozen=True)
class Violation:
    """One broken promise. `name` says which, `order` where, if it is an order's."""

    kind: str
    name: str
    order: str | None
    text: str


class Checker:
    """One judgement. `violations` and `counts` are its result."""

    def __init__(self, facts, machine):
        self.facts, self.machine = facts, machine
        self.violations = []
        self.by_order = collections.defaultdict(list)
        for op in facts.ops:
            if op.order:
                self.by_order[op.order].append(op)
        self.acknowledged = {op.order for op in facts.ops if op.what == "place" and op.how == OK}
        self.deleted = {op.order for op in facts.ops if op.what == "delete" and op.how == OK}
        self.perhaps_deleted = {op.order for op in facts.ops if op.what == "delete" and op.how == INFO}
        self.ended = {}
        self.attempts = collections.defaultdict(list)
        for op in facts.ops:
            if op.what == "place":
                self.attempts[op.customer].append(op)
        self.charges = collections.defaultdict(list)
        self.refunds = collections.defaultdict(list)
        for entry in facts.charges:
            self.charges[entry["order_id"]].append(entry)
        for entry in facts.refunds:
            self.refunds[entry["order_id"]].append(entry)

    def run(self):
        """Looks at everything. Returns the violations."""
        for order in sorted(self.acknowledged - set(self.facts.orders) - self.deleted - self.perhaps_deleted):
            self.add(LOST, "lost-order", order, "acknowledged, and not in MongoDB")
        for order, document in sorted(self.facts.orders.items()):
            self.check_end(order, document)
            self.check_delivery(order, document)
            self.check_agreement(order, document)
            self.check_payment(order, document)
        self.check_attempts()
        self.check_deleted()
        self.check_reads()
        self.check_entries()
        self.check_cancels()
        self.check_strangers()
        self.check_queues()
        return self.violations

    def add(self, kind, name, order, text):
        """A violation."""
        self.violations.append(Violation(kind, name, order, text))

    def counts(self):
        """The table of Jepsen's words. Lost, duplicated and unexpected count violations, the others orders."""
        kinds = collections.Counter(v.kind for v in self.violations)
        had = {op.customer for op in self.facts.ops if op.what == "place" and op.how == OK}
        had |= {document["customer_id"] for document in self.facts.orders.values()}
        return {"attempted": len(self.attempts), "acknowledged": len(self.acknowledged),
                "recovered": len(set(self.facts.orders) - self.acknowledged),
                "not stored": len(set(self.attempts) - had), LOST: kinds[LOST],
                DUPLICATED: kinds[DUPLICATED], UNEXPECTED: kinds[UNEXPECTED]}

    # one order

    def check_end(self, order, document):
        """Its history is legal and ends where its status is, in an end state, with the money that this state means."""
        state, noted, wrong = self.machine.walk(document["updated"])
        if wrong:
            twice = len(set(document["updated"])) < len(document["updated"])
            self.add(DUPLICATED if twice else UNEXPECTED, "double-step" if twice else "illegal-history", order, wrong)
            state = document["status"]
        elif state != document["status"]:
            self.add(UNEXPECTED, "illegal-history", order, f"is {document['status']}, but its history ends in {state}")
        charges, refunds = len(self.charges[order]), len(self.refunds[order])
        if charges > 1:
            self.add(DUPLICATED, "double-charge", order, f"{charges} charges: {self.keys(self.charges[order])}")
        if refunds > 1:
            self.add(DUPLICATED, "double-refund", order, f"{refunds} refunds: {self.keys(self.refunds[order])}")
        if state not in ENDS or noted:
            self.add(LOST, "stuck", order, f"still {state}" +
                     (", paid after that, and not reimbursed" if noted else ""))
            return
        self.ended[order] = state
        due = ENDS[state]
        if charges < due[0]:
            self.add(LOST, "lost-charge", order, f"{state}, and never charged")
        if charges > due[0] == 0:
            self.add(UNEXPECTED, "charge-without-reason", order, f"{state}, and charged {many(charges, 'time')}")
        if refunds < due[1]:
            self.add(LOST, "lost-refund", order, f"{state}, and no refund booked")
        if refunds > due[1] == 0 and charges <= due[0]:
            self.add(UNEXPECTED, "refund-without-reason", order, f"{state}, and refunded {many(refunds, 'time')}")
        if document.get("owes_since"):
            self.add(LOST, "lost-debt", order, f"{state}, and something is owed since {document['owes_since']}")

    @staticmethod
    def keys(entries):
        """The idempotency keys of some entries of the ledger, for a text."""
        return ", ".join(entry.get("idempotency_key") or "no key" for entry in entries)

    def check_delivery(self, order, document):
        """A driver and a cook for what was delivered; no driver for what was given back."""
        state, known = document["status"], self.facts.deliveries.get(order)
        if state == "delivered" and known != "taken":
            self.add(LOST, "lost-delivery", order, f"delivered, but to DeliveryService it is {known or 'unknown'}")
        if state == "delivered" and order not in self.facts.kitchens:
            self.add(LOST, "lost-meal", order, "delivered, but KitchenService was never asked")
        if state == "reimbursed" and known == "taken":
            self.add(LOST, "lost-cancel", order, "reimbursed, but its delivery was never cancelled")
        if state == "paymentFailed" and known:
            self.add(UNEXPECTED, "delivery-unpaid", order, "paymentFailed, and DeliveryService was asked")

    def check_agreement(self, order, document):
        """Redis, where it has the order, and the API say what MongoDB says."""
        for name, place, found in (("cache", "Redis", self.facts.cache.get(order)),
                                   ("api", "the API", self.facts.api.get(order))):
            if found is None:
                continue
            if not isinstance(found, dict):
                self.add(LOST, f"disagree-{name}", order, f"{place} answers {found}, and it is in MongoDB")
                continue
            for field in SHOWN:
                if field in found and found[field] != document.get(field):
                    self.add(UNEXPECTED, f"disagree-{name}", order,
                             f"{field} is {found[field]} in {place}, {document.get(field)} in MongoDB")
                    break

    def check_payment(self, order, document):
        """The payment is as the order is, and no event of it is still to be sent."""
        payment = self.facts.payments.get(order)
        state = document["status"]
        if payment is None:
            if state != "paymentFailed":
                self.add(LOST, "lost-payment", order, f"{state}, and there is no payment")
            return
        if payment.get("outbox"):
            self.add(LOST, "lost-event", order, f"an event was never sent: {payment['outbox']}")
        elif payment["status"] in UNTOLD.get(state, ()):
            self.add(LOST, "lost-event", order, f"its payment is {payment['status']}, the order is still {state}")
        if order in self.ended and payment["status"] not in PAYMENTS[self.ended[order]]:
            self.add(UNEXPECTED, "disagree-payment", order, f"the order is {state}, its payment {payment['status']}")

    # what the clients saw

    def check_attempts(self):
        """One order at most for each customer, who asked for one only, and one answer for each idempotency key."""
        placed = collections.defaultdict(set)
        for order, document in self.facts.orders.items():
            placed[document["customer_id"]].add(order)
        for op in self.facts.ops:
            if op.what == "place" and op.how == OK:
                placed[op.customer].add(op.order)
        for customer, orders in placed.items():
            if customer not in self.attempts:
                self.add(UNEXPECTED, "stray-order", min(orders), f"nobody placed it: customer {customer}")
            elif len(orders) > 1:
                self.add(DUPLICATED, "double-order", min(orders), f"one wish, {len(orders)} orders: {sorted(orders)}")

    def check_deleted(self):
        """What was deleted is nowhere any more."""
        for order in sorted(self.deleted):
            found = [name for name, place in (("MongoDB", self.facts.orders), ("Redis", self.facts.cache))
                     if order in place]
            if isinstance(self.facts.api.get(order), dict):
                found.append("the API")
            if found:
                self.add(UNEXPECTED, "returned", order, f"deleted, and in {', '.join(found)} again")

    def check_reads(self):
        """Each answer shows what the order was at some time, and never less than an answer before it."""
        shown = collections.defaultdict(list)
        for op in self.facts.ops:
            if op.how != OK or op.what in ("delete", "place"):      # a repeated place gets its first answer again
                continue
            if op.what == "list":
                for order, status in op.seen.items():
                    shown[order].append((op.begin, op.end, status, op.what))
            elif op.seen:
                shown[op.order].append((op.begin, op.end, op.seen, op.what))
        for order, answers in sorted(shown.items()):
            self.check_order_reads(order, answers)
        self.check_missed_reads()

    def check_order_reads(self, order, answers):
        """`answers`: (begin, end, status, what). Two of them are in order when the one ended before the other began."""
        document = self.facts.orders.get(order)
        if document is None:
            return                                  # lost or deleted: told elsewhere
        place = {"created": 0}
        for position, status in enumerate(document["updated"], 1):
            place[status] = position
        newest = [(end, place.get(status, -1), status) for _, end, status, _ in answers]
        newest.sort()
        best, upto = (0, "created"), 0
        for begin, _, status, what in sorted(answers):
            if status not in place:
                self.add(LOST, "lost-status", order, f"{what} showed {status}, which its history does not have")
                return
            while upto < len(newest) and newest[upto][0] < begin:
                best = max(best, newest[upto][1:])
                upto += 1
            if place[status] < best[0]:
                self.add(UNEXPECTED, "stale-read", order,
                         f"{what} at {begin:.2f} s showed {status}, when {best[1]} had been shown already")
                return

    def check_missed_reads(self):
        """An order that was acknowledged, and that nobody deleted, is there for every reader."""
        for order, ops in sorted(self.by_order.items()):
            since = min((op.end for op in ops if op.what == "place" and op.how == OK), default=None)
            gone = min((op.begin for op in ops if op.what == "delete"), default=float("inf"))
            for op in ops:
                if op.what in ("get", "cancel") and op.code == 404 and since is not None and since < op.begin \
                        and op.end < gone:
                    self.add(LOST, "lost-read", order, f"{op.what} at {op.begin:.2f} s: 404")
                    break
            ended = min((op.end for op in ops if op.what == "delete" and op.how == OK), default=None)
            for op in ops:
                if op.what == "get" and op.how == OK and ended is not None and op.begin > ended:
                    self.add(UNEXPECTED, "returned", order, f"get at {op.begin:.2f} s showed an order deleted before")
                    break

    def check_entries(self):
        """An order's entry never gets older, as long as Redis is the same and was not emptied."""
        for order, seen in sorted(self.facts.entries.items()):
            for (_, epoch, steps), (second, later, fewer) in zip(seen, seen[1:]):
                if later == epoch and fewer < steps:
                    self.add(UNEXPECTED, "stale-entry", order,
                             f"its entry in Redis had {many(steps, 'step')}, and at {second:.2f} s {fewer}")
                    break

    def check_cancels(self):
        """202 to a cancel ends in reimbursed; nothing else does but a payment that came after it had failed."""
        for order, document in sorted(self.facts.orders.items()):
            cancels = [op for op in self.by_order[order] if op.what == "cancel"]
            cancelled = "orderCancelled" in document["updated"]
            if any(op.how == OK for op in cancels) and not cancelled:
                self.add(LOST, "lost-cancel", order, f"its cancel was acknowledged, and it is {document['status']}")
            if cancelled and not any(op.how in (OK, INFO) for op in cancels):
                self.add(UNEXPECTED, "stray-cancel", order, "cancelled, and nobody asked for it")
            if document["status"] == "reimbursed" and not cancelled and "paymentFailed" not in document["updated"]:
                self.add(UNEXPECTED, "refund-without-reason", order, "reimbursed, neither cancelled nor failed before")

    # what belongs to nobody

    def check_strangers(self):
        """Money, payments, cache entries and documents without an order."""
        gone = self.deleted | self.perhaps_deleted
        known = set(self.facts.orders)
        for order in sorted((set(self.charges) | set(self.refunds)) - known):
            charges, refunds = len(self.charges[order]), len(self.refunds[order])
            if order not in gone:
                self.add(LOST, "charge-without-order", order,
                         f"{charges} charges, {refunds} refunds, and no such order")
            elif charges > 1 or refunds > 1:
                self.add(DUPLICATED, "double-charge", order, f"deleted; {charges} charges, {refunds} refunds")
        for order in sorted(set(self.facts.payments) - known - gone):
            self.add(LOST, "payment-without-order", order, "a payment, and no such order")
        for order in sorted(set(self.facts.cache) - known - self.deleted):
            self.add(UNEXPECTED, "returned", order, "in Redis, and not in MongoDB")
        for entry in self.facts.pending:
            self.add(LOST, "lost-booking", entry["order_id"], "the card company has not booked it yet")
        for text in self.facts.foreign:
            self.add(UNEXPECTED, "foreign", None, text)

    def check_queues(self):
        """Nothing waits, and nothing is dead but events of orders that are not there."""
        for name, messages in sorted(self.facts.queues.items()):
            if messages and not name.endswith(".dead"):
                self.add(LOST, "left-in-queue", None, f"{messages} messages in {name}")
        for letter in self.facts.dead:
            order = letter.get("order")
            if order is None or order in self.facts.orders:
                self.add(LOST, "dead-letter", order, json.dumps(letter, sort_keys=True))
