"""The resolver of simulations and unit tests: answers from a zone in memory, without waiting."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from mailwye.runtime.dns_answer import Absence, Absent, Answer, Found, MxRecord, TlsaRecord, Unknown, merge_addresses
from mailwye.testing.dns_server import Zone

_CHAIN_LIMIT = 8


class StaticResolver:
    """A Resolver over a Zone (see testing/dns_server.py). `unknown`: names whose questions fail, with the reason; both may be changed.

    `asked`: (name, type) of every question.
    """

    def __init__(self, zone: Zone | None = None, *, unknown: Mapping[str, str] | None = None, authenticated: bool = False) -> None:
        self.zone: Zone = dict(zone or {})
        self.unknown = dict(unknown or {})
        self.authenticated = authenticated
        self.asked: list[tuple[str, str]] = []

    async def mx(self, name: str) -> Answer[MxRecord]:
        """See Resolver."""
        return self._records(name, "MX", lambda value: MxRecord(int(value[0]), "" if value[1] == "." else str(value[1]).lower()))

    async def addresses(self, name: str) -> Answer[str]:
        """See Resolver."""
        return merge_addresses(self._records(name, "A", _canonical), self._records(name, "AAAA", _canonical))

    async def txt(self, name: str) -> Answer[bytes]:
        """See Resolver."""
        return self._records(name, "TXT", lambda value: value if isinstance(value, bytes) else str(value).encode())

    async def tlsa(self, name: str) -> Answer[TlsaRecord]:
        """See Resolver. Values: (usage, selector, matching type, octets or hexadecimal text)."""
        return self._records(name, "TLSA", _tlsa)

    async def names(self, address: str) -> Answer[str]:
        """See Resolver. The PTR records stand at the name that `ipaddress` gives: "1.2.0.192.in-addr.arpa"."""
        return self._records(ipaddress.ip_address(address).reverse_pointer, "PTR", str)

    def _records(self, name: str, kind: str, read: Any) -> Answer[Any]:
        self.asked.append((name, kind))
        for _ in range(_CHAIN_LIMIT):
            if name in self.unknown:
                return Unknown(f"{kind} {name}: {self.unknown[name]}")
            records = self.zone.get(name)
            if records is None:
                return Absent(Absence.NXDOMAIN, 60.0, self.authenticated)
            values: Sequence[Any] | None = records.get(kind)
            if values is not None:
                return Found(tuple(map(read, values)), 300.0, self.authenticated, name)
            if "CNAME" not in records:
                return Absent(Absence.NODATA, 60.0, self.authenticated)
            name = str(records["CNAME"][0]).lower()
        return Unknown(f"{kind} {name}: the CNAMEs form a loop or are more than {_CHAIN_LIMIT}")


def _canonical(value: Any) -> str:
    return str(ipaddress.ip_address(value))


def _tlsa(value: tuple[int, int, int, bytes | str]) -> TlsaRecord:
    data = value[3]
    return TlsaRecord(value[0], value[1], value[2], bytes.fromhex(data) if isinstance(data, str) else data)
