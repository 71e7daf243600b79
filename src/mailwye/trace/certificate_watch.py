"""Remembers which certificates other servers presented on connectors, and alerts where one that identified a caller comes from another
issuer than before: the mail goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mailwye.runtime.clock import Clock
from mailwye.trace.presented import bounded_names
from mailwye.trace.sightings import News, Sighting, SightingStore, news_of, other_issuer_alert

AGAIN_SECONDS = 3_600.0
"""How often the memory of one certificate is brought up to date."""

REMEMBERED = 10_000
"""Certificates that a worker knows to be told already."""


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
    def not_before(self) -> float:
        """Unix seconds."""
        ...

    @property
    def not_after(self) -> float:
        """Unix seconds."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal."""
        ...

    @property
    def public_key(self) -> str:
        """SHA-256 in hexadecimal."""
        ...

    @property
    def trust_reason(self) -> str:
        """Why it is trusted, or why not."""
        ...


class CertificateWatch:
    """One of a worker. `alert` takes a sentence. A store that fails is told of once, and asked again later: mail does not wait for it."""

    __slots__ = ("_alert", "_clock", "_failing", "_store", "_told")

    def __init__(self, store: SightingStore, clock: Clock, alert: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._alert = alert
        self._failing = False
        self._told: dict[tuple[str, str, str], float] = {}  # (use, fingerprint, name) → when

    def saw(self, use: str, certificate: Certificate, *, name: str = "", verdict: str = "") -> None:
        """The other side of `use` (a connector, for people) presented `certificate`. `name`: the name in it that identified the caller, ""
        for none; `verdict`: the connector's own, where it has one. Nothing happens where this was told within the hour.
        """
        key = (use, certificate.fingerprint, name)
        now = self._clock.now()
        if now - self._told.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[key] = now
        self._tell(
            Sighting(
                use=use,
                name=name,
                names=bounded_names(certificate.names),
                subject=certificate.subject,
                issuer=certificate.issuer,
                verdict=verdict or certificate.trust_reason,
                not_before=certificate.not_before,
                not_after=certificate.not_after,
                fingerprint=certificate.fingerprint,
                public_key=certificate.public_key,
                first_seen=now,
                last_seen=now,
            )
        )

    def _tell(self, seen: Sighting) -> None:
        known: Sequence[Sighting] = ()
        try:
            known = self._store.of(seen.use) if seen.name else ()
            self._store.saw(seen)
            self._failing = False
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the store, mail goes on
            if not self._failing:
                self._alert(f"the memory of certificates cannot be used, so another issuer may not be noticed: {error}")
            self._failing = True
        if seen.name and news_of(known, seen) is News.OTHER_ISSUER:
            self._alert(other_issuer_alert(known, seen))

    def close(self) -> None:
        """The worker ends."""
        self._store.close()
