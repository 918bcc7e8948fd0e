"""Both services against requests that are spoilt in every way (t/lib/http_fuzz.py): no worker of nginx ends, no
descriptor is left open, no answer is a server error or of a shape that nobody described.

CASES connections, made from SEED; or as many as TIME seconds allow: make fuzz T=http TIME=60.
CASE=n is that one alone."""

import os
import threading
import time
import urllib.parse

import pytest

from conftest import nginx_workers, wait_for
from http_fuzz import Target, descriptors

SEED = os.environ.get("SEED") or "1"
TIME = float(os.environ.get("TIME") or 0)
CASES = int(os.environ.get("CASES") or 2000)
CASE = os.environ.get("CASE")
REPORT = os.environ.get("REPORT")
THREADS = 4
KEPT = 2000             # orders that stay: GET /v1/orders shows all


def settled():
    """The descriptors when nothing has happened for longer than a connection to a partner is kept."""
    def same():
        before = descriptors(nginx_workers())
        time.sleep(5)
        return before == descriptors(nginx_workers()) and before
    return wait_for(same, 60, "rest")


class Run:
    """Cases one after the other, by some threads."""

    def __init__(self, system, target):
        self.system, self.target = system, target
        self.lock = threading.Lock()
        self.next, self.faults = 0, []
        self.end = time.monotonic() + TIME

    def take(self):
        """The next case's number, or None."""
        with self.lock:
            if self.faults or (time.monotonic() > self.end if TIME else self.next >= CASES):
                return None
            self.next += 1
            if self.next % KEPT == 0:
                self.system.db.orders.delete_many({})
                self.system.db.payments.delete_many({})
            return self.next

    def work(self):
        while (number := self.take()) is not None:
            try:
                self.target.run(SEED, number)
            except Exception as error:      # one of the fuzzer's own, too
                with self.lock:
                    self.faults.append(f"CASE={number} SEED={SEED}: {error!r}")

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.mark.raw("most of what it sends is no HTTP, and its orders are not for Prism to read")
def test_spoilt_requests(system):
    def address(url):
        parts = urllib.parse.urlsplit(url)
        return parts.hostname, parts.port

    target = Target({"order": address(system.order.url), "payment": address(system.payment.url)},
                    {"order": system.order.contract, "payment": system.payment.contract},
                    os.environ["API_KEY"], os.environ["CA_CERT"])
    if CASE:
        target.run(SEED, int(CASE))
        return
    for number in range(200):           # so that all that is kept open is open
        target.run(f"{SEED}/before", number)
    pids, before = nginx_workers(), settled()
    run = Run(system, target)
    start = time.monotonic()
    run.run()
    line = (f"http               {run.next:10} cases in {time.monotonic() - start:.0f} s, seed {SEED}; answers: "
            + ", ".join(f"{count} {status}" for status, count in sorted(target.answers.items())))
    print(line)
    if REPORT:
        with open(REPORT, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    assert not run.faults, "\n".join(run.faults)
    assert nginx_workers() == pids, "a worker of nginx has ended"
    assert system.order.get("/health").status_code == 200 and system.payment.get("/health").status_code == 200
    after = settled()
    assert all(after[pid] <= before[pid] + 4 for pid in pids), f"descriptors: {before} before, {after} after"
