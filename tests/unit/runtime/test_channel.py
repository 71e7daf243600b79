from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mailwye.runtime import channel
from mailwye.runtime.channel import ChannelError, ChannelGone, streams
from mailwye.runtime.channel.streams import Channel

Handle = Callable[[str, dict[str, Any]], Awaitable[Any]]


async def echo(operation: str, arguments: dict[str, Any]) -> Any:
    if operation == "fail":
        raise ValueError("it cannot be")
    if operation == "silent":
        raise KeyError
    return [operation, arguments]


@asynccontextmanager
async def connected(handle: Handle = echo) -> AsyncIterator[Channel]:
    """A Channel to a server of `handle`."""
    ours, theirs = socket.socketpair()
    served = asyncio.ensure_future(streams.serve(*await asyncio.open_connection(sock=theirs), handle))
    asking = Channel(*await asyncio.open_connection(sock=ours))
    yield asking
    asking.close()
    await served
    await closed()


async def closed() -> None:
    """Transports that were closed are gone a few turns later."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_results_come_back() -> None:
    async with connected() as asking:
        assert await asking.call("add", one=1, two="zwei €") == ["add", {"one": 1, "two": "zwei €"}]
        assert await asking.call("none") == ["none", {}]


async def test_an_error_is_the_caller_s_and_the_server_goes_on() -> None:
    async with connected() as asking:
        with pytest.raises(ChannelError, match="it cannot be"):
            await asking.call("fail")
        with pytest.raises(ChannelError, match="KeyError"):
            await asking.call("silent")
        assert await asking.call("again") == ["again", {}]


async def test_callers_take_turns() -> None:
    async with connected() as asking:
        answers = await asyncio.gather(*(asking.call(f"number {number}") for number in range(20)))
    assert [answer[0] for answer in answers] == [f"number {number}" for number in range(20)]


async def test_the_answer_to_a_cancelled_request_is_read_over() -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def slow(operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "slow":
            await waiting
        return operation

    async with connected(slow) as asking:
        task = asyncio.ensure_future(asking.call("slow"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        next_one = asyncio.ensure_future(asking.call("quick"))
        await asyncio.sleep(0)
        waiting.set_result(None)
        assert await next_one == "quick"


async def test_a_process_that_ends_is_gone() -> None:
    ours, theirs = socket.socketpair()
    asking = Channel(*await asyncio.open_connection(sock=ours))
    theirs.close()
    with pytest.raises(ChannelGone):
        await asking.call("anything")
    asking.close()
    await closed()


async def _answer(line: bytes) -> dict[str, Any]:
    """What the server says to a line of octets."""
    ours, theirs = socket.socketpair()
    served = asyncio.ensure_future(streams.serve(*await asyncio.open_connection(sock=theirs), echo))
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(line)
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    await served
    await closed()
    return answer


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b"7\n",
        b'{"v": 1}\n',
        b'{"v": 1, "op": 7}\n',
        b'{"v": 1, "op": "x", "arguments": []}\n',
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
    ],
)
async def test_what_is_no_request_is_answered_with_the_form(line: bytes) -> None:
    assert "not a request" in (await _answer(line))["error"]


async def test_another_version_hears_which_one_is_spoken() -> None:
    answer = await _answer(b'{"v": 2, "op": "status"}\n')
    assert answer["v"] == channel.VERSION
    assert "version 1" in answer["error"]


async def test_an_answer_beyond_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LINE_LIMIT", 1_000)
    async with connected() as asking:
        with pytest.raises(ChannelError, match="too large"):
            await asking.call("big", text="x" * 2_000)


async def test_the_command_line_asks_without_a_loop(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = await asyncio.start_unix_server(lambda reader, writer: streams.serve(reader, writer, echo), path)
    try:
        assert await asyncio.to_thread(channel.call, path, "status", deep=True) == ["status", {"deep": True}]
        with pytest.raises(ChannelError, match="it cannot be"):
            await asyncio.to_thread(channel.call, path, "fail")
    finally:
        server.close()
        await server.wait_closed()
        await closed()
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        channel.call(path, "status")
