"""What Schemathesis may not send: the services refuse two things wherever they stand in a body, also in a member that
nobody reads, and a schema can say so of known members alone. They have tests of their own
(t/flow/test_040_bad_input.py).

And what was sent: the answers of each operation, counted into the file COUNTS as JSON {operation: {status: n}}."""

import atexit
import collections
import json
import os

import schemathesis

counts = collections.defaultdict(collections.Counter)


def _allowed(value):
    if isinstance(value, dict):
        return all(_allowed(key) and _allowed(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_allowed, value))
    if isinstance(value, str):
        return "\0" not in value
    return isinstance(value, bool) or not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


@schemathesis.hook
def filter_body(_context, body):
    """No NUL in a string, no whole number that 64 bits do not hold."""
    return _allowed(body)


@schemathesis.hook
def after_call(_context, case, response):
    counts[f"{case.method.upper()} {case.path}"][response.status_code] += 1


@atexit.register
def _write_counts():
    with open(os.environ["COUNTS"], "w", encoding="utf-8") as file:
        json.dump(counts, file)
