"""Counters of connections and failed logins."""

from __future__ import annotations

from mailwye.config.installation import InboundLimits
from mailwye.inbound.admission import ADDRESS_FULL, LOGIN_ADDRESSES_LIMIT, LOGINS_FAILED, SERVER_FULL, Admission
from mailwye.runtime.network import counting_key


def admission(**limits: int) -> Admission:
    values = InboundLimits(**{"connections_reserved_for_connectors": 0, **limits})  # type: ignore[arg-type]  # only integers here
    return Admission(values, lambda address: address.startswith("10."), lambda _: None)


def test_connections_in_all() -> None:
    counters = admission(connections=2)
    assert counters.admit("192.0.2.1", 0.0) is None
    assert counters.admit("192.0.2.2", 0.0) is None
    assert counters.admit("192.0.2.3", 0.0) == SERVER_FULL
    counters.release("192.0.2.1")
    assert counters.admit("192.0.2.3", 0.0) is None
    assert counters.connections == 2


def test_connections_per_address_and_per_64() -> None:
    counters = admission(connections_per_address=1)
    assert counters.admit("192.0.2.1", 0.0) is None
    assert counters.admit("192.0.2.1", 0.0) == ADDRESS_FULL
    assert counters.admit("2001:db8::1", 0.0) is None
    assert counters.admit("2001:db8::2", 0.0) == ADDRESS_FULL
    assert counters.admit("2001:db8:0:1::1", 0.0) is None
    counters.release("2001:db8::1")
    assert counters.admit("2001:db8::2", 0.0) is None


def test_last_slots_are_for_connectors() -> None:
    """A flood of strangers leaves room for the organization's own servers (V2)."""
    counters = admission(connections=4, connections_reserved_for_connectors=2)
    assert [counters.admit(f"192.0.2.{i}", 0.0) for i in range(4)] == [None, None, SERVER_FULL, SERVER_FULL]
    assert [counters.admit(f"10.0.0.{i}", 0.0) for i in range(3)] == [None, None, SERVER_FULL]


def test_reserve_never_shuts_out_all_strangers() -> None:
    counters = admission(connections=10, connections_reserved_for_connectors=500)
    assert [counters.admit(f"192.0.2.{i}", 0.0) for i in range(6)] == [None] * 5 + [SERVER_FULL]


def test_failed_logins_within_the_window() -> None:
    counters = admission(failed_logins_per_address=3)
    for at in (0.0, 1.0, 2.0):
        assert counters.login_refusal("192.0.2.1", at) is None
        counters.login_failed("192.0.2.1", at)
    assert counters.login_refusal("192.0.2.1", 3.0) == LOGINS_FAILED
    assert counters.login_refusal("192.0.2.2", 3.0) is None
    assert counters.login_refusal("192.0.2.1", 600.0) is None, "the first failure is out of the window"
    counters.login_failed("192.0.2.1", 600.5)
    assert counters.login_refusal("192.0.2.1", 600.6) == LOGINS_FAILED
    assert counters.login_refusal("192.0.2.1", 2000.0) is None


def test_memory_of_failed_logins_is_bounded() -> None:
    counters = admission()
    before = LOGIN_ADDRESSES_LIMIT
    for number in range(before + 10):
        counters.login_failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(counters._failures) == before


def test_limits_count_ipv6_by_its_64() -> None:
    assert counting_key("2001:db8:1:2::3") == counting_key("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert counting_key("2001:db8:1:3::3") != counting_key("2001:db8:1:2::3")
    assert counting_key("192.0.2.1") == counting_key("::ffff:192.0.2.1") == "192.0.2.1"
    assert counting_key("fe80::1%eth0") == "fe80::/64"


def test_a_flood_is_told_once_a_minute() -> None:
    """At once when it begins, then with numbers, and who holds most."""
    told: list[str] = []
    counters = Admission(InboundLimits(connections=3, connections_reserved_for_connectors=1), lambda _: False, told.append)
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        counters.admit(address, 0.0)
    assert len(told) == 1
    for second in range(70):
        counters.admit("192.0.2.3", float(second))
    assert told[1] == (
        "Connections within 60 s: 61 refused because all 2 connections that strangers may have are in use "
        "(limits.connections less connections_reserved_for_connectors). Open: 2 from 1 addresses, most from 192.0.2.1 (2)"
    )
    counters.release("192.0.2.1")
    assert counters.admit("192.0.2.4", 130.0) is None
    assert "9 refused" in told[2]


def test_few_slow_peers_are_daily_life() -> None:
    told: list[str] = []
    counters = Admission(InboundLimits(), lambda _: False, told.append)
    for second in range(99):
        counters.cut(second * 0.5)
    counters.admit("192.0.2.1", 200.0)
    for second in range(100):
        counters.cut(300 + second * 0.5)
    assert len(told) == 1
    assert told[0].startswith("Connections within 50 s: 100 cut because they were idle or too slow for the limits of time and rate.")
