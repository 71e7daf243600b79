"""SEMANTICS section 4: may he send there?"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.message.facts import SessionFacts
from tests.unit.connectors.world import session
from tests.unit.semantics.asking import BOB, BOBS, CONTOSO, FROM_OWN, JOHN, OWN_SERVER, STRANGER, SUN, Case, ask, organization, own, rule

BY_ADDRESS = own("Address", "SenderIPAddresses: 192.0.2.7")
HOSTER = own("Hoster", "TlsSenderCertificateName: mail.hoster.example")
ONE_NAME = own("Name", "TlsSenderCertificateName: mail.contoso.com")
NARROW = own("Narrow", "TlsSenderCertificateName: '*.contoso.com', AssociatedAcceptedDomains: fabrikam.com")
OFF = own("Off", "SenderIPAddresses: 192.0.2.7, Enabled: false")
FROM_ADDRESS = session(ip="192.0.2.7")
OUTSIDE = "sun@customer.example"
FORWARDED = "somebody@foreign.example"
SUBDOMAINS = CONTOSO.replace(
    "{DomainName: contoso.com, Default: true}", "{DomainName: contoso.com, DomainType: InternalRelay, MatchSubDomains: true}"
)


@dataclass(frozen=True, slots=True)
class Sent(Case):
    """Who sends where; `words` stand in the reasons, or in the refusal."""

    connector: str
    facts: SessionFacts
    sender: str
    allowed: bool
    words: str
    to: str = OUTSIDE
    base: str = CONTOSO


@rule(
    "4.1",
    "To an accepted domain: everyone, subject to section 5",
    Sent("a stranger", OWN_SERVER, STRANGER, SUN, True, "contoso.com is an accepted domain: everyone may send to it", BOB),
    Sent("a stranger in John's name", OWN_SERVER, STRANGER, JOHN, True, "everyone may send to it", BOB),
    Sent("the null sender", OWN_SERVER, STRANGER, "<>", True, "everyone may send to it", BOB),
    Sent("an own server", OWN_SERVER, FROM_OWN, SUN, True, "everyone may send to it", BOB),
    Sent("a subdomain is another domain", OWN_SERVER, STRANGER, SUN, False, "", "u@www.contoso.com"),
)
@rule(
    "4.2 mailbox",
    "To anywhere else: an authenticated mailbox user",
    Sent("Bob", OWN_SERVER, BOBS, BOB, True, "the mailbox user bob@contoso.com may send anywhere"),
    Sent("Bob without a connector", OFF, BOBS, BOB, True, "the mailbox user bob@contoso.com may send anywhere"),
)
@rule(
    "4.2 connector",
    "or a peer attributed to an OnPremises connector with proof: the certificate's matched domain is an "
    "accepted domain of the organization, "
    "**or** the MAIL FROM domain is",
    Sent("both", OWN_SERVER, FROM_OWN, JOHN, True, "the certificate proves the organization: its domain contoso.com is an accepted domain"),
    Sent("the certificate", OWN_SERVER, FROM_OWN, FORWARDED, True, "the certificate proves the organization"),
    Sent("MAIL FROM", BY_ADDRESS, FROM_ADDRESS, JOHN, True, "the sender's domain contoso.com is an accepted domain"),
    Sent(
        "MAIL FROM, where the certificate proves nothing",
        HOSTER,
        session("mail.hoster.example"),
        JOHN,
        True,
        "the sender's domain contoso.com",
    ),
    Sent(
        "neither", HOSTER, session("mail.hoster.example"), FORWARDED, False, "the sender's domain foreign.example is not an accepted domain"
    ),
    Sent("a subdomain is not accepted", BY_ADDRESS, FROM_ADDRESS, "u@sub.contoso.com", False, "sub.contoso.com is not an accepted domain"),
    Sent(
        "but with MatchSubDomains",
        BY_ADDRESS,
        FROM_ADDRESS,
        "u@sub.contoso.com",
        True,
        "sub.contoso.com is an accepted domain",
        base=SUBDOMAINS,
    ),
    Sent(
        "a name below an accepted domain",
        ONE_NAME,
        session("mail.contoso.com"),
        FORWARDED,
        False,
        "TlsSenderCertificateName *.contoso.com would prove it",
    ),
    Sent("AssociatedAcceptedDomains narrow the proof", NARROW, FROM_OWN, JOHN, False, 'Connector "Narrow" identified the server'),
    Sent("to these domains", NARROW, FROM_OWN, "u@fabrikam.com", True, "the sender's domain fabrikam.com is an accepted domain"),
)
@rule(
    "4.2 foreign",
    "The null sender and foreign senders (forwarded mail) need the certificate proof",
    Sent("a bounce with it", OWN_SERVER, FROM_OWN, "<>", True, "the certificate proves the organization"),
    Sent("forwarded mail with it", OWN_SERVER, FROM_OWN, FORWARDED, True, "the certificate proves the organization"),
    Sent(
        "a bounce by address", BY_ADDRESS, FROM_ADDRESS, "<>", False, "the sender is <>, and the connector identifies the server by address"
    ),
    Sent(
        "forwarded mail by address",
        BY_ADDRESS,
        FROM_ADDRESS,
        FORWARDED,
        False,
        "foreign.example is not an accepted domain, and the connector identifies the server by address",
    ),
    Sent(
        "a bounce with a foreign certificate",
        HOSTER,
        session("mail.hoster.example"),
        "<>",
        False,
        "the certificate's domain mail.hoster.example is not an accepted domain",
    ),
)
@rule(
    "4.3",
    "Otherwise `550 5.7.64 TenantAttribution; Relay Access Denied`, followed by a plain sentence: which "
    "connector nearly matched, and what was "
    "missing",
    Sent("no TLS", OWN_SERVER, STRANGER, JOHN, False, 'Connector "From our servers" nearly matched: the session has no TLS'),
    Sent("no certificate", OWN_SERVER, session(tls=True), JOHN, False, "nearly matched: the client presented no certificate"),
    Sent(
        "another name",
        OWN_SERVER,
        session("mail.fabrikam.example"),
        SUN,
        False,
        "the certificate's names mail.fabrikam.example do not match TlsSenderCertificateName *.contoso.com.",
    ),
    Sent(
        "not trusted",
        OWN_SERVER,
        session("mail.contoso.com", trusted=False),
        SUN,
        False,
        "the certificate for mail.contoso.com is not trusted (self-signed).",
    ),
    Sent(
        "another address",
        BY_ADDRESS,
        STRANGER,
        JOHN,
        False,
        'Connector "Address" nearly matched: the address 203.0.113.5 is not in SenderIPAddresses.',
    ),
    Sent("disabled", OFF, FROM_ADDRESS, JOHN, False, 'Connector "Off" nearly matched: it is disabled.'),
    Sent(
        "another sender",
        own("A", "SenderIPAddresses: 192.0.2.7, SenderDomains: contoso.com"),
        FROM_ADDRESS,
        SUN,
        False,
        'Connector "A" nearly matched: SenderDomains contoso.com do not hold example.net.',
    ),
    Sent(
        "a stranger",
        OWN_SERVER,
        STRANGER,
        SUN,
        False,
        "No inbound connector knows 203.0.113.5: its address is in no SenderIPAddresses, and it used no TLS.",
    ),
    Sent("nothing there", "", STRANGER, JOHN, False, "There is no inbound connector of type OnPremises. Create one"),
)
def test_section_4_relay(case: Sent) -> None:
    told = ask(organization(inbound=[case.connector] if case.connector else [], base=case.base), case.facts, case.sender, case.to)
    assert told.recipient.relay.allowed is case.allowed
    if case.allowed:
        assert told.reply.code == 250
        assert case.words in " ".join(told.recipient.relay.reasons)
        return
    start = "550 5.7.64 TenantAttribution; Relay Access Denied. "
    assert str(told.reply).startswith(start)
    assert case.words in told.reply.text
    assert len(str(told.reply)) > len(start) + 30  # a plain sentence follows
    assert told.recipient.routes == ()
