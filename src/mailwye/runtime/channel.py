"""Requests and answers between processes of one installation: one JSON object a line, over a socket that only its owner can reach.

Request `{"v": 1, "op": NAME, "arguments": {…}}`, answer `{"v": 1, "result": …}` or `{"v": 1, "error": TEXT}`; `v` is the version of this
protocol, so that a command line of another release hears a sentence instead of nonsense. Bounded by LINE_LIMIT octets in both directions.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

VERSION = 1
LINE_LIMIT = 64 * 1024 * 1024  # octets of an answer
REQUEST_LIMIT = 1024 * 1024  # octets of a request from outside the service

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


class ChannelError(Exception):
    """The other side answered with an error, or is gone; the text is its own."""


class ChannelGone(ChannelError):
    """The other side ended before it answered."""


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
        if request["v"] != VERSION:
            return _encode({"error": f"this service speaks version {VERSION} of the control protocol; use the commands of its own release"})
        operation, arguments = request["op"], request.get("arguments", {})
        if not isinstance(operation, str) or not isinstance(arguments, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        return _encode({"error": 'not a request: expected {"v": 1, "op": …, "arguments": {…}}'})
    try:
        answer = _encode({"result": await handle(operation, arguments)})
        return answer if len(answer) <= LINE_LIMIT else _encode({"error": "the answer is too large; ask for less"})
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the caller's answer, not this server's end
        return _encode({"error": str(error) or type(error).__name__})


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps({"v": VERSION, **message}).encode() + b"\n"


class Channel:
    """The asking side of a connected pair of streams. One request at a time; callers take turns."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self._unread = 0  # answers to requests whose callers were cancelled; they come first

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Ask and wait. May be cancelled: the late answer is read over.

        :raises ChannelGone: nobody there. :raises ChannelError: its error.
        """
        async with self._turn:
            try:
                self._writer.write(_encode({"op": operation, "arguments": arguments}))
                self._unread += 1
                await self._writer.drain()
                while True:
                    line = await self._reader.readline()
                    self._unread -= 1
                    if not (self._unread and line):
                        break
            except (ConnectionError, ValueError) as error:
                raise ChannelGone(f"{operation}: the process is gone ({error})") from error
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
        raise ChannelGone(f"{operation}: the process ended before it answered")
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise ChannelError(f"{operation}: the answer was cut off or is no JSON; ask for less") from error
    if "error" in answer:
        raise ChannelError(answer["error"])
    return answer.get("result")
