"""A sink that reads content one octet a second, in truth: its kernel buffer is small, and it takes one octet from it at a time."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from torture.outage_scene import CountedSink

_SMALL = 2304  # octets; the least that Linux gives a receive buffer


class DrippingSink(CountedSink):
    """Once `dripping` is False, new connections are served as by any other sink."""

    dripping = True
    started = 0  # messages whose content it has begun to read

    async def start(self) -> None:
        """Listen with a small receive buffer, which connections inherit."""
        if not self.dripping:
            await super().start()
            return
        if self._server is None:
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
            listening.bind((self.address, self.port))
            listening.listen(1024)
            listening.setblocking(False)
            self._server = await asyncio.get_running_loop().create_server(lambda: _Drip(self), sock=listening)

    async def stop(self) -> None:
        """Break what drips, too."""
        await super().stop()
        for session in tuple(self._open):
            session.abort()


class _Drip(asyncio.BufferedProtocol):
    """Commands at any speed, content an octet a second, so that no message ever ends."""

    def __init__(self, sink: DrippingSink) -> None:
        self._sink = sink
        self._room = bytearray(1)
        self._view = memoryview(self._room)
        self._line = bytearray()
        self._content = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        self._sink.opened(self)
        self._transport.write(b"220 slow ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._sink.closed(self)  # type: ignore[arg-type]  # for the books, any session is one

    def abort(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Room for one octet."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """One octet came."""
        if self._content:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(1.0, self._read_on)
            return
        self._line += self._view
        if not self._line.endswith(b"\r\n"):
            return
        verb, self._line = bytes(self._line[:4]).upper(), bytearray()
        if verb == b"EHLO":
            self._transport.write(b"250-slow\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            self._content = True
            self._sink.started += 1
            self._transport.write(b"354 Go on\r\n")
        else:
            self._transport.write(b"250 2.0.0 Ok\r\n")

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
