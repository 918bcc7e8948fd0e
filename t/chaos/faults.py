"""The planted faults: each breaks one promise on purpose, in a build with -DFOODSVC_BREAKABLE alone, and shows that the
checker would see it. The names are those of foodsvc_break() in the code."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Planted:
    """A fault, what the checker has to find (one of these names at least), and the nemesis that makes it show."""

    what: str
    finds: tuple
    weights: dict


PLANTED = {
    "ack-before-store": Planted("orderd acknowledges an event before it is stored",
                                ("stuck", "lost-status"), {"kill": 80}),
    "no-outbox": Planted("a callback stores the status without a mark, and publishes once",
                         ("lost-event",), {"kill": 60, "cut": 30}),
    "unconditional-write": Planted("an order is written whatever it has become since it was read",
                                   ("double-step", "illegal-history"), {}),
    "blind-cache": Planted("a cache entry is set whatever is there, after a deletion, too",
                           ("stale-read", "disagree-cache", "disagree-api", "returned"), {"flush": 20, "pause": 30}),
    "unconfirmed-publish": Planted("a publish counts as confirmed as soon as it is sent",
                                   ("lost-event",), {"cut": 40}),
    "no-idempotency-key": Planted("the card company is asked again without the first request's key",
                                  ("double-charge", "double-refund"), {}),
}
