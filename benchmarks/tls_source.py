"""smtp-source with STARTTLS, which the real one cannot: sessions with a connection each, kept or one a message, in one process.

Usage: python -m benchmarks.tls_source ADDRESS PORT MESSAGES SESSIONS OCTETS kept|each
It prints when it began and when the last reply came (time.monotonic).
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from dataclasses import dataclass
from typing import cast

import uvloop

_ENVELOPE = b"MAIL FROM:<sender@example.net>\r\nRCPT TO:<foo@example.com>\r\nDATA\r\n"


@dataclass
class Work:
    """What is left to send, shared by all sessions."""

    left: int
    content: bytes
    kept: bool
    context: ssl.SSLContext


class Session(asyncio.Protocol):
    """One connection: EHLO, STARTTLS, EHLO, messages with a pipelined envelope, QUIT. `ended` fails at a reply that is not expected."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._buffer = b""
        self._expected = [b"220"]
        self._next = self._hello
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if line[3:4] == b"-":
                continue
            expected = self._expected.pop(0)
            if line[:3] != expected:
                self._transport.close()
                self.ended.set_exception(RuntimeError(f"{expected.decode()} was expected, not {line.decode(errors='replace')}"))
                return
        if not self._expected:
            self._next()

    def _write(self, data: bytes, *expected: bytes) -> None:
        self._expected.extend(expected)
        self._transport.write(data)

    def _hello(self) -> None:
        self._next = self._ask_tls
        self._write(b"EHLO source.example.net\r\n", b"250")

    def _ask_tls(self) -> None:
        self._next = self._start_tls
        self._write(b"STARTTLS\r\n", b"220")

    def _start_tls(self) -> None:
        self._expected.append(b"250")
        self._upgrade = self._loop.create_task(self._secure())

    async def _secure(self) -> None:
        try:
            upgraded = await self._loop.start_tls(self._transport, self, self._work.context, server_hostname="mx.example.com")
        except OSError as error:
            if not self.ended.done():
                self.ended.set_exception(error)
            return
        self._transport = cast("asyncio.Transport", upgraded)
        self._next = self._message
        self._transport.write(b"EHLO source.example.net\r\n")

    def _message(self) -> None:
        if not self._work.left:
            self._quit()
            return
        self._work.left -= 1
        self._next = self._content
        self._write(_ENVELOPE, b"250", b"250", b"354")

    def _content(self) -> None:
        self._next = self._message if self._work.kept else self._quit
        self._write(self._work.content, b"250")

    def _quit(self) -> None:
        self._next = self._close
        self._write(b"QUIT\r\n", b"221")

    def _close(self) -> None:
        self.ended.set_result(None)
        self._transport.close()


async def slot(address: str, port: int, work: Work) -> None:
    """One session after the other while there is work."""
    while work.left:
        _, session = await asyncio.get_running_loop().create_connection(lambda: Session(work), address, port)
        await session.ended


async def send(address: str, port: int, messages: int, sessions: int, octets: int, kept: bool) -> None:
    """All messages. Raises what a session failed with."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    line = b"X" * 78 + b"\r\n"
    content = b"Subject: benchmark\r\n\r\n" + line * (octets // len(line)) + b".\r\n"
    work = Work(messages, content, kept, context)
    started = time.monotonic()
    await asyncio.gather(*(slot(address, port, work) for _ in range(sessions)))
    print(started, time.monotonic())


if __name__ == "__main__":
    _, to, at, count, parallel, size, how = sys.argv
    uvloop.run(send(to, int(at), int(count), int(parallel), int(size), how == "kept"))
