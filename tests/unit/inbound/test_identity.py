"""Who is calling, through the real session with real handshakes: the authorities of one connector, and what the trace keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailwye.admin.replay import render_replay, replay
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext
from mailwye.runtime.tls_certificates import public_key_digest
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.presented import FACTS, NAMES_CHARACTERS, for_people, recorded_certificate
from tests.unit.inbound.test_session import TlsPeer, secure
from tests.unit.inbound.world import STRANGER, World, contoso
from tests.unit.runtime.tls_pki import Issued, issue, trust

OUTSIDE = "sun@example.net"
KINDS = {"test": ("mx", "")}


class Pki:
    """A server that trusts "public" for everybody, and the sets "a" and "b" for those connectors that name them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.public, self.a, self.b = (issue(f"Authority {name}", authority=True) for name in ("public", "a", "b"))
        certificate, key = issue("mx.mailwye.example", issuer=self.public).write(directory, "server")
        sets = {}
        for name, root in (("a", self.a), ("b", self.b)):
            (directory / name).mkdir()
            sets[name] = trust(directory / name, root)
        self.server = ServerTlsContext(
            certificate=certificate, private_key=key, trusted_authorities=trust(directory, self.public), authorities=sets
        )

    def inside(self, world: World, issued: Issued | None) -> TlsPeer:
        """A session in TLS after EHLO, with this client certificate."""
        pair = issued.write(self.directory, "client") if issued is not None else ("", "")
        inside = secure(world.connect(), ClientTlsContext(certificate=pair[0], private_key=pair[1]))
        inside.send("EHLO mail.contoso.com")
        return inside


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("identity"))


def own(name: str, certificate_name: str, *authorities: str, pins: tuple[str, ...] = ()) -> InboundConnector:
    return InboundConnector(
        name,
        connector_type=ConnectorType.ON_PREMISES,
        tls_sender_certificate_name=certificate_name,
        trusted_authorities=authorities,
        tls_sender_certificate_pins=pins,
    )


async def test_an_authority_of_connector_a_identifies_nobody_for_connector_b(pki: Pki) -> None:
    snapshot = contoso(own("A", "*.contoso.com", "a"), own("B", "*.partner.example", "b"))
    for root, name, code in (
        (pki.a, "mail.contoso.com", "250"),
        (pki.b, "mail.contoso.com", "550 5.7.64"),
        (pki.a, "mail.partner.example", "550 5.7.64"),
        (pki.public, "mail.contoso.com", "250"),
    ):
        world = World(snapshot, tls=pki.server)
        inside = pki.inside(world, issue(name, issuer=root, names=(name,)))
        inside.send("MAIL FROM:<john@contoso.com>")
        assert inside.send(f"RCPT TO:<{OUTSIDE}>").startswith(code), (name, code)


async def test_a_renewed_certificate_goes_on_and_a_pin_holds_over_the_overlap(pki: Pki) -> None:
    first, renewed = (issue("mail.contoso.com", issuer=pki.a, names=("mail.contoso.com",)) for _ in range(2))
    keys = [public_key_digest(one.certificate) for one in (first, renewed)]
    for pins, codes in (
        ((), ("250", "250")),
        ((keys[0],), ("250", "550 5.7.64")),
        ((keys[0], keys[1]), ("250", "250")),
        ((public_key_digest(pki.a.certificate),), ("250", "250")),
    ):
        for issued, code in zip((first, renewed), codes, strict=True):
            world = World(contoso(own("A", "mail.contoso.com", "a", pins=pins)), tls=pki.server)
            inside = pki.inside(world, issued)
            inside.send("MAIL FROM:<john@contoso.com>")
            heard = inside.send(f"RCPT TO:<{OUTSIDE}>")
            assert heard.startswith(code)
            assert code == "250" or f"add {keys[1]}" in heard


async def test_the_trace_keeps_the_presented_chain(pki: Pki) -> None:
    intermediate = issue("Middle", issuer=pki.a, authority=True)
    leaf = issue("mail.contoso.com", issuer=intermediate, names=("mail.contoso.com",))
    world = World(contoso(own("A", "mail.contoso.com", "a")), tls=pki.server)
    pki.inside(world, leaf)
    (event,) = world.trace.of(EventKind.CONNECT)
    data = for_people(event.data)
    assert FACTS not in data
    assert (data["certificate"], data["certificate_issuer"]) == ("CN=mail.contoso.com", "CN=Middle")
    assert data["certificate_names"] == "mail.contoso.com"
    assert data["certificate_valid"].startswith("valid 20")
    assert len(data["certificate_sha256"]) == len(data["certificate_public_key_sha256"]) == 64
    assert "not trusted" in data["certificate_verdict"]
    assert data["certificate_chain_1"].startswith("CN=Middle, issued by CN=Authority a, valid ")
    assert data["certificate_authorities_a"].startswith("chain to the trusted authority CN=Authority a")
    assert data["certificate_authorities_b"].startswith("issued by an authority that is not among them")
    certificate = recorded_certificate(event.data)
    assert certificate is not None
    assert [verdict.trusted for verdict in certificate.verdicts] == [True, False]


async def test_very_many_names_fill_no_trace(pki: Pki) -> None:
    world = World(tls=pki.server)
    pki.inside(world, issue("x", names=tuple(f"{'x' * 50}{number}.example" for number in range(500))))
    (event,) = world.trace.of(EventKind.CONNECT)
    assert len(event.data[FACTS]) < 2 * NAMES_CHARACTERS
    assert len(for_people(event.data)["certificate_names"]) < 1_000


def session_events(world: World) -> Sequence[TraceEvent]:
    return world.trace.events


async def test_a_refusal_is_decided_again_and_says_the_same(pki: Pki) -> None:
    snapshot = contoso(own("A", "mail.contoso.com", "a"))
    world = World(snapshot, tls=pki.server)
    inside = pki.inside(world, issue("mail.contoso.com", issuer=pki.b, names=("mail.contoso.com",)))
    inside.send("MAIL FROM:<john@contoso.com>")
    heard = inside.send(f"RCPT TO:<{OUTSIDE}>")
    again = replay(snapshot, session_events(world), KINDS)
    (one,) = again.replayed
    assert one.reply == one.then.answer == heard
    assert again.notes == ()
    story = render_replay(again)
    for words in ("EHLO mail.contoso.com", "subject: CN=mail.contoso.com", "issuer: CN=Authority b", "Then: john@contoso.com", heard):
        assert words in story
    told = again.to_dict()
    assert told["transactions"][0]["now"]["reply"] == heard
    tls = told["facts"].tls
    assert tls is not None
    assert tls.certificate is not None
    assert tls.certificate.issuer == "CN=Authority b"


async def test_after_a_change_the_replay_says_so_and_answers_by_today(pki: Pki) -> None:
    world = World(contoso(own("A", "mail.contoso.com", "a")), tls=pki.server)
    inside = pki.inside(world, issue("mail.contoso.com", issuer=pki.b, names=("mail.contoso.com",)))
    inside.send("MAIL FROM:<john@contoso.com>", f"RCPT TO:<{OUTSIDE}>")
    changed = contoso(own("A", "mail.contoso.com", "b"))
    today = Snapshot(9, changed.organization, changed.directory, changed.connectors)
    again = replay(today, session_events(world), KINDS)
    assert again.replayed[0].then.answer.startswith("550 5.7.64")
    assert again.replayed[0].reply.startswith("250 2.1.5")
    assert "version 7; what follows is by version 9" in again.notes[0]


async def test_mail_that_was_taken_and_mail_refused_at_mail_from(pki: Pki) -> None:
    lock = InboundConnector("Lock", sender_domains=("p.example",), require_tls=True)
    world = World(contoso(lock), tls=pki.server)
    peer = world.greeted()
    assert peer.send("MAIL FROM:<a@p.example>").startswith("451 5.7.3")
    peer.send("MAIL FROM:<a@other.example>", "RCPT TO:<robert@contoso.com>", "DATA")
    peer.send("Subject: x", "", "x", ".")
    await world.queued()
    again = replay(world.snapshot, session_events(world), {})
    assert [(one.then.sender, one.then.recipient, one.now is None) for one in again.replayed] == [
        ("a@p.example", "", True),
        ("a@other.example", "robert@contoso.com", False),
    ]
    assert again.replayed[0].reply.startswith("451 5.7.3")
    assert again.replayed[1].then.answer.startswith("accepted as ")
    assert "no listener 'test' any more" in again.notes[0]
    assert "Who is calling?" in render_replay(again)
    assert f"{STRANGER}, EHLO client.example" in render_replay(again)


async def test_a_session_without_decisions_says_so() -> None:
    world = World()
    world.greeted().send("QUIT")
    with pytest.raises(ValueError, match="no session under this ID"):
        replay(world.snapshot, session_events(world), KINDS)
    connect = TraceEvent(at=1.0, kind=EventKind.CONNECT, session="S1")
    with pytest.raises(ValueError, match="nothing was decided"):
        replay(world.snapshot, [connect], KINDS)


async def test_a_record_that_nobody_understands_is_no_certificate(pki: Pki) -> None:
    reject = TraceEvent(
        at=1.0,
        kind=EventKind.REJECT,
        session="S1",
        sender="a@b.example",
        data={"hello": "x", "peer_address": "192.0.2.1", "listener": "test", "tls": "TLSv1.3 with X", "certificate": "CN=x", FACTS: "{}"},
    )
    again = replay(contoso(), [reject], KINDS)
    assert again.facts.tls is not None
    assert again.facts.tls.certificate is None
    assert any("no more of the certificate than its subject" in note for note in again.notes)


async def test_the_source_behind_a_gateway_is_in_the_header_and_in_the_trace() -> None:
    gateway = InboundConnector("Filter", ef_skip_ips=(f"{STRANGER}/32",))
    for peer_address, forged, expected in (
        (STRANGER, "192.0.2.1", "203.0.113.9"),
        ("198.51.100.99", "192.0.2.1", ""),  # not the gateway: nothing is added, the forged field is gone
    ):
        world = World(contoso(gateway))
        peer = world.greeted(peer_address)
        peer.send("MAIL FROM:<sun@example.net>", "RCPT TO:<bob@contoso.com>", "DATA")
        lines = ("Received: from mail.example.net (mail.example.net [203.0.113.9])", "\tby filter.example (Postfix) with ESMTP id 1")
        peer.send(*lines, f"x-mailwye-source-address : {forged}", "Subject: x", "", "x", ".")
        (row,) = await world.queued()
        content = (await world.content(row)).lower()
        assert (f"x-mailwye-source-address: {expected}\r\n".encode() in content) is bool(expected)
        assert forged.encode() not in content
        (event,) = world.trace.of(EventKind.RECEIVE)
        assert event.data.get("source_address", "") == expected
        assert any("EFSkipIPs of Filter skips" in reason for reason in event.reasons) is bool(expected)


async def test_a_trusted_server_cannot_bring_two_source_addresses(pki: Pki) -> None:
    own_server = InboundConnector(
        "Own",
        connector_type=ConnectorType.ON_PREMISES,
        tls_sender_certificate_name="*.contoso.com",
        cloud_services_mail_enabled=True,
        ef_skip_last_ip=True,
    )
    world = World(contoso(own_server), tls=pki.server)
    inside = pki.inside(world, issue("mail.contoso.com", issuer=pki.public, names=("mail.contoso.com",)))
    for line in ("MAIL FROM:<sun@example.net>", "RCPT TO:<bob@contoso.com>", "DATA"):
        inside.send(line)
    received = "Received: from x (x [203.0.113.9]) by mail.contoso.com (Postfix) with ESMTP id 1"
    inside.send(received, "X-Mailwye-Source-Address: 192.0.2.1", "Subject: x", "", "x", ".")
    (row,) = await world.queued()
    content = await world.content(row)
    assert content.count(b"X-Mailwye-Source-Address:") == 1
    assert b"X-Mailwye-Source-Address: 203.0.113.9\r\n" in content


BY_ADDRESS = InboundConnector(
    "By address", connector_type=ConnectorType.ON_PREMISES, sender_ip_addresses=("198.51.100.10/32", "10.0.0.1/32")
)


async def test_w24_xclient_is_believed_of_declared_front_ends_only() -> None:
    for front_ends, code in ((("10.0.0.0/8",), "220"), ((), "500 5.5.1"), (("10.0.0.2/32",), "500 5.5.1")):
        world = World(contoso(BY_ADDRESS), xclient=front_ends)
        peer = world.connect("10.0.0.1")
        assert peer.hello().endswith("XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT") is (code == "220")
        assert peer.send("XCLIENT ADDR=203.0.113.5 PORT=4000").startswith(code)
        peer.hello()
        peer.send("MAIL FROM:<john@contoso.com>")
        heard = peer.send(f"RCPT TO:<{OUTSIDE}>")
        if code == "220":  # the front end's own address is an own server's, the client's is not
            assert heard.startswith("550 5.7.64")
            assert world.trace.of(EventKind.REJECT)[0].data["peer_address"] == "203.0.113.5"
        else:
            assert heard.startswith("250")


async def test_w24_a_client_behind_a_front_end_may_be_an_own_server() -> None:
    world = World(contoso(BY_ADDRESS), xclient=("10.0.0.9/32",))
    peer = world.greeted("10.0.0.9")
    peer.send("XCLIENT ADDR=198.51.100.10 HELO=mail.contoso.com")
    peer.hello()
    peer.send("MAIL FROM:<john@contoso.com>")
    assert peer.send(f"RCPT TO:<{OUTSIDE}>").startswith("250")


async def test_w24_the_front_ends_certificate_is_not_its_clients(pki: Pki) -> None:
    """Before XCLIENT or after it: TLS is the front end's."""
    certificate, key = issue("mail.contoso.com", issuer=pki.a, names=("mail.contoso.com",)).write(pki.directory, "front")
    context = ClientTlsContext(certificate=certificate, private_key=key)
    snapshot = contoso(own("A", "mail.contoso.com", "a"))
    for before in (True, False):
        world = World(snapshot, tls=pki.server, xclient=(f"{STRANGER}/32",))
        peer = world.connect()
        if not before:
            peer.heard()
            peer.hello()
            assert peer.send("XCLIENT ADDR=203.0.113.5").startswith("220")
        inside = secure(peer, context)
        if before:
            inside.send("EHLO proxy.example")
            assert inside.send("XCLIENT ADDR=203.0.113.5").startswith("220")
        inside.send("EHLO client.example")
        inside.send("MAIL FROM:<john@contoso.com>")
        assert inside.send(f"RCPT TO:<{OUTSIDE}>").startswith("550 5.7.64")
        event = world.trace.of(EventKind.REJECT)[0]
        assert (event.data["peer_address"], event.data.get("certificate")) == ("203.0.113.5", None)
