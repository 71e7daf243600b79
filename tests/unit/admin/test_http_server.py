"""What whoever may connect, and has not said who he is, can keep busy on the admin listener: little, and not for long."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from mailwye.admin import http_server
from mailwye.admin.http_server import PIECE, AdminServer, Pieces
from mailwye.config.installation import ListenerSettings
from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority, KeyPair

SOON = 0.05  # seconds
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def alive(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]})
    await send({"type": "http.response.body", "body": b"x" * 100_000})


@asynccontextmanager
async def served(pair: KeyPair | None = None) -> AsyncIterator[tuple[AdminServer, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    files = (pair.certificate, pair.private_key) if pair is not None else None
    server = AdminServer(alive, ListenerSettings("admin", "admin", "127.0.0.1", 0), listening, files)
    await server.start()
    try:
        yield server, listening.getsockname()[1]
    finally:
        await server.close()


async def status(port: int, context: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answer = await ended(reader)
    await leave(writer)
    return answer[:12]


async def leave(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection is gone."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nX-", REQUEST, REQUEST + b"GET /he"])
async def test_a_head_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", SOON)
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert bool(await ended(reader)) is sent.startswith(REQUEST)
        await leave(writer)


async def test_a_body_that_nobody_wants_does_not_keep_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", SOON)
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nabc")
        assert (await ended(reader)).startswith(b"HTTP/1.1 200")
        await leave(writer)


async def test_answers_that_nobody_reads_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "UNREAD_SECONDS", SOON)
    monkeypatch.setattr(http_server, "KEEP_ALIVE", 0)
    async with served() as (_, port):
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.setblocking(False)
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(keep_asking(deaf), 20)


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7])
async def test_long_answers_leave_piece_by_piece(length: int) -> None:
    """Whoever takes one slowly is being answered, and not idle."""
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * (length - length // 2), "more_body": True})
        await send({"type": "http.response.body", "body": b"y" * (length // 2)})

    async def nothing() -> Message:
        return {}

    await Pieces(app)({}, nothing, keep)
    bodies = [message["body"] for message in sent[1:]]
    assert b"".join(bodies) == b"x" * (length - length // 2) + b"y" * (length // 2)
    assert all(len(body) <= PIECE for body in bodies)
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(bodies) - 1) + [False]


async def keep_asking(deaf: socket.socket) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(deaf, REQUEST * 100)


async def test_a_handshake_that_does_not_come_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HANDSHAKE_SECONDS", SOON)
    async with served(Authority(tmp_path, now=SystemClock().now()).issue("admin", ["127.0.0.1"])) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader) == b""
        await leave(writer)


def strangers(address: str) -> str:
    """As if whoever connects came from elsewhere."""
    return "192.0.2.1" if address == "127.0.0.1" else address


@pytest.mark.parametrize(
    ("seen_as", "limit", "room"),
    [(strangers, "PER_ADDRESS", 3), (strangers, "FOR_LOOPBACK", http_server.CONNECTIONS - 3), (str, "CONNECTIONS", 3)],
)
async def test_idle_connections_have_a_limit(monkeypatch: pytest.MonkeyPatch, seen_as: Callable[[str], str], limit: str, room: int) -> None:
    """Whoever is turned away is so at once, and the room is given back."""
    monkeypatch.setattr(http_server, "counting_key", seen_as)
    monkeypatch.setattr(http_server, limit, room)
    async with served() as (_, port):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        assert await ended(idle[3][0]) == b""
        idle[0][1].close()
        await idle[0][1].wait_closed()
        async with asyncio.timeout(20):
            while await status(port) == b"":
                pass
        await leave(*(writer for _, writer in idle))


async def test_strangers_leave_room_for_the_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter(["192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"])
    monkeypatch.setattr(http_server, "counting_key", lambda address: address if address == "::1" else next(seen))
    monkeypatch.setattr(http_server, "CONNECTIONS", 3)
    monkeypatch.setattr(http_server, "FOR_LOOPBACK", 1)
    async with served() as (_, port):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await ended(idle[2][0]) == b""
        assert await status(port) == b"HTTP/1.1 200"
        await leave(*(writer for _, writer in idle))


async def test_a_key_that_does_not_fit_leaves_the_old_pair(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    pair, other = authority.issue("admin", ["127.0.0.1"]), authority.issue("other", ["127.0.0.1"])
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    async with served(pair) as (server, port):
        pair.private_key.write_bytes(other.private_key.read_bytes())
        with pytest.raises(ssl.SSLError):
            server.reload()
        assert await status(port, trusting) == b"HTTP/1.1 200"


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"])
async def test_ciphers_without_forward_secrecy_or_authentication_are_refused(tmp_path: Path, ciphers: str) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    weak = ssl.create_default_context(cafile=str(authority.certificate))
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(ciphers)
    async with served(authority.issue("admin", ["127.0.0.1"])) as (_, port):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await status(port, weak)
