"""One session has one ReceiveConnector, whatever their order: never a tie, and the definition applied one by one agrees."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from mailwye.connectors.own_server import Binding, ReceiveConnector
from mailwye.connectors.receive_table import ReceiveTable

LISTENERS = ("192.0.2.1:25", "192.0.2.2:25", "192.0.2.1:26", "[2001:db8::1]:25", "0.0.0.0:25")
BINDINGS = st.sampled_from(["0.0.0.0:25", "0.0.0.0:26", "[::]:25", "192.0.2.1:25", "192.0.2.2:25"]).map(Binding.of)
RANGES = st.sampled_from(["0.0.0.0/0", "::/0", "198.51.100.0/24", "198.51.100.0/25", "198.51.100.7/32", "2001:db8::/32"])
PEERS = st.sampled_from(["198.51.100.7", "198.51.100.8", "198.51.100.200", "203.0.113.1", "2001:db8::5", "2001:db9::5"])


@st.composite
def connectors(draw: st.DrawFn) -> list[ReceiveConnector]:
    names = draw(st.lists(st.sampled_from([f"{letter}{n}" for letter in "aBc" for n in range(3)]), unique=True, max_size=6))
    return [
        ReceiveConnector(
            name,
            enabled=draw(st.integers(0, 4)) > 0,
            bindings=tuple(draw(st.lists(BINDINGS, min_size=1, max_size=3, unique=True))),
            remote_ip_ranges=tuple(draw(st.lists(RANGES, min_size=1, max_size=3, unique=True))),
        )
        for name in names
    ]


def definition(known: list[ReceiveConnector], listener: str, peer: str) -> str | None:
    """The closest binding, then the longest prefix, then the name; "" for a refusal, None where no connector is bound."""
    local, address = Binding.of(listener), ipaddress.ip_address(peer)
    bound = [c for c in known if any(binding.covers(local) for binding in c.bindings)]
    if not bound:
        return None
    ranked = []
    for connector in bound:
        networks = [ipaddress.ip_network(text) for text in connector.remote_ip_ranges]
        prefixes = [network.prefixlen for network in networks if network.version == address.version and address in network]
        if connector.enabled and prefixes:
            ranked.append((local not in connector.bindings, -max(prefixes), connector.name.lower(), connector.name))
    return min(ranked)[3] if ranked else ""


@given(connectors(), st.sampled_from(LISTENERS), PEERS, st.randoms(use_true_random=False))
def test_the_table_agrees_with_the_definition(known: list[ReceiveConnector], listener: str, peer: str, random: object) -> None:
    shuffled = list(known)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    expected = definition(known, listener, peer)
    for order in (known, shuffled):
        found = ReceiveTable(order).find(listener, peer)
        if expected is None:
            assert found is None
        else:
            assert found is not None
            assert (found.connector.name if found.connector is not None else "") == expected
            assert (found.refusal is None) is bool(expected)
