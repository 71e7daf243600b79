"""SEMANTICS sections 3 and 4, rule by rule: one table for each, named by it. The finer points are in the other files of this folder."""

from __future__ import annotations

import pytest

from mailwye.connectors.attribution import CallerKind
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import SessionFacts
from tests.unit.connectors.world import EXAMPLE, PARTNER, ask, inbound, session

CERTIFICATE = inbound("Certificate", tls_sender_certificate_name="mail.contoso.com")
ADDRESS = inbound("Address", sender_ip_addresses=("192.0.2.0/24", "2001:db8::/64"))
BOTH = inbound("Both", tls_sender_certificate_name="mail.contoso.com", sender_ip_addresses=("192.0.2.7",))
ONLY_FABRIKAM = inbound("Fabrikam", sender_ip_addresses=("192.0.2.7",), sender_domains=("fabrikam.com",))
OUTSIDE = "sun@example.net"


@pytest.mark.parametrize(
    ("connector", "facts", "sender", "holds"),
    [
        (CERTIFICATE, session("mail.contoso.com"), "john@contoso.com", True),
        (CERTIFICATE, session("mail.contoso.com", trusted=False), "john@contoso.com", False),
        (CERTIFICATE, session("www.contoso.com"), "john@contoso.com", False),
        (CERTIFICATE, session(tls=True), "john@contoso.com", False),
        (CERTIFICATE, session(), "john@contoso.com", False),
        (ADDRESS, session(ip="192.0.2.200"), "john@contoso.com", True),
        (ADDRESS, session(ip="2001:db8::25"), "john@contoso.com", True),
        (ADDRESS, session(ip="2001:db8:0:1::25"), "john@contoso.com", False),
        (ADDRESS, session(ip="::ffff:192.0.2.200"), "john@contoso.com", True),
        (ADDRESS, session(ip="192.0.3.200"), "john@contoso.com", False),
        (BOTH, session("mail.contoso.com", ip="192.0.2.7"), "john@contoso.com", True),
        (BOTH, session("mail.contoso.com", ip="192.0.2.8"), "john@contoso.com", False),
        (BOTH, session(ip="192.0.2.7"), "john@contoso.com", False),
        (ONLY_FABRIKAM, session(ip="192.0.2.7"), "a@fabrikam.com", True),
        (ONLY_FABRIKAM, session(ip="192.0.2.7"), "a@contoso.com", False),
        (ONLY_FABRIKAM, session(ip="192.0.2.7"), "<>", True),
    ],
)
def test_section_3_rule_1_certificate_or_address_or_both_and_the_senders_domain(
    connector: InboundConnector, facts: SessionFacts, sender: str, holds: bool
) -> None:
    caller = ask(facts, sender, "bob@contoso.com", ConnectorTable([connector])).caller
    assert (caller.connector == connector) is holds


@pytest.mark.parametrize(
    ("connectors", "facts", "winner"),
    [
        ([ADDRESS, CERTIFICATE], session("mail.contoso.com", ip="192.0.2.7"), "Certificate"),
        ([inbound("Wide", tls_sender_certificate_name="*.contoso.com"), CERTIFICATE], session("mail.contoso.com"), "Certificate"),
        ([ADDRESS, inbound("Narrow", sender_ip_addresses=("192.0.2.0/28",))], session(ip="192.0.2.7"), "Narrow"),
        ([inbound("B", sender_ip_addresses=("192.0.2.0/24",)), ADDRESS], session(ip="192.0.2.7"), "Address"),
    ],
)
def test_section_3_rule_2_the_preferred_one_is_never_chance(connectors: list[InboundConnector], facts: SessionFacts, winner: str) -> None:
    for order in (connectors, connectors[::-1]):
        caller = ask(facts, "john@contoso.com", "bob@contoso.com", ConnectorTable(order)).caller
        assert caller.connector is not None
        assert caller.connector.name == winner


TLS = inbound("Tls", connector_type=PARTNER, sender_domains=("p.example",), require_tls=True)
LOCK_IP = inbound("Lock", connector_type=PARTNER, sender_ip_addresses=("198.51.100.0/24",), restrict_domains_to_ip_addresses=True)
LOCK_CERTIFICATE = inbound(
    "Lock", connector_type=PARTNER, tls_sender_certificate_name="*.filter.example", restrict_domains_to_certificate=True
)
BOTH_LOCKS = inbound(
    "Lock",
    connector_type=PARTNER,
    sender_ip_addresses=("198.51.100.0/24",),
    restrict_domains_to_ip_addresses=True,
    tls_sender_certificate_name="*.filter.example",
    restrict_domains_to_certificate=True,
)


@pytest.mark.parametrize(
    ("connector", "facts", "sender", "reply"),
    [
        (TLS, session(), "a@p.example", "451 5.7.3"),
        (TLS, session(tls=True), "a@p.example", "250"),
        (TLS, session(), "a@other.example", "250"),
        (LOCK_IP, session(), "a@p.example", "550 5.7.51"),
        (LOCK_IP, session(ip="198.51.100.9"), "a@p.example", "250"),
        (LOCK_IP, session(), "<>", "550 5.7.51"),
        (LOCK_CERTIFICATE, session(), "a@p.example", "550 5.7.51"),
        (LOCK_CERTIFICATE, session("mx.filter.example"), "a@p.example", "250"),
        (LOCK_CERTIFICATE, session("mx.filter.example", trusted=False), "a@p.example", "550 5.7.51"),
        (LOCK_CERTIFICATE, session("mx.evil.example"), "a@p.example", "550 5.7.51"),
        (BOTH_LOCKS, session("mx.filter.example", ip="198.51.100.9"), "a@p.example", "250"),
        (BOTH_LOCKS, session("mx.filter.example"), "a@p.example", "550 5.7.51"),
        (BOTH_LOCKS, session(ip="198.51.100.9"), "a@p.example", "550 5.7.51"),
    ],
)
def test_section_3_rule_3_partners_restrict_and_never_grant(
    connector: InboundConnector, facts: SessionFacts, sender: str, reply: str
) -> None:
    table = ConnectorTable([connector])
    answer = ask(facts, sender, "bob@contoso.com", table)
    assert str(answer.reply).startswith(reply)
    assert answer.caller.connector is None
    relayed = ask(facts, sender, OUTSIDE, table)
    assert str(relayed.reply).startswith("550 5.7.64" if reply == "250" else reply)


def test_section_3_rule_3_associated_accepted_domains_are_the_recipients_scope() -> None:
    lock = inbound(
        "Lock",
        connector_type=PARTNER,
        sender_ip_addresses=("198.51.100.0/24",),
        restrict_domains_to_ip_addresses=True,
        associated_accepted_domains=("contoso.com",),
    )
    table = ConnectorTable([lock], EXAMPLE.outbound)
    for to, reply in (("bob@contoso.com", "550 5.7.51"), ("john@fabrikam.com", "250"), ("john@sales.contoso.com", "250")):
        assert str(ask(session(), "x@y.example", to, table).reply).startswith(reply)
        assert ask(session(ip="198.51.100.1"), "x@y.example", to, table).reply.code == 250


def test_section_3_rule_3_partner_and_own_server_at_one_address() -> None:
    own = inbound("Own", sender_ip_addresses=("198.51.100.9",))
    table = ConnectorTable([LOCK_CERTIFICATE, own])
    assert ask(session(ip="198.51.100.9"), "john@contoso.com", OUTSIDE, table).reply.code == 250
    assert ask(session(ip="198.51.100.8"), "x@y.example", "bob@contoso.com", table).reply.enhanced == "5.7.51"


@pytest.mark.parametrize(
    ("sender", "reply"), [("bob@contoso.com", "250"), ("robert@contoso.com", "250"), ("john@contoso.com", "550 5.7.60")]
)
def test_section_3_rule_4_a_mailbox_user_sends_as_himself(sender: str, reply: str) -> None:
    facts = session(auth="bob@contoso.com", listener="submission", tls=True)
    assert str(ask(facts, sender, OUTSIDE).reply).startswith(reply)


@pytest.mark.parametrize(
    "facts",
    [
        session(),
        session(tls=True),
        session("mail.contoso.com", trusted=False),
        session("evil.example"),
        session("*", "*.com", "contoso.com\0.evil.example", "mail.contoso.com.", "m*il.contoso.com"),
    ],
)
def test_section_3_rule_5_everyone_else_is_anonymous_with_the_reason(facts: SessionFacts) -> None:
    answer = ask(facts, "x@y.example", "bob@contoso.com")
    assert answer.caller.kind is CallerKind.ANONYMOUS
    assert answer.caller.reasons
    assert answer.reply.code == 250


BY_ADDRESS = ConnectorTable([inbound("Address", sender_ip_addresses=("192.0.2.7",))])
FOREIGN_NAME = ConnectorTable([inbound("Foreign", tls_sender_certificate_name="mail.hoster.example")])


@pytest.mark.parametrize(
    ("table", "facts", "sender", "allowed"),
    [
        # rule 1: to an accepted domain everyone
        *((EXAMPLE, session(), sender, None) for sender in ("<>", "x@y.example", "john@contoso.com")),
        # rule 2: elsewhere with identity and proof: the certificate's domain, or MAIL FROM
        (EXAMPLE, session("mail.contoso.com"), "john@contoso.com", True),
        (EXAMPLE, session("mail.contoso.com"), "<>", True),
        (EXAMPLE, session("mail.contoso.com"), "forwarded@foreign.example", True),
        (BY_ADDRESS, session(ip="192.0.2.7"), "john@contoso.com", True),
        (BY_ADDRESS, session(ip="192.0.2.7"), "<>", False),
        (BY_ADDRESS, session(ip="192.0.2.7"), "forwarded@foreign.example", False),
        (FOREIGN_NAME, session("mail.hoster.example"), "john@contoso.com", True),
        (FOREIGN_NAME, session("mail.hoster.example"), "<>", False),
        # rule 3: everybody else
        (EXAMPLE, session(), "john@contoso.com", False),
        (EXAMPLE, session("mail.contoso.com", trusted=False), "john@contoso.com", False),
        (ConnectorTable([LOCK_IP]), session(ip="198.51.100.9"), "john@contoso.com", False),
    ],
)
def test_section_4_relay(table: ConnectorTable, facts: SessionFacts, sender: str, allowed: bool | None) -> None:
    if allowed is None:
        assert ask(facts, sender, "bob@contoso.com", table).reply.code == 250
        return
    reply = ask(facts, sender, OUTSIDE, table).reply
    if allowed:
        assert reply.code == 250
    else:
        assert str(reply).startswith("550 5.7.64 TenantAttribution; Relay Access Denied. ")
        assert len(reply.text.partition("Relay Access Denied. ")[2]) > 30  # a plain sentence follows
