"""The listener over real sockets on 127.0.0.1, and its settings."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mailwye.config.installation import ListenerSettings
from mailwye.inbound.listener import Listener, ListenerError
from mailwye.runtime.network import SystemNetwork
from tests.unit.inbound.world import HOSTNAME, World


def bound() -> tuple[socket.socket, int]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    return listening, listening.getsockname()[1]


async def read_reply(reader: asyncio.StreamReader) -> str:
    lines = [await reader.readline()]
    while lines[-1][3:4] == b"-":
        lines.append(await reader.readline())
    return lines[-1].decode().rstrip()


async def test_message_over_a_real_socket() -> None:
    world = World()
    listening, port = bound()
    await world.listener.start(listening)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await read_reply(reader) == f"220 {HOSTNAME} ESMTP Mailwye"
    for command, code in (
        ("EHLO x.example", "250"),
        ("MAIL FROM:<x@elsewhere.example>", "250"),
        ("RCPT TO:<bob@contoso.com>", "250"),
        ("DATA", "354"),
    ):
        writer.write(f"{command}\r\n".encode())
        assert (await read_reply(reader)).startswith(code)
    writer.write(b"Subject: x\r\n\r\n" + b"line\r\n" * 100_000 + b".\r\n")
    assert (await read_reply(reader)).startswith("250 2.0.0 Ok: queued as")
    writer.write(b"QUIT\r\n")
    assert (await read_reply(reader)).startswith("221")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    (row,) = await world.queued()
    assert row.message.origin.peer_address == "127.0.0.1"
    assert row.message.size > 600_000
    await world.listener.drain(1)


async def test_drain_refuses_new_connections_and_ends_idle_ones() -> None:
    world = World()
    listening, port = bound()
    await world.listener.start(listening)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await read_reply(reader)
    assert await world.listener.drain(2) == 0
    assert (await read_reply(reader)).startswith("421 4.3.2")
    writer.close()
    await writer.wait_closed()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_half_closed_connection_still_hears_the_answer() -> None:
    """A client that shuts down its sending side right after QUIT."""
    world = World()
    listening, port = bound()
    await world.listener.start(listening)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await read_reply(reader)
    writer.write(b"QUIT\r\n")
    writer.write_eof()
    assert (await reader.read()).startswith(b"221")
    writer.close()
    await writer.wait_closed()
    await world.listener.drain(1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ListenerSettings("a", "admin", "127.0.0.1", 0), "listener a: kind 'admin' takes no mail; use one of mx, submission, submissions"),
        (ListenerSettings("b", "submissions", "127.0.0.1", 0), "listener b: submissions is TLS from the first octet; set certificate"),
        (ListenerSettings("c", "mx", "127.0.0.1", 0, ("proxy.example",)), "listener c: proxies: 'proxy.example' does not appear"),
    ],
)
async def test_settings_that_cannot_serve_are_refused_with_the_remedy(settings: ListenerSettings, words: str) -> None:
    with pytest.raises(ListenerError) as caught:
        Listener(World().context, settings, SystemNetwork())
    assert str(caught.value).startswith(words)
