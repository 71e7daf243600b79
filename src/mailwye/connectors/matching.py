"""Does it match? Domain patterns, certificate names and addresses: the small questions below attribution and selection.

Domains and patterns are canonical (lower-case A-labels). A pattern is `*`, `contoso.com` or `*.contoso.com`.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_DOMAIN_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z", re.ASCII)


def parents(domain: str) -> list[str]:
    """The domains above `domain`, nearest first: a.b.c → b.c, c."""
    found = []
    dot = domain.find(".")
    while dot >= 0:
        found.append(domain[dot + 1 :])
        dot = domain.find(".", dot + 1)
    return found


def pattern_matches(pattern: str, domain: str, *, subdomains_only: bool) -> bool:
    """Whether `domain` falls under `pattern`.

    `subdomains_only`: True where `*.contoso.com` does not mean contoso.com itself (RecipientDomains, TlsDomain), False where it
    does (SenderDomains, TlsSenderCertificateName); SEMANTICS section 2.
    """
    if pattern == "*":
        return True
    if not pattern.startswith("*."):
        return pattern == domain
    return domain.endswith(pattern[1:]) or (not subdomains_only and domain == pattern[2:])


def specificity(pattern: str) -> int:
    """A number that orders patterns which match the same name: exact above every suffix, a longer suffix above a shorter, `*` 0."""
    if pattern == "*":
        return 0
    labels = pattern.count(".") + 1
    return labels if pattern.startswith("*.") else 1000 + labels


def is_domain_name(name: str) -> bool:
    """True for letters, digits, hyphens and underscores in labels of 1 to 63 octets; no trailing dot, no NUL, no U-labels."""
    return _DOMAIN_NAME.match(name) is not None


# The second-level labels under which country registries give names to everybody: contoso.co.uk, contoso.com.br.
_REGISTRY_LABELS = frozenset(
    ("ac", "co", "com", "edu", "gob", "gouv", "gov", "go", "ltd", "mil", "ne", "net", "nom", "or", "org", "plc", "sch")
)


def is_registry(domain: str) -> bool:
    """True for a domain below which anybody can have a name: a top-level domain, and by their form co.uk, com.br and the like."""
    label, dot, top = domain.partition(".")
    return not dot or (len(top) == 2 and label in _REGISTRY_LABELS)


def is_presentable(presented: str) -> bool:
    """True where a certificate's name may identify anybody: a domain name, or one with `*` as its whole leftmost label (RFC 9525
    section 6.3) below something that belongs to one: `*`, `*.com` and `*.co.uk` speak for too many.
    """
    if presented.startswith("*."):
        return not is_registry(presented[2:]) and is_domain_name(presented[2:])
    return is_domain_name(presented)


def certificate_name_matches(presented: str, expected: str) -> bool:
    """RFC 9525 section 6.3: does the dNSName `presented` stand for the host `expected`? A wildcard stands for exactly one label."""
    presented, expected = presented.lower(), expected.lower()
    if not is_presentable(presented) or not is_domain_name(expected):
        return False
    if presented.startswith("*."):
        return expected.partition(".")[2] == presented[2:]
    return presented == expected


def sender_certificate_matches(presented: str, pattern: str) -> bool:
    """TlsSenderCertificateName: `*.contoso.com` means the domain and its subdomains at any depth, and a certificate for
    `*.contoso.com` itself; a plain name as in RFC 9525. `*` and `*.com` match nothing: they would let everybody in.
    """
    presented, pattern = presented.lower(), pattern.lower()
    if not pattern.startswith("*."):
        return certificate_name_matches(presented, pattern)
    if not is_presentable(pattern) or not is_presentable(presented):
        return False
    return pattern_matches(pattern, presented.removeprefix("*."), subdomains_only=False)


_OCTET = "(0|[1-9][0-9]{0,2})"
_DOTTED = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}").fullmatch


@lru_cache(maxsize=4096)
def address_number(text: str) -> tuple[int, int] | None:
    """An IP address → (bits of its family: 32 or 128, its number); None for what is no address. IPv4-mapped IPv6 addresses become
    IPv4, zone ids are dropped (catalogue C8).
    """
    if (dotted := _DOTTED(text)) is not None:  # most are; ipaddress takes six times as long
        one, two, three, four = map(int, dotted.groups())
        if max(one, two, three, four) < 256:
            return 32, one << 24 | two << 16 | three << 8 | four
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.max_prefixlen, int(address)


def canonical_address(text: str) -> str:
    """The one form of an IP address: IPv4-mapped IPv6 → IPv4, no zone id, compressed lower case. :raises ValueError: no address."""
    number = address_number(text)
    if number is None:
        raise ValueError(f"not an IP address: {text!r}")
    bits, value = number
    return str(ipaddress.IPv4Address(value) if bits == 32 else ipaddress.IPv6Address(value))


@lru_cache(maxsize=16_384)
def parse_range(text: str) -> tuple[int, int, int]:
    """`192.0.2.0/24`, `2001:db8::/32` or one address → (bits of the family, prefix length, network number). Bits after the prefix are
    ignored; an IPv4-mapped range becomes IPv4. :raises ValueError: no such thing.
    """
    network = ipaddress.ip_network(text.strip(), strict=False)
    length = network.prefixlen
    if isinstance(network, ipaddress.IPv6Network) and length >= 96 and network.network_address.ipv4_mapped is not None:
        return 32, length - 96, int(network.network_address.ipv4_mapped)
    return network.max_prefixlen, length, int(network.network_address)


def longest_prefix(ranges: tuple[str, ...], address: str) -> int:
    """The prefix length of the narrowest of `ranges` that holds `address`; -1 where none does."""
    number = address_number(address)
    if number is None:
        return -1
    bits, value = number
    best = -1
    for text in ranges:
        family, length, network = parse_range(text)
        if family == bits and length > best and value >> (bits - length) == network >> (bits - length):
            best = length
    return best
