"""scripts/system COMMAND: a whole system of our services and their servers, under one run folder.

  up [--only PART,...]   starts what is not running; returns when everything answers
  down                   ends all of it; data stays
  start|stop|kill|restart PART, pid PART
                         mongo redis rabbit sim prism nginx orderd sweepd
  status, logs           what runs, what it says

By the environment:
  RUN=build/run          the run folder: data, logs, secrets, configuration, `env`; one system each
  BUILD=build            where module and workers were built        TOOLS=$BUILD  where scripts/setup put its tools
  PARTNERS=sim           who plays the partners: the simulator; prism: Prism mocks CustomerService, DeliveryService and
                         KitchenService from specs/, the simulator is the card company; none: their ports stay free
  SPEED=60               how much faster than life the simulator is
  ORDERDS=1 SWEEPDS=1    how many orderd, sweepd                    WORKERS=2     how many nginx workers
  SANITIZE=1|thread      the build has sanitizers                   VALGRIND=1    nginx and workers run under valgrind
  PORTS=free             free ports instead of the usual ones; or one by one: ORDER_PORT PAYMENT_PORT CUSTOMER_PORT
                         DELIVERY_PORT KITCHEN_PORT CARD_PORT MONGO_PORT REDIS_PORT RABBIT_PORT
  NGINX_HTTP=            more directives for nginx's http{}
  MONGO_URL REDIS_URL AMQP_URL
                         servers to be used instead of private ones
"""

import os
import subprocess
import sys

from settings import ROOT, Settings, Trouble, complain
from system import System

PACKAGES = ("pymongo", "bson", "redis", "pika")


def missing(package):
    """What is to be done about a Python package that this Python does not have."""
    settings = Settings()
    before = settings.saved.get("tools")
    if before and before != settings.tools and os.path.exists(os.path.join(before, "venv")):
        return f"this Python has no {package}; `make up` had one, with TOOLS={before}: give that TOOLS here, too"
    return (f"this Python has no {package}; run: make setup (it installs into {settings.tools}/venv; "
            "TOOLS= names another)")


def main(arguments):
    """Returns the exit status."""
    command = arguments[0] if arguments else "help"
    os.umask(0o077)
    os.chdir(ROOT)
    try:
        system = System()
        if command == "up" and len(arguments) in (1, 3):
            only = arguments[2].split(",") if arguments[1:2] == ["--only"] else None
            system.up(only)
        elif command in ("down", "logs") and len(arguments) == 1:
            getattr(system, command)()
        elif command == "status" and len(arguments) == 1:
            return 0 if system.status() else 1
        elif command in ("start", "stop", "kill", "restart", "pid") and len(arguments) == 2:
            getattr(system, command)(arguments[1])
        else:
            print(__doc__)
            return 0 if command in ("help", "--help", "-h") else 2
    except Trouble as trouble:
        complain(str(trouble))
        return 1
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        complain(missing(error.name))
        return 1
    except subprocess.CalledProcessError as error:
        complain(f"{error.cmd[0]} failed")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main(sys.argv[1:]))
