"""Remembers which certificates identified callers, and alerts where one comes from another issuer than before: the mail goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailwye.connectors.attribution import Caller
from mailwye.connectors.matching import sender_certificate_matches
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import CERTIFICATE_NAMES, ConnectorTable
from mailwye.message.facts import PeerCertificate, SessionFacts
from mailwye.runtime.clock import Clock
from mailwye.trace.sightings import News, Sighting, SightingStore, news_of, other_issuer_alert

AGAIN_SECONDS = 86_400.0
"""How often the memory of one certificate is brought up to date."""

REMEMBERED = 10_000
"""Certificates that a worker knows to be told already."""


class CertificateWatch:
    """One of a worker. `alert` takes a sentence. A store that fails is asked again later: mail does not wait for it."""

    __slots__ = ("_alert", "_clock", "_store", "_told")

    def __init__(self, store: SightingStore, clock: Clock, alert: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._alert = alert
        self._told: dict[tuple[str, str], float] = {}  # (connector, fingerprint) → when

    def saw(self, facts: SessionFacts, caller: Caller, table: ConnectorTable) -> None:
        """A transaction of `caller` begins. Nothing happens where his certificate was told of within the day."""
        if facts.tls is None or facts.tls.certificate is None:
            return
        certificate = facts.tls.certificate
        for connector, name in _identified(caller, certificate, table):
            key = (connector.name, certificate.fingerprint)
            now = self._clock.now()
            if now - self._told.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
                continue
            if len(self._told) >= REMEMBERED:
                self._told.clear()
            self._told[key] = now
            self._tell(_sighting(connector, name, certificate, now))

    def _tell(self, seen: Sighting) -> None:
        try:
            known = self._store.of(seen.connector)
            news = news_of(known, seen)
            self._store.saw(seen)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the store, the caller is who he is
            self._alert(f"the memory of certificates cannot be used, so another issuer would not be noticed: {error}")
            return
        if news is News.OTHER_ISSUER:
            self._alert(other_issuer_alert(known, seen))

    def close(self) -> None:
        """The worker ends."""
        self._store.close()


def _identified(caller: Caller, certificate: PeerCertificate, table: ConnectorTable) -> Iterator[tuple[InboundConnector, str]]:
    """The connectors for which the certificate counted, each with the name that matched."""
    if caller.connector is not None:
        if caller.certificate_name:
            yield caller.connector, caller.certificate_name
        return
    if caller.refusal is not None or caller.restrictions:
        return
    for name in caller.partners:
        connector = table.inbound_by_name.get(name)
        if connector is None or not connector.restrict_domains_to_certificate:
            continue
        pattern = connector.tls_sender_certificate_name
        matched = next((one for one in certificate.names[:CERTIFICATE_NAMES] if sender_certificate_matches(one, pattern)), "")
        if matched:
            yield connector, matched


def _sighting(connector: InboundConnector, name: str, certificate: PeerCertificate, now: float) -> Sighting:
    reasons = [verdict.reason for verdict in certificate.verdicts if verdict.trusted and verdict.name in connector.trusted_authorities]
    authority = certificate.trust_reason if certificate.trusted or not reasons else reasons[0]
    return Sighting(
        connector=connector.name,
        name=name,
        subject=certificate.subject,
        issuer=certificate.issuer,
        authority=authority,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        fingerprint=certificate.fingerprint,
        public_key=certificate.public_key,
        first_seen=now,
        last_seen=now,
    )
