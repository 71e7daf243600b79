"""EFSkipIPs and EFSkipLastIP: the source behind a gateway, and nothing that a stranger wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.connectors.attribution import attribute
from mailwye.connectors.enhanced_filtering import HOPS_LIMIT, Source, find_source, is_private
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from tests.unit.connectors.world import CONTOSO, PARTNER, address, inbound, session

GATEWAY, SECOND, SOURCE, FORGED = "198.51.100.1", "198.51.100.2", "203.0.113.9", "192.0.2.66"


def line(source: str) -> str:
    return f"from x (x [{source}]) by gw (Postfix) with ESMTP id 1; Tue, 24 Nov 2026 03:25:51 +0000"


def found(connector: InboundConnector, *sources: str, ip: str = GATEWAY, names: tuple[str, ...] = ()) -> Source:
    """The source of mail that the peer `ip` hands over, with these addresses in its Received lines, top one first."""
    table = ConnectorTable([connector])
    facts = session(*names, ip=ip)
    caller = attribute(facts, address("sun@example.net"), table, CONTOSO)
    return find_source(facts, caller, table, map(line, sources))


LOCK = inbound(
    "Lock", connector_type=PARTNER, sender_ip_addresses=("198.51.100.0/24",), restrict_domains_to_ip_addresses=True, ef_skip_last_ip=True
)
CERTIFIED = inbound(
    "Lock",
    connector_type=PARTNER,
    tls_sender_certificate_name="*.filter.example",
    restrict_domains_to_certificate=True,
    ef_skip_last_ip=True,
)
OPEN = inbound("Open", connector_type=PARTNER, require_tls=False, ef_skip_last_ip=True)
LISTED = inbound("Listed", connector_type=PARTNER, ef_skip_ips=("198.51.100.0/24",))
OWN = inbound("Own", sender_ip_addresses=("198.51.100.0/24",), ef_skip_ips=("198.51.100.0/24",))
OWN_LAST = inbound("Own", sender_ip_addresses=("198.51.100.0/24", "10.0.0.0/8"), ef_skip_last_ip=True)


@pytest.mark.parametrize(
    ("connector", "sources", "expected", "skipped"),
    [
        (LOCK, (SOURCE,), SOURCE, (GATEWAY,)),
        (LOCK, (SOURCE, FORGED), SOURCE, (GATEWAY,)),
        (LOCK, ("10.0.0.5", SOURCE, FORGED), SOURCE, (GATEWAY, "10.0.0.5")),  # the gateway's inner hops
        (LOCK, ("127.0.0.1", "fd00::1", SOURCE), SOURCE, (GATEWAY, "127.0.0.1", "fd00::1")),
        (LOCK, (SECOND, SOURCE), SECOND, (GATEWAY,)),  # EFSkipLastIP skips one
        (LISTED, (SECOND, SOURCE), SOURCE, (GATEWAY, SECOND)),  # EFSkipIPs skips all that it lists
        (LISTED, (SECOND, "192.168.1.1", SECOND, SOURCE, FORGED), SOURCE, (GATEWAY, SECOND, "192.168.1.1", SECOND)),
        (OWN, (SECOND, SOURCE), SOURCE, (GATEWAY, SECOND)),
        (OWN_LAST, (SOURCE,), SOURCE, (GATEWAY,)),
        (LISTED, ("2001:db8::9", SOURCE), "2001:db8::9", (GATEWAY,)),
    ],
)
def test_the_source_behind_a_gateway(
    connector: InboundConnector, sources: tuple[str, ...], expected: str, skipped: tuple[str, ...]
) -> None:
    source = found(connector, *sources)
    assert (source.address, source.skipped, source.connector) == (expected, skipped, connector.name)
    assert expected in source.reason


@pytest.mark.parametrize(
    ("connector", "ip", "names"),
    [
        (OPEN, GATEWAY, ()),  # nothing proves that the peer is a gateway
        (LISTED, FORGED, ()),
        (CERTIFIED, GATEWAY, ()),
        (inbound("Plain", connector_type=PARTNER, sender_ip_addresses=("198.51.100.0/24",)), GATEWAY, ()),
        (inbound("Own", sender_ip_addresses=("198.51.100.0/24",)), GATEWAY, ()),
        (replace(LISTED, sender_domains=("other.example",)), GATEWAY, ()),
        (replace(LISTED, enabled=False), GATEWAY, ()),
    ],
)
def test_strangers_lines_are_not_read(connector: InboundConnector, ip: str, names: tuple[str, ...]) -> None:
    assert found(connector, FORGED, ip=ip, names=names) == Source(ip)


def test_a_gateway_known_by_its_certificate() -> None:
    assert found(CERTIFIED, SOURCE, names=("mx.filter.example",)).address == SOURCE


def test_an_own_server_behind_a_private_address() -> None:
    own = inbound("Own", sender_ip_addresses=("10.0.0.0/8",), ef_skip_ips=("198.51.100.0/24",))
    assert found(own, GATEWAY, SOURCE, ip="10.0.0.7").skipped == ("10.0.0.7", GATEWAY)


def test_where_the_line_does_not_say_it_nobody_is_taken_for_the_source() -> None:
    table = ConnectorTable([LOCK])
    facts = session(ip=GATEWAY)
    caller = attribute(facts, None, table, CONTOSO)
    for lines, words in (
        ([], "no further Received line"),
        (["by gw (Postfix, from userid 0) id 1", line(FORGED)], "does not say"),
        ([f"from [{FORGED}] by gw", line(FORGED)], "does not say"),
        ([line("10.0.0.1")] * (HOPS_LIMIT + 5), f"skipped {HOPS_LIMIT} hops"),
    ):
        source = find_source(facts, caller, table, lines)
        assert source.address == ""
        assert words in source.reason


@given(st.lists(st.sampled_from([GATEWAY, SECOND, SOURCE, FORGED, "10.0.0.1", "::1", "nonsense"]), max_size=14))
def test_the_source_is_the_first_that_is_not_skipped_and_lines_below_do_not_count(sources: list[str]) -> None:
    skipped = {GATEWAY, SECOND, "10.0.0.1", "::1"}
    expected = next((source for source in sources[:HOPS_LIMIT] if source not in skipped), "")
    expected = "" if expected == "nonsense" else expected
    assert found(LISTED, *sources).address == expected
    if expected:
        kept = sources[: sources.index(expected) + 1]
        assert found(LISTED, *kept, FORGED, "nonsense") == found(LISTED, *sources)


@pytest.mark.parametrize(("text", "private"), [("10.1.2.3", True), ("100.64.0.1", True), ("fd12::1", True), ("::1", True), (SOURCE, False)])
def test_private_addresses(text: str, private: bool) -> None:
    assert is_private(text) is private
