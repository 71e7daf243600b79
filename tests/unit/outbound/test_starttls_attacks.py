"""A server, or somebody before it, that spoils STARTTLS in each way, against each level: never a downgrade where TLS is asked for."""

from __future__ import annotations

import pytest

from mailwye.connectors.model import TlsSettings
from mailwye.outbound.courier import Stage
from mailwye.outbound.outcomes import judge
from mailwye.queue.item import Result
from mailwye.runtime.tls import ClientTlsContext
from tests.unit.outbound.scripted_server import Peer, Talk, carry, courier_to, route_to, scripted, work_for

REQUIRING = [one for one in TlsSettings if one is not TlsSettings.OPPORTUNISTIC]
STOLEN = b"250-evil\r\n250 SIZE\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 taken\r\n"
"""What a client that reads on would take for the answers to EHLO, MAIL, RCPT, DATA and the content."""


async def hidden(peer: Peer) -> None:
    await peer.hello(b"PIPELINING")
    await peer.serve()


def refused(reply: bytes) -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.hello(b"PIPELINING", b"STARTTLS")
        await peer.serve({b"STARTTLS": reply + b"\r\n"})

    return talk


def spoiled(answer: bytes, *, after_hello: bytes = b"") -> Talk:
    """The reply to STARTTLS, and octets where the ServerHello should be; then the end."""

    async def talk(peer: Peer) -> None:
        await peer.hello(b"STARTTLS")
        await peer.line()
        await peer.send(answer)
        if after_hello:
            await peer.reader.read(1)  # of the ClientHello
            await peer.send(after_hello)
            await peer.reader.read()

    return talk


async def early(peer: Peer) -> None:
    """The 220 is there before anybody asked."""
    await peer.send(b"220 scripted\r\n")
    await peer.line()
    await peer.send(b"250-scripted\r\n250 STARTTLS\r\n220 go\r\n" + STOLEN)
    await peer.reader.read()


STAYS_PLAIN: dict[str, Talk] = {
    "hidden": hidden,
    "454": refused(b"454 4.7.0 TLS not available due to temporary reason"),
    "500": refused(b"500 5.5.1 what?"),
    "502": refused(b"502 5.5.1 not implemented"),
    "554": refused(b"554 5.7.3 no security here"),
}
"""The connection is good for plaintext."""

BREAKS: dict[str, Talk] = {
    "closed instead of a reply": spoiled(b""),
    "421": spoiled(b"421 4.3.2 going down\r\n"),
    "closed after 220": spoiled(b"220 go\r\n"),
    "plaintext instead of a ServerHello": spoiled(b"220 go\r\n", after_hello=b"250 this is no TLS\r\n"),
    "alert": spoiled(b"220 go\r\n", after_hello=bytes.fromhex("15030300020228")),
    "half a record": spoiled(b"220 go\r\n", after_hello=bytes.fromhex("160303ffff02")),
    "zeros": spoiled(b"220 go\r\n", after_hello=bytes(4_096)),
    "replies a moment later": spoiled(b"220 go\r\n", after_hello=STOLEN),
}
"""The connection is of no use any more."""

INJECTS: dict[str, Talk] = {
    "one reply": spoiled(b"220 go\r\n250 ok\r\n"),
    "all replies": spoiled(b"220 go\r\n" + STOLEN),
    "half a line": spoiled(b"220 go\r\n2"),
    "before the 220": spoiled(b"250 ok\r\n220 go\r\n" + STOLEN),
    "before STARTTLS": early,
}
"""Plaintext where replies from inside TLS would be read (RFC 3207 section 4.2, CVE-2011-0411, CVE-2021-38371)."""


@pytest.mark.parametrize("settings", REQUIRING)
@pytest.mark.parametrize("attack", [*STAYS_PLAIN, *BREAKS, *INJECTS])
async def test_where_tls_is_asked_for_nothing_leaves(attack: str, settings: TlsSettings) -> None:
    talk = {**STAYS_PLAIN, **BREAKS, **INJECTS}[attack]
    async with scripted(talk, hidden) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for(route=route_to(settings)))
        assert judge(attempt).result is Result.DEFERRED
        assert server.connections == 1
        assert server.contents == []
        assert not any(line.startswith("MAIL") for line in server.lines)
        if attack in INJECTS:
            return  # another test
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, "4.4.317")
        assert f'connector "X" (TlsSettings {settings.value})' in attempt.reply.text


@pytest.mark.parametrize("attack", STAYS_PLAIN)
async def test_opportunistic_goes_on_in_plaintext_and_says_why(attack: str) -> None:
    async with scripted(STAYS_PLAIN[attack]) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.reply.code, attempt.tls, server.connections) == (250, "", 1)
        assert len(server.contents) == 1
        cause = "STARTTLS is not offered" if attack == "hidden" else f"STARTTLS was refused ({attack} "
        assert any(f"plaintext: {cause}" in reason for reason in attempt.reasons)


@pytest.mark.parametrize("attack", BREAKS)
async def test_opportunistic_tries_once_more_in_plaintext_and_says_why(attack: str) -> None:
    async with scripted(BREAKS[attack], refused(b"500 no")) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.reply.code, attempt.tls, server.connections) == (250, "", 2)
        assert len(server.contents) == 1
        assert server.lines.count("STARTTLS") == 1  # the second connection does not ask
        (why,) = [reason for reason in attempt.reasons if "4.4.317" in reason]
        assert "so one more connection goes without it" in why


@pytest.mark.parametrize("settings", TlsSettings)
@pytest.mark.parametrize("attack", INJECTS)
async def test_injected_replies_are_never_believed(attack: str, settings: TlsSettings) -> None:
    """Not by opportunistic TLS either: whoever injects wants to be taken for the server."""
    async with scripted(INJECTS[attack], hidden) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for(route=route_to(settings)))
        assert judge(attempt).result is Result.DEFERRED
        assert (attempt.reply.code, server.connections, server.contents) == (450, 1, [])
        assert not any(line.startswith("MAIL") for line in server.lines)
        assert "taken" not in attempt.reply.text
