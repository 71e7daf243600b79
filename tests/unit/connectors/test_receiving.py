"""ReceiveConnectors: which one takes a session, who may send through it, and whom it takes for the other side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.connectors.attribution import CallerKind, keeps_headers
from mailwye.connectors.own_server import Binding, PermissionGroup, ReceiveConnector
from mailwye.connectors.receive_table import ReceiveTable
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import SessionFacts
from tests.unit.connectors.world import CONTOSO, PARTNER, Answer, address, ask, inbound, outbound, session

LOCAL = "192.0.2.1:25"
SERVICE = "mail.protection.outlook.com"
ANONYMOUS, USERS, SERVERS, PARTNERS = (
    PermissionGroup.ANONYMOUS_USERS,
    PermissionGroup.EXCHANGE_USERS,
    PermissionGroup.EXCHANGE_SERVERS,
    PermissionGroup.PARTNERS,
)


def receive(
    name: str, *ranges: str, binding: str = "0.0.0.0:25", groups: tuple[PermissionGroup, ...] = (ANONYMOUS,), **more: object
) -> ReceiveConnector:
    values: dict[str, object] = {"remote_ip_ranges": ranges, **more} if ranges else dict(more)
    return ReceiveConnector(name, bindings=(Binding.of(binding),), permission_groups=groups, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("binding", "listener", "covers"),
    [
        ("0.0.0.0:25", "192.0.2.1:25", True),
        ("0.0.0.0:25", "0.0.0.0:25", True),
        ("0.0.0.0:25", "192.0.2.1:26", False),
        ("0.0.0.0:25", "[::]:25", False),
        ("[::]:25", "[2001:db8::1]:25", True),
        ("192.0.2.1:25", "192.0.2.1:25", True),
        ("192.0.2.1:25", "0.0.0.0:25", False),
        ("192.0.2.1:25", "192.0.2.2:25", False),
    ],
)
def test_bindings(binding: str, listener: str, covers: bool) -> None:
    assert Binding.of(binding).covers(Binding.of(listener)) is covers
    assert str(Binding.of(binding)) == binding


@pytest.mark.parametrize("text", ["", "25", "192.0.2.1", "192.0.2.1:x", "host:25", "192.0.2.1:70000"])
def test_what_is_no_binding(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Binding.of(text)


EVERYBODY = receive("Everybody")
NETWORK = receive("Network", "198.51.100.0/24")
HOST = receive("Host", "198.51.100.10/32")
TAKES = [
    ((EVERYBODY, NETWORK, HOST), "198.51.100.10", "Host"),
    ((EVERYBODY, NETWORK, HOST), "198.51.100.11", "Network"),
    ((EVERYBODY, NETWORK, HOST), "203.0.113.1", "Everybody"),
    ((EVERYBODY, NETWORK), "2001:db8::1", "Everybody"),
    ((EVERYBODY, NETWORK), "", "Everybody"),
    ((NETWORK, HOST), "203.0.113.1", ""),
    ((NETWORK,), "", ""),
    # the alphabet decides between equals, and a closer binding before a narrower range
    ((receive("B", "198.51.100.0/24"), receive("a", "198.51.100.0/24")), "198.51.100.1", "a"),
    ((HOST, receive("Here", "0.0.0.0/0", binding=LOCAL)), "198.51.100.10", "Here"),
    ((replace(HOST, enabled=False), EVERYBODY), "198.51.100.10", "Everybody"),
]


@pytest.mark.parametrize(("connectors", "peer", "expected"), TAKES)
def test_who_takes_a_session(connectors: tuple[ReceiveConnector, ...], peer: str, expected: str) -> None:
    for order in (connectors, connectors[::-1]):
        reception = ReceiveTable(order).find(LOCAL, peer)
        assert reception is not None
        assert (reception.connector.name if reception.connector else "") == expected
        assert (reception.refusal is None) is bool(expected)
        assert reception.reason


def test_a_listener_that_no_connector_names_is_as_ever() -> None:
    table = ReceiveTable([receive("Submission", binding="0.0.0.0:587")])
    assert table.find(LOCAL, "203.0.113.1") is None
    assert table.find("", "203.0.113.1") is None
    assert table.bound_to("192.0.2.1:587") == table.connectors


def test_a_disabled_connector_closes_its_listener_for_a_while() -> None:
    reception = ReceiveTable([replace(EVERYBODY, enabled=False)]).find(LOCAL, "203.0.113.1")
    assert reception is not None
    assert str(reception.refusal).startswith("421 4.3.2 ")
    assert "is disabled: Everybody" in reception.reason


def at(facts: SessionFacts, local: str = LOCAL) -> SessionFacts:
    return replace(facts, local=local)


def asked(
    receiver: ReceiveConnector, facts: SessionFacts, sender: str = "sun@example.net", to: str = "bob@contoso.com", **more: object
) -> Answer:
    inbound_connectors = more.get("inbound", ())
    table = ConnectorTable(inbound_connectors, [outbound("All", all_accepted_domains=True)], receive=ReceiveTable([receiver]))  # type: ignore[arg-type]
    return ask(at(facts), sender, to, table)


OWN_SERVER = inbound("Own", sender_ip_addresses=("203.0.113.5/32",))
FROM_PARTNER = inbound("Partner", connector_type=PARTNER, sender_domains=("example.net",), require_tls=True)
FOR_FABRIKAM = replace(FROM_PARTNER, name="Fabrikam's", associated_accepted_domains=("fabrikam.com",))
PERMISSIONS = [
    ((ANONYMOUS,), session(), (), ""),
    ((), session(), (), "530 5.7.1 Client was not authenticated: AnonymousUsers is not among"),
    ((USERS, SERVERS, PARTNERS), session(), (), "530 5.7.1 "),
    ((USERS,), session(auth="bob@contoso.com"), (), ""),
    ((ANONYMOUS,), session(auth="bob@contoso.com"), (), "550 5.7.1 "),
    ((SERVERS,), session(), (OWN_SERVER,), ""),
    ((ANONYMOUS,), session(), (OWN_SERVER,), ""),
    ((USERS,), session(), (OWN_SERVER,), "530 5.7.1 Client was not authenticated: ExchangeServers is not among"),
    ((PARTNERS,), session(tls=True), (FROM_PARTNER,), ""),
    ((PARTNERS,), session(), (FROM_PARTNER,), "451 5.7.3 "),
    ((PARTNERS,), session(tls=True), (), "530 5.7.1 "),
    # who did not meet its conditions is no partner for the other accepted domains either
    ((PARTNERS,), session(tls=True), (FOR_FABRIKAM,), ""),
    ((PARTNERS,), session(), (FOR_FABRIKAM,), "530 5.7.1 "),
    ((PARTNERS, ANONYMOUS), session(), (FOR_FABRIKAM,), ""),
    ((PARTNERS,), session(), (FOR_FABRIKAM, replace(FROM_PARTNER, require_tls=False)), ""),
]


@pytest.mark.parametrize(("groups", "facts", "connectors", "refusal"), PERMISSIONS)
def test_permission_groups(groups: tuple[PermissionGroup, ...], facts: SessionFacts, connectors: tuple[object, ...], refusal: str) -> None:
    sender = "bob@contoso.com" if facts.authenticated else "sun@example.net"
    answer = asked(receive("R", groups=groups), facts, sender, inbound=connectors)
    assert str(answer.reply).startswith(refusal or "250 ")
    assert answer.caller.receiver is not None


def test_require_tls() -> None:
    strict = receive("R", require_tls=True)
    assert str(asked(strict, session()).reply) == "530 5.7.0 Must issue a STARTTLS command first"
    assert asked(strict, session(tls=True)).reply.is_success


def test_an_address_that_nobody_takes_is_refused_in_explain_too() -> None:
    answer = asked(receive("R", "198.51.100.0/24"), session())
    assert str(answer.reply).startswith("554 5.7.1 ")
    assert answer.caller.reasons[0].startswith("No RemoteIPRanges")


HYBRID = receive("Default Frontend EX1", cloud_services_domains=(SERVICE,))


def test_the_other_side_by_its_certificate_is_believed_its_headers() -> None:
    facts = session(SERVICE, f"*.{SERVICE}")
    answer = asked(HYBRID, facts, "bob@contoso.com", "john@contoso.com")
    caller = answer.caller
    assert (caller.kind, caller.proof, caller.certificate_name) == (CallerKind.CONNECTOR, "certificate", SERVICE)
    assert caller.connector is not None
    assert caller.connector.name == "Default Frontend EX1"
    assert keeps_headers(caller, at(facts))
    assert answer.reply.is_success


@pytest.mark.parametrize("facts", [session(), session(tls=True), session("mail.evil.example"), session(SERVICE, trusted=False)])
def test_nobody_else_is(facts: SessionFacts) -> None:
    answer = asked(HYBRID, facts, "bob@contoso.com", "john@contoso.com")
    assert answer.caller.kind is CallerKind.ANONYMOUS
    assert not keeps_headers(answer.caller, at(facts))
    assert answer.reply.is_success  # as anonymous mail
    certificate = facts.tls.certificate if facts.tls else None
    assert any("TlsDomainCapabilities" in reason for reason in answer.caller.reasons) is (certificate is not None)


def test_the_other_side_relays_only_where_permission_says_so() -> None:
    facts = session(SERVICE)
    answer = asked(HYBRID, facts, "bob@contoso.com", "sun@example.net")
    assert str(answer.reply).startswith("550 5.7.64 ")
    assert "ExchangeServers is not among its PermissionGroups" in str(answer.reply)
    granted = replace(HYBRID, permission_groups=(ANONYMOUS, SERVERS))
    assert asked(granted, facts, "bob@contoso.com", "sun@example.net").reply.is_success
    foreign = asked(granted, facts, "eve@evil.example", "sun@example.net")  # the service serves others too
    assert str(foreign.reply).startswith("550 5.7.64 ")


def test_partner_connectors_do_not_restrict_the_other_side() -> None:
    locked = inbound("Lock", connector_type=PARTNER, restrict_domains_to_ip_addresses=True, sender_ip_addresses=("192.0.2.0/24",))
    assert asked(HYBRID, session(SERVICE), inbound=(locked,)).reply.is_success
    assert str(asked(HYBRID, session(), inbound=(locked,)).reply).startswith("550 5.7.51 ")


def test_an_inbound_connector_comes_first() -> None:
    own = inbound("Own", tls_sender_certificate_name="mail.contoso.com")
    answer = asked(HYBRID, session("mail.contoso.com", SERVICE), inbound=(own,))
    assert answer.caller.connector is own


def test_explain_names_every_receive_connector() -> None:
    from mailwye.connectors.attribution import attribute

    table = ConnectorTable(receive=ReceiveTable([EVERYBODY, NETWORK, replace(HOST, enabled=False), receive("Other", binding="0.0.0.0:26")]))
    caller = attribute(at(session(ip="198.51.100.10")), address("sun@example.net"), table, CONTOSO, explain=True)
    told = {one.connector: (one.chosen, one.reason) for one in caller.considered}
    assert told["Network"][0]
    assert [name for name, (was_chosen, _) in told.items() if was_chosen] == ["Network"]
    assert "is disabled" in told["Host"][1]
    assert "is not bound to 192.0.2.1:25" in told["Other"][1]
    assert "holds the address more closely" in told["Everybody"][1]
