"""foodctl as an operator runs it: a process of its own, in a folder without a build/run/env."""

import json
import os
import re
import socket
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOODCTL = os.path.join(ROOT, os.environ.get("BUILD") or "build", "bin/foodctl")


def secrets():
    """What no message may have in it."""
    logins = [re.search(r"//[^/]*:([^@/]+)@", os.environ[name]) for name in ("REDIS_URL", "AMQP_URL")]
    return [os.environ["API_KEY"], *(login[1] for login in logins if login)]


def environment(changes):
    """The environment with changes; None takes a variable away."""
    env = {**os.environ, "NO_COLOR": ""} | changes
    return {key: value for key, value in env.items() if value is not None}


def run(*arguments, cwd="/", text=None, **changes):
    """Runs it to its end."""
    return subprocess.run([FOODCTL, *arguments], env=environment(changes), cwd=cwd, input=text, capture_output=True,
                          timeout=60, check=False, **({} if isinstance(text, bytes) else {"text": True}))


def good(*arguments, **more):
    """What it prints; it has to exit with 0 and say nothing else."""
    result = run(*arguments, **more)
    assert result.returncode == 0, (arguments, result)
    assert result.stderr == "", (arguments, result)
    return result.stdout


def from_json(*arguments, **more):
    """The JSON that it prints, in one line."""
    text = good(*arguments, "--json", **more)
    assert text.count("\n") == 1, text
    return json.loads(text)


def bad(*arguments, code, says, prints=None, **more):
    """It fails with this code, and says why in exactly one line of its own words, without a secret."""
    result = run(*arguments, **more)
    assert result.returncode == code, (arguments, result)
    assert re.fullmatch(r"foodctl: [^\n]+\n", result.stderr), (arguments, result)
    for secret in [*secrets(), "s3cret"]:
        assert secret not in result.stderr + result.stdout, (arguments, result)
    for library in ("mongoc", "serverSelection", "hiredis", "errno", "curl", "socket error", "calling hello"):
        assert library not in result.stderr, (arguments, result)
    assert re.search(says, result.stderr), (arguments, result)
    assert (result.stdout == "") if prints is None else re.search(prints, result.stdout), (arguments, result)
    return result.stderr


def closed_port():
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def commands():
    """The names of all commands, from --help."""
    part = good("--help").split("Commands:\n")[1].split("\n\n")[0]
    return [re.match(r"(?:[a-z]+ ?){1,2}", line.strip())[0].strip() for line in part.splitlines() if line[:3] != "   "]
