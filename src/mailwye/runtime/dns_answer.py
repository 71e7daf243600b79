"""Answers of the DNS as values: three-valued, because a question that got no answer is neither yes nor no.

Names are lower-case A-labels without the final dot; "" is the root. Times to live in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeAlias, TypeVar

FAILURE_SECONDS = 5.0
"""How long a failure is remembered: RFC 9520 section 3.2 allows from one second to five minutes."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class MxRecord:
    """RFC 1035 section 3.3.9. `exchange` "": the null MX of RFC 7505."""

    preference: int
    exchange: str


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """RFC 6698 section 2.1."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Found(Generic[T_co]):
    """At least one record. `name`: where they stand, after CNAMEs. `authenticated`: a validating resolver vouched for all of it."""

    records: tuple[T_co, ...]
    ttl: float
    authenticated: bool = False
    name: str = ""


class Absence(Enum):
    """NODATA: the name exists, records of this type do not. NXDOMAIN: the name does not exist (RFC 2308 section 2)."""

    NODATA = "no such record"
    NXDOMAIN = "no such domain"


@dataclass(frozen=True, slots=True)
class Absent:
    """The DNS says for sure that there is nothing."""

    absence: Absence
    ttl: float = 0.0
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """No usable answer: a timeout, SERVFAIL, a CNAME loop… `reason` in words."""

    reason: str


Answer: TypeAlias = Found[T] | Absent | Unknown


class Resolver(Protocol):
    """Asks the DNS. No method raises for what the DNS does; what is in the cache is returned without waiting."""

    async def mx(self, name: str) -> Answer[MxRecord]:
        """MX records, in no order."""
        ...

    async def addresses(self, name: str) -> Answer[str]:
        """A and AAAA together, IPv4 first: canonical text. Unknown only where neither type gave an address and one is unknown."""
        ...

    async def txt(self, name: str) -> Answer[bytes]:
        """TXT records, the strings of each joined."""
        ...

    async def tlsa(self, name: str) -> Answer[TlsaRecord]:
        """TLSA records; `name` holds port and protocol: `_25._tcp.mail.example.com`."""
        ...

    async def names(self, address: str) -> Answer[str]:
        """PTR records of an IP address."""
        ...


def merge_addresses(ipv4: Answer[str], ipv6: Answer[str]) -> Answer[str]:
    """The answers to A and AAAA → one. A family that is unknown does not spoil the other one's addresses."""
    if isinstance(ipv4, Found) and isinstance(ipv6, Found):
        authenticated = ipv4.authenticated and ipv6.authenticated
        return Found(ipv4.records + ipv6.records, min(ipv4.ttl, ipv6.ttl), authenticated, ipv4.name)
    for one, other in ((ipv4, ipv6), (ipv6, ipv4)):
        if isinstance(one, Found):
            # Where the other family is only unknown, what is known counts no longer than a failure does.
            return one if isinstance(other, Absent) else Found(one.records, min(one.ttl, FAILURE_SECONDS), one.authenticated, one.name)
    if isinstance(ipv4, Absent) and isinstance(ipv6, Absent):
        absence = Absence.NXDOMAIN if Absence.NXDOMAIN in (ipv4.absence, ipv6.absence) else Absence.NODATA
        return Absent(absence, min(ipv4.ttl, ipv6.ttl), ipv4.authenticated and ipv6.authenticated)
    return ipv4 if isinstance(ipv4, Unknown) else ipv6
