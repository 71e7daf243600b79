"""The admin listener's first pages: /healthz (the process lives) and /readyz (it takes mail). Plain HTTP/1.1, GET only, no input used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

REQUEST_LIMIT = 8_192
REQUEST_SECONDS = 5.0


class HealthServer:
    """Answers on one listening socket. `is_ready` says whether mail is taken."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head[:REQUEST_LIMIT].split(b" ", 2)))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _answer(self, words: list[bytes]) -> bytes:
        if len(words) < 3 or words[0] != b"GET":
            return _response("405 Method Not Allowed", "GET only\n")
        match words[1]:
            case b"/healthz":
                return _response("200 OK", "alive\n")
            case b"/readyz" if self._is_ready():
                return _response("200 OK", "ready\n")
            case b"/readyz":
                return _response("503 Service Unavailable", "not taking mail\n")
            case _:
                return _response("404 Not Found", "there are /healthz and /readyz\n")


def _response(status: str, text: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}\r\nConnection: close\r\n"
    return (head + "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n" + text).encode()
