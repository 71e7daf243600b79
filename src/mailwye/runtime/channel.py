"""Requests and answers between processes of one installation: one JSON object a line, over a socket that only its owner can reach.

Request `{"op": NAME, "arguments": {…}}`, answer `{"result": …}` or `{"error": TEXT}`. Bounded by LINE_LIMIT octets.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

LINE_LIMIT = 64 * 1024 * 1024

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


class ChannelError(Exception):
    """The other side answered with an error, or is gone; the text is its own."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handler) -> None:
    """Answer requests one after the other until the other side closes."""
    try:
        while line := await reader.readline():
            writer.write(await _answer(line, handle))
            await writer.drain()
    except (ConnectionError, ValueError):  # ValueError: a line over the limit
        pass
    finally:
        writer.close()


async def _answer(line: bytes, handle: Handler) -> bytes:
    try:
        request = json.loads(line)
        operation, arguments = request["op"], request.get("arguments", {})
        if not isinstance(operation, str) or not isinstance(arguments, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        return _encode({"error": 'not a request: expected {"op": …, "arguments": {…}}'})
    try:
        return _encode({"result": await handle(operation, arguments)})
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the caller's answer, not this server's end
        return _encode({"error": str(error) or type(error).__name__})


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


class Channel:
    """The asking side of a connected pair of streams. One request at a time; callers take turns."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Ask and wait. :raises ChannelError: an error, or nobody there."""
        async with self._turn:
            try:
                self._writer.write(_encode({"op": operation, "arguments": arguments}))
                await self._writer.drain()
                line = await self._reader.readline()
            except (ConnectionError, ValueError) as error:
                raise ChannelError(f"{operation}: the process is gone ({error})") from error
        return _result(line, operation)

    def close(self) -> None:
        """Hang up; the serving side ends."""
        self._writer.close()


def call(path: str, operation: str, *, timeout: float = 60.0, **arguments: Any) -> Any:
    """Ask the server behind the Unix socket `path`, without an event loop: for the command line.

    :raises FileNotFoundError, ConnectionRefusedError: nobody listens. :raises ChannelError: its error.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(_encode({"op": operation, "arguments": arguments}))
        with connection.makefile("rb") as stream:
            return _result(stream.readline(LINE_LIMIT), operation)


def _result(line: bytes, operation: str) -> Any:
    if not line:
        raise ChannelError(f"{operation}: the process ended before it answered")
    answer = json.loads(line)
    if "error" in answer:
        raise ChannelError(answer["error"])
    return answer.get("result")
