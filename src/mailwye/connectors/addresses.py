"""Which connectors hold an IP address: an index over ranges."""

from __future__ import annotations

from collections.abc import Iterable

from mailwye.connectors.matching import address_number, parse_range


class AddressIndex:
    """IP ranges → numbers of connectors: one dictionary per prefix length."""

    __slots__ = ("_lengths", "_networks")

    def __init__(self, ranges: Iterable[tuple[str, int]]) -> None:
        self._networks: dict[tuple[int, int], dict[int, list[int]]] = {}
        for text, connector in ranges:
            bits, length, network = parse_range(text)
            same_length = self._networks.setdefault((bits, length), {})
            same_length.setdefault(network >> (bits - length), []).append(connector)
        self._lengths = sorted(self._networks, reverse=True)

    def find(self, address: str) -> dict[int, int]:
        """Connectors whose ranges hold `address`, each with its longest prefix."""
        number = address_number(address) if self._lengths else None
        if number is None:
            return {}
        bits, value = number
        found: dict[int, int] = {}
        for key in self._lengths:
            family, length = key
            if family == bits:
                for connector in self._networks[key].get(value >> (bits - length), ()):
                    found.setdefault(connector, length)
        return found
