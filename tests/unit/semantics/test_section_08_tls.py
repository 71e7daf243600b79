"""SEMANTICS section 8: TLS levels of outbound connectors against what the peer presents, with the words that the queue and the trace show.

Each row is a delivery by a whole gateway in the simulated world, with real handshakes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from mailwye.config.installation import DeliverySettings, TransportSettings
from mailwye.connectors.mailflow import decide_route
from mailwye.outbound.resolve import RouteResolver
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.tls import ServerTlsContext
from mailwye.smtp.address import parse_address
from mailwye.testing.authority import Authority
from mailwye.testing.dns_server import Zone
from mailwye.testing.resolver import StaticResolver
from mailwye.testing.world import JOHN, OWN, SUN, World
from mailwye.trace.event import EventKind
from mailwye.transport.policy_store import MemoryPolicyStore
from mailwye.transport.sts_policies import StsPolicies
from tests.unit.outbound.protected import Served
from tests.unit.semantics.asking import Case, organization, rule, snapshot

ORGANIZATION = """\
Organization: {{Name: contoso}}
AcceptedDomain: {{DomainName: contoso.com, Default: true}}
MailUser: {{PrimarySmtpAddress: john@contoso.com}}
InboundConnector: {{Name: From, ConnectorType: OnPremises, SenderIPAddresses: 192.0.2.10}}
OutboundConnector: {{Name: To, ConnectorType: OnPremises, RecipientDomains: contoso.com, UseMXRecord: false,
  SmartHosts: mail.contoso.com, {settings}}}
"""
HOST = "mail.contoso.com[192.0.2.10]:25"
NAME, FOREIGN = "mail.contoso.com", "mail.fabrikam.example"
NULL = "TlsSettings: null"
ENCRYPTED = "TlsSettings: EncryptionOnly"
CHAIN = "TlsSettings: CertificateValidation"
DOMAIN = "TlsSettings: DomainValidation, TlsDomain: mail.contoso.com"
BELOW = "TlsSettings: DomainValidation, TlsDomain: '*.contoso.com'"

PLAIN = "plaintext: STARTTLS is not offered"
UNJUDGED = "TLS is used because it was offered; the certificate was not judged (TlsSettings null)"
TRUSTED = "chain to the trusted authority CN=Mailwye demo authority; whether it is revoked is not known: no OCSP response came with it"
CHAINED = f'TLS with a trusted certificate as connector "To" (TlsSettings CertificateValidation) asks: {TRUSTED}'


@dataclass(frozen=True, slots=True)
class Peer:
    """What the smart host presents. `names` () for no STARTTLS."""

    names: tuple[str, ...] = ()
    stranger: bool = False  # by an authority that nobody trusts
    options: dict[str, Any] = field(default_factory=dict)
    old: bool = False  # TLS 1.1 at most


NOTHING = Peer()
VALID = Peer((NAME,))
OTHER = Peer((FOREIGN,))
SELF_SIGNED = Peer((NAME,), options={"self_signed": True})
EXPIRED = Peer((NAME,), options={"ends_in_days": -0.5})
EARLY = Peer((NAME,), options={"starts_in_days": 36_000})
STRANGER = Peer((NAME,), stranger=True)
OLD = Peer((NAME,), old=True)


@dataclass(frozen=True, slots=True)
class Delivered(Case):
    """`reason`: why the delivery was good enough; or else `error`: why it waits (a digest is HEX, a day is DAY)."""

    settings: str
    peer: Peer
    reason: str = ""
    error: str = ""


def invalid(cause: str, settings: str) -> str:
    asked = settings.removeprefix("TlsSettings: ").replace(", TlsDomain: ", ", TlsDomain ").replace("'", "")
    return f'450 4.7.320 Certificate validation failed: {cause}; asked for by connector "To" (TlsSettings {asked})'


def untrusted(why: str, settings: str, issuer: str = "CN=Mailwye demo authority") -> str:
    told = f"{why}; subject CN=mail.contoso.com, issuer {issuer}, SHA-256 HEX"
    return invalid(f"the certificate of {HOST} is not trusted: {told}", settings)


def hidden(settings: str) -> str:
    asked = settings.removeprefix("TlsSettings: ").replace(", TlsDomain: ", ", TlsDomain ").replace("'", "")
    return (
        f'450 4.4.317 Cannot connect to remote server: STARTTLS is required by connector "To" (TlsSettings {asked}), '
        f"but {HOST} does not offer it"
    )


def named(presented: str, expected: str, settings: str) -> str:
    return invalid(f"{HOST}: expected name {expected}, presented {presented}", settings)


def with_name(presented: str, expected: str, settings: str) -> str:
    asked = settings.removeprefix("TlsSettings: ").replace(", TlsDomain: ", ", TlsDomain ").replace("'", "")
    return (
        f'TLS with a trusted certificate for {presented}, which matches {expected}, as connector "To" (TlsSettings {asked}) asks: {TRUSTED}'
    )


STRANGERS = "issued by an authority that is not trusted: CN=Strangers, or the peer left out an intermediate certificate"
ENCRYPTED_ENOUGH = 'TLS as connector "To" (TlsSettings EncryptionOnly) asks; any certificate is good'


@rule(
    "8.1",
    "null: opportunistic: TLS where offered, any certificate; never fails for want of it",
    Delivered("null, no STARTTLS", NULL, NOTHING, PLAIN),
    Delivered("null, valid", NULL, VALID, UNJUDGED),
    Delivered("null, self-signed", NULL, SELF_SIGNED, UNJUDGED),
    Delivered("null, expired", NULL, EXPIRED, UNJUDGED),
    Delivered("null, another name", NULL, OTHER, UNJUDGED),
)
@rule(
    "8.2",
    "EncryptionOnly: TLS or no delivery; any certificate",
    Delivered("EncryptionOnly, no STARTTLS", ENCRYPTED, NOTHING, error=hidden(ENCRYPTED)),
    Delivered("EncryptionOnly, valid", ENCRYPTED, VALID, ENCRYPTED_ENOUGH),
    Delivered("EncryptionOnly, self-signed", ENCRYPTED, SELF_SIGNED, ENCRYPTED_ENOUGH),
    Delivered("EncryptionOnly, expired", ENCRYPTED, EXPIRED, ENCRYPTED_ENOUGH),
    Delivered("EncryptionOnly, another name", ENCRYPTED, OTHER, ENCRYPTED_ENOUGH),
)
@rule(
    "8.3",
    "CertificateValidation: and a chain to a trusted CA, in date, not revoked where that can be known",
    Delivered("CertificateValidation, no STARTTLS", CHAIN, NOTHING, error=hidden(CHAIN)),
    Delivered("CertificateValidation, valid", CHAIN, VALID, CHAINED),
    Delivered("CertificateValidation, another name", CHAIN, OTHER, CHAINED),
    Delivered(
        "CertificateValidation, self-signed", CHAIN, SELF_SIGNED, error=untrusted("self-signed certificate", CHAIN, "CN=mail.contoso.com")
    ),
    Delivered("CertificateValidation, by strangers", CHAIN, STRANGER, error=untrusted(STRANGERS, CHAIN, "CN=Strangers")),
    Delivered("CertificateValidation, expired", CHAIN, EXPIRED, error=untrusted("expired on DAY", CHAIN)),
    Delivered("CertificateValidation, not valid yet", CHAIN, EARLY, error=untrusted("not valid before DAY", CHAIN)),
)
@rule(
    "8.4",
    "DomainValidation: and a name in the certificate (RFC 9525) that matches TlsDomain",
    Delivered("DomainValidation, no STARTTLS", DOMAIN, NOTHING, error=hidden(DOMAIN)),
    Delivered("DomainValidation, valid", DOMAIN, VALID, with_name(NAME, NAME, DOMAIN)),
    Delivered("DomainValidation, a wildcard", DOMAIN, Peer(("*.contoso.com",)), with_name("*.contoso.com", NAME, DOMAIN)),
    Delivered("DomainValidation, another name", DOMAIN, OTHER, error=named(FOREIGN, NAME, DOMAIN)),
    Delivered(
        "DomainValidation, a name in the subject only",
        DOMAIN,
        Peer((FOREIGN,), options={"common_name": NAME}),
        error=named(FOREIGN, NAME, DOMAIN),
    ),
    Delivered(
        "DomainValidation, self-signed", DOMAIN, SELF_SIGNED, error=untrusted("self-signed certificate", DOMAIN, "CN=mail.contoso.com")
    ),
    Delivered("DomainValidation, expired", DOMAIN, EXPIRED, error=untrusted("expired on DAY", DOMAIN)),
    Delivered("TlsDomain *., a name below", BELOW, VALID, with_name(NAME, "*.contoso.com", BELOW)),
    Delivered("TlsDomain *., the apex", BELOW, Peer(("contoso.com",)), error=named("contoso.com", "*.contoso.com", BELOW)),
)
@rule(
    "8.6",
    "A requirement that cannot be met defers (4.7.x) with the exact cause: expected and presented names, chain error, and which setting "
    "asked for it. Never a silent downgrade",
    Delivered("two names", DOMAIN, Peer((FOREIGN, "a.example")), error=named(f"{FOREIGN}, a.example", NAME, DOMAIN)),
    Delivered("two faults", CHAIN, replace(EXPIRED, stranger=True), error=""),
)
def test_levels(case: Delivered, tmp_path: Path) -> None:
    plain: list[bytes] = []

    async def story(world: World) -> None:
        world.resolver.zone |= {"mail.contoso.com": {"A": [OWN]}}
        world.own.tls = presented(world, case.peer)
        gateway = await world.begin(organization=ORGANIZATION.format(settings=case.settings), tls=True)
        world.wire.taps.append(lambda address, octets: plain.append(octets) if address == gateway.settings.address else None)
        world.mail(SUN, (JOHN,))
        await world.sleep(90.0)
        if case.reason:
            (event,) = [one for one in gateway.trace.recorded if one.kind is EventKind.SEND]
            assert case.reason in event.reasons
            assert bool(world.own.messages[0].tls_version) is bool(case.peer.names)
            return
        (row,) = await gateway.rows()
        (deferred,) = {one.reply for one in gateway.trace.recorded if one.kind is EventKind.DEFER}
        assert row.delivery.last_error == f"{HOST}: {deferred}"
        error = re.sub(r"\d{4}-\d\d-\d\d", "DAY", re.sub(r"SHA-256 [0-9a-f]{64}", "SHA-256 HEX", deferred))
        if case.error:
            assert error == case.error
        assert error[:9] in ("450 4.7.3", "450 4.4.3")
        assert world.own.messages == []
        assert not any(b"MAIL FROM" in octets for octets in plain)  # nothing was said in plaintext

    World.run(1, tmp_path, story)


def presented(world: World, peer: Peer) -> ServerTlsContext | None:
    """The server's side of a row."""
    if not peer.names:
        return None
    authority = world.authority
    if peer.stranger:
        authority = Authority(world.directory / "strangers", now=world.clock.now(), name="Strangers", days=36_500)
    context = world.server_tls(authority.issue("peer", list(peer.names), **peer.options))
    if peer.old:
        context.openssl.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        context.openssl.set_min_proto_version(SSL.TLS1_1_VERSION)
        context.openssl.set_max_proto_version(SSL.TLS1_1_VERSION)
    return context


@dataclass(frozen=True, slots=True)
class Old(Case):
    """A server that knows TLS 1.1 at most: whether the mail waits."""

    settings: str
    waits: bool


@rule(
    "8.7",
    "TLS 1.2 is the floor",
    Old("required", ENCRYPTED, True),
    Old("opportunistic: TLS 1.1 is none", NULL, False),
)
def test_the_floor(case: Old, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.resolver.zone |= {"mail.contoso.com": {"A": [OWN]}}
        world.own.tls = presented(world, OLD)
        gateway = await world.begin(organization=ORGANIZATION.format(settings=case.settings), tls=True)
        world.mail(SUN, (JOHN,))
        await world.sleep(90.0)
        waiting = await gateway.rows()
        assert bool(waiting) is case.waits
        if case.waits:
            assert waiting[0].delivery.last_error.startswith(
                f"{HOST}: 450 4.4.317 Cannot connect to remote server: TLS with {HOST} failed: "
            )
        else:
            assert [message.tls_version for message in world.own.messages] == [""]

    World.run(1, tmp_path, story)


@dataclass(frozen=True, slots=True)
class Signed(Case):
    """TLSA records of Sun's server in a signed zone; `connector` for his domain. Whether the mail waits, and with which code."""

    digest: str
    connector: str
    error: str


SMART = "RecipientDomains: example.net, UseMXRecord: false, SmartHosts: '[mail.example.net]'"
BY_MX = "RecipientDomains: example.net"


@rule(
    "8.5 dane",
    "MTA-STS and DANE apply to MX deliveries as the RFCs say",
    Signed("a TLSA record that does not fit", "00" * 32, "", "450 4.7.323"),
    Signed("nobody asks for it with a smart host", "00" * 32, SMART, ""),
    Signed("but with a connector by MX", "00" * 32, BY_MX, "450 4.7.323"),
    Signed("SmtpDaneMode None", "00" * 32, f"{BY_MX}, SmtpDaneMode: None", ""),
    Signed("no record, no demand", "", "", ""),
)
def test_policies_are_for_mx_deliveries(case: Signed, tmp_path: Path) -> None:
    partner = f"OutboundConnector: {{Name: Sun, ConnectorType: Partner, {case.connector}}}\n" if case.connector else ""
    text = ORGANIZATION.format(settings=NULL).partition("OutboundConnector")[0] + partner

    async def story(world: World) -> None:
        records: Sequence[Any] = [(3, 1, 1, case.digest)] if case.digest else []
        zone: Zone = {"_25._tcp.mail.example.net": {"TLSA": list(records)}} if records else {}
        world.resolver.zone |= zone
        world.resolver.authenticated = True
        world.sun.tls = world.server_tls(world.authority.issue("sun", ["mail.example.net"]))
        gateway = await world.begin(organization=text, tls=True)
        world.mail(JOHN, (SUN,))
        await world.sleep(90.0)
        errors = [row.delivery.last_error.partition(": ")[2] for row in await gateway.rows()]
        assert [error[: len(case.error)] for error in errors] == ([case.error] if case.error else [])
        assert len(world.sun.messages) == (0 if case.error else 1)

    World.run(1, tmp_path, story)


@dataclass(frozen=True, slots=True)
class Announced(Case):
    """A policy in this mode that names `mx`, where the MX records name mail and spare; `connector` for the domain. Who is dialled, or the
    failure.
    """

    mode: str
    connector: str
    comes_to: str | tuple[str, ...]
    mx: str = "mx.example.net"


MAIL_HOST, SPARE_HOST = "192.0.2.20", "192.0.2.21"


@rule(
    "8.5 sts",
    "MTA-STS and DANE apply to MX deliveries as the RFCs say",
    Announced("enforced", "enforce", "", "450 4.7.5"),
    Announced("only tested", "testing", "", (MAIL_HOST, SPARE_HOST)),
    Announced("the one that it names", "enforce", "", (SPARE_HOST,), "spare.example.net"),
    Announced("nobody asks for it with a smart host", "enforce", SMART, (MAIL_HOST,)),
    Announced("but with a connector by MX", "enforce", BY_MX, "450 4.7.5"),
    Announced("MtaStsMode None", "enforce", f"{BY_MX}, MtaStsMode: None", (MAIL_HOST, SPARE_HOST)),
)
async def test_policies_of_domains_are_for_mx_deliveries(case: Announced) -> None:
    text = organization(outbound=[f"{{Name: Sun, ConnectorType: Partner, {case.connector}}}"] if case.connector else [])
    compiled = snapshot(text)
    route = decide_route(compiled.directory, compiled.connectors, parse_address(SUN), from_on_premises=False)
    zone: Zone = {
        "example.net": {"MX": [(10, "mail.example.net"), (20, "spare.example.net")]},
        "mail.example.net": {"A": [MAIL_HOST]},
        "spare.example.net": {"A": [SPARE_HOST]},
        "_mta-sts.example.net": {"TXT": ["v=STSv1; id=1;"]},
    }
    served = Served()
    served.body = f"version: STSv1\nmode: {case.mode}\nmx: {case.mx}\nmax_age: 86400\n".encode()
    policies = StsPolicies(
        resolver=StaticResolver(zone),
        fetcher=served,
        store=MemoryPolicyStore(),
        clock=SystemClock(),
        settings=TransportSettings(),
        alert=lambda _text: None,
    )
    resolver = RouteResolver(resolver=StaticResolver(zone), settings=DeliverySettings(), rng=random.Random(1), policies=policies)
    found = await resolver.hosts(route)
    await policies.close()
    if isinstance(case.comes_to, str):
        assert str(found.failure).startswith(case.comes_to)
    else:
        assert tuple(host.address for host in found.hosts) == case.comes_to
