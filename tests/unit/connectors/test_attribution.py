"""SEMANTICS sections 3 and 4: who is calling, and may he send there."""

from __future__ import annotations

import pytest

from mailwye.connectors.attribution import CallerKind, attribute
from mailwye.connectors.mailflow import decide_sender
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DomainType
from mailwye.message.facts import SessionFacts
from tests.unit.connectors.world import CONTOSO, EXAMPLE, PARTNER, address, ask, inbound, session

CERTIFICATE = inbound("By certificate", tls_sender_certificate_name="*.contoso.com")
ADDRESS = inbound("By address", sender_ip_addresses=("192.0.2.0/24",))
BOTH = inbound("By both", tls_sender_certificate_name="*.contoso.com", sender_ip_addresses=("192.0.2.0/24",))

IDENTIFICATION = [
    ("certificate", [CERTIFICATE], session("mail.contoso.com"), "By certificate", "certificate"),
    ("apex in the certificate", [CERTIFICATE], session("contoso.com"), "By certificate", "certificate"),
    ("wildcard certificate", [CERTIFICATE], session("*.contoso.com"), "By certificate", "certificate"),
    ("one name of several", [CERTIFICATE], session("a.example", "mail.contoso.com"), "By certificate", "certificate"),
    ("wrong name", [CERTIFICATE], session("mail.fabrikam.example"), "", ""),
    ("name that only ends alike", [CERTIFICATE], session("mail.evilcontoso.com"), "", ""),
    ("untrusted chain", [CERTIFICATE], session("mail.contoso.com", trusted=False), "", ""),
    ("TLS without certificate", [CERTIFICATE], session(tls=True), "", ""),
    ("no TLS", [CERTIFICATE], session(), "", ""),
    ("address", [ADDRESS], session(ip="192.0.2.7"), "By address", "address"),
    ("other address", [ADDRESS], session(ip="192.0.3.7"), "", ""),
    ("mapped address", [ADDRESS], session(ip="::ffff:192.0.2.7"), "By address", "address"),
    ("both", [BOTH], session("mail.contoso.com", ip="192.0.2.7"), "By both", "certificate and address"),
    ("both: wrong address (C1)", [BOTH], session("mail.contoso.com"), "", ""),
    ("both: wrong certificate (C1)", [BOTH], session("x.example", ip="192.0.2.7"), "", ""),
    ("certificate beats address", [ADDRESS, CERTIFICATE], session("mail.contoso.com", ip="192.0.2.7"), "By certificate", "certificate"),
    (
        "exact name beats suffix",
        [CERTIFICATE, inbound("Z", tls_sender_certificate_name="mail.contoso.com")],
        session("mail.contoso.com"),
        "Z",
        "certificate",
    ),
    (
        "exact name and wildcard certificate",
        [inbound("Z", tls_sender_certificate_name="mail.contoso.com")],
        session("*.contoso.com"),
        "Z",
        "certificate",
    ),
    (
        "longer suffix beats shorter",
        [CERTIFICATE, inbound("Z", tls_sender_certificate_name="*.mail.contoso.com")],
        session("a.mail.contoso.com"),
        "Z",
        "certificate",
    ),
    (
        "same name: the address narrows",
        [CERTIFICATE, BOTH],
        session("mail.contoso.com", ip="192.0.2.7"),
        "By both",
        "certificate and address",
    ),
    ("/32 beats /24", [ADDRESS, inbound("Z", sender_ip_addresses=("192.0.2.7/32",))], session(ip="192.0.2.7"), "Z", "address"),
    ("/64 and its neighbour", [inbound("Z", sender_ip_addresses=("2001:db8:0:1::/64",))], session(ip="2001:db8:0:2::1"), "", ""),
    ("/64", [inbound("Z", sender_ip_addresses=("2001:db8:0:1::/64",))], session(ip="2001:db8:0:1::1"), "Z", "address"),
    ("tie: lower name", [inbound("b", sender_ip_addresses=("192.0.2.0/24",)), ADDRESS], session(ip="192.0.2.7"), "b", "address"),
    ("disabled", [inbound("Z", enabled=False, sender_ip_addresses=("192.0.2.0/24",))], session(ip="192.0.2.7"), "", ""),
    ("names nothing", [inbound("Z")], session("mail.contoso.com"), "", ""),
    ("star identifies nobody", [inbound("Z", tls_sender_certificate_name="*")], session("mail.contoso.com"), "", ""),
    ("RequireTls", [inbound("Z", sender_ip_addresses=("192.0.2.0/24",), require_tls=True)], session(ip="192.0.2.7"), "", ""),
    (
        "RequireTls met",
        [inbound("Z", sender_ip_addresses=("192.0.2.0/24",), require_tls=True)],
        session(ip="192.0.2.7", tls=True),
        "Z",
        "address",
    ),
    (
        "Partner grants nothing",
        [inbound("Z", connector_type=PARTNER, sender_ip_addresses=("192.0.2.0/24",))],
        session(ip="192.0.2.7"),
        "",
        "",
    ),
    (
        "another sender domain",
        [inbound("Z", sender_ip_addresses=("192.0.2.0/24",), sender_domains=("o.example",))],
        session(ip="192.0.2.7"),
        "",
        "",
    ),
    (
        "its sender domain",
        [inbound("Z", sender_ip_addresses=("192.0.2.0/24",), sender_domains=("*.com",))],
        session(ip="192.0.2.7"),
        "Z",
        "address",
    ),
]


@pytest.mark.parametrize(
    ("connectors", "facts", "expected", "proof"), [row[1:] for row in IDENTIFICATION], ids=[row[0] for row in IDENTIFICATION]
)
def test_identification(connectors: list[InboundConnector], facts: SessionFacts, expected: str, proof: str) -> None:
    caller = attribute(facts, address("john@contoso.com"), ConnectorTable(connectors), CONTOSO, explain=True)
    assert (caller.connector.name if caller.connector else "") == expected
    assert caller.proof == proof
    assert caller.kind is (CallerKind.CONNECTOR if expected else CallerKind.ANONYMOUS)
    assert caller.refusal is None
    assert caller.reasons
    assert [c.connector for c in caller.considered] == sorted((c.name for c in connectors), key=str.lower)
    assert [c.connector for c in caller.considered if c.chosen] == ([expected] if expected else [])
    assert all(c.reason for c in caller.considered)


def test_without_explain_nothing_is_listed() -> None:
    assert attribute(session("mail.contoso.com"), None, EXAMPLE, CONTOSO).considered == ()


def test_a_loser_learns_why_another_was_preferred() -> None:
    table = ConnectorTable([ADDRESS, CERTIFICATE])
    caller = attribute(session("mail.contoso.com", ip="192.0.2.7"), None, table, CONTOSO, explain=True)
    assert caller.considered[0].reason == "It matches too, but By certificate is preferred: a certificate beats an address"


def test_the_reason_for_an_untrusted_certificate_is_recorded() -> None:
    caller = attribute(session("mail.contoso.com", trusted=False), None, EXAMPLE, CONTOSO)
    assert any("not trusted: self-signed" in reason for reason in caller.reasons)


def test_a_certificate_with_very_many_names_costs_bounded_time() -> None:
    names = tuple(f"n{number}.example" for number in range(10_000))
    assert attribute(session(*names, "mail.contoso.com"), None, EXAMPLE, CONTOSO).kind is CallerKind.ANONYMOUS


LOCKED = inbound(
    "Partner",
    connector_type=PARTNER,
    sender_domains=("partner.example",),
    sender_ip_addresses=("198.51.100.0/24",),
    restrict_domains_to_ip_addresses=True,
)
CERTIFIED = inbound(
    "Partner",
    connector_type=PARTNER,
    sender_domains=("*.partner.example",),
    tls_sender_certificate_name="*.partner.example",
    require_tls=True,
    restrict_domains_to_certificate=True,
)
TLS_ONLY = inbound("Partner", connector_type=PARTNER, sender_domains=("partner.example",), require_tls=True)


@pytest.mark.parametrize(
    ("connector", "facts", "sender", "reply"),
    [
        (LOCKED, session(ip="198.51.100.9"), "a@partner.example", "250 2.1.0"),
        (LOCKED, session(ip="203.0.113.9"), "a@partner.example", "550 5.7.51"),
        (LOCKED, session(ip="203.0.113.9"), "a@sub.partner.example", "250 2.1.0"),
        (LOCKED, session(ip="203.0.113.9"), "a@other.example", "250 2.1.0"),
        (LOCKED, session(ip="203.0.113.9"), "<>", "250 2.1.0"),
        (TLS_ONLY, session(), "a@partner.example", "451 5.7.3"),
        (TLS_ONLY, session(tls=True), "a@partner.example", "250 2.1.0"),
        (CERTIFIED, session(), "a@partner.example", "451 5.7.3"),
        (CERTIFIED, session(tls=True), "a@partner.example", "550 5.7.51"),
        (CERTIFIED, session("mail.partner.example"), "a@sub.partner.example", "250 2.1.0"),
        (CERTIFIED, session("mail.partner.example", trusted=False), "a@partner.example", "550 5.7.51"),
        (CERTIFIED, session("mail.evil.example"), "a@partner.example", "550 5.7.51"),
    ],
)
def test_partner_restrictions(connector: InboundConnector, facts: SessionFacts, sender: str, reply: str) -> None:
    answer = ask(facts, sender, "bob@contoso.com", ConnectorTable([connector]))
    if answer.reply.is_success:
        assert reply == "250 2.1.0"
    else:
        assert str(answer.reply).startswith(reply)
    assert answer.caller.kind is CallerKind.ANONYMOUS


def test_a_lists_that_are_not_restricting_restrict_nothing() -> None:
    connector = inbound("P", connector_type=PARTNER, sender_ip_addresses=("198.51.100.0/24",), tls_sender_certificate_name="*.p.example")
    assert ask(session(), "a@p.example", "bob@contoso.com", ConnectorTable([connector])).reply.code == 250


def test_a_lock_down_lets_the_own_servers_pass_from_the_same_address() -> None:
    lock = inbound("Lock", connector_type=PARTNER, sender_ip_addresses=("198.51.100.0/24",), restrict_domains_to_ip_addresses=True)
    own = inbound("Own", sender_ip_addresses=("192.0.2.7/32", "198.51.100.7/32"))
    table = ConnectorTable([lock, own])
    assert ask(session(ip="192.0.2.7"), "john@contoso.com", "x@y.example", table).reply.code == 250
    assert ask(session(ip="198.51.100.7"), "john@contoso.com", "x@y.example", table).reply.code == 250
    assert ask(session(ip="198.51.100.8"), "x@y.example", "bob@contoso.com", table).reply.code == 250
    refused = ask(session(ip="203.0.113.9"), "x@y.example", "bob@contoso.com", table)
    assert str(refused.reply).startswith("550 5.7.51 TenantInboundAttribution")
    assert refused.caller.partners == ("Lock",)


def test_associated_accepted_domains_limit_a_partner_connector_to_recipients_there() -> None:
    lock = inbound(
        "Lock",
        connector_type=PARTNER,
        sender_ip_addresses=("198.51.100.0/24",),
        restrict_domains_to_ip_addresses=True,
        associated_accepted_domains=("contoso.com",),
    )
    table = ConnectorTable([lock], EXAMPLE.outbound)
    assert decide_sender(CONTOSO, table, session(), address("x@y.example")).reply.code == 250
    assert ask(session(), "x@y.example", "bob@contoso.com", table).reply.enhanced == "5.7.51"
    assert ask(session(), "x@y.example", "john@fabrikam.com", table).reply.code == 250


@pytest.mark.parametrize(
    ("sender", "reply"),
    [
        ("bob@contoso.com", "250"),
        ("Robert@contoso.com", "250"),
        ("<>", "250"),
        ("john@contoso.com", "550 5.7.60 Client does not have permissions to send as this sender"),
        ("bob@fabrikam.com", "550 5.7.60 Client does not have permissions to send as this sender"),
    ],
)
def test_a_mailbox_user_sends_only_as_himself(sender: str, reply: str) -> None:
    answer = ask(session(auth="bob@contoso.com", listener="submission", tls=True), sender, "x@y.example")
    assert str(answer.reply).startswith(reply)
    assert (answer.caller.kind, answer.caller.mailbox) == (CallerKind.MAILBOX, "bob@contoso.com")


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_submission_wants_a_login_even_of_the_own_servers(listener: str) -> None:
    answer = ask(session("mail.contoso.com", listener=listener), "john@contoso.com", "bob@contoso.com")
    assert str(answer.reply) == "530 5.7.0 Authentication required"


IP_TABLE = ConnectorTable([inbound("By address", sender_ip_addresses=("192.0.2.0/24",))])
NARROW = ConnectorTable([inbound("Narrow", tls_sender_certificate_name="*.contoso.com", associated_accepted_domains=("fabrikam.com",))])
HOST = ConnectorTable([inbound("Host", tls_sender_certificate_name="mail.contoso.com")])
OWN_IP = session(ip="192.0.2.7")
OWN_TLS = session("mail.contoso.com")


@pytest.mark.parametrize(
    ("table", "facts", "sender", "allowed", "sentence"),
    [
        (EXAMPLE, OWN_TLS, "john@contoso.com", True, "domain contoso.com is an accepted domain"),
        (EXAMPLE, OWN_TLS, "<>", True, "domain contoso.com is an accepted domain"),
        (EXAMPLE, OWN_TLS, "sun@customer.example", True, "domain contoso.com is an accepted domain"),
        (IP_TABLE, OWN_IP, "john@contoso.com", True, "sender's domain contoso.com is an accepted domain"),
        (IP_TABLE, OWN_IP, "<>", False, "the sender is <>, and the connector identifies the server by address"),
        (IP_TABLE, OWN_IP, "sun@customer.example", False, "customer.example is not an accepted domain"),
        (IP_TABLE, OWN_IP, "john@sub.contoso.com", False, "sub.contoso.com is not an accepted domain"),
        (HOST, OWN_TLS, "john@contoso.com", True, "sender's domain"),
        (
            HOST,
            OWN_TLS,
            "<>",
            False,
            "domain mail.contoso.com is not an accepted domain (TlsSenderCertificateName *.contoso.com would prove it)",
        ),
        (NARROW, OWN_TLS, "john@contoso.com", False, "Narrow"),
        (NARROW, OWN_TLS, "john@fabrikam.com", True, "sender's domain fabrikam.com"),
    ],
)
def test_relay_needs_identity_and_proof(table: ConnectorTable, facts: SessionFacts, sender: str, allowed: bool, sentence: str) -> None:
    answer = ask(facts, sender, "x@y.example", table)
    assert answer.caller.kind is CallerKind.CONNECTOR
    assert answer.decision.relay.allowed is allowed
    if allowed:
        assert answer.reply.code == 250
        assert sentence in answer.decision.relay.reasons[0]
    else:
        assert str(answer.reply).startswith("550 5.7.64 TenantAttribution; Relay Access Denied")
        assert sentence in answer.reply.text
        assert answer.decision.routes == ()


def test_a_subdomain_proves_the_organization_where_match_sub_domains_says_so() -> None:
    directory = Directory([AcceptedDomain("contoso.com", DomainType.INTERNAL_RELAY, True)])
    assert ask(OWN_IP, "john@sub.contoso.com", "x@y.example", IP_TABLE, directory).reply.code == 250


NEAR = 'Connector "From our servers" nearly matched: '


@pytest.mark.parametrize(
    ("facts", "sender", "sentence"),
    [
        (
            session("mail.fabrikam.example"),
            "x@y.example",
            NEAR + "the certificate's names mail.fabrikam.example do not match TlsSenderCertificateName *.contoso.com.",
        ),
        (
            session("mail.contoso.com", trusted=False),
            "x@y.example",
            NEAR + "the certificate for mail.contoso.com is not trusted (self-signed).",
        ),
        (session(), "john@contoso.com", NEAR + "the session has no TLS, so the client presented no certificate"),
        (session(tls=True), "john@contoso.com", NEAR + "the client presented no certificate"),
        (session(), "x@y.example", "No inbound connector knows 203.0.113.5: its address is in no SenderIPAddresses, and it used no TLS."),
        (session(ip=""), "x@y.example", "No inbound connector knows the peer: its address is in no SenderIPAddresses"),
        (session("evil\r\n250 ok\x00.example"), "x@y.example", NEAR),
    ],
)
def test_a_refusal_names_what_nearly_matched(facts: SessionFacts, sender: str, sentence: str) -> None:
    reply = ask(facts, sender, "x@y.example").reply
    assert reply.enhanced == "5.7.64"
    assert sentence in reply.text
    assert reply.text.isprintable()


def test_the_nearest_of_several_is_named() -> None:
    table = ConnectorTable([inbound("A", tls_sender_certificate_name="*.a.example"), BOTH, inbound("Z", enabled=False)])
    text = ask(session(ip="192.0.2.7"), "john@contoso.com", "x@y.example", table).reply.text
    assert 'Connector "By both" nearly matched: the session has no TLS' in text


def test_the_wrong_sender_domain_is_named() -> None:
    table = ConnectorTable([inbound("A", sender_ip_addresses=("192.0.2.0/24",), sender_domains=("contoso.com",))])
    text = ask(OWN_IP, "x@y.example", "x@y.example", table).reply.text
    assert 'Connector "A" nearly matched: SenderDomains contoso.com do not hold y.example.' in text


def test_a_disabled_connector_is_named_where_it_is_the_only_one() -> None:
    table = ConnectorTable([inbound("A", enabled=False, sender_ip_addresses=("192.0.2.0/24",))])
    assert 'Connector "A" nearly matched: it is disabled.' in ask(OWN_IP, "john@contoso.com", "x@y.example", table).reply.text
