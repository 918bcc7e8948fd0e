"""A MongoDB replica set on free ports: a primary, a secondary and an arbiter, as few as can elect another primary.

While either of the two that have data is away a majority has nothing new: what the other one writes may be rolled back.
"""

import contextlib
import os
import signal
import subprocess
import time

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from settings import Settings, free_port  # scripts/system

FIRST, SECOND, ARBITER = range(3)
SETTINGS = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}


class ReplicaSet:
    """with ReplicaSet(folder) as mongo: ... Members are named by FIRST, which is the primary, SECOND and ARBITER."""

    def __init__(self, folder):
        self.folder, self.program = str(folder), Settings().mongod()
        self.ports, self.processes = [], {}
        for _ in (FIRST, SECOND, ARBITER):
            self.ports.append(free_port(self.ports))
        self.url = (f"mongodb://127.0.0.1:{self.ports[FIRST]},127.0.0.1:{self.ports[SECOND]},"
                    f"127.0.0.1:{self.ports[ARBITER]}/?replicaSet=rs1")

    def __enter__(self):
        try:
            for member in (FIRST, SECOND, ARBITER):
                self.start(member)
            members = [{"_id": n, "host": f"127.0.0.1:{port}", "priority": [2, 1, 0][n], "arbiterOnly": n == ARBITER}
                       for n, port in enumerate(self.ports)]
            config = {"_id": "rs1", "members": members, "settings": SETTINGS}
            self._until(lambda: self._initiate(config), "a replica set")
            self.until_primary(FIRST)
            self.until_secondary(SECOND)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, member):
        """Starts one; it does not wait."""
        data = os.path.join(self.folder, str(member))
        os.makedirs(data, exist_ok=True)
        self.processes[member] = subprocess.Popen(
            [self.program, "--port", str(self.ports[member]), "--dbpath", data, "--bind_ip", "127.0.0.1",
             "--replSet", "rs1", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", "--logappend",
             "--logpath", data + ".log"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def kill(self, member):
        """kill -9."""
        self.processes[member].send_signal(signal.SIGKILL)
        self.processes[member].wait()

    @contextlib.contextmanager
    def without(self, member):
        """One is killed, and started again afterwards."""
        self.kill(member)
        try:
            yield
        finally:
            self.start(member)

    def close(self):
        """Ends all."""
        for member in self.processes:
            self.kill(member)

    @contextlib.contextmanager
    def member(self, member):
        """A client of this one alone, whatever it is at the moment."""
        with pymongo.MongoClient("127.0.0.1", self.ports[member], directConnection=True,
                                 serverSelectionTimeoutMS=500) as client:
            yield client

    def until_primary(self, member):
        """It was elected, and takes writes."""
        self._until(lambda: self._hello(member, "isWritablePrimary"), "a primary")

    def until_secondary(self, member):
        """It follows the primary."""
        self._until(lambda: self._hello(member, "secondary"), "a secondary")

    def _hello(self, member, what):
        with self.member(member) as client:
            return client.admin.command("hello").get(what)

    def _initiate(self, config):
        with self.member(FIRST) as client:
            try:
                client.admin.command("replSetInitiate", config)
            except OperationFailure as failure:
                if failure.details.get("codeName") != "AlreadyInitialized":     # else: the answer before got lost
                    raise
            return True

    @staticmethod
    def _until(check, what, patience=40):
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(PyMongoError):
                if check():
                    return
            assert time.monotonic() < deadline, f"{what} does not come within {patience} s"
            time.sleep(0.05)
