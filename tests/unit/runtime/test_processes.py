"""Real children: they are spawned, answer on their channel, and end with it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Any

from mailwye.runtime.channel import streams
from mailwye.runtime.processes import ChildProcess


def child(greeting: str, sockets: dict[str, socket.socket], ours: socket.socket) -> None:
    """Says its greeting and where its sockets listen; ends with its channel."""

    async def answer(operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "end":
            os._exit(int(arguments["code"]))
        return [greeting, {name: one.getsockname()[1] for name, one in sockets.items()}]

    async def serve() -> None:
        await streams.serve(*await asyncio.open_connection(sock=ours), answer)

    asyncio.run(serve())
    sys.exit(3)


def deaf(sockets: dict[str, socket.socket], ours: socket.socket) -> None:
    """Never ends by itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pause()


async def test_a_child_has_the_sockets_and_ends_with_its_channel() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        process = ChildProcess(child, "hello", sockets={"mx": listening})
        asking = await process.connect()
        assert await asking.call("greet") == ["hello", {"mx": listening.getsockname()[1]}]
        await process.end(20)
        assert await process.ended() == "exit code 3"


async def test_how_it_ended_is_told() -> None:
    process = ChildProcess(child, "hello", sockets={})
    asking = await process.connect()
    await asking.call("greet")
    os.kill(process.pid, signal.SIGKILL)
    assert await process.ended() == "signal 9"
    asking.close()


async def test_one_that_does_not_end_is_killed() -> None:
    process = ChildProcess(deaf, sockets={})
    await process.connect()
    await process.end(0.0)
    assert await process.ended() == "signal 9"
