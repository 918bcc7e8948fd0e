"""Schemathesis against both services' own /openapi.json: requests that the description allows and requests that it
doesn't, thousands of them. No server error, no status or body that is not described, no wrong method or missing key
that is let through: all its checks.

EXAMPLES=1000 make test T=t/flow/test_110_schemathesis.py   runs long; SEED= chooses other requests; REPORT= is a file
that gets a line for each operation, with how often it was called, and how often answered with which status."""

import collections
import json
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.environ.get("EXAMPLES") or "40"
SEED = os.environ.get("SEED") or "1"
REPORT = os.environ.get("REPORT")


@pytest.mark.raw("it checks answers by itself, and its bad requests are not for Prism to read")
@pytest.mark.parametrize("service", ["order", "payment"])
def test_it_does_what_it_describes(system, tmp_path, service):
    api = getattr(system, service)
    if service == "payment":            # so that the description's example of a callback finds its payment
        path, _, callback = next(one for one in api.contract.operations() if one[2]["operationId"] == "callback")
        order_id = callback["requestBody"]["content"]["application/json"]["example"]["caller_id"]
        assert api.post("/v1/payments", json=dict(system.payload(), metadata={
            "receiver": "nobody", "order_id": order_id, "customer_id": "someone"})).status_code == 202
    result = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "schemathesis"),
         "--config-file", os.path.join(ROOT, "t/schemathesis.toml"), "run", f"{api.url}/openapi.json",
         "--tls-verify", os.environ["CA_CERT"], "--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED,
         "--no-color"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.path.join(ROOT, "t/lib"),
                                        "COUNTS": str(tmp_path / "counts.json")},
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace")
    print(result.stdout[-20000:])
    assert result.returncode == 0
    assert int(re.search(r"(\d+) generated", result.stdout)[1]) > 3 * int(EXAMPLES)
    counts = json.loads((tmp_path / "counts.json").read_text(encoding="utf-8"))
    lines = []
    for path, method, _ in api.contract.operations():
        name = f"{method.upper()} {path}"
        answers = counts.pop(name)
        lines.append((sum(answers.values()), name, answers))
    others = sum((collections.Counter(answers) for answers in counts.values()), collections.Counter())
    lines.append((others.total(), "methods not described", others))
    if REPORT:
        with open(REPORT, "a", encoding="utf-8") as file:
            for total, name, answers in lines:
                statuses = " ".join(f"{status}: {answers[status]}" for status in sorted(answers))
                file.write(f"{total:6}  {name:34} {statuses}\n")
