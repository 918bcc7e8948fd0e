"""The private system of a run, and its parts as the nemesis sees them.

Two run folders of scripts/system: `servers` has MongoDB, Redis and RabbitMQ; `services` has nginx, orderd, sweepd and
the simulator, and is given the servers' urls through a proxy of ours (proxy.py), so that the wires can be cut.
supervisord starts again what the nemesis ended; nothing restarts by itself."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import xmlrpc.client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(ROOT, "scripts/system"))

import health  # noqa: E402
import processes  # noqa: E402
import render  # noqa: E402
from settings import Settings, free_port  # noqa: E402
from supervisor import Supervisor  # noqa: E402

SERVERS = ("mongo", "redis", "rabbit")
ALIVE = ("STARTING", "RUNNING")

# Short times, so that a run of minutes sees what takes hours in life.
TIMES = {"FOODSVC_PARTNER_TIMEOUT": "2s", "FOODSVC_CLAIM": "6s", "FOODSVC_STATS": "10s",
         "FOODSVC_CALLBACK_TIMEOUT": "4s",
         "NGINX_HTTP": "foodsvc_callback_wait 6s;", "FOODSVC_INTERVAL": "500ms", "FOODSVC_AGE_OUTBOX": "2s",
         "FOODSVC_AGE_CALLBACK": "8s"}
TIMES |= {f"FOODSVC_AGE_{status}": "4s" for status in (
    "CREATED", "PAYMENT_PAID", "DELIVERY_SCHEDULED", "DRIVER_AVAILABLE", "COOKING_SCHEDULED", "COOKING_MEAL",
    "COOKING_DONE", "PICKED_UP", "IN_TRANSIT", "ORDER_CANCELLED", "PAYMENT_FAILED", "REIMBURSED")}


class Trouble(Exception):
    """The run can't be made; the text says why."""


class World:
    """Starts, shows and ends the system."""

    def __init__(self, folder, build, tools, speed, breaking=None, times=None):
        self.folder, self.build, self.tools = folder, build, tools
        self.speed, self.breaking = speed, breaking
        self.times = TIMES | (times or {})
        self.proxy = None
        self.settings, self.supervisors, self.env = {}, {}, {}

    # up and down

    def _system(self, part, *words, **more):
        env = {key: value for key, value in os.environ.items()
               if not key.endswith(("_URL", "_PORT")) and key not in ("PARTNERS", "SANITIZE", "MAKEFLAGS", "RUN")}
        env |= self.times | {"BUILD": self.build, "TOOLS": self.tools, "PORTS": "free", "SPEED": str(self.speed),
                        "ORDERDS": "2", "SWEEPDS": "2", "RUN": os.path.join(self.folder, part)} | more
        if self.breaking:
            env["FOODSVC_BREAK"] = self.breaking
        result = subprocess.run([sys.executable, os.path.join(ROOT, "scripts/system"), *words], env=env, check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise Trouble(f"scripts/system {' '.join(words)} failed:\n{result.stdout}")
        return env

    def _known(self, part, env):
        settings = Settings(env).as_saved()
        self.settings[part] = settings
        self.supervisors[part] = Supervisor(settings.run, render.socket_path(settings))

    def start(self):
        """Everything answers when this returns."""
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, mode=0o700)
        self._known("servers", self._system("servers", "up", "--only", ",".join(SERVERS)))
        urls = self._start_proxy()
        self._known("services", self._system("services", "up", **urls))
        with open(os.path.join(self.folder, "services/env"), encoding="utf-8") as file:
            for line in file:
                key, _, value = line.removeprefix("export ").strip().partition("=")
                self.env[key] = value.strip("'")

    def _start_proxy(self):
        servers = self.settings["servers"]
        taken = list(servers.ports.values())
        listen = {}
        for name in SERVERS:
            listen[name] = free_port(taken)
            taken.append(listen[name])
        words = [f"{name}={listen[name]}:{servers.ports[name]}" for name in SERVERS]
        self.proxy = subprocess.Popen([sys.executable, os.path.join(HERE, "proxy.py"),
                                       *words],    # pylint: disable=R1732
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.proxy.stdout.readline().strip() != "ready":
            raise Trouble("the proxy does not start")
        urls = {}
        for name, variable in (("mongo", "MONGO_URL"), ("redis", "REDIS_URL"), ("rabbit", "AMQP_URL")):
            url = urllib.parse.urlsplit(servers.url(name))
            head = url.netloc.rsplit(":", 1)[0]
            # the set's member is the server's own address: a driver that looked it up would go round the proxy
            query = "directConnection=true" if name == "mongo" else url.query
            urls[variable] = url._replace(netloc=f"{head}:{listen[name]}", query=query).geturl()
        return urls

    def down(self):
        """Nothing of it runs any more; its files stay."""
        if self.proxy:
            self.proxy.stdin.close()
            self.proxy.wait(10)
            self.proxy = None
        for part in ("services", "servers"):
            if os.path.isdir(os.path.join(self.folder, part)):
                self._system(part, "down")

    def url(self, name):
        """A server's own address, past the proxy: for those who judge."""
        return self.settings["servers"].url(name)

    def wire(self, name, mode, share=1.0, seed=0):
        """Cuts or mends what leads to a server."""
        self.proxy.stdin.write(json.dumps({"name": name, "mode": mode, "share": share, "seed": seed}) + "\n")
        self.proxy.stdin.flush()
        self.proxy.stdout.readline()

    # processes

    def _place(self, program):
        return "servers" if program.split(":")[0] in SERVERS else "services"

    def programs(self):
        """`group:name` of all processes that can be ended and started again: the simulator is the judge,
        and not one."""
        found = []
        for part in self.supervisors.values():
            for info in part.rpc.getAllProcessInfo():
                group = info["group"]
                if group in (*SERVERS, "nginx", "orderd", "sweepd") and info["statename"] in ALIVE:
                    found.append(f"{group}:{info['name']}")
        return sorted(found)

    def pid(self, program):
        """A program's process, or None."""
        info = self.supervisors[self._place(program)].rpc.getProcessInfo(program)
        return info["pid"] if info["statename"] in ALIVE and info["pid"] else None

    def workers(self):
        """nginx's workers, in the order of their age."""
        master = self.pid("nginx:nginx")
        found = []
        for pid in processes.ours(self.settings["services"].run, "nginx"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                if int(fields[1]) == master:
                    found.append(pid)
        return sorted(found)

    def leftovers(self):
        """nginx's workers whose master is gone: what a service manager ends before it starts nginx again."""
        if self.pid("nginx:nginx") is None:
            processes.send(processes.ours(self.settings["services"].run, "nginx"), signal.SIGKILL)

    def start_program(self, program):
        """Starts it; does not wait. True: it has a process now."""
        if self.pid(program):
            return True
        if program == "nginx:nginx":
            self.leftovers()
        with contextlib.suppress(xmlrpc.client.Fault):
            self.supervisors[self._place(program)].rpc.startProcess(program, False)
        if program == "redis:redis":
            self.forget_dump()
        return self.pid(program) is not None

    def forget_dump(self):
        """What Redis saved at its end is loaded once, as scripts/system does: after a kill it would be an old one."""
        servers = self.settings["servers"]
        deadline = time.monotonic() + 3
        while health.redis(servers) is not None and self.pid("redis:redis") and time.monotonic() < deadline:
            time.sleep(0.02)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(servers.run, "data/redis/dump.rdb"))

    def stop_program(self, program):
        """Asks it to end in its own way; does not wait."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self.supervisors[self._place(program)].rpc.stopProcess(program, False)

    def rabbitmqctl(self, *words, timeout=120):
        """RabbitMQ's own tool, for what no protocol offers. Returns its output."""
        servers = self.settings["servers"]
        home = os.path.join(servers.run, "data/rabbit")
        env = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "HOME": home, "LC_ALL": "C.UTF-8",
               "ERL_EPMD_PORT": str(servers.ports["epmd"]), "RABBITMQ_NODENAME": "rabbit@localhost",
               "RABBITMQ_CONF_ENV_FILE": "/dev/null"}
        script = "/usr/lib/rabbitmq/bin/rabbitmqctl"
        result = subprocess.run([script, "-q", "-n", "rabbit@localhost", *words], env=env, check=False, timeout=timeout,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise Trouble(f"rabbitmqctl {' '.join(words)}: {result.stdout.strip()}")
        return result.stdout
