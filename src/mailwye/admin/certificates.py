"""Every certificate that the installation uses or has seen on a connector, with its dates, and the warnings before one expires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mailwye.config.installation import Installation
from mailwye.runtime.tls_certificates import TlsError, certificate_names, issuer_of, public_key_digest, read_chain, subject_of
from mailwye.trace.sightings import DAY, Sighting, SightingStore, due_warning, in_use

LOOK_SECONDS = 6 * 3600.0
"""How often dates are looked at."""


FORGOTTEN_SECONDS = 45 * DAY
"""A certificate that was not seen for so long is not warned of."""


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """`used_by`: "[tls] certificate", "[tls.authorities] own", 'connector "From our servers"'. `last_seen` 0: it is a file of ours,
    `file`. `replaced`: a newer one was seen in its place. `problem`: the file cannot be read. Times are Unix seconds.
    """

    used_by: str
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_before: float = 0.0
    not_after: float = 0.0
    fingerprint: str = ""
    public_key: str = ""
    file: str = ""
    last_seen: float = 0.0
    replaced: bool = False
    problem: str = ""

    def days_left(self, now: float) -> int:
        """Whole days until it expires; negative after it did."""
        return int((self.not_after - now) // DAY)

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "names": list(self.names), "days_left": self.days_left(now) if not self.problem else None}


def known_certificates(installation: Installation, sightings: Sequence[Sighting]) -> list[KnownCertificate]:
    """Files first, in the order of the settings, then what was seen on connectors."""
    return [*_of_files(installation), *_of_connectors(sightings)]


def warn(certificates: Sequence[KnownCertificate], store: SightingStore, now: float, alert: Callable[[str], None]) -> None:
    """Alert for each certificate in use that has so few days left, once for each of EXPIRY_DAYS."""
    for one in certificates:
        if one.problem or one.replaced or is_forgotten(one, now):
            continue
        days = due_warning(one.not_after, now)
        if days is not None and store.warn_once(one.fingerprint, days):
            alert(warning_words(one, now))


def is_forgotten(one: KnownCertificate, now: float) -> bool:
    """True for what was seen on a connector once and not for long: nobody misses it."""
    return bool(one.last_seen) and now - one.last_seen > FORGOTTEN_SECONDS


def warning_words(one: KnownCertificate, now: float) -> str:
    """One sentence with what to do."""
    left = one.days_left(now)
    when = "has expired" if left < 0 else "expires today" if left == 0 else f"expires in {left} {'day' if left == 1 else 'days'}"
    whose = f"the file {one.file}" if one.file else f"seen on {one.used_by}"
    remedy = "Renew it, then `mailwye reload`" if one.file else "Ask whoever runs that server to renew it: afterwards it is anonymous"
    return f"the certificate {one.subject} ({whose}) {when}. {remedy}"


class ExpiryWatch:
    """Looks at all certificates now and then, and alerts in time. One of the service. `read`: the certificates of this moment."""

    def __init__(
        self,
        read: Callable[[], Sequence[KnownCertificate]],
        store: SightingStore,
        now: Callable[[], float],
        alert: Callable[[str], None],
    ) -> None:
        self._read = read
        self._store = store
        self._now = now
        self._alert = alert

    def look(self) -> None:
        """Once. Reads files."""
        try:
            warn(self._read(), self._store, self._now(), self._alert)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the next look may be good; mail does not wait for it
            self._alert(f"certificates could not be looked at for their dates: {error}")

    async def run(self) -> None:
        """At once, then every LOOK_SECONDS until cancelled."""
        while True:
            self.look()  # a few milliseconds
            await asyncio.sleep(LOOK_SECONDS)


def _of_files(installation: Installation) -> Iterator[KnownCertificate]:
    tls = installation.tls
    if tls.certificate is not None:
        yield from _of_file("[tls] certificate", tls.certificate, only_first=True)
    for name, (certificate, _) in tls.client_certificates.items():
        yield from _of_file(f"[tls.client_certificates] {name}", certificate, only_first=True)
    for file in tls.trusted_authorities:
        yield from _of_file("[tls] trusted_authorities", file)
    for name, files in tls.authorities.items():
        for file in files:
            yield from _of_file(f"[tls.authorities] {name}", file)


def _of_file(used_by: str, file: Path, *, only_first: bool = False) -> Iterator[KnownCertificate]:
    """A chain's leaf, or every authority of a file."""
    try:
        chain = read_chain(str(file))
    except TlsError as error:
        yield KnownCertificate(used_by, file=str(file), problem=str(error))
        return
    for certificate in chain[:1] if only_first else chain:
        yield _from(certificate, used_by, str(file))


def _from(certificate: x509.Certificate, used_by: str, file: str) -> KnownCertificate:
    return KnownCertificate(
        used_by=used_by,
        subject=subject_of(certificate),
        issuer=issuer_of(certificate),
        names=certificate_names(certificate),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        public_key=public_key_digest(certificate),
        file=file,
    )


def _of_connectors(sightings: Sequence[Sighting]) -> Iterator[KnownCertificate]:
    current = {(one.connector, one.fingerprint) for one in in_use(sightings)}
    for one in sightings:
        yield KnownCertificate(
            used_by=f'connector "{one.connector}"',
            subject=one.subject,
            issuer=one.issuer,
            names=(one.name,),
            not_before=one.not_before,
            not_after=one.not_after,
            fingerprint=one.fingerprint,
            public_key=one.public_key,
            last_seen=one.last_seen,
            replaced=(one.connector, one.fingerprint) not in current,
        )
