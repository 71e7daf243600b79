"""Attribution is determined by the set of connectors alone, and agrees with its definition applied one by one."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from mailwye.connectors.attribution import attribute
from mailwye.connectors.matching import certificate_name_matches, longest_prefix, sender_certificate_matches, specificity
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.smtp.address import Address
from tests.unit.connectors.world import session

LABELS = st.sampled_from(["a", "b", "c"])
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join((*labels, "example")))
NAMES = st.one_of(DOMAINS, DOMAINS.map(lambda domain: f"*.{domain}"), st.sampled_from(["*", "*.example", "a*.example", "a.example\x00"]))
ADDRESSES = st.one_of(
    st.integers(0, 1023).map(lambda n: f"192.0.{n >> 8}.{n & 255}"),
    st.integers(0, 1023).map(lambda n: str(ipaddress.IPv6Address((0x20010DB8 << 96) + (n << 60)))),
)
RANGES = st.tuples(ADDRESSES, st.sampled_from([0, 16, 24, 28, 32])).map(
    lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1] * (2 if ':' in pair[0] else 1)}", strict=False))
)


@st.composite
def connectors(draw: st.DrawFn) -> list[InboundConnector]:
    names = draw(st.lists(st.sampled_from([f"{letter}{n}" for letter in "aBcD" for n in range(4)]), unique=True, max_size=8))
    return [
        InboundConnector(
            name,
            enabled=draw(st.integers(0, 5)) > 0,
            connector_type=ConnectorType.ON_PREMISES,
            sender_domains=draw(st.sampled_from([("*",), ("*",), ("a.example",), ("*.example",)])),
            sender_ip_addresses=tuple(draw(st.lists(RANGES, max_size=3))),
            tls_sender_certificate_name=draw(st.one_of(st.just(""), NAMES)),
            require_tls=draw(st.booleans()),
        )
        for name in names
    ]


def definition(listed: list[InboundConnector], names: tuple[str, ...], ip: str, sender: Address) -> str:
    """SEMANTICS section 3, rules 1 and 2, word by word, for a trusted certificate with these names (none: no TLS)."""
    ranked = []
    for connector in listed:
        pattern = connector.tls_sender_certificate_name
        matched = bool(pattern) and any(sender_certificate_matches(name, pattern) for name in names)
        prefix = longest_prefix(connector.sender_ip_addresses, ip)
        holds = (
            connector.enabled
            and bool(pattern or connector.sender_ip_addresses)
            and (matched or not pattern)
            and (prefix >= 0 or not connector.sender_ip_addresses)
            and (bool(names) or not connector.require_tls)
            and any(p in ("*", sender.domain) or (p[0] == "*" and sender.domain.endswith(p[1:])) for p in connector.sender_domains)
        )
        if holds:
            ranked.append((not matched, -specificity(pattern) if matched else 0, -prefix, connector.name.lower(), connector.name))
    return min(ranked)[4] if ranked else ""


@given(connectors(), st.lists(NAMES, max_size=3).map(tuple), ADDRESSES, DOMAINS)
def test_the_indexes_agree_with_the_definition(listed: list[InboundConnector], names: tuple[str, ...], ip: str, domain: str) -> None:
    sender = Address("u", domain)
    facts = session(*names, ip=ip)
    caller = attribute(facts, sender, ConnectorTable(listed), Directory())
    assert (caller.connector.name if caller.connector else "") == definition(listed, names, ip, sender)
    told = attribute(facts, sender, ConnectorTable(reversed(listed)), Directory(), explain=True)
    assert told.connector == caller.connector
    assert [c.connector for c in told.considered if c.chosen] == ([caller.connector.name] if caller.connector else [])


@given(NAMES, DOMAINS)
def test_a_wildcard_stands_for_one_label(presented: str, expected: str) -> None:
    if certificate_name_matches(presented, expected):
        assert presented.count(".") == expected.count(".")
        assert presented == expected or presented == "*." + expected.partition(".")[2]


@given(st.lists(RANGES, max_size=6), ADDRESSES)
def test_longest_prefix_agrees_with_ipaddress(ranges: list[str], ip: str) -> None:
    address = ipaddress.ip_address(ip)
    networks = [network for network in map(ipaddress.ip_network, ranges) if address in network]
    assert longest_prefix(tuple(ranges), ip) == max((network.prefixlen for network in networks), default=-1)
