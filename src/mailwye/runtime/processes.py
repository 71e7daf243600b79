"""Child processes with a private channel: spawned fresh (nothing is inherited but what is named), told to end by closing the channel."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Callable, Mapping
from typing import Any

from mailwye.runtime.channel.streams import Channel

_SPAWN = multiprocessing.get_context("spawn")

ChildMain = Callable[..., None]


class ChildProcess:
    """One child. `target(arguments…, sockets, channel_socket)` runs in it; both are picklable by name."""

    def __init__(self, target: ChildMain, *arguments: Any, sockets: Mapping[str, socket.socket]) -> None:
        self._ours, theirs = socket.socketpair()
        self._process = _SPAWN.Process(target=target, args=(*arguments, dict(sockets), theirs), daemon=False)
        self._process.start()
        theirs.close()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._process.sentinel, self._note_end)
        self.channel: Channel | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0

    async def connect(self) -> Channel:
        """Our end of the channel."""
        reader, writer = await asyncio.open_connection(sock=self._ours, limit=64 * 1024 * 1024)
        self.channel = Channel(reader, writer)
        return self.channel

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        if not self._ended.done():
            self._ended.set_result(None)

    async def ended(self) -> str:
        """Returns when the child has ended, with how."""
        await asyncio.shield(self._ended)
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    async def end(self, timeout: float) -> None:
        """Close the channel, by which the child ends; kill it after `timeout` seconds."""
        if self.channel is not None:
            self.channel.close()
        else:
            self._ours.close()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._ended)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        await asyncio.shield(self._ended)
