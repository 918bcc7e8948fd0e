"""A gate before a server: a TCP proxy whose connections can be cut and which can stop answering.

  open      everything goes through
  frozen    connections are taken, and nothing is answered on any of them; what came meanwhile goes on when it opens
  closed    nobody listens: connections are refused, those that were there are reset
cut() resets the connections there are and stays open."""

import asyncio
import contextlib
import socket
import struct
import threading

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)         # SO_LINGER: close() sends RST


class Gate:
    """Listens on 127.0.0.1:port (0: any) for a server at `target`, (host, port). A thread of its own."""

    def __init__(self, target, port=0):
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._passing = set()           # transports, of both sides
        self._opened = None
        self._server = None
        self.port = port
        self.resets = 0                 # how many connections were reset
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._open())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def open(self):
        """Lets everything through, from now on."""
        self._call(self._open())

    def freeze(self):
        """Answers nothing more, and closes nothing."""
        self._loop.call_soon_threadsafe(self._opened.clear)

    def shut(self):
        """Refuses connections, and resets those that are there."""
        async def shut():
            self._server.close()
            await self._server.wait_closed()
            self._server = None
            self._reset()
        self._call(shut())

    def cut(self):
        """Resets all connections; new ones are taken."""
        self._loop.call_soon_threadsafe(self._reset)

    def close(self):
        """For good."""
        if self._server:
            self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _open(self):
        if self._opened is None:
            self._opened = asyncio.Event()
        self._opened.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    def _reset(self):
        for transport in list(self._passing):
            self.resets += 1
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            transport.abort()

    async def _accepted(self, reader, writer):
        await self._opened.wait()
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer.transport, back.transport}
        self._passing |= pair
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._passing -= pair
            for transport in pair:
                transport.abort()

    async def _pass(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._opened.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
