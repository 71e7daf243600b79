"""The channel's two ends on asyncio's streams: a server's answers, and calls from within an event loop. Its form is in the package."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from mailwye.runtime.channel import LINE_LIMIT, VERSION, ChannelGone, encode, result_of

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


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
            return encode({"error": f"this service speaks version {VERSION} of the control protocol; use the commands of its own release"})
        operation, arguments = request["op"], request.get("arguments", {})
        if not isinstance(operation, str) or not isinstance(arguments, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        return encode({"error": 'not a request: expected {"v": 1, "op": …, "arguments": {…}}'})
    try:
        answer = encode({"result": await handle(operation, arguments)})
        return answer if len(answer) <= LINE_LIMIT else encode({"error": "the answer is too large; ask for less"})
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the caller's answer, not this server's end
        return encode({"error": str(error) or type(error).__name__})


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
                self._writer.write(encode({"op": operation, "arguments": arguments}))
                self._unread += 1
                await self._writer.drain()
                while True:
                    line = await self._reader.readline()
                    self._unread -= 1
                    if not (self._unread and line):
                        break
            except (ConnectionError, ValueError) as error:
                raise ChannelGone(f"{operation}: the process is gone ({error})") from error
        return result_of(line, operation)

    def close(self) -> None:
        """Hang up; the serving side ends."""
        self._writer.close()
