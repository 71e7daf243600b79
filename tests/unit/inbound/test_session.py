"""The driver: TLS, AUTH, PROXY header, deadlines, limits, shutdown. Dialogues run over a fake transport."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.inbound.dialogue import FAILED_LOGIN_DELAY
from mailwye.inbound.session import CLOSING_TIME
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext, TlsLayer
from mailwye.trace.event import EventKind
from tests.unit.inbound.world import HOSTNAME, OWN_SERVER, STRANGER, FakeTransport, Peer, TimeLoop, World, contoso, pass_time, settle
from tests.unit.runtime.tls_pki import Issued, issue, trust

OUR_SERVERS = InboundConnector(
    "From our servers",
    connector_type=ConnectorType.ON_PREMISES,
    require_tls=True,
    tls_sender_certificate_name="*.contoso.com",
    cloud_services_mail_enabled=True,
)


class Certificates:
    """An authority, the server's context, and contexts for clients."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = issue("Test root", authority=True)
        self.trusted = trust(directory, self.root)
        certificate, key = issue(HOSTNAME, issuer=self.root, names=(HOSTNAME,)).write(directory, "mx")
        self.server = ServerTlsContext(certificate=certificate, private_key=key, trusted_authorities=self.trusted)

    def client(self, issued: Issued | None = None) -> ClientTlsContext:
        if issued is None:
            return ClientTlsContext(trusted_authorities=self.trusted)
        certificate, key = issued.write(self.directory, "client")
        return ClientTlsContext(certificate=certificate, private_key=key, trusted_authorities=self.trusted)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class TlsPeer:
    """The far side inside TLS."""

    def __init__(self, peer: Peer, context: ClientTlsContext) -> None:
        self.peer = peer
        self.tls = TlsLayer(context)
        self.tls.start()
        self.plain = b""
        for _ in range(4):
            self._exchange()
        assert self.tls.handshake_complete

    def _exchange(self) -> None:
        data = self.tls.data_to_send()
        if data:
            self.peer.session.data_received(data)
        self.take()

    def take(self) -> None:
        written = bytes(self.peer.transport.written[self.peer.read :])
        self.peer.read = len(self.peer.transport.written)
        self.plain += self.tls.receive_data(written)

    def send(self, *lines: str) -> str:
        self.tls.send("".join(f"{line}\r\n" for line in lines).encode())
        self._exchange()
        return self.heard()

    def heard(self) -> str:
        self.take()
        plain, self.plain = self.plain, b""
        return plain.decode().removesuffix("\r\n").replace("\r\n", "\n")


def secure(peer: Peer, context: ClientTlsContext) -> TlsPeer:
    assert "STARTTLS" in peer.hello()
    assert peer.send("STARTTLS").startswith("220 2.0.0 ")
    return TlsPeer(peer, context)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run in a loop whose time the test moves on."""
    with asyncio.Runner(loop_factory=TimeLoop) as runner:
        runner.run(main)


# --- TLS


async def test_starttls_forgets_what_was_learnt_in_the_clear(certificates: Certificates) -> None:
    """W6."""
    world = World(tls=certificates.server)
    peer = world.connect()
    peer.heard()
    inside = secure(peer, certificates.client())
    assert inside.send("MAIL FROM:<x@elsewhere.example>").startswith("503")
    offered = inside.send("EHLO other.example")
    assert "STARTTLS" not in offered
    assert inside.send("STARTTLS").startswith("503")
    assert inside.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "DATA").endswith(
        "354 End data with <CR><LF>.<CR><LF>"
    )
    assert inside.send("", "x", ".").startswith("250")
    (row,) = await world.queued()
    content = await world.content(row)
    assert b"from other.example" in content
    assert b"with ESMTPS (TLSv1.3 TLS_" in content


async def test_starttls_with_commands_behind_it_never_runs_them(certificates: Certificates) -> None:
    """W4."""
    world = World(tls=certificates.server)
    peer = world.greeted()
    peer.send_octets(b"STARTTLS\r\nNOOP\r\nMAIL FROM:<x@elsewhere.example>\r\n")
    await settle()
    assert b"250 2.1.0" not in peer.transport.written
    assert await world.queued() == []


async def test_without_certificate_no_starttls_is_offered() -> None:
    peer = World().connect()
    peer.heard()
    assert "STARTTLS" not in peer.hello()
    assert peer.send("STARTTLS").startswith("50")


async def test_renewed_certificate_serves_new_connections(certificates: Certificates) -> None:
    world = World()
    before = world.connect()
    world.context.tls.current = certificates.server
    after = world.connect()
    before.heard()
    after.heard()
    assert "STARTTLS" not in before.hello()
    secure(after, certificates.client())


async def test_strangers_certificate_makes_him_anonymous_and_the_reason_is_recorded(certificates: Certificates) -> None:
    """C4."""
    world = World(contoso(OUR_SERVERS), tls=certificates.server)
    peer = world.connect()
    peer.heard()
    inside = secure(peer, certificates.client(issue("mail.contoso.com", names=("mail.contoso.com",))))
    inside.send("EHLO mail.contoso.com")
    inside.send("MAIL FROM:<x@elsewhere.example>")
    assert "5.7.64" in inside.send("RCPT TO:<sun@customer.example>")
    assert inside.send("RCPT TO:<bob@contoso.com>").startswith("250")
    inside.send("DATA")
    assert inside.send("X-MS-Exchange-Organization-SCL: -1", "", "x", ".").startswith("250")
    (row,) = await world.queued()
    assert row.message.origin.caller_kind == "anonymous"
    assert b"Organization" not in await world.content(row)
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data["certificate_verdict"] == "self-signed certificate"
    assert event.data["certificate"] == "CN=mail.contoso.com"


async def test_certificate_identifies_the_own_server(certificates: Certificates) -> None:
    world = World(contoso(OUR_SERVERS), tls=certificates.server)
    peer = world.connect(OWN_SERVER)
    peer.heard()
    inside = secure(peer, certificates.client(issue("mail.contoso.com", issuer=certificates.root, names=("mail.contoso.com",))))
    inside.send("EHLO mail.contoso.com")
    inside.send("MAIL FROM:<>")
    assert inside.send("RCPT TO:<sun@customer.example>").startswith("250"), "null sender needs the certificate's proof, and has it"
    inside.send("DATA")
    inside.send("X-MS-Exchange-Organization-SCL: -1", "X-MS-Exchange-CrossPremises-AuthAs: Internal", "", "x", ".")
    (row,) = await world.queued()
    assert (row.message.origin.caller_kind, row.message.origin.connector) == ("connector", "From our servers")
    content = await world.content(row)
    assert b"X-MS-Exchange-Organization-SCL: -1\r\n" in content
    assert b"X-MS-Exchange-Organization-AuthAs: Internal\r\n" in content


async def test_broken_handshake_closes_and_is_traced(certificates: Certificates) -> None:
    world = World(tls=certificates.server)
    peer = world.greeted()
    peer.send("STARTTLS")
    peer.session.data_received(b"MAIL FROM:<x@elsewhere.example>\r\n" * 5)
    assert peer.transport.closed
    assert peer.heard() == ""
    (event,) = world.trace.of(EventKind.CONNECT)
    assert event.reasons[0].startswith("the TLS handshake failed")
    assert event.session
    await settle()
    assert world.listener.sessions == 0


async def test_quit_in_tls_ends_with_close_notify(certificates: Certificates) -> None:
    world = World(tls=certificates.server)
    peer = world.connect()
    peer.heard()
    inside = secure(peer, certificates.client())
    assert inside.send("QUIT").startswith("221")
    assert inside.tls.peer_closed
    assert peer.transport.closed


async def test_close_notify_of_the_peer_ends_the_session(certificates: Certificates) -> None:
    world = World(tls=certificates.server)
    peer = world.connect()
    peer.heard()
    inside = secure(peer, certificates.client())
    inside.tls.close()
    peer.session.data_received(inside.tls.data_to_send())
    await settle()
    assert world.listener.sessions == 0


async def test_submissions_is_tls_from_the_first_octet(certificates: Certificates) -> None:
    world = World(kind="submissions", tls=certificates.server)
    peer = world.connect()
    assert peer.transport.written == b""
    inside = TlsPeer(peer, certificates.client())
    assert inside.heard() == f"220 {HOSTNAME} ESMTP Mailwye"
    offered = inside.send("EHLO x.example")
    assert "AUTH" in offered
    assert "STARTTLS" not in offered


# --- AUTH


def plain(username: str, password: str, identity: str = "") -> str:
    return "AUTH PLAIN " + base64.b64encode(f"{identity}\0{username}\0{password}".encode()).decode()


async def test_auth_only_under_tls(certificates: Certificates) -> None:
    world = World(kind="submission", tls=certificates.server)
    peer = world.connect()
    peer.heard()
    assert "AUTH" not in peer.hello()
    assert peer.send(plain("bob", "secret")).startswith(("5", "4"))
    assert peer.send("MAIL FROM:<bob@contoso.com>").startswith("530 5.7.0")
    inside = secure(peer, certificates.client())
    assert "AUTH" in inside.send("EHLO x.example")
    assert inside.send("MAIL FROM:<bob@contoso.com>").startswith("530 5.7.0")
    assert inside.send(plain("bob", "secret")) == ""
    await settle()
    assert inside.heard().startswith("235 2.7.0")
    assert inside.send("MAIL FROM:<sun@customer.example>").startswith("5"), "only addresses that he owns"
    inside.send("MAIL FROM:<robert@contoso.com>", "RCPT TO:<sun@customer.example>", "DATA")
    assert inside.send("Subject: x", "", "y", ".").startswith("250")
    (row,) = await world.queued()
    assert (row.message.origin.caller_kind, row.message.origin.authenticated) == ("mailbox", "bob@contoso.com")
    content = await world.content(row)
    assert b"with ESMTPSA" in content
    assert b"\r\nDate: " in content
    assert f"\r\nMessage-ID: <{row.message.id}@{HOSTNAME}>\r\n".encode() in content
    assert row.message.message_id == f"<{row.message.id}@{HOSTNAME}>"


async def test_auth_is_not_offered_on_the_mx_listener(certificates: Certificates) -> None:
    peer = World(tls=certificates.server).connect()
    peer.heard()
    assert "AUTH" not in secure(peer, certificates.client()).send("EHLO x.example")


def test_failed_logins_are_slow_counted_and_then_refused(certificates: Certificates) -> None:
    """V3."""

    async def main() -> None:
        world = World(kind="submission", tls=certificates.server, limits=InboundLimits(failed_logins_per_address=2))
        peer = world.connect()
        peer.heard()
        inside = secure(peer, certificates.client())
        inside.send("EHLO x.example")
        for _ in range(2):
            inside.send(plain("bob", "wrong"))
            await settle()
            assert inside.heard() == "", "the answer takes its time"
            await pass_time(FAILED_LOGIN_DELAY)
            assert inside.heard().startswith("535 5.7.8")
        assert inside.send(plain("bob", "secret")).startswith("454 4.7.0")
        assert world.connect().heard().startswith("421 4.7.0 Too many failed logins")
        assert world.connect("192.0.2.99").heard().startswith("220")

    run(main())


async def test_password_store_that_does_not_answer_is_neither_yes_nor_no(certificates: Certificates) -> None:
    world = World(kind="submission", tls=certificates.server)
    peer = world.connect()
    peer.heard()
    inside = secure(peer, certificates.client())
    inside.send("EHLO x.example")
    inside.send(plain("unreachable", "secret"))
    await settle()
    assert inside.heard().startswith("454 4.7.0")
    assert inside.send(plain("bob", "secret", identity="john")).startswith("535")


def test_connection_lost_while_a_password_is_checked(certificates: Certificates) -> None:
    async def main() -> None:
        world = World(kind="submission", tls=certificates.server)
        peer = world.connect()
        peer.heard()
        inside = secure(peer, certificates.client())
        inside.send("EHLO x.example")
        inside.send(plain("bob", "wrong"))
        peer.lose()
        await settle()
        await pass_time(10)
        assert world.listener.sessions == 0

    run(main())


# --- PROXY header

V1 = b"PROXY TCP4 203.0.113.5 192.0.2.1 56324 25\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 5, 192, 0, 2, 1]) + b"\xdc\x04\x00\x19"


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("step", [1, 100])
async def test_declared_proxy_tells_the_peer(header: bytes, step: int) -> None:
    world = World(proxies=("10.0.0.0/8",))
    peer = world.connect("10.0.0.1")
    assert peer.heard() == "", "no greeting before the header"
    for i in range(0, len(header), step):
        peer.session.data_received(header[i : i + step])
    assert peer.heard().startswith("220")
    peer.hello()
    peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<nobody@contoso.com>")
    (event,) = world.trace.of(EventKind.REJECT)
    assert event.data["peer_address"] == "203.0.113.5"
    peer.lose()
    assert world.context.admission.connections == 0


async def test_undeclared_peer_cannot_pretend() -> None:
    """W24."""
    world = World(
        contoso(replace(OUR_SERVERS, sender_ip_addresses=("203.0.113.5/32",), tls_sender_certificate_name="")), proxies=("10.0.0.0/8",)
    )
    peer = world.greeted()
    assert peer.send_octets(V1).startswith("5")
    peer.send("MAIL FROM:<john@contoso.com>")
    assert peer.send("RCPT TO:<sun@customer.example>").startswith("550")
    assert world.trace.of(EventKind.REJECT)[0].data["peer_address"] == STRANGER


async def test_declared_proxy_must_send_its_header() -> None:
    world = World(proxies=("10.0.0.0/8",))
    peer = world.connect("10.0.0.1")
    peer.send("EHLO x.example")
    assert peer.transport.closed
    assert peer.transport.written == b""
    (event,) = world.trace.of(EventKind.CONNECT)
    assert event.data["peer_address"] == "10.0.0.1"


async def test_proxy_that_speaks_for_itself_keeps_its_address() -> None:
    """A health check: PROXY UNKNOWN, or LOCAL in version 2; the client's octets right behind the header are not lost."""
    world = World(proxies=("10.0.0.0/8",))
    peer = world.connect("10.0.0.1")
    assert peer.send_octets(b"PROXY UNKNOWN\r\n").startswith("220")
    assert peer.send("QUIT").startswith("221")
    await settle()
    assert world.listener.sessions == 0


def test_proxy_without_header_is_cut_off() -> None:
    async def main() -> None:
        world = World(proxies=("10.0.0.0/8",))
        peer = world.connect("10.0.0.1")
        peer.session.data_received(b"PRO")
        assert world.listener.sessions == 1
        await pass_time(31)
        assert peer.aborted()
        await settle()
        assert world.listener.sessions == 0
        (event,) = world.trace.of(EventKind.CONNECT)
        assert event.reasons == ("no PROXY header within 30 seconds",)

    run(main())


async def test_limits_count_the_address_behind_the_proxy() -> None:
    world = World(proxies=("10.0.0.0/8",), limits=InboundLimits(connections_per_address=1))
    first, second, other = (world.connect("10.0.0.1") for _ in range(3))
    assert first.send_octets(V1).startswith("220")
    assert second.send_octets(V1).startswith("421 4.7.0")
    assert other.send_octets(V1.replace(b"203.0.113.5", b"203.0.113.6")).startswith("220")


# --- limits and deadlines


@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8",)])
async def test_peer_that_is_gone_before_we_look(proxies: tuple[str, ...]) -> None:
    """V2: a connection that was reset between accept and getpeername."""
    world = World(proxies=proxies)
    session = world.listener.session()
    transport = FakeTransport(None)
    transport.protocol = session
    session.connection_made(transport)
    session.data_received(b"EHLO x.example\r\n")
    await settle()
    assert transport.aborted
    assert transport.written == b""
    assert (world.listener.sessions, world.context.admission.connections) == (0, 0)


async def test_connection_limit_is_told_and_freed() -> None:
    world = World(limits=InboundLimits(connections_per_address=1))
    first = world.greeted()
    second = world.connect()
    assert second.heard() == "421 4.7.0 Too many connections from your address, close some or try again later"
    assert second.transport.closed
    await settle()
    first.lose()
    assert world.greeted().transport.closed is False
    assert world.context.admission.connections == 1


def test_silent_client_is_cut_off() -> None:
    """V1."""

    async def main() -> None:
        world = World(limits=InboundLimits(command_timeout=300))
        peer = world.greeted()
        await pass_time(200)
        peer.send("NOOP")
        await pass_time(200)
        assert not peer.transport.closed
        peer.heard()
        await pass_time(101)
        assert peer.heard().startswith("421 4.4.2")
        await settle()
        assert world.listener.sessions == 0
        assert world.context.admission.connections == 0

    run(main())


def test_silent_content_is_cut_off_and_forgotten() -> None:
    async def main() -> None:
        world = World()
        peer = world.greeted()
        peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "DATA")
        peer.send("Subject: x", "", "half")
        await pass_time(1000)
        assert peer.heard().startswith("421 4.4.2")
        assert await world.queued() == []

    run(main())


def test_slow_handshake_is_cut_off(certificates: Certificates) -> None:
    async def main() -> None:
        world = World(tls=certificates.server)
        peer = world.greeted()
        peer.send("STARTTLS")
        client = TlsLayer(certificates.client())
        client.start()
        hello = client.data_to_send()
        for i in range(20):
            peer.session.data_received(hello[i : i + 1])
            await pass_time(2)
        assert peer.transport.closed
        await settle()
        assert world.listener.sessions == 0

    run(main())


def test_peer_that_takes_no_octets_is_cut_off() -> None:
    async def main() -> None:
        world = World()
        peer = world.connect(stuck=True)
        peer.send("QUIT")
        assert peer.transport.closed
        assert not peer.aborted()
        await pass_time(CLOSING_TIME + 1)
        assert peer.aborted()
        await settle()
        assert world.listener.sessions == 0

    run(main())


async def test_full_write_buffer_stops_reading() -> None:
    peer = World().greeted()
    peer.session.pause_writing()
    assert not peer.reads()
    peer.session.resume_writing()
    assert peer.reads()


async def test_one_write_per_burst() -> None:
    peer = World().greeted()
    before = peer.transport.writes
    peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "RCPT TO:<nobody@contoso.com>", "DATA")
    assert peer.transport.writes == before + 1


# --- shutdown


async def test_shutdown_tells_idle_sessions_and_lets_content_finish() -> None:
    world = World()
    idle, busy = world.greeted(), world.greeted("192.0.2.78")
    busy.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "DATA")
    busy.send("Subject: x", "")
    draining = asyncio.ensure_future(world.listener.drain(5))
    await settle()
    assert idle.heard().startswith("421 4.3.2")
    assert idle.transport.closed
    assert not draining.done()
    reply = busy.send("text", ".")
    assert reply.startswith("250 2.0.0 Ok: queued as")
    assert reply.split("\n")[1].startswith("421 4.3.2")
    assert await draining == 0
    assert len(await world.queued()) == 1


async def test_shutdown_cuts_what_does_not_end() -> None:
    world = World()
    busy = world.greeted()
    busy.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "DATA")
    assert await world.listener.drain(0.01) == 1
    assert busy.aborted()
    await settle()
    assert world.listener.sessions == 0
    assert await world.queued() == []
