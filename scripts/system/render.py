"""Writes the run folder: its folders and every configuration file, from conf/ and the settings."""

import hashlib
import os
import pwd
import re
import shutil
import subprocess

from settings import ROOT, Trouble, write_private

FOLDERS = ("logs", "data/mongo", "data/redis", "data/rabbit/conf.d", "data/nginx/logs")


def socket_path(settings):
    """supervisord's socket: in the run folder, unless that makes it longer than a unix socket's path may be."""
    path = os.path.join(settings.run, "supervisor.sock")
    if len(path) < 90:
        return path
    digest = hashlib.sha256(settings.run.encode()).hexdigest()[:16]
    return f"/tmp/foodsvc-{os.getuid()}-{digest}.sock"


def template(name, default=None):
    """A file of conf/; one that need not be there has a default."""
    path = os.path.join(ROOT, "conf", name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError as error:
        if default is not None:
            return default
        raise Trouble(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror}") from None


def fill(text, values, name):
    """Puts values where @NAME@ stands; a name that nobody knows is an error."""
    def value(match):
        if match[1] not in values:
            raise Trouble(f"conf/{name}: nobody knows @{match[1]}@")
        return str(values[match[1]])
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", value, text)


def override(text, values):
    """A `key = value` file with some values replaced (also where it is commented out), or added at its end."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        match = re.match(r"#?\s?([a-z][a-z0-9_]*)\s*=", line)
        if match and match[1] in left:
            line = f"{match[1]} = {left.pop(match[1])}"
        lines.append(line)
    lines += [f"{key} = {value}" for key, value in left.items()]
    return "\n".join(lines) + "\n"


def sanitizer_libraries(kind):
    """The sanitizers' runtimes, to be loaded before an nginx that was built without them."""
    names = [subprocess.run(["cc", f"-print-file-name={lib}"], check=True, capture_output=True,
                            text=True).stdout.strip()
             for lib in (["libtsan.so"] if kind == "thread" else ["libasan.so", "libubsan.so"])]
    return " ".join(os.path.realpath(name) for name in names)


def sanitizer_environment(settings):
    """What the sanitizers are told: faults go to logs/sanitizer.PROGRAM.PID and end the process."""
    log = os.path.join(settings.run, "logs/sanitizer")
    suppressions = os.path.join(ROOT, "t/lsan.supp")
    return {
        "ASAN_OPTIONS": f"log_path={log}:log_exe_name=1:detect_leaks=1:detect_odr_violation=0:disable_coredump=1",
        "UBSAN_OPTIONS": f"log_path={log}:log_exe_name=1:print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": f"log_path={log}:log_exe_name=1:suppressions={os.path.join(ROOT, 't/tsan.supp')}",
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
    }


def valgrind(settings):
    """What stands before a program that runs under valgrind: what it finds goes to logs/valgrind.PID."""
    if not settings.valgrind:
        return []
    return ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite", "--num-callers=30",
            "--suppressions=" + os.path.join(ROOT, "t/valgrind.suppress"),
            "--log-file=" + os.path.join(settings.run, "logs/valgrind.%p")]


def _values(settings):
    secrets = os.path.join(settings.run, "secrets")
    tls = os.path.join(settings.run, "tls")
    nginx_env = f',LD_PRELOAD="{sanitizer_libraries(settings.sanitize)}"' if settings.sanitize else ""
    values = {
        "ROOT": ROOT, "RUN": settings.run, "BUILD": settings.build, "SOCKET": socket_path(settings),
        "LOGS": os.path.join(settings.run, "logs"), "SECRETS": secrets, "TLS": tls,
        "NODE": (settings.prism() or "-")[0], "PRISM": (settings.prism() or "--")[1],
        "MONGOD": settings.mongod() or "mongod", "NGINX": settings.program("nginx") or "nginx",
        "VALGRIND": "".join(f'"{word}" ' for word in valgrind(settings)),
        "NGINX_ENV": nginx_env, "ORDERDS": settings.orderds, "SWEEPDS": settings.sweepds, "WORKERS": settings.workers,
        "SPEED": f"{settings.speed:g}",
        "USER": pwd.getpwuid(os.getuid()).pw_name,
        # As root nginx would give its workers to somebody who may not read the run folder.
        "USER_LINE": f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else "",
        # nginx's workers see of the environment what its configuration names: the planted fault of a test build
        "ENV_LINE": "env FOODSVC_BREAK;" if settings.env.get("FOODSVC_BREAK") else "",
        "HTTP_LINES": settings.env.get("NGINX_HTTP") or "",
        "MODULE": os.path.join(settings.build, "modules/ngx_foodsvc_module.so"),
        "API_KEY_FILE": os.path.join(secrets, "api_key"), "API_KEYS_FILE": os.path.join(secrets, "api_keys.sha256"),
        "CA_CERT": os.path.join(tls, "ca.crt"), "SERVER_CERT": os.path.join(tls, "server.crt"),
        "SERVER_KEY": os.path.join(tls, "server.key"),
    }
    for name in ("mongo", "redis", "amqp"):
        values[f"{name.upper()}_URL"] = "file:" + os.path.join(secrets, f"{name}_url")
    for name, port in settings.ports.items():
        values[f"{name.upper()}_PORT"] = port
    return values


def supervisord_conf(settings, programs):
    """conf/supervisord.conf.in with the programs of this system alone; [program-defaults] goes into each."""
    values = {key: str(value).replace("%", "%%") for key, value in _values(settings).items()}
    text = fill(template("supervisord.conf.in"), values, "supervisord.conf.in")
    defaults, kept = "", []
    for section in re.split(r"(?m)^(?=\[)", text):
        name = re.match(r"\[([a-z:-]+)\]", section)
        if name is None or not name[1].startswith("program"):
            kept.append(section)
        elif name[1] == "program-defaults":
            defaults = section.split("\n", 1)[1].strip()
        elif name[1].split(":")[1] in programs:
            head, body = section.split("\n", 1)
            own = set(re.findall(r"(?m)^([a-z_]+)=", body))
            merged = [line for line in defaults.splitlines() if line.split("=")[0] not in own]
            kept.append("\n".join([head, *merged, body]))
    return "".join(kept)


def redis_conf(settings):
    """The private Redis: a cache with a password, saved when it stops and at no other time: what it loads at its start
    is never older than its end (system.py removes the dump once it is loaded)."""
    return (f"bind 127.0.0.1\nport {settings.ports['redis']}\nrequirepass {settings.secret('redis_password')}\n"
            f"dir {settings.run}/data/redis\ndaemonize no\npidfile \"\"\nlogfile \"\"\nsave \"\"\n"
            "shutdown-on-sigterm save\n"
            "stop-writes-on-bgsave-error no\nmaxmemory 256mb\nmaxmemory-policy volatile-lru\n")


def rabbitmq_conf(settings):
    """The private RabbitMQ: one user, the loopback interface alone."""
    return (f"listeners.tcp.1 = 127.0.0.1:{settings.ports['rabbit']}\ndefault_user = foodsvc\n"
            f"default_pass = {settings.secret('rabbit_password')}\nloopback_users = none\n"
            "disk_free_limit.absolute = 200MB\nlog.console = true\nlog.console.level = info\nlog.file = false\n")


def worker_conf(settings, worker):
    """conf/orderd.conf or conf/sweepd.conf with this system's servers."""
    values = _values(settings)
    wanted = {"mongo_url": values["MONGO_URL"], "redis_url": values["REDIS_URL"], "amqp_url": values["AMQP_URL"],
              "api_key_file": values["API_KEY_FILE"], "ca_file": values["CA_CERT"],
              "partner_allow": "127.0.0.0/8 ::1"}
    return override(template(f"{worker}.conf", ""), wanted)


def sim_conf(settings):
    """conf/sim.conf with this system's ports and speed."""
    values = _values(settings)
    wanted = {f"{name}_port": settings.ports[name] if name in settings.simulated() else 0
              for name in ("customer", "delivery", "kitchen", "card")}
    wanted |= {"speed": values["SPEED"], "amqp_url": values["AMQP_URL"], "api_key_file": values["API_KEY_FILE"],
               "ca_file": values["CA_CERT"], "state": os.path.join(settings.run, "data/sim.jsonl")}
    return override(template("sim.conf", ""), wanted)


def make_secrets(settings):
    """The certificate, the key and the passwords; what is there is kept."""
    subprocess.run([os.path.join(ROOT, "scripts/make-secrets"), settings.run], check=True, stdin=subprocess.DEVNULL)


def run_folder(settings, programs):
    """Writes all of it. Returns what each program depends on, as a fingerprint: programs whose fingerprint is another
    than at their start have to be started again."""
    for folder in FOLDERS:
        os.makedirs(os.path.join(settings.run, folder), mode=0o700, exist_ok=True)
    cookie = os.path.join(settings.run, "data/rabbit/.erlang.cookie")
    if not os.path.exists(cookie):
        write_private(cookie, settings.secret("erlang_cookie"))
        os.chmod(cookie, 0o400)
    write_private(os.path.join(settings.run, "data/rabbit/enabled_plugins"), "[].\n")
    for server, name in (("mongo", "mongo_url"), ("redis", "redis_url"), ("rabbit", "amqp_url")):
        write_private(os.path.join(settings.run, "secrets", name), settings.url(server) + "\n")

    urls = "".join(settings.url(server) for server in ("mongo", "redis", "rabbit"))
    files = {"supervisord": ("supervisord.conf", supervisord_conf(settings, programs), "", None),
             "redis": ("redis.conf", redis_conf(settings), "", None),
             "rabbit": ("rabbitmq.conf", rabbitmq_conf(settings), "", None)}
    if "nginx" in programs:
        with open(os.path.join(settings.run, "tls/server.crt"), encoding="ascii") as certificate:
            used = certificate.read() + _shared_nginx_conf() + urls
        text = fill(template("nginx.dev.conf.in"), _values(settings), "nginx.dev.conf.in")
        files["nginx"] = ("nginx.conf", text, used, "modules/ngx_foodsvc_module.so")
    if "orderd" in programs:
        files["orderd"] = ("orderd.conf", worker_conf(settings, "orderd"), urls, "bin/foodsvc-orderd")
    if "sweepd" in programs:
        files["sweepd"] = ("sweepd.conf", worker_conf(settings, "sweepd"), urls, "bin/foodsvc-sweepd")
    if "sim" in programs:
        files["sim"] = ("sim.conf", sim_conf(settings), urls, "bin/foodsvc-sim")

    fingerprints = {}
    for program, (name, text, used, binary) in files.items():
        write_private(os.path.join(settings.run, name), text)
        state = text + used
        if binary:
            stat = os.stat(os.path.join(settings.build, binary))
            state += f"{stat.st_mtime_ns} {stat.st_size}"
        fingerprints[program] = hashlib.sha256(state.encode()).hexdigest()
    for program in programs:
        if program.startswith("prism-"):
            with open(openapi(settings, program.removeprefix("prism-")), "rb") as file:
                fingerprints[program] = hashlib.sha256(file.read()).hexdigest()
    return fingerprints


def openapi(settings, partner):
    """The bundled description of a partner."""
    return os.path.join(settings.build, "share/openapi", f"{partner}-service.json")


def _shared_nginx_conf():
    folder = os.path.join(ROOT, "conf")
    return "".join(template(name) for name in sorted(os.listdir(folder)) if re.match(r"foodsvc_.*\.conf$", name))


def built(settings):
    """The programs of ours that are built."""
    found = {name for name in ("orderd", "sweepd", "sim")
             if os.access(os.path.join(settings.build, "bin", f"foodsvc-{name}"), os.X_OK)}
    if os.path.exists(os.path.join(settings.build, "modules/ngx_foodsvc_module.so")):
        found.add("nginx")
    if settings.prism() and os.path.exists(openapi(settings, "customer")):
        found.add("prism")
    return found


def need(settings, program, package):
    """Complains when a program that is about to be started is not there."""
    if not (shutil.which(program) or settings.program(program)):
        raise Trouble(f"{program} is not installed (Debian package {package}); run: make setup")
