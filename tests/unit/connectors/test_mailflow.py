"""The way of a recipient: the story of SEMANTICS section 1, and what the tables of tests/unit/semantics leave open."""

from __future__ import annotations

import pytest

from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.model import ConnectorType, DirectDelivery, TlsSettings
from mailwye.connectors.selection import RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DomainType
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address, parse_address
from tests.unit.connectors.world import (
    CONNECTOR_2,
    CONTOSO,
    EXAMPLE,
    ON_PREMISES,
    PARTNER,
    ask,
    group,
    mail_user,
    mailbox,
    outbound,
    session,
)

OWN = session("mail.contoso.com")
STRANGER = session()
BOB = session(auth="bob@contoso.com", listener="submission", tls=True)

STORY = [
    ("John to Bob", OWN, "john@contoso.com", "bob@contoso.com", ["mailbox"]),
    ("Bob to John", BOB, "bob@contoso.com", "john@contoso.com", ["connector:Connector 2"]),
    ("John to Sun", OWN, "john@contoso.com", "sun@customer.example", ["mx:customer.example"]),
    ("Sun to John", STRANGER, "sun@customer.example", "john@contoso.com", ["connector:Connector 2"]),
    ("Bob to Sun", BOB, "bob@contoso.com", "sun@customer.example", ["mx:customer.example"]),
    ("Sun to Bob", STRANGER, "sun@customer.example", "bob@contoso.com", ["mailbox"]),
    ("Sun to Bob's alias", STRANGER, "sun@customer.example", "Robert@contoso.com", ["mailbox"]),
    ("bounce through the own servers", OWN, "<>", "sun@customer.example", ["mx:customer.example"]),
]


@pytest.mark.parametrize(("facts", "sender", "to", "hops"), [row[1:] for row in STORY], ids=[row[0] for row in STORY])
def test_the_story_with_connectors(facts: SessionFacts, sender: str, to: str, hops: list[str]) -> None:
    answer = ask(facts, sender, to)
    assert answer.reply.code == 250
    assert answer.hops == hops


@pytest.mark.parametrize(
    ("facts", "sender", "to", "reply", "sentence"),
    [
        (OWN, "john@contoso.com", "sun@customer.example", "550 5.7.64", "There is no inbound connector of type OnPremises"),
        (BOB, "bob@contoso.com", "john@contoso.com", "550 5.4.4", "Create an enabled outbound connector of type OnPremises"),
        (STRANGER, "sun@customer.example", "john@contoso.com", "550 5.4.4", "RecipientDomains contoso.com"),
    ],
)
def test_the_story_without_connectors_names_what_is_missing(facts: SessionFacts, sender: str, to: str, reply: str, sentence: str) -> None:
    answer = ask(facts, sender, to, ConnectorTable())
    assert str(answer.reply).startswith(reply)
    assert sentence in answer.reply.text


@pytest.mark.parametrize(
    ("facts", "sender", "to"),
    [(OWN, "john@contoso.com", "bob@contoso.com"), (BOB, "bob@contoso.com", "x@y.example"), (STRANGER, "x@y.example", "bob@contoso.com")],
)
def test_mail_of_hosted_mailboxes_needs_no_connector(facts: SessionFacts, sender: str, to: str) -> None:
    assert ask(facts, sender, to, ConnectorTable()).reply.code == 250


def test_a_route_carries_the_settings_of_its_connector() -> None:
    connector = outbound(
        "A",
        "contoso.com",
        tls_settings=TlsSettings.DOMAIN_VALIDATION,
        tls_domain="mail.contoso.com",
        client_certificate="ours",
        cloud_services_mail_enabled=True,
    )
    route = decide_route(CONTOSO, ConnectorTable((), [connector]), parse_address("john@contoso.com"), from_on_premises=False)
    assert (route.tls_settings, route.tls_domain) == (TlsSettings.DOMAIN_VALIDATION, "mail.contoso.com")
    assert (route.client_certificate, route.cloud_services_mail_enabled) == ("ours", True)
    assert route.smart_hosts == connector.smart_hosts


@pytest.mark.parametrize("connector_type", [ON_PREMISES, PARTNER])
@pytest.mark.parametrize("to", ["john@contoso.com", "sun@example.net"])
def test_what_a_connector_changes_in_what_leaves(to: str, connector_type: ConnectorType) -> None:
    """Headers cross to own servers only; a sender is rewritten towards own servers only, where the copy is for somebody outside."""
    connector = outbound(
        "A",
        "*",
        connector_type=connector_type,
        cloud_services_mail_enabled=True,
        sender_rewriting_enabled=True,
        remove_internal_received_headers=True,
    )
    route = decide_route(CONTOSO, ConnectorTable((), [connector]), parse_address(to), from_on_premises=False)
    if connector_type is PARTNER and to == "john@contoso.com":
        assert route.kind is RouteKind.NONE
        return
    own = connector_type is ON_PREMISES
    assert route.cloud_services_mail_enabled == own
    assert route.rewrites_sender == (own and to == "sun@example.net")
    assert route.remove_internal_received_headers
    by_rule = decide_route(CONTOSO, ConnectorTable((), [connector]), parse_address(to), from_on_premises=False, rule_connector="A")
    assert by_rule.rewrites_sender == route.rewrites_sender


@pytest.mark.parametrize("on", [False, True])
def test_what_the_organization_changes_in_what_leaves_without_a_connector(on: bool) -> None:
    table = ConnectorTable(direct=DirectDelivery(sender_rewriting_enabled=on, remove_internal_received_headers=on))
    route = decide_route(CONTOSO, table, parse_address("sun@example.net"), from_on_premises=False)
    assert (route.kind, route.rewrites_sender, route.remove_internal_received_headers) == (RouteKind.MX, on, on)
    directory = Directory([AcceptedDomain("a.com")], [mailbox("b@a.com")])
    here = decide_route(directory, table, parse_address("b@a.com"), from_on_premises=False)
    assert (here.rewrites_sender, here.remove_internal_received_headers) == (False, False)


def test_a_connector_with_use_mx_record_looks_up_the_recipients_domain() -> None:
    connector = outbound("P", "*.p.example", connector_type=PARTNER, use_mx_record=True, tls_settings=TlsSettings.ENCRYPTION_ONLY)
    route = decide_route(CONTOSO, ConnectorTable((), [connector]), parse_address("u@a.p.example"), from_on_premises=False)
    assert (route.smart_hosts, route.domain, route.next_hop) == ((), "a.p.example", "connector:P:a.p.example")
    assert route.tls_settings is TlsSettings.ENCRYPTION_ONLY


def test_a_rules_connector_wins() -> None:
    scoped = outbound("Scoped", is_transport_rule_scoped=True)
    table = ConnectorTable((), [CONNECTOR_2, scoped, outbound("Off", enabled=False)])
    for to in ("john@contoso.com", "bob@contoso.com", "x@y.example"):
        route = decide_route(CONTOSO, table, parse_address(to), from_on_premises=False, rule_connector="scoped")
        assert route.next_hop == "connector:Scoped"
    for name, state in (("Off", "is disabled"), ("Gone", "does not exist")):
        route = decide_route(CONTOSO, table, parse_address("x@y.example"), from_on_premises=False, rule_connector=name)
        assert route.kind is RouteKind.NONE
        assert state in route.failure


@pytest.mark.parametrize(
    ("to", "reply"),
    [
        ("nobody@contoso.com", "550 5.4.1 Recipient address rejected: Access denied"),
        ("u@[127.0.0.1]", "550 5.1.2 Mail to an address literal is not relayed: use a domain name"),
        ("u@[IPv6:::1]", "550 5.1.2 Mail to an address literal is not relayed: use a domain name"),
        ("bob%contoso.com@contoso.com", "550 5.4.1 Recipient address rejected: Access denied"),  # A3: the local part is opaque
    ],
)
@pytest.mark.parametrize("facts", [OWN, STRANGER, BOB], ids=["own", "stranger", "bob"])
def test_recipients_that_nobody_may_reach(facts: SessionFacts, to: str, reply: str) -> None:
    sender = "bob@contoso.com" if facts is BOB else "x@y.example"
    assert str(ask(facts, sender, to).reply) == reply


def test_a_literal_is_never_routed() -> None:
    table = ConnectorTable((), [outbound("A", "*")])
    route = decide_route(CONTOSO, table, Address("u", "[127.0.0.1]"), from_on_premises=False)
    assert (route.kind, route.failure_enhanced) == (RouteKind.NONE, "5.1.2")


RELAYING = Directory(
    [AcceptedDomain("contoso.com", DomainType.INTERNAL_RELAY, True), AcceptedDomain("strict.contoso.com")],
    [
        mailbox("bob@contoso.com"),
        mail_user("moved@contoso.com", external="moved@new.example"),
        mail_user("loop1@contoso.com", external="loop2@contoso.com"),
        mail_user("loop2@contoso.com", external="loop1@contoso.com"),
        group("all@contoso.com", "bob@contoso.com", "anyone@contoso.com", "moved@contoso.com", "sun@customer.example"),
        group("empty@contoso.com"),
    ],
)


@pytest.mark.parametrize(
    ("to", "code", "hops"),
    [
        ("bob@contoso.com", 250, ["mailbox"]),
        ("anyone@contoso.com", 250, ["connector:A"]),
        ("anyone@deep.sub.contoso.com", 250, ["connector:B"]),
        ("anyone@strict.contoso.com", 550, []),
        ("moved@contoso.com", 250, ["mx:new.example"]),
        ("all@contoso.com", 250, ["mailbox", "connector:A", "mx:new.example", "mx:customer.example"]),
        ("empty@contoso.com", 550, []),
        ("loop1@contoso.com", 550, []),
    ],
)
def test_internal_relay_external_addresses_and_groups(to: str, code: int, hops: list[str]) -> None:
    table = ConnectorTable((), [outbound("A", "contoso.com"), outbound("B", "*.contoso.com")])
    answer = ask(STRANGER, "x@y.example", to, table, RELAYING)
    assert (answer.reply.code, answer.hops) == (code, hops)


def test_a_group_with_one_way_out_is_accepted_and_the_other_copy_fails_by_itself() -> None:
    answer = ask(STRANGER, "x@y.example", "all@contoso.com", ConnectorTable(), RELAYING)
    assert answer.reply.code == 250
    assert answer.hops == ["mailbox", "none", "mx:new.example", "mx:customer.example"]


@pytest.mark.parametrize(
    ("to", "enhanced"), [("nobody@strict.contoso.com", "5.4.1"), ("all@contoso.com", "5.2.4"), ("loop1@contoso.com", "5.4.6")]
)
def test_a_later_attempt_for_a_recipient_that_changed_fails_with_its_reason(to: str, enhanced: str) -> None:
    route = decide_route(RELAYING, ConnectorTable(), parse_address(to), from_on_premises=False)
    assert (route.kind, route.reply.code, route.reply.enhanced) == (RouteKind.NONE, 550, enhanced)


def test_only_a_route_to_nowhere_has_a_reply() -> None:
    with pytest.raises(ValueError, match="only a route of kind NONE"):
        _ = decide_route(CONTOSO, EXAMPLE, parse_address("bob@contoso.com"), from_on_premises=False).reply


def test_the_cost_of_the_hot_path_names_only_the_chosen_connector() -> None:
    route = decide_route(CONTOSO, EXAMPLE, parse_address("john@contoso.com"), from_on_premises=False)
    assert [c.connector for c in route.considered] == [CONNECTOR_2.name]
