"""Selection is determined by the set of connectors alone, and agrees with its definition applied one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.matching import pattern_matches, specificity
from mailwye.connectors.model import ConnectorType, OutboundConnector
from mailwye.connectors.own_server import AddressSpace, SendConnector
from mailwye.connectors.selection import RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain
from mailwye.smtp.address import Address
from tests.unit.connectors.world import OWN_HOST, mail_user

LABELS = st.sampled_from(["a", "b", "c"])
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join((*labels, "example")))
PATTERNS = st.one_of(st.just("*"), DOMAINS, DOMAINS.map(lambda domain: f"*.{domain}"))


@st.composite
def tables(draw: st.DrawFn) -> list[OutboundConnector]:
    names = draw(st.lists(st.sampled_from([f"{letter}{n}" for letter in "aBcD" for n in range(4)]), unique=True, max_size=8))
    return [_send(draw, name) if draw(st.integers(0, 2)) == 0 else _outbound(draw, name) for name in names]


def _send(draw: st.DrawFn, name: str) -> SendConnector:
    spaces = tuple(
        AddressSpace(pattern, draw(st.integers(1, 3))) for pattern in draw(st.lists(PATTERNS, min_size=1, max_size=3, unique=True))
    )
    return SendConnector(
        name,
        enabled=draw(st.integers(0, 5)) > 0,
        connector_type=ConnectorType.ON_PREMISES,
        recipient_domains=tuple(space.domain for space in spaces),
        use_mx_record=False,
        smart_hosts=(OWN_HOST,),
        address_spaces=spaces,
    )


def _outbound(draw: st.DrawFn, name: str) -> OutboundConnector:
    return OutboundConnector(
        name,
        enabled=draw(st.integers(0, 5)) > 0,
        connector_type=draw(st.sampled_from(ConnectorType)),
        recipient_domains=tuple(draw(st.lists(PATTERNS, max_size=3))),
        all_accepted_domains=draw(st.booleans()),
        is_transport_rule_scoped=draw(st.integers(0, 5)) == 0,
        use_mx_record=False,
        smart_hosts=(OWN_HOST,),
        route_all_messages_via_on_premises=draw(st.integers(0, 3)) == 0,
    )


def definition(connectors: list[OutboundConnector], domain: str, *, inside: bool, from_on_premises: bool) -> str:
    """SEMANTICS section 6, rules 3 and 4, word by word, with the costs of SendConnectors: specificity, cost, type, name."""
    ranked = []
    for connector in connectors:
        own = connector.connector_type is ConnectorType.ON_PREMISES
        if not connector.enabled or connector.is_transport_rule_scoped or (inside and not own):
            continue
        central = own and connector.route_all_messages_via_on_premises
        if central and from_on_premises and not inside:
            continue
        matching = [p for p in connector.recipient_domains if pattern_matches(p, domain, subdomains_only=True)]
        ranks = [(-2 - specificity(p) if p != "*" else 0, connector.costs.get(p, 1)) for p in matching]
        if inside and connector.all_accepted_domains:
            ranks.append((-1, 1))
        if central:
            ranks.append((0, 1))
        if ranks:
            ranked.append((*min(ranks), own and not inside, connector.name.lower(), connector.name))
    return min(ranked)[4] if ranked else ""


@given(tables(), DOMAINS, st.booleans(), st.booleans())
def test_the_indexes_agree_with_the_definition(
    connectors: list[OutboundConnector], domain: str, inside: bool, from_on_premises: bool
) -> None:
    user = mail_user(f"u@{domain}")
    directory = Directory([AcceptedDomain(domain)], [user]) if inside else Directory()
    recipient = Address("u", domain)
    table = ConnectorTable((), connectors)
    route = decide_route(directory, table, recipient, from_on_premises=from_on_premises)
    assert route.connector == definition(connectors, domain, inside=inside, from_on_premises=from_on_premises)
    if not route.connector:
        assert route.kind is (RouteKind.NONE if inside else RouteKind.MX)
    told = decide_route(directory, table, recipient, from_on_premises=from_on_premises, explain=True)
    assert (told.kind, told.connector) == (route.kind, route.connector)
    assert [c.connector for c in told.considered if c.chosen] == ([route.connector] if route.connector else [])
    assert len(told.considered) == len(connectors)


@given(tables(), DOMAINS, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(connectors: list[OutboundConnector], domain: str, random: object) -> None:
    shuffled = list(connectors)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    recipient = Address("u", domain)
    first = decide_route(Directory(), ConnectorTable((), connectors), recipient, from_on_premises=False, explain=True)
    second = decide_route(Directory(), ConnectorTable((), shuffled), recipient, from_on_premises=False, explain=True)
    assert first == second
