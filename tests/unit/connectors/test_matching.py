"""Patterns, certificate names (RFC 9525; catalogue C2, C3) and addresses (C8)."""

from __future__ import annotations

import pytest

from mailwye.connectors.matching import (
    canonical_address,
    certificate_name_matches,
    longest_prefix,
    pattern_matches,
    sender_certificate_matches,
    specificity,
)


@pytest.mark.parametrize(
    ("pattern", "domain", "with_apex", "subdomains"),
    [
        ("*", "a.example", True, True),
        ("contoso.com", "contoso.com", True, True),
        ("contoso.com", "a.contoso.com", False, False),
        ("*.contoso.com", "contoso.com", True, False),
        ("*.contoso.com", "a.contoso.com", True, True),
        ("*.contoso.com", "a.b.contoso.com", True, True),
        ("*.contoso.com", "evilcontoso.com", False, False),
    ],
)
def test_patterns(pattern: str, domain: str, with_apex: bool, subdomains: bool) -> None:
    assert pattern_matches(pattern, domain, subdomains_only=False) is with_apex
    assert pattern_matches(pattern, domain, subdomains_only=True) is subdomains


def test_specificity_orders_patterns() -> None:
    patterns = ["a.contoso.com", "contoso.com", "*.a.contoso.com", "*.contoso.com", "*.com", "*"]
    assert sorted(patterns, key=specificity, reverse=True) == patterns


@pytest.mark.parametrize(
    ("presented", "expected", "matches"),
    [
        ("a.example.com", "a.example.com", True),
        ("A.Example.COM", "a.example.com", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("f*.example.com", "foo.example.com", False),
        ("*oo.example.com", "foo.example.com", False),
        ("a.*.example.com", "a.b.example.com", False),
        ("*.*.example.com", "a.b.example.com", False),
        ("*.com", "example.com", False),
        ("*.co.uk", "contoso.co.uk", False),
        ("*.com.br", "contoso.com.br", False),
        ("*.contoso.co.uk", "mail.contoso.co.uk", True),
        ("*.co.com", "x.co.com", True),
        ("*.de", "contoso.de", False),
        ("*", "com", False),
        ("*", "example.com", False),
        ("*.", "example.com", False),
        ("example.com.", "example.com", False),
        ("good.com\x00.evil.com", "good.com", False),
        ("good.com\n", "good.com", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("bücher.example", "xn--bcher-kva.example", False),
        ("", "", False),
        ("a..example.com", "a..example.com", False),
    ],
)
def test_certificate_names(presented: str, expected: str, matches: bool) -> None:
    assert certificate_name_matches(presented, expected) is matches


@pytest.mark.parametrize(
    ("presented", "pattern", "matches"),
    [
        ("mail.contoso.com", "*.contoso.com", True),
        ("a.b.contoso.com", "*.contoso.com", True),
        ("contoso.com", "*.contoso.com", True),
        ("*.contoso.com", "*.contoso.com", True),
        ("*.a.contoso.com", "*.contoso.com", True),
        ("*.com", "*.contoso.com", False),
        ("*.com", "*.com", False),
        ("mail.contoso.co.uk", "*.co.uk", False),
        ("*.co.uk", "*.contoso.co.uk", False),
        ("contoso.com", "*", False),
        ("*", "*", False),
        ("*.contoso.com", "mail.contoso.com", True),
        ("mail.contoso.com", "contoso.com", False),
        ("mail.evilcontoso.com", "*.contoso.com", False),
        ("m*.contoso.com", "*.contoso.com", False),
    ],
)
def test_certificate_names_against_sender_patterns(presented: str, pattern: str, matches: bool) -> None:
    assert sender_certificate_matches(presented, pattern) is matches


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_addresses(text: str, canonical: str) -> None:
    assert canonical_address(text) == canonical


@pytest.mark.parametrize("text", ["", "300.1.1.1", "0177.0.0.1", "2130706433", "mail.example", "1.2.3"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an IP address"):
        canonical_address(text)


@pytest.mark.parametrize(
    ("ranges", "address", "prefix"),
    [
        (("192.0.2.0/24", "192.0.2.7/32"), "192.0.2.7", 32),
        (("192.0.2.0/24", "192.0.2.7/32"), "192.0.2.8", 24),
        (("192.0.2.7",), "192.0.2.7", 32),
        (("0.0.0.0/0",), "203.0.113.1", 0),
        (("0.0.0.0/0",), "2001:db8::1", -1),
        (("::ffff:192.0.2.0/120",), "192.0.2.9", 24),
        (("2001:db8:0:1::/64",), "2001:db8:0:1:ffff::1", 64),
        (("2001:db8:0:1::/64",), "2001:db8:0:2::1", -1),
        (("192.0.2.0/24",), "unknown", -1),
    ],
)
def test_longest_prefix(ranges: tuple[str, ...], address: str, prefix: int) -> None:
    assert longest_prefix(ranges, address) == prefix
