"""The certificates that other servers present on connectors, remembered until the control process asks for them (it warns before they
expire). Strangers' certificates never come here: the number of connectors bounds what is kept, and SEEN_LIMIT does so whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailwye.runtime.clock import Clock

SEEN_LIMIT = 1_000
"""How many are kept; beyond it the one that was not presented for the longest time is forgotten."""


class Certificate(Protocol):
    """What has to be known of one: runtime/tls_certificates.PresentedCertificate and message/facts.PeerCertificate both are."""

    @property
    def subject(self) -> str:
        """Distinguished name."""
        ...

    @property
    def issuer(self) -> str:
        """Distinguished name."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names."""
        ...

    @property
    def not_after(self) -> float:
        """Unix seconds."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal."""
        ...


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """`use`: the connector, for people. `last_seen`: Unix seconds of the last session that presented it."""

    use: str
    certificate: Certificate
    last_seen: float

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What a renewed certificate has in common with its predecessor, so that it takes its place: the connector and the names."""
        return self.use, self.certificate.names or (self.certificate.subject,)


class SeenCertificates:
    """Of one worker. The sessions call `see`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, tuple[str, ...]], SeenCertificate] = {}

    def see(self, use: str, certificate: Certificate) -> None:
        """The other side of `use` has just presented `certificate`."""
        one = SeenCertificate(use, certificate, self._clock.now())
        seen, key = self._seen, one.key
        seen.pop(key, None)
        seen[key] = one  # the last one seen comes last
        if len(seen) > SEEN_LIMIT:
            del seen[next(iter(seen))]

    def take(self) -> tuple[SeenCertificate, ...]:
        """All that was seen since the last call; it is forgotten here."""
        taken = tuple(self._seen.values())
        self._seen = {}
        return taken
