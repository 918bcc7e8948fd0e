"""python proxy.py NAME=LISTEN:PORT ...: stands between our processes and their servers,
and cuts the wires when told to.

A process of its own, with one event loop. It forwards 127.0.0.1:LISTEN to 127.0.0.1:PORT, and reads orders from
standard input, one JSON object a line: {"name": "mongo", "mode": MODE, "share": 0.5, "seed": 7}. It answers each with a
line, and ends when standard input does.

  open    forwards; connections that stood still go on with what they held back
  reset   ends the connections that are there (a share of them); new ones are forwarded
  refuse  ends them all, and each new one as soon as it is taken
  hang    connections (a share of them, and of the new ones) take bytes and pass nothing on, in either direction
  slow    everything takes 0.2 s more
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys

DELAY = 0.2


class Wire:
    """A connection of a client, and ours to the server."""

    def __init__(self, relay, client, server):
        self.relay, self.ends = relay, (client, server)
        self.gate = asyncio.Event()
        self.gate.set()

    def cut(self):
        """Ends both sides with a reset, as a network does that lost them."""
        self.gate.set()
        for writer in self.ends:
            with contextlib.suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def pump(self, reader, writer):
        """One direction, until its end."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.gate.wait()
                if self.relay.mode == "slow":
                    await asyncio.sleep(DELAY)
                writer.write(data)
                await writer.drain()
        await self.gate.wait()
        with contextlib.suppress(OSError):
            writer.close()


class Relay:
    """All wires to one server."""

    def __init__(self, port):
        self.port, self.mode, self.share = port, "open", 1.0
        self.wires = set()
        self.random = random.Random(0)

    def hangs(self):
        """Whether the next connection is one of those that stand still."""
        return self.mode == "hang" and self.random.random() < self.share

    async def serve(self, reader, writer):
        """A new connection."""
        if self.mode == "refuse":
            writer.transport.abort()
            return
        hang = self.hangs()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        wire = Wire(self, writer, far_writer)
        if hang:
            wire.gate.clear()
        self.wires.add(wire)
        try:
            await asyncio.gather(wire.pump(reader, far_writer), wire.pump(far_reader, writer))
        finally:
            self.wires.discard(wire)

    def order(self, mode, share, seed):
        """Changes the mode."""
        self.random.seed(seed)
        self.mode, self.share = mode, share
        for wire in list(self.wires):
            if mode == "refuse" or (mode == "reset" and self.random.random() < share):
                wire.cut()
            elif self.hangs():
                wire.gate.clear()
            elif mode in ("open", "slow", "reset"):
                wire.gate.set()
        if mode == "reset":
            self.mode = "open"


async def main(words):
    """Runs until standard input ends."""
    relays = {}
    for word in words:
        name, _, ports = word.partition("=")
        listen, port = ports.split(":")
        relays[name] = Relay(int(port))
        await asyncio.start_server(relays[name].serve, "127.0.0.1", int(listen), backlog=512)
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print("ready", flush=True)
    while line := await orders.readline():
        order = json.loads(line)
        relays[order["name"]].order(order["mode"], order.get("share", 1.0), order.get("seed", 0))
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
