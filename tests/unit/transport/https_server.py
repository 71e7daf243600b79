"""A scripted HTTPS server on loopback: one answer for every request, and what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mailwye.testing.authority import KeyPair


class HttpsServer:
    """`answer`: the octets that follow a request; `cut`: the connection is dropped without close_notify. `requests`: what came."""

    def __init__(self, answer: bytes, *, cut: bool = False, silent: bool = False) -> None:
        self.answer = answer
        self.cut = cut
        self.silent = silent
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.released = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    head += await reader.readexactly(int(line.split(b":")[1]))
            self.requests.append(head)
            if self.silent:
                await self.released.wait()
            writer.write(self.answer)
            await writer.drain()
            if self.cut:
                writer.transport.abort()
        writer.close()


def text(body: bytes, status: str = "200 OK", kind: str = "text/plain; charset=utf-8", more: str = "") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@asynccontextmanager
async def https_server(pair: KeyPair, answer: bytes, *, cut: bool = False, silent: bool = False) -> AsyncIterator[HttpsServer]:
    """Serve with the certificate `pair` on 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.private_key)
    server = HttpsServer(answer, cut=cut, silent=silent)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.released.set()
        listening.close()
