"""A listening socket that gives no connections is left alone for a while, then tried again; nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from mailwye.runtime import accepting
from mailwye.runtime.accepting import PausingServer

GREETING = b"220 here\r\n"


class _Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(GREETING)
        transport.close()


class _Deaf:
    """A server whose accepts fail."""

    closed = 0

    def close(self) -> None:
        _Deaf.closed += 1


async def test_who_waits_while_accepting_fails_is_served_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_SECONDS", "LOOK_AGAIN_SECONDS", "PAUSE_SECONDS"):
        monkeypatch.setattr(accepting, name, 0.005)
    loop = asyncio.get_running_loop()
    told: list[str] = []
    paused = asyncio.Event()

    def tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(context["message"])
        paused.set()

    loop.set_exception_handler(tell)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    address = listening.getsockname()

    async def deaf(*_: object, sock: socket.socket, **__: object) -> _Deaf:
        sock.close()
        return _Deaf()

    with monkeypatch.context() as broken:
        broken.setattr(loop, "create_server", deaf)
        server = PausingServer(_Greeter, listening)
        await server.start()
        reader, writer = await asyncio.open_connection(*address)
        await asyncio.wait_for(paused.wait(), 10)
    assert await asyncio.wait_for(reader.read(), 10) == GREETING
    assert _Deaf.closed >= 1
    assert len(told) == 1
    assert "none can be taken" in told[0]
    writer.close()
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
