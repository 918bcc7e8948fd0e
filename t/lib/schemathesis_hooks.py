"""What Schemathesis may not send: the services refuse two things wherever they stand in a body, also in a member that
nobody reads, and a schema can say so of known members alone. They have tests of their own (t/flow/test_040_bad_input.py)."""

import schemathesis


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
