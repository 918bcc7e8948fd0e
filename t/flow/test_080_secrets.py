"""No card, key or password in what is written: logs, queue, database, cache. Runs after the other flows, on what they left."""

import os
import pathlib
import stat

from partners import CARD


def secrets():
    run = pathlib.Path(os.environ["RUN"])
    found = {path.read_text().strip().encode() for path in (run / "secrets").iterdir()
             if path.is_file() and not path.name.endswith(".sha256") and path.stat().st_size < 200}
    return found | {CARD["CardNumber"].encode()}


def test_logs(system):
    run = pathlib.Path(os.environ["RUN"])
    logs = [path for path in (run / "logs").rglob("*") if path.is_file()]
    assert logs
    for path in logs:
        text = path.read_bytes()
        for secret in secrets():
            assert secret not in text, path


def test_database_and_cache(system):
    order = system.paid()
    card = CARD["CardNumber"]
    for name in system.db.list_collection_names():
        for doc in system.db[name].find():
            assert card not in str(doc) and CARD["CVV"] not in [v for v in doc.values() if isinstance(v, str)]
    for key in system.redis.scan_iter():
        if system.redis.type(key) == b"string":
            assert card.encode() not in system.redis.get(key)
    assert order["id"]


def test_files_are_for_their_owner_only():
    run = pathlib.Path(os.environ["RUN"])
    for path in [*(run / "secrets").iterdir(), run / "env", *(run / "tls").glob("*.key"), run / "nginx.conf"]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
