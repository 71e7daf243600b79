"""All certificates that matter to an installation: those in its files, and those that other servers presented on connectors; which
warnings are due. What was warned of is kept, so that a restart repeats nothing. One process writes it: the control process.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes

from mailwye.admin.expiry import DAY, CertificateRow, KnownCertificate, due_warnings, row
from mailwye.config.certificate_files import CertificateFile
from mailwye.runtime.tls_certificates import TlsError, certificate_names, issuer_of, read_chain, subject_of
from mailwye.trace.sightings import SightingStore

FORGET_SECONDS = 90 * DAY
"""A certificate that another server has not presented for so long is nobody's business any more."""


class CertificateRegister:
    """Every method raises what the store raises."""

    def __init__(self, store: SightingStore, files: Sequence[CertificateFile]) -> None:
        self._store = store
        self._files = files

    def known(self, now: float) -> list[KnownCertificate]:
        """All, read from their files now. A file that cannot be read is left out: serving with it is another part's alert."""
        return [*(one for file in self._files for one in read_file(file)), *presented(self._store, now)]

    def warnings(self, now: float) -> list[str]:
        """The alerts that are due; each is given once."""
        known, warned = self.known(now), self._store.warned()
        due = due_warnings(now, known, warned)
        fingerprints = {one.fingerprint for one in known}
        kept = {fingerprint: step for fingerprint, step in warned.items() if fingerprint in fingerprints}
        kept |= {fingerprint: step for fingerprint, step, _ in due}
        if kept != warned:
            self._store.keep_warned(kept)
        return [text for _, _, text in due]

    def rows(self, now: float) -> list[CertificateRow]:
        """For `mailwye certificates`, in the order of the files, then of the connectors."""
        warned = self._store.warned()
        return [row(now, one, warned.get(one.fingerprint)) for one in self.known(now)]

    def close(self) -> None:
        """No more calls follow."""
        self._store.close()


def presented(store: SightingStore, now: float) -> list[KnownCertificate]:
    """What other servers present: of those with the same names on a connector the one seen last, since a renewed certificate takes the
    place of its predecessor.
    """
    latest: dict[tuple[str, tuple[str, ...]], KnownCertificate] = {}
    for seen in store.all():
        one = KnownCertificate(
            use=seen.use,
            subject=seen.subject,
            issuer=seen.issuer,
            names=seen.names,
            not_after=seen.not_after,
            fingerprint=seen.fingerprint,
            last_seen=seen.last_seen,
        )
        before = latest.get(one.key)
        if one.last_seen >= now - FORGET_SECONDS and (before is None or before.last_seen <= one.last_seen):
            latest[one.key] = one
    return list(latest.values())


def read_file(file: CertificateFile) -> list[KnownCertificate]:
    """The certificates of one file: the leaf under the file's use, what comes after it as its issuers; nothing where it is unreadable."""
    try:
        chain = read_chain(str(file.certificate))
    except TlsError:
        return []
    later = file.use if file.private_key is None else f"{file.use}, issuer in the chain"
    return [
        KnownCertificate(
            use=file.use if number == 0 else later,
            subject=subject_of(certificate),
            issuer=issuer_of(certificate),
            names=certificate_names(certificate),
            not_after=certificate.not_valid_after_utc.timestamp(),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            file=str(file.certificate),
        )
        for number, certificate in enumerate(chain)
    ]
