"""Looks at the orders' entries in Redis all the time, past the proxy: an entry may vanish, but not become older.

nginx answers from an entry only when it is not older than what it showed before, so that an entry which was set blindly
would mostly not be seen by a customer. Redis may be emptied or started anew at any time: a key of ours tells, and what
was there before is then no measure any more."""

import contextlib
import threading

import redis

EPOCH = "foodsvc:chaos:epoch"
EVERY = 0.05                # s
WATCHED = 150               # of the orders that were placed last


class Watcher(threading.Thread):
    """`seen`: order -> [(second, epoch, steps in the history)], an item for each change."""

    def __init__(self, world, history):
        super().__init__(name="watcher", daemon=True)
        self.server = redis.Redis.from_url(world.url("redis"), socket_timeout=1, socket_connect_timeout=1)
        self.history, self.stopping = history, threading.Event()
        self.epoch, self.seen, self.recent, self.read = 0, {}, [], 0

    def run(self):
        while not self.stopping.wait(EVERY):
            with contextlib.suppress(redis.RedisError, OSError):
                self.look()

    def look(self):
        """All entries at one moment, with the key that tells whether Redis still is what it was."""
        ops = self.history.ops
        self.recent += [op.order for op in ops[self.read:] if op.what == "place" and op.order]
        self.recent, self.read = self.recent[-WATCHED:], len(ops)
        now = self.history.now()
        epoch, *entries = self.server.mget([EPOCH, *self.recent])
        if epoch is None:
            self.epoch += 1
            self.server.set(EPOCH, self.epoch)
            return
        for order, entry in zip(self.recent, entries):
            if entry is not None:
                seen = self.seen.setdefault(order, [])
                item = (int(epoch), entry.count(b'"when"'))
                if not seen or seen[-1][1:] != item:
                    seen.append((now, *item))

    def stop(self):
        """Ends it, and takes its key away. Returns what was seen."""
        self.stopping.set()
        self.join(10)
        with contextlib.suppress(redis.RedisError):
            self.server.delete(EPOCH)
        self.server.close()
        return self.seen
