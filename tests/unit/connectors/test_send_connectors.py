"""Which way out, where SendConnectors stand beside OutboundConnectors: specificity, cost, type, name."""

from __future__ import annotations

import pytest

from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.model import OutboundConnector, TlsSettings
from mailwye.connectors.own_certificates import by_fqdn
from mailwye.connectors.own_server import AddressSpace, SendConnector
from mailwye.connectors.selection import RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain
from mailwye.smtp.address import parse_address
from tests.unit.connectors.world import ON_PREMISES, OWN_HOST, PARTNER, mail_user, mailbox, outbound

OWN_SIDE = Directory([AcceptedDomain("contoso.com", default=True)], [mailbox("john@contoso.com"), mail_user("bob@contoso.com")])


def send(name: str, *spaces: str, **settings: object) -> SendConnector:
    """With one smart host; `spaces` as "domain" or "domain;cost"."""
    parsed = tuple(AddressSpace(domain, int(cost or 1)) for domain, _, cost in (space.partition(";") for space in spaces))
    values: dict[str, object] = {
        "connector_type": ON_PREMISES,
        "use_mx_record": False,
        "smart_hosts": (OWN_HOST,),
        "recipient_domains": tuple(space.domain for space in parsed),
        **settings,
    }
    return SendConnector(name, address_spaces=parsed, **values)  # type: ignore[arg-type]  # keyword table


def chosen(recipient: str, *connectors: OutboundConnector, from_on_premises: bool = False) -> str:
    table = ConnectorTable((), connectors)
    told = decide_route(OWN_SIDE, table, parse_address(recipient), from_on_premises=from_on_premises, explain=True)
    again = decide_route(OWN_SIDE, ConnectorTable((), connectors[::-1]), parse_address(recipient), from_on_premises=from_on_premises)
    assert again.connector == told.connector
    assert [one.connector for one in told.considered if one.chosen] == ([told.connector] if told.connector else [])
    assert len(told.considered) == len(connectors)
    return told.connector


EVERYTHING = send("My company to Office 365", "*")
TABLE = [
    # the page's connector takes the outside and mailboxes of the organization that are elsewhere, never what is hosted here
    ("sun@example.net", [EVERYTHING], "My company to Office 365"),
    ("bob@contoso.com", [EVERYTHING], "My company to Office 365"),
    ("john@contoso.com", [EVERYTHING], ""),
    # specificity before cost
    ("a@fabrikam.com", [send("A", "*"), send("B", "*.com;50"), send("C", "fabrikam.com;100")], "C"),
    ("a@sales.fabrikam.com", [send("A", "*"), send("B", "*.com;50"), send("C", "*.fabrikam.com;100")], "C"),
    ("a@fabrikam.com", [send("A", "*"), send("B", "*.fabrikam.com")], "A"),  # subdomains only, as everywhere
    # at the same specificity: cost, then the type, then the name
    ("a@example.net", [send("A", "*;10"), send("B", "*;9")], "B"),
    ("a@example.net", [send("B", "*"), send("A", "*")], "A"),
    ("a@example.net", [send("A", "*"), outbound("B", "*", connector_type=PARTNER)], "B"),
    ("a@example.net", [send("A", "*"), outbound("C", "*")], "A"),
    ("a@example.net", [send("A", "*;2"), outbound("B", "*")], "B"),
    ("a@example.net", [send("A", "*;2"), send("B", "example.net;2"), send("C", "example.net;3")], "B"),
    # each space has its own cost
    ("a@example.net", [send("A", "example.net;2", "example.org"), send("B", "example.net", "example.org;2")], "B"),
    ("a@example.org", [send("A", "example.net;2", "example.org"), send("B", "example.net", "example.org;2")], "A"),
    # inside: AllAcceptedDomains is more specific than *, and costs decide between equals
    ("bob@contoso.com", [EVERYTHING, outbound("All", all_accepted_domains=True)], "All"),
    ("bob@contoso.com", [send("A", "contoso.com;5"), outbound("B", "contoso.com")], "B"),
    ("bob@contoso.com", [send("A", "contoso.com;5"), send("B", "contoso.com;4")], "B"),
    # disabled ones never
    ("a@example.net", [send("A", "*", enabled=False), send("B", "*;100")], "B"),
]


@pytest.mark.parametrize(("recipient", "connectors", "expected"), TABLE)
def test_selection(recipient: str, connectors: list[OutboundConnector], expected: str) -> None:
    assert chosen(recipient, *connectors) == expected


def test_what_came_from_the_other_side_may_go_back_to_it_for_the_outside() -> None:
    """An own server has no RouteAllMessagesViaOnPremises: with one SendConnector for everything there is no other way."""
    assert chosen("sun@example.net", EVERYTHING, from_on_premises=True) == EVERYTHING.name


def test_reasons_name_the_cost() -> None:
    table = ConnectorTable((), [send("A", "*;10"), send("B", "*;9"), send("C", "example.org")])
    route = decide_route(OWN_SIDE, table, parse_address("a@example.net"), from_on_premises=False, explain=True)
    reasons = {one.connector: one.reason for one in route.considered}
    assert reasons == {
        "A": '* matches, but "B" has the lower cost (9 against 10)',
        "B": 'SendConnector "B" is the most specific one for example.net (*)',
        "C": "AddressSpaces example.org do not hold example.net",
    }


def test_the_route_has_everything_that_the_connector_says() -> None:
    connector = send(
        "My company to Office 365",
        "*",
        tls_settings=TlsSettings.CERTIFICATE_VALIDATION,
        cloud_services_mail_enabled=True,
        client_certificate=by_fqdn("mail.contoso.com"),
        fqdn="mail.contoso.com",
        max_message_size=1_000_000,
    )
    route = decide_route(OWN_SIDE, ConnectorTable((), [connector]), parse_address("bob@contoso.com"), from_on_premises=False)
    assert route.kind is RouteKind.CONNECTOR
    assert (route.hello_name, route.max_message_size, route.tls_field) == ("mail.contoso.com", 1_000_000, "TlsAuthLevel")
    assert route.cloud_services_mail_enabled
    assert route.client_certificate == "<FQDN>mail.contoso.com"
    assert route.smart_hosts == (OWN_HOST,)
    unlimited = decide_route(OWN_SIDE, ConnectorTable((), [EVERYTHING]), parse_address("bob@contoso.com"), from_on_premises=False)
    assert unlimited.max_message_size == 0


def test_by_dns_the_domain_is_looked_up() -> None:
    by_dns = send("Internet", "*", use_mx_record=True, smart_hosts=())
    route = decide_route(OWN_SIDE, ConnectorTable((), [by_dns]), parse_address("sun@example.net"), from_on_premises=False)
    assert (route.kind, route.smart_hosts, route.next_hop) == (RouteKind.CONNECTOR, (), "connector:Internet:example.net")


def test_an_own_server_without_a_way_hears_of_address_spaces() -> None:
    table = ConnectorTable((), [send("Sun", "example.net"), send("Off", "contoso.com", enabled=False)])
    route = decide_route(OWN_SIDE, table, parse_address("bob@contoso.com"), from_on_premises=False)
    assert route.kind is RouteKind.NONE
    assert "Name contoso.com in the AddressSpaces of an enabled SendConnector" in route.failure
    assert 'Connector "Off" nearly matched: it is disabled' in route.failure
