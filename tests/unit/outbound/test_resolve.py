"""From routes to hosts: the catalogue's R1 to R4 and the order of smart hosts, over a zone in memory."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.model import SmartHost
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.courier import Host, Hosts
from mailwye.outbound.mx import Ourselves, judge_mx, order_smart_hosts, usable_addresses
from mailwye.outbound.resolve import RouteResolver
from mailwye.runtime.dns_answer import Absence, Absent, Answer, Found, MxRecord, Unknown
from mailwye.runtime.network import is_private
from mailwye.smtp.address import parse_address
from mailwye.testing.dns_server import Zone
from mailwye.testing.resolver import StaticResolver

OWN_NAME, OWN_ADDRESS = "mx.mailwye.example", "203.0.113.1"
SUN = parse_address("sun@example.net")

ZONE: Zone = {
    "example.net": {"MX": [(20, "b.example.net"), (10, "a.example.net")]},
    "a.example.net": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "b.example.net": {"A": ["192.0.2.2"]},
    "implicit.example": {"A": ["192.0.2.3"]},
    "null.example": {"MX": [(0, ".")]},
    "half-null.example": {"MX": [(0, "."), (10, "a.example.net")]},
    "empty.example": {"TXT": ["nothing"]},
    "nowhere.example": {"MX": [(10, "missing.example")]},
    "private.example": {"MX": [(10, "localhost.example"), (20, "internal.example")]},
    "localhost.example": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
    "internal.example": {"A": ["10.1.2.3", "169.254.169.254", "0.0.0.0"], "AAAA": ["fd00::1", "::ffff:10.0.0.1"]},
    "alias-inside.example": {"MX": [(10, "alias.example")]},
    "alias.example": {"CNAME": ["localhost.example"]},
    "mixed.example": {"MX": [(10, "localhost.example"), (20, "a.example.net")]},
    "backup.example": {"MX": [(5, "a.example.net"), (10, OWN_NAME), (10, "b.example.net"), (20, "b.example.net")]},
    "us.example": {"MX": [(10, OWN_NAME), (20, "b.example.net")]},
    "disguised.example": {"MX": [(5, "a.example.net"), (10, "other-name.example"), (10, "b.example.net")]},
    "other-name.example": {"A": [OWN_ADDRESS]},
    "disguised-only.example": {"MX": [(10, "other-name.example"), (20, "b.example.net")]},
    "broken.example": {"MX": [(10, "broken-host.example"), (20, "b.example.net")]},
    "all-broken.example": {"MX": [(10, "broken-host.example")]},
    "many.example": {"MX": [(n, f"mx{n}.many.example") for n in range(500)]},
    "mx3.many.example": {"A": ["192.0.2.30"]},
    "wide.example": {"MX": [(10, "wide-host.example"), (20, "b.example.net")]},
    "wide-host.example": {"A": [f"198.51.100.{n}" for n in range(1, 200)]},
    "private-crowd.example": {"MX": [(10, f"crowd{n}.example") for n in range(30)]},
    **{f"crowd{n}.example": {"A": [f"10.{n}.{i // 250}.{1 + i % 250}" for i in range(1_000)]} for n in range(30)},
    "loop.example": {"CNAME": ["loop.example"]},
    "aliased.example": {"MX": [(10, "to-a.example")]},
    "to-a.example": {"CNAME": ["a.example.net"]},
}
UNKNOWN = {"servfail.example": "SERVFAIL", "broken-host.example": "timeout"}


def resolver(zone: Zone = ZONE, **settings: Any) -> RouteResolver:
    return RouteResolver(
        resolver=StaticResolver(zone, unknown=UNKNOWN),
        settings=DeliverySettings(**settings),
        rng=random.Random(1),
        own_names=[OWN_NAME.upper()],
        own_addresses=[OWN_ADDRESS],
    )


async def mx(domain: str, **settings: Any) -> Hosts:
    return await resolver(**settings).hosts(Route(RouteKind.MX, SUN, domain=domain))


async def smart(*hosts: SmartHost, **settings: Any) -> Hosts:
    return await resolver(**settings).hosts(Route(RouteKind.CONNECTOR, SUN, "Out", hosts, "example.net"))


def addresses(found: Hosts) -> list[str]:
    assert found.failure is None, found.failure
    return [host.address for host in found.hosts]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.net", ["192.0.2.1", "2001:db8::1", "192.0.2.2"]),
        ("implicit.example", ["192.0.2.3"]),
        ("half-null.example", ["192.0.2.1", "2001:db8::1"]),
        ("mixed.example", ["192.0.2.1", "2001:db8::1"]),  # R1: the loopback one is skipped
        ("backup.example", ["192.0.2.1", "2001:db8::1"]),  # R2: 10 and more are dropped
        ("disguised.example", ["192.0.2.1", "2001:db8::1"]),  # R2 by address
        ("broken.example", ["192.0.2.2"]),  # the other host still serves
        ("many.example", ["192.0.2.30"]),
        ("aliased.example", ["192.0.2.1", "2001:db8::1"]),
    ],
)
async def test_the_hosts_of_a_domain(domain: str, expected: list[str]) -> None:
    found = await mx(domain)
    assert addresses(found) == expected
    assert found.reasons[-1].startswith(f"MX of {domain}: ")


@pytest.mark.parametrize(
    ("domain", "code", "enhanced"),
    [
        ("missing.example", 550, "5.1.2"),
        ("null.example", 556, "5.1.10"),
        ("empty.example", 550, "5.4.4"),
        ("nowhere.example", 550, "5.4.4"),
        ("private.example", 550, "5.4.4"),
        ("alias-inside.example", 550, "5.4.4"),
        ("us.example", 554, "5.4.6"),
        ("disguised-only.example", 554, "5.4.6"),
        ("servfail.example", 450, "4.4.312"),
        ("all-broken.example", 450, "4.4.312"),
        ("loop.example", 450, "4.4.312"),
    ],
)
async def test_why_there_is_no_host(domain: str, code: int, enhanced: str) -> None:
    found = await mx(domain)
    assert found.hosts == ()
    assert found.failure is not None
    assert (found.failure.code, found.failure.enhanced) == (code, enhanced)
    assert found.reasons


async def test_what_is_told_of_thousands_of_records_is_bounded() -> None:
    """It goes into the queue and the trace with each attempt, and into the notice."""
    found = await mx("private-crowd.example")
    assert found.failure is not None
    assert (found.failure.code, found.failure.enhanced) == (550, "5.4.4")
    assert len(found.failure.text) <= 1_000
    assert len(found.reasons) <= 51
    assert sum(map(len, found.reasons)) < 10_000


async def test_private_hosts_where_tests_allow_them() -> None:
    assert set(addresses(await mx("private.example", allow_private_mx=True, addresses_per_destination=10))) >= {"127.0.0.1", "10.1.2.3"}


async def test_our_own_address_is_never_dialled_even_where_private_ones_are() -> None:
    found = await mx("disguised-only.example", allow_private_mx=True)
    assert found.failure is not None
    assert found.failure.enhanced == "5.4.6"


async def test_one_name_with_many_addresses_leaves_room_for_the_next() -> None:
    found = await mx("wide.example")
    assert len(found.hosts) == 5
    wide_alone = await mx("wide.example", addresses_per_destination=1)
    assert len(wide_alone.hosts) == 1


async def test_hosts_carry_the_name_for_the_certificate_and_the_port() -> None:
    found = await mx("aliased.example", mx_port=2525)
    assert found.hosts[0] == Host("to-a.example", "192.0.2.1", 2525)


async def test_equal_preferences_share_the_load() -> None:
    zone: Zone = {
        "even.example": {"MX": [(10, "a.example.net"), (10, "b.example.net")]},
        "a.example.net": {"A": ["192.0.2.1"]},
        "b.example.net": {"A": ["192.0.2.2"]},
    }
    one = resolver(zone)
    route = Route(RouteKind.MX, SUN, domain="even.example")
    first = Counter([(await one.hosts(route)).hosts[0].address for _ in range(400)])
    assert 150 < first["192.0.2.1"] < 250


async def test_dnssec_vouches_for_the_whole_way() -> None:
    static = StaticResolver(ZONE, authenticated=True)
    route_resolver = RouteResolver(resolver=static, settings=DeliverySettings(), rng=random.Random(1))
    found = await route_resolver.hosts(Route(RouteKind.MX, SUN, domain="example.net"))
    assert all(host.validated for host in found.hosts)


# Smart hosts


async def test_a_smart_host_is_looked_up_as_mx_first() -> None:
    assert addresses(await smart(SmartHost("example.net"))) == ["192.0.2.1", "2001:db8::1", "192.0.2.2"]


async def test_a_smart_host_without_mx_is_looked_up_by_address() -> None:
    found = await smart(SmartHost("localhost.example"))  # private is allowed: it is the own server
    assert set(addresses(found)) == {"127.0.0.1", "::1"}


async def test_no_mx_for_brackets_and_ports() -> None:
    found = await smart(SmartHost("a.example.net", 2525, look_up_mx=False))
    assert found.hosts[0] == Host("a.example.net", "192.0.2.1", 2525, validated=False)


async def test_an_address_is_not_looked_up() -> None:
    static = StaticResolver({})
    route_resolver = RouteResolver(resolver=static, settings=DeliverySettings(smart_host_port=26), rng=random.Random(1))
    route = Route(RouteKind.CONNECTOR, SUN, "Out", (SmartHost("127.0.0.10", 2510), SmartHost("2001:db8::9", priority=20)))
    assert (await route_resolver.hosts(route)).hosts == (Host("127.0.0.10", "127.0.0.10", 2510), Host("2001:db8::9", "2001:db8::9", 26))
    assert static.asked == []


@pytest.mark.parametrize("name", ["missing.example", "servfail.example", "us.example", "null.example", "empty.example"])
async def test_a_smart_host_that_cannot_be_found_only_defers(name: str) -> None:
    found = await smart(SmartHost(name))
    assert found.failure is not None
    assert (found.failure.code, found.failure.enhanced) == (450, "4.4.312")
    assert '"Out"' in found.failure.text
    assert name in found.failure.text


async def test_the_next_smart_host_serves_where_one_cannot_be_found() -> None:
    assert addresses(await smart(SmartHost("missing.example", priority=1), SmartHost("192.0.2.7", priority=2))) == ["192.0.2.7"]


def test_priority_then_weight() -> None:
    rng = random.Random(7)
    hosts = (SmartHost("c", priority=2), SmartHost("a", weight=3, priority=1), SmartHost("b", weight=1, priority=1))
    orders = Counter(tuple(host.host for host in order_smart_hosts(hosts, rng)) for _ in range(4000))
    assert set(orders) == {("a", "b", "c"), ("b", "a", "c")}
    assert 0.70 < orders["a", "b", "c"] / 4000 < 0.80


# The pure decisions alone


@pytest.mark.parametrize(
    ("answer", "groups", "enhanced"),
    [
        (Found((MxRecord(10, "x"), MxRecord(5, "y")), 1.0), [["y"], ["x"]], ""),
        (Absent(Absence.NODATA), [["d.example"]], ""),
        (Absent(Absence.NXDOMAIN), [], "5.1.2"),
        (Unknown("SERVFAIL"), [], "4.4.312"),
        (Found((MxRecord(0, ""),), 1.0), [], "5.1.10"),
        (Found((MxRecord(1, "us"), MxRecord(0, "x")), 1.0), [["x"]], ""),
        (Found((MxRecord(1, "us"),), 1.0), [], "5.4.6"),
    ],
)
def test_what_the_mx_answer_means(answer: Answer[MxRecord], groups: list[list[str]], enhanced: str) -> None:
    exchanges = judge_mx("d.example", answer, Ourselves(frozenset({"us"})), random.Random(1))
    assert [[record.exchange for record in group] for group in exchanges.groups] == groups
    assert (exchanges.failure.enhanced if exchanges.failure else "") == enhanced


def test_families_take_turns() -> None:
    answer = Found(("2001:db8::1", "2001:db8::2", "192.0.2.1"), 1.0)
    usable = usable_addresses("h", 25, answer, Ourselves(), random.Random(1), private_allowed=False, validated=False)
    assert [":" in host.address for host in usable.hosts] == [False, True, True]


@pytest.mark.parametrize(
    ("address", "private"),
    [
        *((text, True) for text in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.31.0.1", "100.64.0.1", "0.0.0.0")),
        *((text, True) for text in ("::1", "::", "fe80::1", "fc00::7", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "224.0.0.1")),
        *((text, False) for text in ("192.0.2.1", "8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808")),
    ],
)
def test_private_addresses(address: str, private: bool) -> None:
    assert is_private(address) is private
