"""One running system: its parts, how they are brought up in order and taken down, and what the world is told about it.

supervisord is the parent of all; this program only talks to it, and ends when the part answers or is gone. A lock in
the run folder keeps two commands apart. After a crash (also of supervisord) what is left over is found by processes.py
and ended before anything is started."""

import contextlib
import fcntl
import os
import shlex
import signal
import time

import health
import processes
import render
from settings import PORTS, Settings, Trouble, complain, is_free, say, write_private
from supervisor import ALIVE, Supervisor

# part: (its programs, its ports). The order is the one of starting.
PARTS = {
    "mongo": (("mongo",), ("mongo",)),
    "redis": (("redis",), ("redis",)),
    "rabbit": (("epmd", "rabbit"), ("epmd", "rabbit", "rabbit_dist")),
    "sim": (("sim",), ("customer", "delivery", "kitchen", "card")),
    "prism": (("prism-customer", "prism-delivery", "prism-kitchen"), ("customer", "delivery", "kitchen")),
    "nginx": (("nginx",), ("order", "payment")),
    "orderd": (("orderd",), ()),
    "sweepd": (("sweepd",), ()),
}
SERVERS = ("mongo", "redis", "rabbit")
USES = {"epmd": " (port mapper)", "rabbit": " (AMQP)", "rabbit_dist": " (between nodes)"}
PATIENCE = {"rabbit": 60, "mongo": 30, "prism": 40, "everything": 20}
# What is known of a part that nothing is wrong with, where that is less than an answer; what it can't work without.
KNOWN = {"orderd": "consumes the queue", "sweepd": "runs"}
WORKS_ON = {"orderd": ("mongo", "rabbit"), "sweepd": ("mongo", "rabbit")}
NEEDED = {"redis": [("redis-server", "redis-server")], "mongo": [],
          "rabbit": [("epmd", "erlang-base"), ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")]}


class System:
    """What `make up` makes."""

    def __init__(self):
        self.settings = Settings()
        self.supervisor = Supervisor(self.settings.run, render.socket_path(self.settings))
        self.log_sizes = {}             # program: how long its log was before it was started

    @contextlib.contextmanager
    def _locked(self):
        os.makedirs(self.settings.run, mode=0o700, exist_ok=True)
        with open(os.path.join(self.settings.run, ".lock"), "w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another command on this system to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # up

    def up(self, only):
        """Starts what is not running, and what runs with other settings than are wanted now, again."""
        started = time.monotonic()
        with self._locked():
            render.make_secrets(self.settings)
            settings = self.settings.as_wanted()
            parts = self._wanted_parts(only)
            # First of all: an `up` that can't be leaves everything as it was.
            held = processes.ports_of(settings.run)
            for part in parts:
                self._check_ports(part, held)
            prints = render.run_folder(settings, self._programs())
            self._supervise(prints)
            self._stop_changed(parts, prints)
            # What is started below has these; what goes on running has them already.
            settings.fingerprints |= {program: prints.get(program) for part in parts for program in PARTS[part][0]}
            settings.save()
            self._start([part for part in parts if part in SERVERS])
            services = [part for part in parts if part not in SERVERS]
            if services:
                self._load_urls()
                self._start(services)
            self._write_env()
            if "nginx" in services and "sim" in services and "orderd" in services:
                self._wait("everything", health.everything)
            self._report(parts, time.monotonic() - started)

    def _wanted_parts(self, only):
        settings = self.settings
        available = render.built(settings)
        wanted = []
        for part in PARTS:
            if only and part not in only:
                continue
            if part in SERVERS:
                if part in settings.given:
                    continue
                for program, package in NEEDED[part]:
                    render.need(settings, program, package)
                if part == "mongo" and not settings.mongod():
                    raise Trouble("there is no mongod; run: make setup")
            elif part == "prism" and settings.partners != "prism":
                continue
            elif part not in available:
                complain(f"{part} is not built (make build): going on without it")
                continue
            elif part == "sim" and settings.partners == "none":
                continue
            wanted.append(part)
        return wanted

    def _programs(self):
        """All programs that this system could start, whatever is wanted of them now."""
        available = render.built(self.settings)
        return {program for part, (programs, _) in PARTS.items() for program in programs
                if (part not in self.settings.given if part in SERVERS else part in available)}

    def _supervise(self, prints):
        """supervisord runs with this configuration, and nothing of ours without it."""
        if self.supervisor.alive():
            if self.settings.fingerprints.get("supervisord") == prints["supervisord"]:
                return
            say("the system's settings have changed: it is started anew")
            self._take_down()
        self._clear_leftovers()
        program = self.settings.program("supervisord")
        if not program:
            raise Trouble("supervisord is not installed (Debian package supervisor); run: make setup")
        self.settings.fingerprints = {"supervisord": prints["supervisord"]}
        self.supervisor.start_daemon(program, self._environment())

    def _environment(self):
        """What our processes see of the caller's environment: little, so that they behave the same for everybody."""
        keep = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
        env = {key: value for key, value in os.environ.items() if key in keep or key.startswith("FOODSVC_")}
        env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        env["FOODSVC_RUN"] = self.settings.run
        if self.settings.sanitize:
            env |= render.sanitizer_environment(self.settings)
        return env

    def _clear_leftovers(self):
        count = processes.end(self.settings.run)
        if count:
            say(f"ended {count} processes that a crash had left over")

    def _stop_changed(self, parts, prints):
        """Stops what runs and should not, or runs with another configuration or program file."""
        running = self.supervisor.processes()
        for part, (programs, _) in PARTS.items():
            alive = any(state in ALIVE for p in programs for state, _ in running.get(p, []))
            changed = any(prints.get(p) != self.settings.fingerprints.get(p) for p in programs)
            if alive and (part not in parts or changed):
                why = ": its configuration or program has changed" if part in parts else ""
                speed = self.settings.saved.get("speed", self.settings.speed)
                if why and part == "sim" and speed != self.settings.speed:
                    why = f": speed {speed:g} -> {self.settings.speed:g}"
                say(f"stopping {part}{why}")
                self._stop_part(part)

    def _start(self, parts):
        """Starts all, then waits for each."""
        for part in parts:
            if not all(self.supervisor.running(program) for program in PARTS[part][0]):
                self._check_ports(part)
                for program in PARTS[part][0]:
                    self.log_sizes[program] = self._log_size(program)
                    self.supervisor.start(program)
        for part in parts:
            self._wait(part, health.CHECKS[part])
            if part == "redis":         # loaded; after a crash it would be an old one
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.settings.run, "data/redis/dump.rdb"))

    def _ports(self, part):
        return [name for name in PARTS[part][1] if part != "sim" or name in self.settings.simulated()]

    def _check_ports(self, part, held=()):
        """held: ports of our own, whose processes are ended before this part is started, or stay."""
        if not held and processes.ours(self.settings.run, part):
            return                              # one of several processes of the part, or a remnant of a killed one
        for name in self._ports(part):
            port = self.settings.ports[name]
            if port not in held and not is_free(port):
                variable, _, what = PORTS[name]
                hint = ("stop that, or choose other ports: `make up PORTS=free` takes those that are free, "
                        f"`{variable}=NUMBER make up` this one")
                if part in SERVERS:
                    hint += f" (or use that server: {'AMQP' if part == 'rabbit' else part.upper()}_URL=...)"
                raise Trouble(f"port {port}, for {what}, is taken by {processes.holder(port)}; {hint}")

    def _wait(self, part, check):
        started = time.monotonic()
        deadline = started + PATIENCE.get(part, 15) * (4 if self.settings.valgrind else 1)
        programs = PARTS.get(part, ((), ()))[0]
        while True:
            dead = [p for p in programs if not self.supervisor.running(p)]
            if dead:
                raise Trouble(f"{part}: {dead[0]} has ended:\n{self._log_tail(dead[0])}")
            wrong = check(self.settings)
            if wrong is None:
                return
            if part == "orderd" and time.monotonic() > started + 1.5 and health.rabbit(self.settings) is not None:
                how = "it was given by AMQP_URL" if "rabbit" in self.settings.given else "make start-rabbit"
                raise Trouble(f"orderd runs, and waits for RabbitMQ: {how}")
            if time.monotonic() > deadline:
                raise Trouble(f"{part} does not get ready: {wrong}\n{self._log_tail(programs[-1]) if programs else ''}")
            time.sleep(0.1)

    def _log_path(self, program):
        return os.path.join(self.settings.run, "logs", program + ".log")

    def _log_size(self, program):
        try:
            return os.stat(self._log_path(program)).st_size
        except OSError:
            return 0

    def _log_tail(self, program):
        """What it has said since this command started it, not what others did before."""
        path = self._log_path(program)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                file.seek(self.log_sizes.get(program, 0))
                lines = file.read().splitlines()[-12:]
        except OSError:
            lines = []
        return "\n".join("    " + line for line in lines + [f"(all of it: {path})"])

    def _load_urls(self):
        """service_urls, for the services to find each other; a changed url is dropped from the cache, too."""
        import pymongo
        import redis
        try:
            with pymongo.MongoClient(self.settings.url("mongo"), serverSelectionTimeoutMS=5000) as client:
                for name, url in self.settings.service_urls().items():
                    client.api_db.service_urls.update_one({"_id": name}, {"$set": {"url": url}}, upsert=True)
        except pymongo.errors.PyMongoError as error:
            raise Trouble(f"MongoDB: the services' urls could not be stored: {error}") from None
        try:
            with redis.from_url(self.settings.url("redis"), socket_timeout=2) as client:
                client.delete(*self.settings.service_urls())
        except redis.RedisError as error:
            complain(f"Redis: {error}; cached urls could not be dropped")

    # what the world is told

    def pids(self, program):
        """The processes of a program that run now."""
        groups = self.supervisor.processes() if self.supervisor.alive() else {}
        return [pid for state, pid in groups.get(program, []) if state in ALIVE and pid]

    def _write_env(self):
        settings = self.settings
        values = {"ORDER_URL": settings.service_urls()["OrderService"],
                  "PAYMENT_URL": settings.service_urls()["PaymentService"],
                  "CUSTOMER_URL": settings.service_urls()["CustomerService"],
                  "DELIVERY_URL": settings.service_urls()["DeliveryService"],
                  "KITCHEN_URL": settings.service_urls()["KitchenService"],
                  "CARD_URL": f"http://127.0.0.1:{settings.ports['card']}",
                  "API_KEY": settings.secret("api_key"),
                  "CA_CERT": os.path.join(settings.run, "tls/ca.crt"),
                  "MONGO_URL": settings.url("mongo"), "REDIS_URL": settings.url("redis"),
                  "AMQP_URL": settings.url("rabbit"),
                  "NGINX_PID": " ".join(map(str, self.pids("nginx"))),
                  "ORDERD_PIDS": " ".join(map(str, self.pids("orderd"))),
                  "SWEEPD_PID": " ".join(map(str, self.pids("sweepd")))}
        write_private(os.path.join(settings.run, "env"),
                      "".join(f"export {key}={shlex.quote(value)}\n" for key, value in values.items()))

    def _report(self, parts, seconds):
        settings = self.settings
        say(f"up in {seconds:.1f} s: {', '.join(parts)}" +
            (f" (partners {settings.speed:g} times faster than life)" if "sim" in parts else ""))
        if settings.given:
            say(f"  not started, but used by its url: {', '.join(settings.given)}")
        if "prism" in parts:
            say("  Prism answers for CustomerService, DeliveryService and KitchenService, from specs/; the simulator "
                "is the card company.\n  No driver and no kitchen reports: foodctl respond ORDER STATUS does")
        if settings.partners == "none":
            say(f"  partners of yours are expected at {self._partners_ports()}")
        if "nginx" in parts:
            urls = settings.service_urls()
            say(f"  OrderService {urls['OrderService']}  PaymentService {urls['PaymentService']}")
        say(f"  everything a client needs: . {os.path.relpath(settings.run)}/env")

    def _partners_ports(self):
        return "127.0.0.1: " + ", ".join(str(self.settings.ports[name]) for name in
                                         ("customer", "delivery", "kitchen", "card"))

    # down

    def down(self):
        """Nothing of this system runs any more; its data stays."""
        if not os.path.isdir(self.settings.run):
            say("nothing is running")
            return
        with self._locked():
            self.settings.as_saved()
            was = self._take_down() + processes.end(self.settings.run)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.settings.run, "env"))
            say("down" if was else "nothing is running")

    def _take_down(self):
        """Services first, then the servers they use, side by side; then supervisord. Returns how many processes."""
        before = processes.ours(self.settings.run)
        if not self.supervisor.alive():
            return 0
        processes.send(before, signal.SIGCONT)
        groups = self.supervisor.processes()
        for stage in (("nginx", "sim", *PARTS["prism"][0]), ("orderd", "sweepd"), ("mongo", "redis", "rabbit"),
                      ("epmd",)):
            for wait in (False, True):
                for program in stage:
                    if program in groups:
                        self.supervisor.stop(program, wait)
        self.supervisor.shutdown()
        deadline = time.monotonic() + 5
        while processes.ours(self.settings.run) and time.monotonic() < deadline:
            time.sleep(0.03)
        processes.end(self.settings.run, patience=3.0)
        return len(before)

    # one part

    def _known(self, part):
        self.settings.as_saved()
        if part not in PARTS:
            wrong = f"there is no part {part}" if part else "a part has to be named"
            raise Trouble(f"{wrong}; the parts are {', '.join(PARTS)}")
        if part in self.settings.given:
            raise Trouble(f"{part} is not ours: this system uses {part} by its url")
        if not self.supervisor.alive():
            raise Trouble("the system is not up (make up)")
        if not all(program in self.supervisor.processes() for program in PARTS[part][0]):
            raise Trouble(f"this system has no {part}")

    def start(self, part):
        """Starts one part, and waits until it answers."""
        with self._locked():
            self._known(part)
            self._start([part])
            self._write_env()
            say(f"{part} {KNOWN.get(part, 'answers')}")

    def stop(self, part):
        """Ends one part in its own way, and waits until it is gone."""
        with self._locked():
            self._known(part)
            was = processes.ours(self.settings.run, part)
            self._stop_part(part)
            self._write_env()
            say(f"{part} {'is stopped' if was else 'was not running'}")

    def _stop_part(self, part):
        processes.send(processes.ours(self.settings.run, part), signal.SIGCONT)
        for program in reversed(PARTS[part][0]):
            self.supervisor.stop(program)
        processes.end(self.settings.run, part, patience=1.0)

    def kill(self, part):
        """SIGKILL to every process of one part."""
        with self._locked():
            self._known(part)
            was = processes.end(self.settings.run, part, patience=0)
            deadline = time.monotonic() + 5
            while any(self.pids(program) for program in PARTS[part][0]) and time.monotonic() < deadline:
                time.sleep(0.03)                # until supervisord has noticed
            self._write_env()
            say(f"{part} {'is killed' if was else 'was not running'}")

    def restart(self, part):
        """stop and start."""
        self.stop(part)
        self.start(part)

    # looking

    def status(self):
        """A line for each part; True when all that belongs to the system answers."""
        settings = self.settings.as_saved()
        if not self.supervisor.alive():
            left = processes.ours(settings.run)
            say("not running" + (f", but {len(left)} processes are left over: make down" if left else ""))
            return False
        groups = self.supervisor.processes()
        good, away = True, set()
        for part, (programs, _) in PARTS.items():
            pids = [str(pid) for program in programs for pid in self.pids(program)]
            where = settings.given.get(part) and "a server given by its url"
            if not where and programs[0] not in groups or part == "prism" and settings.partners != "prism":
                continue
            if part == "sim" and settings.partners == "none":
                say(f"{'sim':8} {'not here (PARTNERS=none)':30} {'':18} yours at {self._partners_ports()}")
                continue
            where = where or ", ".join(f"{settings.ports[name]}{USES.get(name, '')}" for name in self._ports(part))
            wrong = health.CHECKS[part](settings) if pids or part in settings.given else "not running"
            if wrong is not None and part in SERVERS:
                away.add(part)
            waits = [server for server in WORKS_ON.get(part, ()) if server in away]
            if pids and waits:
                wrong = "runs, waits for " + ", ".join(waits)
            good = good and wrong is None
            running = "pid " + " ".join(pids) if pids else ""
            say(f"{part:8} {KNOWN.get(part, 'answers') if wrong is None else wrong:30} {running:18} {where}")
        if self.pids("nginx"):
            wrong = health.everything(settings)
            well = "both services say that all is well" + ("" if good else ", but not every part of the system answers")
            good = good and wrong is None
            say(f"{'health':8} {wrong or well}")
        return good

    def pid(self, part):
        """The process ids of one part's main processes, one a line."""
        self._known(part)
        for program in PARTS[part][0]:
            for pid in self.pids(program):
                say(str(pid))

    def logs(self):
        """The logs' ends; on a terminal they are followed."""
        folder = os.path.join(self.settings.run, "logs")
        names = sorted(name for name in os.listdir(folder) if name.endswith(".log")) if os.path.isdir(folder) else []
        if not names:
            raise Trouble(f"no logs in {folder}")
        os.chdir(folder)
        how = ["-n", "20", "-F"] if os.isatty(1) else ["-n", "50"]
        os.execvp("tail", ["tail", *how, *names])


