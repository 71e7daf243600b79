"""A mail sink that ends after a number of messages: takes everything, keeps nothing. (smtp-sink's own counter does not tell in time.)

Usage: sink.py ADDRESS PORT MESSAGES
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop


class Sink(asyncio.Protocol):
    """One connection. Understands just what a correct client sends."""

    left = 0
    done: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's
        self._buffer = b""
        self._in_content = False
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        replies = []
        while buffer:
            if self._in_content:
                end = buffer.find(b"\r\n.\r\n")
                if end < 0:
                    buffer = buffer[-4:]
                    break
                buffer = buffer[end + 5 :]
                self._in_content = False
                Sink.left -= 1
                replies.append(b"250 2.0.0 Ok\r\n")
                continue
            line, newline, rest = buffer.partition(b"\r\n")
            if not newline:
                break
            buffer = rest
            verb = line[:4].upper()
            if verb == b"EHLO":
                replies.append(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
            elif verb == b"DATA":
                self._in_content = True
                replies.append(b"354 go on\r\n")
            elif verb == b"QUIT":
                replies.append(b"221 2.0.0 Bye\r\n")
            else:
                replies.append(b"250 2.0.0 Ok\r\n")
        self._buffer = buffer
        if replies:
            self._transport.write(b"".join(replies))
        if Sink.left <= 0:
            Sink.done.set()


async def main(address: str, port: int, messages: int) -> None:
    """Serve until the last message."""
    Sink.left = messages
    Sink.done = asyncio.Event()
    await asyncio.get_running_loop().create_server(Sink, address, port, backlog=1024)
    await Sink.done.wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
