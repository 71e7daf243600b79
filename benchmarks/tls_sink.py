"""A sink that takes mail only after STARTTLS, which smtp-sink cannot. It counts on standard output as `smtp-sink -c` does.

Usage: python -m benchmarks.tls_sink ADDRESS PORT CERTIFICATE KEY
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 100000000\r\n250-SMTPUTF8\r\n250-DSN\r\n"
_END = b"\r\n.\r\n"


class Counter:
    """Messages received. Said some times a second only: a system call for each message would cost as much as the message."""

    def __init__(self) -> None:
        self.received = 0
        self._said = 0

    async def say(self) -> None:
        """For ever."""
        while True:
            if self.received != self._said:
                self._said = self.received
                sys.stdout.write(f"mesg={self._said}\r")
                sys.stdout.flush()
            await asyncio.sleep(0.01)


class Sink(asyncio.Protocol):
    """One connection. Understands just what a correct client sends."""

    def __init__(self, context: ssl.SSLContext, counter: Counter) -> None:
        self._context, self._counter = context, counter
        self._secure = self._in_content = False
        self._buffer = b""
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies: list[bytes] = []
        while self._content(replies) if self._in_content else self._line(replies):
            pass
        if replies:
            self._transport.write(b"".join(replies))

    def _content(self, replies: list[bytes]) -> bool:
        """Drop content up to its end; whether it ended."""
        end = self._buffer.find(_END)
        if end < 0:
            self._buffer = self._buffer[-4:]
            return False
        self._buffer = self._buffer[end + len(_END) :]
        self._in_content = False
        self._counter.received += 1
        replies.append(b"250 2.0.0 Ok\r\n")
        return True

    def _line(self, replies: list[bytes]) -> bool:
        """Take one command; whether there was one."""
        line, newline, rest = self._buffer.partition(b"\r\n")
        if not newline:
            return False
        self._buffer = rest
        match line[:4].upper():
            case b"EHLO":
                replies.append(_EHLO + (b"" if self._secure else b"250-STARTTLS\r\n") + b"250 ENHANCEDSTATUSCODES\r\n")
            case b"STAR":
                self._transport.write(b"220 2.0.0 Go ahead\r\n")
                self._upgrade = asyncio.get_running_loop().create_task(self._start_tls())
            case b"MAIL" if not self._secure:
                replies.append(b"530 5.7.0 Must issue a STARTTLS command first\r\n")
            case b"DATA":
                self._in_content = True
                replies.append(b"354 Go on\r\n")
            case b"QUIT":
                replies.append(b"221 2.0.0 Bye\r\n")
            case _:
                replies.append(b"250 2.0.0 Ok\r\n")
        return True

    async def _start_tls(self) -> None:
        upgraded = await asyncio.get_running_loop().start_tls(self._transport, self, self._context, server_side=True)
        self._transport = cast("asyncio.Transport", upgraded)
        self._secure = True


async def serve(address: str, port: int, certificate: str, key: str) -> None:
    """Until killed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    counter = Counter()
    await asyncio.get_running_loop().create_server(lambda: Sink(context, counter), address, port, backlog=1024)
    await counter.say()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
