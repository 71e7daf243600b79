"""Attacks on the session itself: TLS, AUTH, the dialogue, resources (catalogue rows W4, W6, W9 to W11, W14, W17, W20, W23, C1, V1, V3)."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.trace.event import EventKind
from tests.unit.inbound.test_session import Certificates, secure
from tests.unit.inbound.world import OWN_SERVER, STRANGER, World, contoso, settle
from tests.unit.runtime.tls_pki import issue

PASSWORD = "secret"


def plain(*parts: str) -> str:
    return base64.b64encode("\0".join(parts).encode()).decode()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def test_w06_starttls_where_it_is_not_legal(certificates: Certificates) -> None:
    world = World(tls=certificates.server)
    peer = world.greeted()
    assert peer.send("STARTTLS now").startswith("501")
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send("STARTTLS").startswith("503")
    peer.send("RCPT TO:<bob@contoso.com>")
    assert peer.send("STARTTLS").startswith("503")
    peer.send("RSET")
    inside = secure(peer, certificates.client())
    assert inside.send("MAIL FROM:<x@elsewhere.example>").startswith("503")  # EHLO of the clear does not count
    assert "STARTTLS" not in inside.send("EHLO again.example")
    assert inside.send("STARTTLS").startswith("503")


async def test_v03_auth_abuse_opens_nothing_and_no_password_is_recorded(certificates: Certificates) -> None:
    world = World(kind="submission", tls=certificates.server)
    peer = world.greeted()
    assert peer.send(f"AUTH PLAIN {plain('', 'bob', PASSWORD)}").startswith("538 5.7.11")
    assert peer.send("MAIL FROM:<bob@contoso.com>").startswith("530 5.7.0")
    inside = secure(peer, certificates.client())
    inside.send("EHLO client.example")
    for argument in (
        "!!!!",
        "AAAA\u00e4",
        base64.b64encode(b"\xff\0\xfe\0\xfd").decode(),
        plain("bob", PASSWORD),
        plain("", "b\x1bb", "x"),
    ):
        assert inside.send(f"AUTH PLAIN {argument}").startswith("501"), argument
    assert inside.send(f"AUTH PLAIN {plain('', 'bob', PASSWORD, 'x')}").startswith("501")
    assert inside.send("AUTH PLAIN " + "A" * 13_000).startswith("500 5.5.6")
    assert inside.send("AUTH GSSAPI").startswith("504")
    assert inside.send(f"AUTH PLAIN {plain('alice@contoso.com', 'bob', PASSWORD)}").startswith("535")
    assert inside.send("MAIL FROM:<bob@contoso.com>").startswith("530 5.7.0")
    inside.send(f"AUTH PLAIN {plain('', 'bob', PASSWORD)}")
    await settle()
    assert inside.heard().startswith("235")
    assert inside.send(f"AUTH PLAIN {plain('', 'bob', PASSWORD)}").startswith("503")
    assert inside.send("MAIL FROM:<john@contoso.com>").startswith("550 5.7.60")
    assert inside.send("MAIL FROM:<bob@contoso.com>", "RCPT TO:<sun@example.net>").startswith("250")
    inside.send("DATA")
    inside.send("Subject: x", "", "x", ".")
    assert len(await world.queued()) == 1
    told = repr(world.trace.events)
    assert PASSWORD not in told
    assert plain("", "bob", PASSWORD) not in told


async def test_c01_a_connector_that_names_both_wants_both(certificates: Certificates, tmp_path: Path) -> None:
    both = InboundConnector(
        "Both",
        connector_type=ConnectorType.ON_PREMISES,
        tls_sender_certificate_name="mail.contoso.com",
        sender_ip_addresses=(OWN_SERVER,),
    )
    right = issue("mail.contoso.com", issuer=certificates.root, names=("mail.contoso.com",))
    wrong = issue("mail.evil.example", issuer=certificates.root, names=("mail.evil.example", "mail.contoso.com\0.evil.example"))
    for address, certificate, code in (
        (OWN_SERVER, right, "250"),
        (STRANGER, right, "550 5.7.64"),
        (OWN_SERVER, wrong, "550 5.7.64"),
        (OWN_SERVER, None, "550 5.7.64"),
    ):
        world = World(contoso(both), tls=certificates.server)
        inside = secure(world.connect(address), certificates.client(certificate))
        inside.send("EHLO mail.contoso.com")
        inside.send("MAIL FROM:<john@contoso.com>")
        assert inside.send("RCPT TO:<sun@example.net>").startswith(code)
        if code != "250":
            (event,) = world.trace.of(EventKind.REJECT)
            assert event.reasons


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT mx:25 HTTP/1.1", "Host: x", "Subject: x"])
async def test_w20_other_protocols(line: str) -> None:
    world = World()
    peer = world.greeted()
    assert peer.send(line, "MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>").startswith("554 5.5.0")
    assert peer.transport.closed


async def test_w09_w10_who_does_not_wait_is_cut_off() -> None:
    for bursts in (
        (b"EHLO x\r\nMAIL FROM:<x@e.example>\r\n",),
        (b"EHLO x\r\n", b"MAIL FROM:<x@e.example>\r\nRCPT TO:<bob@contoso.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"),
        (b"HELO x\r\n", b"MAIL FROM:<x@e.example>\r\nRCPT TO:<bob@contoso.com>\r\n", b"DATA\r\n", b"x\r\n.\r\nMAIL FROM:<y@e.example>\r\n"),
    ):
        world = World()
        peer = world.connect()
        heard = "".join(peer.send_octets(burst) for burst in bursts if not peer.transport.closed)
        assert "554 5.5.0" in heard
        await settle()
        assert await world.queued() == []
        assert peer.transport.closed


async def test_w11_no_recipient_no_content() -> None:
    world = World()
    peer = world.greeted()
    heard = peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<no@contoso.com>", "RCPT TO:<sun@example.net>", "DATA")
    assert heard.split("\n")[-1].startswith("503 5.5.1 No valid recipients")


async def test_w14_w17_w23_rubbish_ends_in_421_and_stays_bounded() -> None:
    for junk in (
        b"x" * 600 + b"\r\n",
        b"\xff\xfe\x80\r\n",
        b"\0\r\n",
        b"NOOP\nNOOP\r\n",
        b"EXPN staff\r\n",
        b"TURN\r\n",
        b"x" * 70_000,
        b"VRFY bob\r\n",
    ):
        world = World()
        peer = world.greeted()
        heard = ""
        for _ in range(2_000):
            if peer.transport.closed:
                break
            heard = peer.send_octets(junk) or heard
        if junk.endswith(b"\n"):
            assert heard.split("\n")[-1].startswith("421 4.7.0")
            assert peer.transport.closed
        else:  # one endless line: refused once, and nothing of it is kept
            assert heard.startswith("500 5.5.2")


async def test_slots_are_given_back_however_a_session_ends() -> None:
    world = World()
    for end in ("quit", "lose", "http", "silent"):
        peer = world.connect()
        match end:
            case "quit":
                peer.send("QUIT")
            case "lose":
                peer.lose()
            case "http":
                peer.send("GET / HTTP/1.1")
            case _:
                peer.session.eof_received()
        await settle()
        assert world.context.admission.connections == 0, end
        assert world.listener.sessions == 0
