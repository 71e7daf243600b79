"""The admin listener's first pages: /healthz (the process lives), /readyz (it takes mail), /metrics (for Prometheus). Plain HTTP/1.1,
GET only, no input used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mailwye.runtime.channel import ChannelError

REQUEST_LIMIT = 8_192
REQUEST_SECONDS = 5.0


class HealthServer:
    """Answers on one listening socket. `is_ready` says whether mail is taken, `metrics` gives the text of that page."""

    def __init__(self, is_ready: Callable[[], bool], metrics: Callable[[], Awaitable[str]]) -> None:
        self._is_ready = is_ready
        self._metrics = metrics

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head[:REQUEST_LIMIT].split(b" ", 2)))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _answer(self, words: list[bytes]) -> bytes:
        if len(words) < 3 or words[0] != b"GET":
            return _response("405 Method Not Allowed", "GET only\n")
        match words[1]:
            case b"/healthz":
                return _response("200 OK", "alive\n")
            case b"/readyz" if self._is_ready():
                return _response("200 OK", "ready\n")
            case b"/readyz":
                return _response("503 Service Unavailable", "not taking mail\n")
            case b"/metrics":
                return await self._answer_metrics()
            case _:
                return _response("404 Not Found", "there are /healthz, /readyz and /metrics\n")

    async def _answer_metrics(self) -> bytes:
        try:
            return _response("200 OK", await self._metrics(), "text/plain; version=0.0.4; charset=utf-8")
        except ChannelError as error:  # a worker is just being started again
            return _response("503 Service Unavailable", f"{error}\n")


def _response(status: str, text: str, content_type: str = "text/plain; charset=utf-8") -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return (head + "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n").encode() + body
