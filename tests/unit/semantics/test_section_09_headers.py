"""SEMANTICS section 9: headers. Who may bring which fields in, and what crosses between the premises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailwye.connectors.mailflow import decide_route
from mailwye.message.headers import scan
from mailwye.smtp.address import parse_address
from mailwye.trace.event import EventKind
from tests.unit.inbound.test_session import Certificates, TlsPeer, secure
from tests.unit.inbound.world import HOSTNAME, OWN_SERVER, Peer, World
from tests.unit.outbound.scripted_server import work_for
from tests.unit.outbound.test_departure import BORDER, left_of
from tests.unit.runtime.tls_pki import issue
from tests.unit.semantics.asking import BOB, JOHN, SUN, Case, organization, out, own, partner, rule, snapshot

ORGANIZATION_FIELD = "X-MS-Exchange-Organization-SCL: -1"
CROSSING = "X-MS-Exchange-CrossPremises-AuthAs: Internal"
PROMOTED = "X-MS-Exchange-Organization-AuthAs: Internal"
FOREST = "X-MS-Exchange-Forest-Rules: 1"
OURS = "X-Mailwye-Verdict: clean"
RESULTS = f"Authentication-Results: {HOSTNAME}; spf=pass"
OTHERS_RESULTS = "Authentication-Results: mx.other.example; spf=pass"
OTHER = "X-Other: stays"
BROUGHT = (ORGANIZATION_FIELD, CROSSING, FOREST, OURS, RESULTS, OTHERS_RESULTS, OTHER)
REMOVED = ", ".join(field.partition(":")[0] for field in (ORGANIZATION_FIELD, CROSSING, FOREST, OURS, RESULTS))

CLOUD = "CloudServicesMailEnabled: true"
BY_CERTIFICATE = own("Own", f"TlsSenderCertificateName: mail.contoso.com, {CLOUD}")
BY_ADDRESS = own("Own", f"SenderIPAddresses: {OWN_SERVER}, {CLOUD}")
WITHOUT_CLOUD = own("Own", "TlsSenderCertificateName: mail.contoso.com")
PARTNER = partner("P", f"TlsSenderCertificateName: mail.contoso.com, RestrictDomainsToCertificate: true, {CLOUD}")

Opened = Callable[[World, Certificates], Peer | TlsPeer]


def stranger(world: World, _certificates: Certificates) -> Peer:
    return world.greeted()


def at_own_address(world: World, _certificates: Certificates) -> Peer:
    return world.greeted(OWN_SERVER)


def certified(*, trusted: bool = True, address: str = "192.0.2.77") -> Opened:
    """TLS with a certificate for mail.contoso.com."""

    def opened(world: World, certificates: Certificates) -> TlsPeer:
        issuer = certificates.root if trusted else issue("Strangers", authority=True)
        peer = secure(world.connect(address), certificates.client(issue("mail.contoso.com", issuer=issuer, names=("mail.contoso.com",))))
        peer.send("EHLO mail.contoso.com")
        return peer

    return opened


@dataclass(frozen=True, slots=True)
class Brought(Case):
    """Who brings all the fields, and which of them are there after it."""

    connector: str
    opened: Opened
    kept: tuple[str, ...] = (OTHERS_RESULTS, OTHER)
    removed: str = REMOVED


TRUSTED = (ORGANIZATION_FIELD, PROMOTED, FOREST, OURS, RESULTS, OTHERS_RESULTS, OTHER)


@rule(
    "9.1",
    "Header firewall: on arrival from anyone but a trusted OnPremises connector (TLS, certificate, CloudServicesMailEnabled), remove "
    "`X-MS-Exchange-Organization-*`, our own `X-Mailwye-*` and Authentication-Results that bear our name",
    Brought("a stranger", BY_CERTIFICATE, stranger),
    Brought("a stranger with TLS", BY_CERTIFICATE, certified(trusted=False)),
    Brought("an own server by address only", BY_ADDRESS, at_own_address),
    Brought("by address, within TLS", BY_ADDRESS, certified(address=OWN_SERVER)),
    Brought("by certificate, without CloudServicesMailEnabled", WITHOUT_CLOUD, certified()),
    Brought("a partner with the right certificate", PARTNER, certified()),
    Brought("the trusted one", BY_CERTIFICATE, certified(), TRUSTED, ""),
)
@rule(
    "9.2 in",
    "With CloudServicesMailEnabled the organization's headers cross as `X-MS-Exchange-CrossPremises-*` and are promoted again at the other "
    "side",
    Brought("promoted", BY_CERTIFICATE, certified(), TRUSTED, ""),
    Brought("not for others", WITHOUT_CLOUD, certified()),
)
async def test_what_may_come_in(case: Brought, certificates: Certificates) -> None:
    world = World(snapshot(organization(inbound=[case.connector])), tls=certificates.server)
    peer = case.opened(world, certificates)
    peer.send("MAIL FROM:<x@elsewhere.example>", f"RCPT TO:<{BOB}>", "DATA")
    assert peer.send(*BROUGHT, "", "X-MS-Exchange-Organization-SCL: in the body", ".").startswith("250")
    (row,) = await world.queued()
    content = await world.content(row)
    block, _, body = content.partition(b"\r\n\r\n")
    received, *fields = block.decode().replace("\r\n\t", " ").split("\r\n")
    assert received.startswith("Received: from ")
    assert tuple(fields) == case.kept
    assert body == b"X-MS-Exchange-Organization-SCL: in the body\r\n"
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data.get("removed_headers", "") == case.removed


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory: Path = tmp_path_factory.mktemp("certificates")
    return Certificates(directory)


async def test_what_is_promoted_replaces_what_was_there(certificates: Certificates) -> None:
    """9.2: of two the other side's word counts."""
    world = World(snapshot(organization(inbound=[BY_CERTIFICATE])), tls=certificates.server)
    peer = certified()(world, certificates)
    peer.send("MAIL FROM:<x@elsewhere.example>", f"RCPT TO:<{BOB}>", "DATA")
    peer.send("X-MS-Exchange-Organization-AuthAs: Anonymous", CROSSING, "", "x", ".")
    (row,) = await world.queued()
    content = await world.content(row)
    assert content.endswith(f"+0000\r\n{PROMOTED}\r\n\r\nx\r\n".encode())


@dataclass(frozen=True, slots=True)
class Leaving(Case):
    """Which connector a message with the organization's fields takes to `to`, and what is left of them."""

    outbound: str
    to: str
    left: tuple[str, ...]


CROSSED = "X-MS-Exchange-CrossPremises-SCL: -1"


@rule(
    "9.2 out",
    "With CloudServicesMailEnabled the organization's headers cross as `X-MS-Exchange-CrossPremises-*`",
    Leaving("to the own servers", out("To", f"RecipientDomains: contoso.com, {CLOUD}"), JOHN, (CROSSED, OTHER)),
    Leaving("to own servers that are no other side", out("To", "RecipientDomains: contoso.com"), JOHN, (OTHER,)),
    Leaving("never to a partner", out("To", f"RecipientDomains: example.net, {CLOUD}", kind="Partner"), SUN, (OTHER,)),
    Leaving("never to the Internet", out("To", f"RecipientDomains: contoso.com, {CLOUD}"), SUN, (OTHER,)),
)
def test_what_leaves(case: Leaving) -> None:
    compiled = snapshot(organization(outbound=[case.outbound]))
    route = decide_route(compiled.directory, compiled.connectors, parse_address(case.to), from_on_premises=False)
    block = f"{ORGANIZATION_FIELD}\r\n{FOREST}\r\n{OTHER}\r\n\r\n".encode()
    departure = BORDER.depart(work_for(parse_address(case.to), route=route), block)
    sent = scan(left_of(departure, block))
    assert tuple(f"{sent.block[f.start : f.start + len(f.name)].decode()}: {sent.value(f).strip()}" for f in sent.fields[1:]) == case.left
    assert departure.reasons


@dataclass(frozen=True, slots=True)
class Marked(Case):
    """What every message gets: on arrival, or when it leaves."""

    field: str
    arrives: bool
    count: int = 1


@rule(
    "9.3",
    "Every message gets `Received`, `Authentication-Results` where checked, and a signed path mark for loop detection",
    Marked("Received", "Received", True),
    Marked("nothing was checked, so there are no results", "Authentication-Results", True, 0),
    Marked("no mark before it leaves", "X-Mailwye-Path", True, 0),
    Marked("the path mark", "X-Mailwye-Path", False),
)
async def test_what_every_message_gets(case: Marked) -> None:
    text = organization(outbound=[out("To", "RecipientDomains: contoso.com")])
    world = World(snapshot(text))
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>", f"RCPT TO:<{JOHN}>", "DATA")
    assert peer.send("Subject: x", "Message-ID: <1@x>", "", "x", ".").startswith("250")
    (row,) = await world.queued()
    block = (await world.content(row)).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if not case.arrives:
        compiled = snapshot(text)
        route = decide_route(compiled.directory, compiled.connectors, parse_address(JOHN), from_on_premises=False)
        departure = BORDER.depart(work_for(parse_address(JOHN), route=route), block)
        block = left_of(departure, block)
    assert scan(block).count(case.field) == case.count
