"""What the clients did and saw, as Jepsen writes it: each operation with the time it was invoked, the time it ended,
and how.

`ok`: the service said that it is done. `fail`: it said that it is not, and nothing happened. `info`: nobody knows; it
may have happened, and may still. Times are of the monotonic clock, in seconds since the run began."""

import dataclasses
import json
import threading
import time

OK, FAIL, INFO = "ok", "fail", "info"


@dataclasses.dataclass
class Op:
    """One operation of a client. `seen`: the order's status in the answer, or the id and status of each one listed."""

    what: str                       # place, get, list, cancel, delete
    begin: float
    end: float = 0.0
    how: str = INFO
    client: int = 0
    order: str | None = None
    customer: str | None = None
    key: str | None = None          # Idempotency-Key
    code: int | None = None         # HTTP status; None: no answer
    seen: object = None
    error: str | None = None


class History:
    """Collects operations from all clients, and appends them to a file."""

    def __init__(self, path=None):
        self.start = time.monotonic()
        self.ops = []
        self._lock = threading.Lock()
        self._file = open(path, "w", encoding="utf-8") if path else None    # pylint: disable=consider-using-with

    def now(self):
        """Seconds since the run began."""
        return time.monotonic() - self.start

    def add(self, op):
        """An operation that has ended."""
        with self._lock:
            self.ops.append(op)
            if self._file:
                self._file.write(json.dumps({k: v for k, v in vars(op).items() if v is not None}) + "\n")

    def close(self):
        """No operation comes any more."""
        if self._file:
            self._file.close()
