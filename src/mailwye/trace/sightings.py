"""Which certificates other servers presented on connectors, and what is new about one: the memory behind the warnings before one expires
and the alert for another issuer. Values and pure functions, the port, and its implementation in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Protocol

from mailwye.value import dataclass

SIGHTINGS_LIMIT = 10_000
"""Certificates that a store keeps, or a few more; above it those seen longest ago are forgotten, and those that identified nobody first."""

# The organization in a distinguished name of RFC 4514: authorities change the rest when they renew an intermediate certificate.
_ORGANIZATION = re.compile(r"(?:\A|(?<!\\)[,+])O=((?:\\.|[^,+\\])+)")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A certificate that the other side of a connector presented. `use`: the connector, for people; `name`: the presented name that
    identified a caller, "" where it identified nobody; `names`: all of them; `verdict`: who vouches for it, in words. Times are Unix
    seconds; `fingerprint` and `public_key` SHA-256 in hex.
    """

    use: str
    name: str
    names: tuple[str, ...]
    subject: str
    issuer: str
    verdict: str
    not_before: float
    not_after: float
    fingerprint: str
    public_key: str
    first_seen: float
    last_seen: float


class News(Enum):
    """What a certificate that identified a caller means beside those that did so before."""

    FIRST = "the first certificate on this connector"
    KNOWN = "seen before"
    RENEWED = "another certificate, by an issuer seen before"
    OTHER_ISSUER = "another certificate, by an issuer never seen here"


class SightingStore(Protocol):
    """Keeps sightings, and what was warned of. Losing the latest at a power cut is no harm: they are made again."""

    def of(self, use: str) -> Sequence[Sighting]:
        """All of one connector."""
        ...

    def all(self) -> Sequence[Sighting]:
        """All, by connector, then the first seen first."""
        ...

    def saw(self, sighting: Sighting) -> None:
        """Keep it; of one that is known by `use` and fingerprint `last_seen` moves on, and a `name` replaces none or another."""
        ...

    def warned(self) -> Mapping[str, int]:
        """Fingerprint → the step of the last warning (admin/expiry.py)."""
        ...

    def keep_warned(self, warned: Mapping[str, int]) -> None:
        """From now on this is what was warned of."""
        ...

    def close(self) -> None:
        """No more calls follow."""
        ...


def issuing_organization(issuer: str) -> str:
    """Whom one expects behind a certificate: the O of its issuer's name (RFC 4514 form), else the whole name; lower case."""
    found = _ORGANIZATION.search(issuer)
    return found[1].strip().lower() if found is not None else issuer.lower()


def news_of(known: Sequence[Sighting], seen: Sighting) -> News:
    """`known`: what was seen on the same connector before."""
    known = [one for one in known if one.name]
    if not known:
        return News.FIRST
    if any(one.fingerprint == seen.fingerprint for one in known):
        return News.KNOWN
    issuer = issuing_organization(seen.issuer)
    return News.RENEWED if any(issuing_organization(one.issuer) == issuer for one in known) else News.OTHER_ISSUER


def other_issuer_alert(known: Sequence[Sighting], seen: Sighting) -> str:
    """The alert for a certificate by an issuer that was never seen on the connector: it is accepted all the same."""
    last = max((one for one in known if one.name), key=lambda one: one.last_seen)
    return (
        f"{seen.use}: {seen.name} presented a certificate by {seen.issuer}, never seen here before (last: {last.issuer}). "
        f"It is accepted ({seen.verdict}). Where you expected no change, ask whoever runs that server, and set TlsSenderCertificatePins; "
        f"SHA-256 {seen.fingerprint}"
    )


class MemorySightings:
    """A SightingStore in memory, for tests and simulations."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Sighting] = {}
        self._warned: Mapping[str, int] = {}

    def of(self, use: str) -> Sequence[Sighting]:
        """See SightingStore."""
        return [one for one in self.all() if one.use == use]

    def all(self) -> Sequence[Sighting]:
        """See SightingStore."""
        return sorted(self._kept.values(), key=lambda one: (one.use, one.first_seen))

    def saw(self, sighting: Sighting) -> None:
        """See SightingStore."""
        key = (sighting.use, sighting.fingerprint)
        known = self._kept.get(key)
        if known is not None:
            sighting = replace(known, last_seen=max(known.last_seen, sighting.last_seen), name=sighting.name or known.name)
        self._kept[key] = sighting
        if len(self._kept) > SIGHTINGS_LIMIT:
            del self._kept[min(self._kept, key=lambda one: (self._kept[one].name != "", self._kept[one].last_seen))]

    def warned(self) -> Mapping[str, int]:
        """See SightingStore."""
        return dict(self._warned)

    def keep_warned(self, warned: Mapping[str, int]) -> None:
        """See SightingStore."""
        self._warned = dict(warned)

    def close(self) -> None:
        """Nothing is open."""
