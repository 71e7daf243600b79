"""LMTP: addresses, and delivery over a Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.envelope import TlsWish
from mailwye.outbound.courier import Host
from mailwye.outbound.mailbox_lmtp import LmtpCourier, parse_lmtp_address
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.smtp.reply import Reply
from tests.unit.outbound.scripted_server import BOB, FAST, JOHN, Peer, ScriptedServer, carry, work_for


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("127.0.0.1:24", Host("127.0.0.1", "127.0.0.1", 24)),
        ("127.0.0.1", Host("127.0.0.1", "127.0.0.1", 24)),
        ("[::1]:2424", Host("::1", "::1", 2424)),
        ("[::1]", Host("::1", "::1", 24)),
        ("::1", Host("::1", "::1", 24)),
        ("/run/lmtp", Host("/run/lmtp", "/run/lmtp", 0)),
        ("unix:/run/lmtp", Host("/run/lmtp", "/run/lmtp", 0)),
    ],
)
def test_addresses(text: str, host: Host) -> None:
    assert parse_lmtp_address(text) == host


@pytest.mark.parametrize("text", ["", ":24", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:70000"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="not an LMTP address"):
        parse_lmtp_address(text)


async def test_a_unix_socket_and_a_reply_for_each_recipient(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello(b"PIPELINING")
        for _ in range(4):
            await peer.line()
        await peer.send(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        await peer.content()
        await peer.send(b"250 2.0.0 john\r\n452 4.2.2 bob is full\r\n")
        await peer.serve()

    server = ScriptedServer([talk])
    path = str(tmp_path / "lmtp")
    listening = await asyncio.start_unix_server(server.accept, path)
    courier = LmtpCourier(path, network=SystemNetwork(), clock=SystemClock(), settings=FAST, hostname="me.example")
    attempts = await carry(courier, work_for(JOHN, BOB))
    assert [attempt.reply.code for attempt in attempts] == [250, 452]
    assert server.lines[0] == "LHLO me.example"
    await courier.close()
    listening.close()


@pytest.mark.parametrize("wish", TlsWish)
async def test_what_a_message_asks_of_tls_ends_at_its_mailbox(tmp_path: Path, wish: TlsWish) -> None:
    """RFC 8689 is about the way from server to server; the mailbox is on the own machines, and asks for no TLS."""

    async def talk(peer: Peer) -> None:
        await peer.hello(b"PIPELINING")
        await peer.serve()

    server = ScriptedServer([talk])
    path = str(tmp_path / "lmtp")
    listening = await asyncio.start_unix_server(server.accept, path)
    courier = LmtpCourier(path, network=SystemNetwork(), clock=SystemClock(), settings=FAST, hostname="me.example")
    (attempt,) = await carry(courier, work_for(JOHN, route=Route(RouteKind.MAILBOX, JOHN, mailbox=str(JOHN)), tls=wish))
    assert attempt.reply == Reply(250, "2.0.0", "queued")
    await courier.close()
    listening.close()
