"""Canonical peer addresses and sets of networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.inbound.peer_address import AddressSet, canonical_address, counting_key


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:201", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("/run/socket", "/run/socket"),
        ("", ""),
    ],
)
def test_canonical_form(given_text: str, canonical: str) -> None:
    assert canonical_address(given_text) == canonical


def test_limits_count_ipv6_by_its_64() -> None:
    assert counting_key("2001:db8:1:2::3") == counting_key("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert counting_key("2001:db8:1:3::3") != counting_key("2001:db8:1:2::3")
    assert counting_key("192.0.2.1") == "192.0.2.1"


def test_set_of_networks() -> None:
    found = AddressSet(["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"])
    assert "192.0.2.200" in found
    assert "198.51.100.7" in found
    assert "2001:db8:ffff::1" in found
    assert "198.51.100.8" not in found
    assert "192.0.3.0" not in found
    assert "2001:db9::1" not in found
    assert "no address" not in found
    assert "192.0.2.1" not in AddressSet()
    with pytest.raises(ValueError, match="does not appear to be"):
        AddressSet(["mail.example"])


@given(st.lists(st.ip_addresses(v=4).flatmap(lambda a: st.integers(0, 32).map(lambda p: f"{a}/{p}")), max_size=5), st.ip_addresses())
def test_set_agrees_with_looking_at_each_network(networks: list[str], address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    expected = any(address in ipaddress.ip_network(n, strict=False) for n in networks)
    assert (str(address) in AddressSet(networks)) == expected
