"""The planted faults: each breaks one promise on purpose, in a build with -DFOODSVC_BREAKABLE alone, and shows that the
checker would see it. The names are those of foodsvc_break() in the code."""

import dataclasses

from nemesis import CUTS


@dataclasses.dataclass(frozen=True)
class Planted:
    """A fault, what the checker has to find (one of these names at least),
    and what the nemesis does more of to show it."""

    what: str
    finds: tuple
    weights: dict
    cuts: tuple = CUTS
    times: dict = dataclasses.field(default_factory=dict)       # of world.TIMES, what has to be other


# PaymentService tells an event again to who asks long after it was sent: what was lost would be mended, and not seen.
UNTOLD = {"NGINX_HTTP": "foodsvc_callback_wait 1h;"}


PLANTED = {
    "ack-before-store": Planted("orderd acknowledges an event before it is stored",
                                ("stuck", "lost-status", "lost-event"),
                                {"kill": (80, {"orderd": 3, "worker": 1, "mongo": 1})}),
    "no-outbox": Planted("a callback stores the status without a mark, and publishes once",
                         ("lost-event",), {"cut": (60, {"rabbit": 1})}, ("lose", "reset"), UNTOLD),
    "unconditional-write": Planted("an order is written whatever it has become since it was read",
                                   ("double-step", "illegal-history"), {}),
    "blind-cache": Planted("a cache entry is set whatever is there, after a deletion, too",
                           ("stale-entry", "stale-read", "disagree-cache", "disagree-api", "returned"),
                           {"flush": (10, {"redis": 1}), "pause": (30, {"orderd": 2, "worker": 3, "redis": 3}),
                            "cut": (30, {"redis": 1})}),
    "unconfirmed-publish": Planted("a publish counts as confirmed as soon as it is sent",
                                   ("lost-event",), {"cut": (60, {"rabbit": 1})}, ("lose", "reset"), UNTOLD),
    "no-idempotency-key": Planted("the card company is asked again without the first request's key",
                                  ("double-charge", "double-refund"), {}),
}
