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
from mailwye.trace.presented import FACTS, NAMES_CHARACTERS, recorded_certificate
from tests.unit.inbound.test_session import TlsPeer, secure
from tests.unit.inbound.world import STRANGER, World, contoso
from tests.unit.runtime.tls_pki import Issued, issue, trust

OUTSIDE = "sun@example.net"
KINDS = {"test": "mx"}


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
    data = event.data
    assert (data["certificate"], data["certificate_issuer"]) == ("CN=mail.contoso.com", "CN=Middle")
    assert data["certificate_names"] == "mail.contoso.com"
    assert data["certificate_valid"].startswith("valid 20")
    assert len(data["certificate_sha256"]) == len(data["certificate_public_key_sha256"]) == 64
    assert "not trusted" in data["certificate_verdict"]
    assert data["certificate_chain_1"].startswith("CN=Middle, issued by CN=Authority a, valid ")
    assert data["certificate_authorities_a"].startswith("chain to the trusted authority CN=Authority a")
    assert data["certificate_authorities_b"].startswith("issued by an authority that is not among them")
    certificate = recorded_certificate(data)
    assert certificate is not None
    assert [verdict.trusted for verdict in certificate.verdicts] == [True, False]


async def test_very_many_names_fill_no_trace(pki: Pki) -> None:
    world = World(tls=pki.server)
    pki.inside(world, issue("x", names=tuple(f"{'x' * 50}{number}.example" for number in range(500))))
    (event,) = world.trace.of(EventKind.CONNECT)
    assert len(event.data[FACTS]) < 2 * NAMES_CHARACTERS
    assert len(event.data["certificate_names"]) < 1_000


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
    assert told["facts"]["tls"]["certificate"]["issuer"] == "CN=Authority b"


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
