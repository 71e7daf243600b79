"""The courier, its pool and its sessions against scripted servers: what works, and every way to fail."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailwye.connectors.model import TlsSettings
from mailwye.message.envelope import BodyType
from mailwye.outbound.courier import Host, Hosts, Stage
from mailwye.outbound.outcomes import judge
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.engine import QueueError
from mailwye.queue.item import Result
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext, TlsError
from mailwye.smtp.address import Address
from mailwye.smtp.client_events import ClientMode
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.reply import Reply
from mailwye.testing.authority import Authority
from tests.unit.outbound.scripted_server import (
    BOB,
    CONTENT,
    FAST,
    JOHN,
    FixedHosts,
    Peer,
    Talk,
    carry,
    courier_to,
    route_to,
    scripted,
    work_for,
)

ALL_OFFERS = (b"PIPELINING", b"CHUNKING", b"8BITMIME", b"SMTPUTF8", b"DSN", b"SIZE 1000000")


def good(*offers: bytes, replies: dict[bytes, bytes] | None = None) -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.hello(*offers)
        await peer.serve(replies)

    return talk


def says(data: bytes) -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.send(data)
        await peer.reader.read(1)

    return talk


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


def server_context(authority: Authority, name: str, *names: str, **options: object) -> ssl.SSLContext:
    pair = authority.issue(name, names, **options)  # type: ignore[arg-type]  # the options are Authority's own
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.private_key)
    return context


def encrypted(context: ssl.SSLContext) -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.hello(b"STARTTLS")
        await peer.start_tls(context)
        await peer.offer(b"PIPELINING")
        await peer.serve()

    return talk


async def test_a_server_that_wants_our_certificate_is_understood(authority: Authority) -> None:
    """With TLS 1.3 its alert comes when the handshake is over for us."""
    context = server_context(authority, "mail.contoso.com")
    context.verify_mode = ssl.CERT_REQUIRED

    async def talk(peer: Peer) -> None:
        """asyncio's own TLS would hang up without an alert."""
        await peer.hello(b"STARTTLS")
        assert await peer.line() == b"STARTTLS"
        await peer.send(b"220 go\r\n")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with suppress(ssl.SSLError):
            while octets := await peer.reader.read(65_536):
                incoming.write(octets)
                with suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                await peer.send(outgoing.read())
        await peer.send(outgoing.read())

    async with scripted(talk) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert judge(attempt).result is Result.DEFERRED
        assert "certificate required" in attempt.reply.text


async def test_a_break_of_tls_behind_the_verdict_does_not_undo_it(authority: Authority) -> None:
    """Else the message would be sent a second time."""

    async def talk(peer: Peer) -> None:
        await peer.hello(b"STARTTLS")
        await peer.start_tls(server_context(authority, "mail.contoso.com"))
        await peer.offer()
        for verb, reply in ((b"MAIL", b"250 ok"), (b"RCPT", b"250 ok"), (b"DATA", b"354 go")):
            assert (await peer.line()).startswith(verb)
            await peer.send(reply + b"\r\n")
        await peer.content()
        peer.writer.write(b"250 2.0.0 queued\r\n")
        os.write(peer.writer.get_extra_info("socket").fileno(), b"no TLS at all\r\n")  # in the same moment
        await peer.reader.read()

    async with scripted(talk) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.stage, attempt.reply) == (Stage.CONTENT, Reply(250, "2.0.0", "queued"))


@pytest.mark.parametrize("offers", [(), (b"PIPELINING",), ALL_OFFERS], ids=["lock-step", "pipelining", "chunking"])
async def test_a_message_arrives_unchanged(offers: tuple[bytes, ...]) -> None:
    async with scripted(good(*offers)) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert judge(attempt).result is Result.DELIVERED
        assert attempt.host == f"mail.contoso.com[127.0.0.1]:{server.port}"
        assert server.contents == [CONTENT if b"CHUNKING" in offers else b"Subject: x\r\n\r\n..hello\r\n.\r\n"]


async def test_each_recipient_has_his_own_attempt() -> None:
    replies = {b"RCPT TO:<BOB": b"550 5.1.1 unknown\r\n"}
    async with scripted(good(*ALL_OFFERS, replies=replies)) as server, courier_to(server.host()) as courier:
        attempts = await carry(courier, work_for(JOHN, BOB))
        assert [(a.delivery.recipient, a.stage, a.reply.code) for a in attempts] == [(JOHN, Stage.CONTENT, 250), (BOB, Stage.RCPT, 550)]
        assert attempts[0].offers_dsn


async def test_one_connection_carries_many_messages_and_quits_when_closed() -> None:
    async with scripted(good(*ALL_OFFERS)) as server:
        async with courier_to(server.host()) as courier:
            for _ in range(20):
                assert (await carry(courier, work_for()))[0].reply.code == 250
            assert server.connections == 1
        assert server.lines[-1] == "QUIT"


async def test_a_connection_does_not_last_for_ever() -> None:
    """However busy it is: policies of the domain may have changed."""
    brief = replace(FAST, connection_lifetime=1e-9)
    async with scripted(good(*ALL_OFFERS)) as server, courier_to(server.host(), settings=brief) as courier:
        for _ in range(3):
            assert (await carry(courier, work_for()))[0].reply.code == 250
        assert server.connections == 3


async def test_connections_grow_with_the_work_up_to_the_limit() -> None:
    gate = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hello()
        await peer.line()
        await gate.wait()
        await peer.send(b"250 ok\r\n")
        await peer.serve()

    async with scripted(talk) as server, courier_to(server.host(), settings=replace(FAST, connections_per_destination=3)) as courier:
        tickets = [courier.deliver(work_for()) for _ in range(10)]
        await server.until(lambda: server.connections == 3)
        gate.set()
        attempts = await asyncio.gather(*tickets)
        assert {attempt.reply.code for (attempt,) in attempts} == {250}
        assert server.connections == 3


async def test_a_worn_out_connection_is_replaced() -> None:
    settings = replace(FAST, messages_per_connection=2)
    async with scripted(good(b"PIPELINING")) as server, courier_to(server.host(), settings=settings) as courier:
        for _ in range(5):
            assert (await carry(courier, work_for()))[0].reply.code == 250
        assert server.connections == 3


async def test_an_idle_connection_says_quit() -> None:
    settings = replace(FAST, connection_idle=0.02)
    async with scripted(good(b"PIPELINING")) as server, courier_to(server.host(), settings=settings) as courier:
        await carry(courier, work_for())
        await server.until(lambda: server.lines[-1] == "QUIT")


async def test_refused_connections_defer_with_exchanges_code() -> None:
    async with scripted(good()) as server:
        dead = server.host()
    async with courier_to(dead) as courier:
        first, second = await asyncio.gather(courier.deliver(work_for()), courier.deliver(work_for()))
    for attempt in (*first, *second):
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.CONNECT, 450, "4.4.316")
        assert attempt.host == str(dead)
        assert judge(attempt).result is Result.DEFERRED


@pytest.mark.parametrize(
    ("talk", "code", "enhanced"),
    [
        (says(b""), 450, "4.4.315"),
        (says(b"HTTP/1.1 400 Bad Request\r\n"), 450, "4.5.0"),
        (says(b"220-" + b"x" * 1000 + b"\r\n" + b"220-yy\r\n" * 130_000), 450, "4.5.0"),
        (says(b"554 5.7.1 go away\r\n"), 554, "5.7.1"),
        (says(b"421 4.3.2 busy\r\n"), 421, "4.3.2"),
    ],
    ids=["silent", "http", "a megabyte", "554", "421"],
)
async def test_a_host_that_cannot_be_used_defers_and_the_next_one_is_tried(talk: Talk, code: int, enhanced: str) -> None:
    settings = replace(FAST, command_timeout=0.1) if enhanced == "4.4.315" else FAST
    async with scripted(talk) as bad, courier_to(bad.host(), settings=settings) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.reply.code, attempt.reply.enhanced) == (code, enhanced)
        assert judge(attempt).result is Result.DEFERRED
        assert attempt.reasons
    async with (
        scripted(talk) as bad,
        scripted(good()) as second,
        courier_to(bad.host(), second.host("b.example"), settings=settings) as courier,
    ):
        (attempt,) = await carry(courier, work_for())
        assert attempt.reply.code == 250
        assert any(str(bad.host()) in reason for reason in attempt.reasons)


async def test_no_host_gives_the_resolvers_reply() -> None:
    failure = Hosts(failure=Reply(556, "5.1.10", "null MX"))
    async with courier_to(answer=failure) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.stage, attempt.reply.code) == (Stage.RESOLVE, 556)
        assert judge(attempt).result is Result.FAILED


@pytest.mark.parametrize("after", [b"MAIL", b"RCPT", b"DATA", b"."])
async def test_a_dropped_connection_defers_at_every_place(after: bytes) -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello()
        for verb in (b"MAIL", b"RCPT", b"DATA"):
            assert (await peer.line()).startswith(verb)
            if verb == after:
                return
            await peer.send(b"354 go\r\n" if verb == b"DATA" else b"250 ok\r\n")
        await peer.content()

    async with scripted(talk) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert attempt.reply.enhanced == "4.4.318"
        assert judge(attempt).result is Result.DEFERRED
        assert server.connections == 1


async def test_421_after_rcpt_defers_every_recipient() -> None:
    replies = {b"RCPT TO:<BOB": b"421 4.3.2 shutting down\r\n"}
    async with scripted(good(replies=replies)) as server, courier_to(server.host()) as courier:
        attempts = await carry(courier, work_for(JOHN, BOB))
        assert [attempt.reply.code for attempt in attempts] == [421, 421]


@pytest.mark.parametrize("farewell", [b"", b"421 4.7.0 enough messages for one connection\r\n"])
async def test_a_kept_connection_that_ended_is_replaced_at_once(farewell: bytes) -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello()
        await peer.serve(messages=1)
        await peer.line()  # MAIL of the second message
        await peer.send(farewell)

    async with scripted(talk, good()) as server, courier_to(server.host()) as courier:
        await carry(courier, work_for())
        (attempt,) = await carry(courier, work_for())
        assert attempt.reply.code == 250
        assert server.connections == 2


async def test_an_answer_that_never_comes_defers_after_the_deadline() -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello()
        await peer.line()
        await peer.reader.read()

    async with scripted(talk) as server, courier_to(server.host(), settings=replace(FAST, command_timeout=0.1)) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.stage, attempt.reply.enhanced) == (Stage.MAIL, "4.4.315")


async def test_cancelling_gives_up_the_connection() -> None:
    arrived = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hello()
        await peer.line()
        arrived.set()
        await peer.reader.read()

    async with scripted(talk, good()) as server, courier_to(server.host()) as courier:
        ticket = asyncio.ensure_future(courier.deliver(work_for()))
        await arrived.wait()
        ticket.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ticket
        assert (await carry(courier, work_for()))[0].reply.code == 250
        assert server.connections == 2


async def test_a_closed_courier_takes_nothing() -> None:
    async with scripted(good()) as server, courier_to(server.host()) as courier:
        await courier.close()
        (attempt,) = await carry(courier, work_for())
        assert judge(attempt).result is Result.DEFERRED


# TLS


async def test_starttls_is_used_where_it_is_offered(authority: Authority) -> None:
    context = server_context(authority, "stranger", "other.example", self_signed=True)
    async with scripted(encrypted(context)) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        for _ in range(3):
            (attempt,) = await carry(courier, work_for())
            assert attempt.reply.code == 250
            assert attempt.tls.startswith("TLSv1.3 with ")
        assert server.connections == 1


@pytest.mark.parametrize("settings", [TlsSettings.ENCRYPTION_ONLY, TlsSettings.CERTIFICATE_VALIDATION, TlsSettings.DOMAIN_VALIDATION])
@pytest.mark.parametrize("stripped", [True, False], ids=["hidden", "refused"])
async def test_required_tls_that_is_missing_defers_and_never_goes_in_plaintext(settings: TlsSettings, stripped: bool) -> None:
    talk = good() if stripped else good(b"STARTTLS", replies={b"STARTTLS": b"454 4.7.0 not now\r\n"})
    async with scripted(talk) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for(route=route_to(settings)))
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, "4.4.317")
        assert f'connector "X" (TlsSettings {settings.value})' in attempt.reply.text
        assert judge(attempt).result is Result.DEFERRED
        assert not any(line.startswith("MAIL") for line in server.lines)


async def test_opportunistic_tls_that_is_refused_goes_in_plaintext_and_says_so() -> None:
    replies = {b"STARTTLS": b"454 4.7.0 not now\r\n"}
    async with scripted(good(b"STARTTLS", replies=replies)) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert attempt.reply.code == 250
        assert any("plaintext" in reason for reason in attempt.reasons)


async def broken_handshake(peer: Peer) -> None:
    await peer.hello(b"STARTTLS")
    await peer.line()
    await peer.send(b"220 go\r\n")
    await peer.reader.read(1)
    await peer.send(b"this is no TLS record\r\n")


async def test_a_broken_handshake_is_tried_once_more_in_plaintext_only_where_that_is_allowed() -> None:
    async with scripted(broken_handshake, good(b"STARTTLS")) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert attempt.reply.code == 250
        assert server.connections == 2
        assert any("TLS" in reason and "4.4.317" in reason for reason in attempt.reasons)
    async with scripted(broken_handshake, good(b"STARTTLS")) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for(route=route_to(TlsSettings.ENCRYPTION_ONLY)))
        assert (attempt.stage, attempt.reply.enhanced) == (Stage.TLS, "4.4.317")
        assert server.connections == 1


@pytest.mark.parametrize("settings", [TlsSettings.OPPORTUNISTIC, TlsSettings.ENCRYPTION_ONLY])
async def test_plaintext_injected_behind_starttls_defers(settings: TlsSettings) -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello(b"STARTTLS")
        await peer.line()
        await peer.send(b"220 go\r\n250 evil\r\n")
        await peer.reader.read()

    async with scripted(talk) as server, courier_to(server.host(), tls=ClientTlsContext()) as courier:
        (attempt,) = await carry(courier, work_for(route=route_to(settings)))
        assert (attempt.stage, attempt.reply.code) == (Stage.TLS, 450)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("names", "options", "settings", "tls_domain", "missing"),
    [
        (["mail.contoso.com"], {}, TlsSettings.CERTIFICATE_VALIDATION, "", ""),
        (["other.example"], {}, TlsSettings.CERTIFICATE_VALIDATION, "", ""),
        (["mail.contoso.com"], {"self_signed": True}, TlsSettings.CERTIFICATE_VALIDATION, "", "not trusted"),
        (["mail.contoso.com"], {"ends_in_days": -0.5}, TlsSettings.CERTIFICATE_VALIDATION, "", "expired"),
        (["mail.contoso.com"], {"starts_in_days": 1}, TlsSettings.CERTIFICATE_VALIDATION, "", "not valid before"),
        (["mail.contoso.com"], {}, TlsSettings.DOMAIN_VALIDATION, "", ""),
        (["*.contoso.com"], {}, TlsSettings.DOMAIN_VALIDATION, "mail.contoso.com", ""),
        (["*.contoso.com"], {}, TlsSettings.DOMAIN_VALIDATION, "*.contoso.com", ""),
        (["contoso.com"], {}, TlsSettings.DOMAIN_VALIDATION, "*.contoso.com", "presented contoso.com"),
        (["a.mail.contoso.com", "evil.example"], {}, TlsSettings.DOMAIN_VALIDATION, "", "presented a.mail.contoso.com, evil.example"),
        (["evil.example"], {"common_name": "mail.contoso.com"}, TlsSettings.DOMAIN_VALIDATION, "", "expected name mail.contoso.com"),
    ],
)
async def test_certificates(
    authority: Authority,
    tmp_path: Path,
    names: list[str],
    options: dict[str, object],
    settings: TlsSettings,
    tls_domain: str,
    missing: str,
) -> None:
    context = server_context(authority, tmp_path.name, *names, **options)
    tls = ClientTlsContext(trusted_authorities=(str(authority.certificate),))
    async with scripted(encrypted(context)) as server, courier_to(server.host(), tls=tls) as courier:
        (attempt,) = await carry(courier, work_for(route=route_to(settings, tls_domain)))
        if missing:
            assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, "4.7.320")
            assert missing in attempt.reply.text
            assert f"TlsSettings {settings.value}" in attempt.reply.text
        else:
            assert attempt.reply.code == 250
        assert any(line.startswith("MAIL") for line in server.lines) is not bool(missing)


async def test_a_server_that_wants_tls_after_all_does_not_bounce_the_message() -> None:
    replies = {b"MAIL": b"530 5.7.0 Must issue a STARTTLS command first\r\n"}
    async with scripted(good(replies=replies)) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert judge(attempt).result is Result.DEFERRED


async def test_a_missing_client_certificate_defers() -> None:
    def no_certificate(name: str) -> ClientTlsContext:
        raise TlsError("no such file: x.pem")

    courier = SmtpCourier(
        network=SystemNetwork(),
        resolver=FixedHosts(),
        tls_contexts=no_certificate,
        clock=SystemClock(),
        settings=FAST,
        hostname="me.example",
    )
    (attempt,) = await carry(courier, work_for())
    assert (attempt.stage, judge(attempt).result) == (Stage.TLS, Result.DEFERRED)
    assert "x.pem" in attempt.reply.text


# What does not fit the hop


async def test_eight_bit_content_is_converted_only_where_it_must_be() -> None:
    content = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa4\r\n"
    for offers, body in (((b"8BITMIME",), " BODY=8BITMIME"), ((b"PIPELINING",), "")):
        async with scripted(good(*offers)) as server, courier_to(server.host()) as courier:
            (attempt,) = await carry(courier, work_for(content=content, body=BodyType.EIGHT_BIT_MIME, requires_8bit=True))
            assert attempt.reply.code == 250
            assert server.lines[1] == f"MAIL FROM:<sun@example.org>{body}"
            assert server.contents[0].isascii() is (not body)
            assert any("quoted-printable" in reason for reason in attempt.reasons) is (not body)


async def test_signed_content_that_would_have_to_change_is_returned() -> None:
    content = b"Content-Type: multipart/signed; boundary=q\r\n\r\n--q\r\n\r\n\xe4\r\n--q\r\n\r\nx\r\n--q--\r\n"
    async with scripted(good()) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for(content=content, requires_8bit=True))
        assert (attempt.reply.code, attempt.reply.enhanced) == (554, "5.6.3")
        assert judge(attempt).result is Result.FAILED
        assert (await carry(courier, work_for()))[0].reply.code == 250
        assert server.connections == 1


async def test_smtputf8_that_the_hop_lacks() -> None:
    jose = Address("josé", "contoso.com")
    async with scripted(good()) as server, courier_to(server.host()) as courier:
        john, other = await carry(courier, work_for(JOHN, jose, smtputf8=True))
        assert (john.reply.code, other.reply.code, other.reply.enhanced) == (250, 550, "5.6.7")
        (attempt,) = await carry(courier, work_for(JOHN, sender=jose, smtputf8=True))
        assert attempt.reply.enhanced == "5.6.7"
        utf8_header = "Subject: ä\r\n\r\nx\r\n".encode()
        (attempt,) = await carry(courier, work_for(JOHN, content=utf8_header, smtputf8=True, requires_8bit=True))
        assert attempt.reply.enhanced == "5.6.7"
    async with scripted(good(*ALL_OFFERS)) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for(jose, smtputf8=True))
        assert attempt.reply.code == 250
        assert server.lines[1:3] == [f"MAIL FROM:<sun@example.org> SIZE={len(CONTENT)} SMTPUTF8", "RCPT TO:<josé@contoso.com>"]


async def test_a_message_above_the_announced_size_is_returned_unsent() -> None:
    async with scripted(good(b"SIZE 10")) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert (attempt.reply.code, attempt.reply.enhanced) == (552, "5.3.4")
        assert not server.contents


class Stored:
    """Content that is not at hand; fails after `good` pieces."""

    inline = None

    def __init__(self, piece: bytes, pieces: int, *, good_pieces: int | None = None) -> None:
        self.piece, self.pieces = piece, pieces
        self.good = pieces if good_pieces is None else good_pieces
        self.passes = 0

    @property
    def size(self) -> int:
        return len(self.piece) * self.pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        self.passes += 1
        for number in range(self.pieces):
            if self.passes > 1 and number >= self.good:
                raise QueueError("disk error")
            yield self.piece


@pytest.mark.parametrize("offers", [(), ALL_OFFERS])
async def test_stored_content_is_streamed(offers: tuple[bytes, ...]) -> None:
    stored = Stored(b".line of text\r\n" * 4000, 5)
    async with scripted(good(*offers)) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for(content=stored))
        assert attempt.reply.code == 250
        assert server.contents == [stored.piece.replace(b".line", b"..line") * 5 + b".\r\n"]


class Slow(Stored):
    """Content that the disk gives when it is `ready`."""

    def __init__(self) -> None:
        super().__init__(b"line of text\r\n", 2)
        self.ready = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        await self.ready.wait()
        async for piece in super().chunks():
            yield piece


async def test_a_slow_disk_does_not_make_the_timer_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that takes longer to read than a connection may be idle: the session looks again after as long, not each millisecond."""
    slow, loop, pauses = Slow(), asyncio.get_running_loop(), list[float]()
    call_later = loop.call_later

    def recording(delay: float, callback: Any, *arguments: Any, **more: Any) -> asyncio.TimerHandle:
        if getattr(callback, "__name__", "") == "_tick":
            pauses.append(delay)
            if len(pauses) > 4:
                slow.ready.set()
        return call_later(delay, callback, *arguments, **more)

    monkeypatch.setattr(loop, "call_later", recording)
    async with scripted(good()) as server, courier_to(server.host(), settings=replace(FAST, connection_idle=0.01)) as courier:
        (attempt,) = await carry(courier, work_for(content=slow))
        assert attempt.reply.code == 250
    assert len(pauses) > 4
    assert min(pauses) > 0.005


async def test_half_a_message_never_gets_its_final_dot() -> None:
    stored = Stored(b"line of text\r\n" * 4000, 5, good_pieces=2)
    async with scripted(good(), good()) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for(content=stored))
        assert (attempt.reply.code, attempt.reply.enhanced) == (451, "4.3.0")
        assert not server.contents
        assert (await carry(courier, work_for()))[0].reply.code == 250


@pytest.mark.parametrize("stored", [False, True])
async def test_a_message_that_breaks_our_code_ends_alone(stored: bool) -> None:
    evil = Address("a>\r\nRCPT TO:<x", "y.example")
    content = Stored(b"line\r\n", 2) if stored else CONTENT
    async with scripted(good(b"PIPELINING")) as server, courier_to(server.host()) as courier:
        tickets = [courier.deliver(work_for()), courier.deliver(work_for(sender=evil, content=content)), courier.deliver(work_for())]
        results = await asyncio.gather(*tickets, return_exceptions=True)
        assert isinstance(results[1], LocalProtocolError)
        assert [type(result) for result in results] == [list, LocalProtocolError, list]
        assert not any(line.partition("<")[2].partition("@")[0] == "x" for line in server.lines)


async def test_lmtp() -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello(b"PIPELINING")
        for verb in (b"MAIL", b"RCPT", b"RCPT", b"DATA"):
            assert (await peer.line()).startswith(verb)
        await peer.send(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        await peer.content()
        await peer.send(b"250 2.0.0 john\r\n552 5.2.2 bob is full\r\n")
        await peer.serve()

    async with scripted(talk) as server, courier_to(server.host(), mode=ClientMode.LMTP) as courier:
        attempts = await carry(courier, work_for(JOHN, BOB))
        assert [attempt.reply.code for attempt in attempts] == [250, 552]
        assert server.lines[0] == "LHLO me.example"


async def test_a_changed_connector_gets_new_connections() -> None:
    async with scripted(good()) as server, courier_to(server.host()) as courier:
        await carry(courier, work_for())
        (attempt,) = await carry(courier, work_for(route=route_to(TlsSettings.ENCRYPTION_ONLY)))
        assert attempt.stage is Stage.TLS
        assert server.connections == 2


def test_hosts_read_well() -> None:
    assert str(Host("mail.contoso.com", "192.0.2.1", 25)) == "mail.contoso.com[192.0.2.1]:25"
