"""supervisord over its unix socket (XML-RPC), as much of it as we need."""

import http.client
import os
import socket
import subprocess
import time
import xmlrpc.client

from settings import Trouble

# States of a program that has a process.
ALIVE = ("STARTING", "RUNNING", "STOPPING")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return _Connection(self.path)


class Supervisor:
    """One supervisord. Programs are named as in its configuration; the processes of a program with numprocs are one
    group, so that every operation here takes the group's name."""

    def __init__(self, run, path):
        self.run = run
        self.path = path

    @property
    def rpc(self):
        """A connection of its own for each call: supervisord closes idle ones at its leisure."""
        return xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(self.path)).supervisor

    def alive(self):
        """Whether it answers."""
        try:
            return self.rpc.getState()["statename"] in ("RUNNING", "RESTARTING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def start_daemon(self, program, env):
        """Starts supervisord and waits until it answers."""
        result = subprocess.run([program, "-c", os.path.join(self.run, "supervisord.conf")], env=env, check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + 10
        while result.returncode == 0 and time.monotonic() < deadline:
            if self.alive():
                return
            time.sleep(0.05)
        raise Trouble(f"supervisord does not start: {result.stdout.strip() or 'see logs/supervisord.log'}")

    def shutdown(self):
        """Ends supervisord and what it runs."""
        self.rpc.shutdown()

    def processes(self):
        """group -> [(state, pid)]"""
        groups = {}
        for info in self.rpc.getAllProcessInfo():
            groups.setdefault(info["group"], []).append((info["statename"], info["pid"]))
        return groups

    def running(self, group):
        """Whether all processes of the group are there."""
        states = self.processes().get(group, [])
        return bool(states) and all(state in ALIVE for state, _ in states)

    def start(self, group):
        """Starts those of the group that are not there; it does not wait."""
        for info in self.rpc.getAllProcessInfo():
            if info["group"] == group and info["statename"] not in ALIVE:
                try:
                    self.rpc.startProcess(f"{group}:{info['name']}", False)
                except xmlrpc.client.Fault as fault:
                    raise Trouble(f"{group} does not start: {fault.faultString}") from None

    def stop(self, group, wait=True):
        """Asks those of the group that are there to end (their stopsignal, KILL after stopwaitsecs)."""
        for info in self.rpc.getAllProcessInfo():
            if info["group"] == group and info["statename"] in ALIVE:
                try:
                    self.rpc.stopProcess(f"{group}:{info['name']}", False)
                except xmlrpc.client.Fault:
                    pass                    # it ended by itself meanwhile
        deadline = time.monotonic() + 60
        while wait and any(state in ALIVE for state, _ in self.processes().get(group, [])):
            if time.monotonic() > deadline:
                raise Trouble(f"{group} does not stop")
            time.sleep(0.03)
