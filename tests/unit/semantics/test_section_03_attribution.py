"""SEMANTICS section 3: who is calling?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailwye.connectors.attribution import CallerKind
from mailwye.message.facts import SessionFacts
from tests.unit.connectors.world import session
from tests.unit.semantics.asking import BOB, BOBS, JOHN, SUN, Case, ask, organization, own, partner, rule

CERTIFICATE = own("Certificate", "TlsSenderCertificateName: mail.contoso.com")
ADDRESS = own("Address", "SenderIPAddresses: [192.0.2.0/24, '2001:db8::/64']")
BOTH = own("Both", "TlsSenderCertificateName: mail.contoso.com, SenderIPAddresses: 192.0.2.7")
FABRIKAM = own("Fabrikam", "SenderIPAddresses: 192.0.2.7, SenderDomains: fabrikam.com")
TLS_AND_ADDRESS = own("Encrypted", "SenderIPAddresses: 192.0.2.7, RequireTls: true")
OFF = own("Off", "SenderIPAddresses: 192.0.2.7, Enabled: false")


@dataclass(frozen=True, slots=True)
class Called(Case):
    """`connector`: who the caller is taken for, "" for anonymous; `words` stand among the reasons."""

    inbound: tuple[str, ...]
    facts: SessionFacts
    connector: str
    sender: str = JOHN
    words: str = ""


@rule(
    "3.1",
    "`OnPremises` connectors whose identification holds: certificate (TLS, chain to a trusted CA, a name that matches "
    "TlsSenderCertificateName) or address in SenderIPAddresses",
    Called("certificate", (CERTIFICATE,), session("mail.contoso.com"), "Certificate", words="name mail.contoso.com matches"),
    Called("one of several names", (CERTIFICATE,), session("a.example", "mail.contoso.com"), "Certificate"),
    Called("no chain to a trusted CA", (CERTIFICATE,), session("mail.contoso.com", trusted=False), "", words="not trusted: self-signed"),
    Called("another name", (CERTIFICATE,), session("www.contoso.com"), ""),
    Called("a name below it", (CERTIFICATE,), session("a.mail.contoso.com"), ""),
    Called("TLS without a certificate", (CERTIFICATE,), session(tls=True), ""),
    Called("no TLS", (CERTIFICATE,), session(), ""),
    Called("address", (ADDRESS,), session(ip="192.0.2.200"), "Address", words="is in SenderIPAddresses (a /24)"),
    Called("address of IPv6", (ADDRESS,), session(ip="2001:db8::25"), "Address"),
    Called("the neighbour's /64", (ADDRESS,), session(ip="2001:db8:0:1::25"), ""),
    Called("IPv4 within IPv6", (ADDRESS,), session(ip="::ffff:192.0.2.200"), "Address"),
    Called("another address", (ADDRESS,), session(ip="192.0.3.200"), ""),
    Called("an address that asks for TLS", (TLS_AND_ADDRESS,), session(ip="192.0.2.7"), ""),
    Called("and gets it", (TLS_AND_ADDRESS,), session(ip="192.0.2.7", tls=True), "Encrypted"),
    Called("a disabled connector", (OFF,), session(ip="192.0.2.7"), ""),
    Called("the EHLO name says nothing", (CERTIFICATE,), replace(session(), hello="mail.contoso.com"), ""),
)
@rule(
    "3.1 both",
    "if a connector names both, both must hold",
    Called("both", (BOTH,), session("mail.contoso.com", ip="192.0.2.7"), "Both"),
    Called("both, the address is another", (BOTH,), session("mail.contoso.com", ip="192.0.2.8"), ""),
    Called("both, the certificate is missing", (BOTH,), session(ip="192.0.2.7"), ""),
    Called("both, the certificate is another's", (BOTH,), session("a.example", ip="192.0.2.7"), ""),
)
@rule(
    "3.1 sender",
    "SenderDomains must match MAIL FROM",
    Called("its sender", (FABRIKAM,), session(ip="192.0.2.7"), "Fabrikam", "a@fabrikam.com"),
    Called("another sender", (FABRIKAM,), session(ip="192.0.2.7"), "", "a@contoso.com"),
    Called("the null sender has no domain", (FABRIKAM,), session(ip="192.0.2.7"), "Fabrikam", "<>"),
)
@rule(
    "3.2",
    "Among several: certificate beats address, then the most specific name, the longest prefix, the name's alphabetical order",
    Called("certificate beats address", (ADDRESS, CERTIFICATE), session("mail.contoso.com", ip="192.0.2.7"), "Certificate"),
    Called(
        "an exact name beats a suffix",
        (own("A", "TlsSenderCertificateName: '*.contoso.com'"), CERTIFICATE),
        session("mail.contoso.com"),
        "Certificate",
    ),
    Called(
        "a longer suffix beats a shorter one",
        (own("A", "TlsSenderCertificateName: '*.contoso.com'"), own("B", "TlsSenderCertificateName: '*.mail.contoso.com'")),
        session("a.mail.contoso.com"),
        "B",
    ),
    Called("the longest prefix", (ADDRESS, own("Narrow", "SenderIPAddresses: 192.0.2.0/28")), session(ip="192.0.2.7"), "Narrow"),
    Called(
        "of one connector counts",
        (own("A", "SenderIPAddresses: 192.0.2.0/28"), own("B", "SenderIPAddresses: [192.0.0.0/16, 192.0.2.7]")),
        session(ip="192.0.2.7"),
        "B",
    ),
    Called(
        "the alphabetical order",
        (own("B", "SenderIPAddresses: 192.0.2.0/24"), own("a", "SenderIPAddresses: 192.0.2.0/24")),
        session(ip="192.0.2.7"),
        "a",
    ),
    Called(
        "a name before a prefix",
        (own("A", "TlsSenderCertificateName: '*.contoso.com', SenderIPAddresses: 192.0.2.7"), CERTIFICATE),
        session("mail.contoso.com", ip="192.0.2.7"),
        "Certificate",
    ),
    Called("one that does not hold is out", (BOTH, ADDRESS), session("mail.contoso.com", ip="192.0.2.9"), "Address"),
)
@rule(
    "3.2 tie",
    "A tie is never random",
    Called("three alike", tuple(own(name, "SenderIPAddresses: 192.0.2.7") for name in ("c", "B", "a")), session(ip="192.0.2.7"), "a"),
)
def test_on_premises_connectors(case: Called) -> None:
    for inbound in (case.inbound, case.inbound[::-1]):
        caller = ask(organization(inbound=inbound), case.facts, case.sender, BOB).sender.caller
        assert (caller.connector.name if caller.connector else "") == case.connector
        assert caller.kind is (CallerKind.CONNECTOR if case.connector else CallerKind.ANONYMOUS)
        assert case.words in " ".join(caller.reasons)
        assert [one.connector for one in caller.considered if one.chosen] == ([case.connector] if case.connector else [])
        assert all(one.reason for one in caller.considered)
        assert len(caller.considered) == len(inbound)


TLS = partner("P", "SenderDomains: p.example, RequireTls: true")
BY_ADDRESS = partner("P", "SenderIPAddresses: 198.51.100.0/24, RestrictDomainsToIPAddresses: true")
BY_CERTIFICATE = partner("P", "TlsSenderCertificateName: '*.filter.example', RestrictDomainsToCertificate: true")
BY_BOTH = partner(
    "P",
    "SenderIPAddresses: 198.51.100.0/24, RestrictDomainsToIPAddresses: true, "
    "TlsSenderCertificateName: '*.filter.example', RestrictDomainsToCertificate: true",
)
TLS_AND_CERTIFICATE = partner("P", "RequireTls: true, TlsSenderCertificateName: '*.filter.example', RestrictDomainsToCertificate: true")
UNRESTRICTING = partner("P", "SenderIPAddresses: 198.51.100.0/24, TlsSenderCertificateName: '*.filter.example'")
SCOPED = partner("P", "SenderIPAddresses: 198.51.100.0/24, RestrictDomainsToIPAddresses: true, AssociatedAcceptedDomains: contoso.com")
LOCK_OFF = partner("P", "SenderIPAddresses: 198.51.100.0/24, RestrictDomainsToIPAddresses: true, Enabled: false")
NO_STARTTLS = "451 5.7.3 STARTTLS is required to send mail"
LOCKED = '550 5.7.51 TenantInboundAttribution; Partner connector "P" takes mail from its SenderDomains '


@dataclass(frozen=True, slots=True)
class Restricted(Case):
    """`reply`: what mail for Bob hears, by its beginning; for outside a good one becomes the refusal to relay."""

    inbound: tuple[str, ...]
    facts: SessionFacts
    reply: str
    sender: str = "a@p.example"
    to: str = BOB
    outside: str = ""


@rule(
    "3.3",
    "A matching `Partner` connector only restricts: mail from its SenderDomains that misses its TLS, certificate or address condition is "
    "refused (`550 5.7.51`, or `451 5.7.3` where only STARTTLS is missing)",
    Restricted("TLS is missing", (TLS,), session(), NO_STARTTLS),
    Restricted("TLS", (TLS,), session(tls=True), "250"),
    Restricted("TLS, an untrusted certificate", (TLS,), session("a.example", trusted=False), "250"),
    Restricted("another sender", (TLS,), session(), "250", "a@other.example"),
    Restricted("another address", (BY_ADDRESS,), session(), LOCKED + "from its SenderIPAddresses only, and 203.0.113.5 is not among them"),
    Restricted("the address", (BY_ADDRESS,), session(ip="198.51.100.9"), "250"),
    Restricted("everybody includes the null sender", (BY_ADDRESS,), session(), LOCKED, "<>"),
    Restricted(
        "no certificate",
        (BY_CERTIFICATE,),
        session(),
        LOCKED + "with a certificate only (RestrictDomainsToCertificate): the session has no TLS",
    ),
    Restricted("the certificate", (BY_CERTIFICATE,), session("mx.filter.example"), "250"),
    Restricted("an untrusted one", (BY_CERTIFICATE,), session("mx.filter.example", trusted=False), LOCKED + "with a certificate only"),
    Restricted("another's", (BY_CERTIFICATE,), session("mx.evil.example"), LOCKED + "with a certificate only"),
    Restricted("both conditions", (BY_BOTH,), session("mx.filter.example", ip="198.51.100.9"), "250"),
    Restricted("the certificate alone", (BY_BOTH,), session("mx.filter.example"), LOCKED + "from its SenderIPAddresses only"),
    Restricted("the address alone", (BY_BOTH,), session(ip="198.51.100.9"), LOCKED + "with a certificate only"),
    Restricted("STARTTLS first, then the certificate", (TLS_AND_CERTIFICATE,), session(), NO_STARTTLS),
    Restricted("and then it counts", (TLS_AND_CERTIFICATE,), session(tls=True), LOCKED + "with a certificate only"),
    Restricted("lists that restrict nothing", (UNRESTRICTING,), session(), "250"),
    Restricted("recipients in its accepted domains", (SCOPED,), session(), LOCKED, outside="550 5.7.64"),
    Restricted("and others", (SCOPED,), session(), "250", to="john@fabrikam.com"),
    Restricted("a disabled one", (LOCK_OFF,), session(), "250"),
)
def test_partner_connectors_only_restrict(case: Restricted) -> None:
    text = organization(
        inbound=case.inbound,
        outbound=["{Name: To, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: m.contoso.com}"],
    )
    told = ask(text, case.facts, case.sender, case.to)
    assert str(told.reply).startswith(case.reply)
    assert told.sender.caller.kind is CallerKind.ANONYMOUS
    relayed = ask(text, case.facts, case.sender, SUN)
    assert str(relayed.reply).startswith(case.outside or ("550 5.7.64" if case.reply == "250" else case.reply))


OWN = own("Own", "SenderIPAddresses: 198.51.100.9")


@rule(
    "3.3 coexist",
    "Partner and OnPremises connectors for the same address coexist",
    Restricted("the own server passes the lock", (BY_CERTIFICATE, OWN), session(ip="198.51.100.9"), "250", JOHN, SUN),
    Restricted("its neighbour does not", (BY_CERTIFICATE, OWN), session(ip="198.51.100.8"), LOCKED, JOHN),
    Restricted("both name the address", (BY_ADDRESS, OWN), session(ip="198.51.100.9"), "250", JOHN, SUN),
    Restricted("the partner's part of it relays nothing", (BY_ADDRESS, OWN), session(ip="198.51.100.8"), "550 5.7.64", JOHN, SUN),
)
def test_partner_and_own_server_at_one_address(case: Restricted) -> None:
    for inbound in (case.inbound, case.inbound[::-1]):
        told = ask(organization(inbound=inbound), case.facts, case.sender, case.to)
        assert str(told.reply).startswith(case.reply)
        assert told.sender.caller.partners == ("P",)


@dataclass(frozen=True, slots=True)
class LoggedIn(Case):
    """Who logged in as Bob and sends as `sender`."""

    sender: str
    reply: str
    facts: SessionFacts = BOBS


@rule(
    "3.4",
    "AUTH on the submission port identifies a hosted mailbox user, who may send only as an address that he owns",
    LoggedIn("his address", BOB, "250"),
    LoggedIn("his alias", "robert@contoso.com", "250"),
    LoggedIn("in other letters", "Robert@Contoso.com", "250"),
    LoggedIn("the null sender is everybody's", "<>", "250"),
    LoggedIn("a colleague's", JOHN, "550 5.7.60 Client does not have permissions to send as this sender"),
    LoggedIn("a stranger's", SUN, "550 5.7.60 Client does not have permissions to send as this sender"),
    LoggedIn("nobody logged in", BOB, "530 5.7.0 Authentication required", session(listener="submission", tls=True)),
    LoggedIn("an own server there", JOHN, "530 5.7.0 Authentication required", session("mail.contoso.com", listener="submissions")),
)
def test_mailbox_users(case: LoggedIn) -> None:
    told = ask(organization(inbound=[CERTIFICATE]), case.facts, case.sender, SUN)
    assert str(told.reply).startswith(case.reply)
    assert (told.sender.caller.kind is CallerKind.MAILBOX) is bool(case.facts.authenticated)


@rule(
    "3.5",
    "Everyone else is anonymous. An untrusted or unexpected certificate makes nobody fail: he is merely "
    "anonymous, and the reason is recorded",
    Called("a stranger", (CERTIFICATE,), session(), "", words="No enabled OnPremises connector identifies 203.0.113.5"),
    Called("with TLS", (CERTIFICATE,), session(tls=True), "", words="the caller is anonymous"),
    Called("an untrusted certificate", (CERTIFICATE,), session("mail.contoso.com", trusted=False), "", words="is not trusted: self-signed"),
    Called("an unexpected one", (CERTIFICATE,), session("evil.example"), ""),
    Called(
        "one with strange names",
        (CERTIFICATE,),
        session("*", "*.com", "contoso.com\0.evil.example", "mail.contoso.com.", "m*il.contoso.com"),
        "",
    ),
    Called("of nothing at all", (), session(), ""),
)
def test_everyone_else_is_anonymous_with_the_reason(case: Called) -> None:
    told = ask(organization(inbound=case.inbound), case.facts, "x@y.example", BOB)
    assert told.sender.caller.kind is CallerKind.ANONYMOUS
    assert case.words in " ".join(told.sender.caller.reasons)
    assert told.reply.code == 250
    if case.inbound:
        (considered,) = told.sender.caller.considered
        assert considered.reason


FOREIGN = own("Hoster", "TlsSenderCertificateName: mail.hoster.example")


@dataclass(frozen=True, slots=True)
class TwoChecks(Case):
    """`identified`: the peer is known; `proven`: the organization is; `words` of the refusal."""

    inbound: str
    facts: SessionFacts
    sender: str
    identified: bool
    proven: bool
    words: str = ""


@rule(
    "3.6",
    "The identity of a peer (TLS name) and the proof of the organization (a domain that is accepted) are "
    "two checks, kept apart in code and "
    "in messages",
    TwoChecks("both", FOREIGN, session("mail.hoster.example"), JOHN, True, True),
    TwoChecks(
        "identity without proof",
        FOREIGN,
        session("mail.hoster.example"),
        "<>",
        True,
        False,
        'Connector "Hoster" identified the server, but nothing proves the organization',
    ),
    TwoChecks(
        "proof without identity", FOREIGN, session(), JOHN, False, False, 'Connector "Hoster" nearly matched: the session has no TLS'
    ),
    TwoChecks("neither", FOREIGN, session(), SUN, False, False, "No inbound connector knows 203.0.113.5"),
)
def test_identity_and_proof_are_two_checks(case: TwoChecks) -> None:
    told = ask(organization(inbound=[case.inbound]), case.facts, case.sender, "x@outside.example")
    assert (told.sender.caller.kind is CallerKind.CONNECTOR) is case.identified
    assert told.recipient.relay.allowed is case.proven
    assert case.words in told.reply.text
