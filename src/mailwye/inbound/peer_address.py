"""Peer addresses: one canonical form (C8), and sets of networks in which a look-up does not grow with their number."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def canonical_address(text: str) -> str:
    """An IP address as the operating system or a proxy gives it → canonical text: IPv4-mapped IPv6 becomes IPv4, IPv6 is compressed
    and in lower case, a zone id is dropped. What is no IP address (a socket path) comes back unchanged.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if address.version == 6 and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def counting_key(address: str) -> str:
    """The key under which limits count a canonical address: itself for IPv4, its /64 for IPv6, since one customer has at least that."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


class AddressSet:
    """A frozen set of networks ("192.0.2.0/24", "2001:db8::1"). A look-up costs one step per distinct prefix length."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """:raises ValueError: no network."""
        self._networks: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ipaddress.ip_network(text, strict=False)
            shift = network.max_prefixlen - network.prefixlen
            self._networks.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)

    def __contains__(self, address: str) -> bool:
        """True where the canonical `address` lies in one of the networks; False for what is no IP address."""
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        number = int(parsed)
        return any(parsed.version == version and number >> shift in prefixes for (version, shift), prefixes in self._networks.items())
