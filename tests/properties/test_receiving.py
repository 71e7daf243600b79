"""One session has one ReceiveConnector, whatever their order: never a tie, and the definition applied one by one agrees."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailwye.connectors.attribution import keeps_headers
from mailwye.connectors.own_server import Binding, PermissionGroup, ReceiveConnector
from mailwye.connectors.receive_table import ReceiveTable
from mailwye.connectors.table import ConnectorTable
from tests.unit.connectors.world import PARTNER, ask, inbound, outbound, session

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


GROUPS = st.lists(st.sampled_from(PermissionGroup), unique=True).map(tuple)
SERVICE = "mail.protection.outlook.com"
NAMES = st.sampled_from([(), (SERVICE,), ("mail.contoso.com",), ("mail.evil.example",)])
SENDERS = st.sampled_from(["bob@contoso.com", "john@contoso.com", "eve@evil.example", "<>"])
RECIPIENTS = st.sampled_from(["bob@contoso.com", "sun@example.net", "nobody@contoso.com"])
OWN = inbound("Own", tls_sender_certificate_name="mail.contoso.com")
PARTNER_RULE = inbound("Partner", connector_type=PARTNER, sender_domains=("evil.example",), require_tls=True)


@given(GROUPS, NAMES, st.booleans(), st.booleans(), st.booleans(), SENDERS, RECIPIENTS)
def test_it_grants_nothing_but_what_tls_domain_capabilities_say(
    groups: tuple[PermissionGroup, ...], names: tuple[str, ...], trusted: bool, tls: bool, require_tls: bool, sender: str, to: str
) -> None:
    receiver = ReceiveConnector(
        "R", bindings=(Binding("0.0.0.0", 25),), permission_groups=groups, require_tls=require_tls, cloud_services_domains=(SERVICE,)
    )
    facts = replace(session(*names, trusted=trusted, tls=tls), local="192.0.2.1:25")
    without = ConnectorTable([OWN, PARTNER_RULE], [outbound("All", all_accepted_domains=True)])
    table = ConnectorTable(without.inbound, without.outbound, receive=ReceiveTable([receiver]))
    plain, received = ask(facts, sender, to, without), ask(facts, sender, to, table)
    other_side = names == (SERVICE,) and trusted
    if received.reply.is_success and not plain.reply.is_success:
        assert other_side
        outside = to == "sun@example.net"
        assert not outside or (PermissionGroup.EXCHANGE_SERVERS in groups and sender.endswith("@contoso.com"))
    assert keeps_headers(received.caller, facts) is (other_side or keeps_headers(plain.caller, facts))
    if not groups or (require_tls and facts.tls is None):
        assert not received.reply.is_success
