"""All certificates that matter to an installation: those in its files, and those that other servers presented on connectors; what was
warned of, so that a restart repeats nothing. One process writes it: the control process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes

from mailwye.admin.expiry import DAY, KnownCertificate, due_warnings, row
from mailwye.config.certificate_files import CertificateFile
from mailwye.runtime.files import write_durably
from mailwye.runtime.seen_certificates import SEEN_LIMIT
from mailwye.runtime.tls_certificates import TlsError, certificate_names, issuer_of, read_chain, subject_of

FORGET_SECONDS = 90 * DAY
"""A certificate that another server has not presented for so long is forgotten."""

KEEP_SECONDS = 3_600.0
"""Times of last presentation are written down this often where nothing else changes."""

FILE_LIMIT = 16_777_216  # octets


class CertificateRegister:
    """Keeps `path` (JSON). A file that cannot be read is begun anew: what is lost by it is that a warning may come twice."""

    def __init__(self, path: Path, files: Sequence[CertificateFile]) -> None:
        self._path = path
        self._files = files
        self._seen: dict[tuple[str, tuple[str, ...]], KnownCertificate] = {}
        self._warned: dict[str, int] = {}
        self._written_at = 0.0
        self._changed = False
        self.damage = self._load()
        """What is wrong with the file, "" where nothing is."""

    def _load(self) -> str:
        try:
            if self._path.stat().st_size > FILE_LIMIT:
                raise ValueError(f"more than {FILE_LIMIT} octets")
            stored = json.loads(self._path.read_bytes())
            seen = [KnownCertificate(**{**one, "names": tuple(one["names"])}) for one in stored["seen"]]
            self._seen = {one.key: one for one in seen}
            self._warned = {str(fingerprint): int(step) for fingerprint, step in stored["warned"].items()}
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._seen, self._warned = {}, {}
            return f"{self._path} cannot be used and is begun anew ({error}); warnings of certificates may come twice"
        return ""

    def add(self, presented: Iterable[Mapping[str, Any]], now: float) -> None:
        """What workers saw: the fields of KnownCertificate but `file`. A renewed certificate takes the place of its predecessor."""
        for fields in presented:
            one = KnownCertificate(**{**fields, "names": tuple(fields["names"])})
            before = self._seen.pop(one.key, None)
            if before is not None and before.last_seen > one.last_seen:
                one = before
            self._seen[one.key] = one
            self._changed |= before is None or before.fingerprint != one.fingerprint
        outdated = [key for key, one in self._seen.items() if one.last_seen < now - FORGET_SECONDS]
        outdated += sorted(self._seen, key=lambda key: self._seen[key].last_seen)[: max(0, len(self._seen) - SEEN_LIMIT)]
        for key in outdated:
            self._seen.pop(key, None)
        self._changed |= bool(outdated)

    def known(self) -> list[KnownCertificate]:
        """All, read from their files now. A file that cannot be read is left out: serving with it is another part's alert."""
        return [*(one for file in self._files for one in read_file(file)), *self._seen.values()]

    def warnings(self, now: float) -> list[str]:
        """The alerts that are due; each is given once."""
        known = self.known()
        due = due_warnings(now, known, self._warned)
        fingerprints = {one.fingerprint for one in known}
        kept = {fingerprint: step for fingerprint, step in self._warned.items() if fingerprint in fingerprints}
        self._changed |= bool(due) or kept != self._warned
        self._warned = {**kept, **{fingerprint: step for fingerprint, step, _ in due}}
        return [text for _, _, text in due]

    def rows(self, now: float) -> list[dict[str, Any]]:
        """For `mailwye certificates`, in the order of the files, then of the connectors."""
        known = self.known()
        return [row(now, one, self._warned.get(one.fingerprint)) for one in known]

    def save(self, now: float, *, at_once: bool = False) -> None:
        """Write down what changed; `at_once`: times of last presentation too.

        :raises OSError: it cannot be written; nothing is lost in memory.
        """
        times_are_due = bool(self._seen) and (at_once or now - self._written_at >= KEEP_SECONDS)
        if not self._changed and not times_are_due:
            return
        stored = {"seen": [asdict(one) for one in self._seen.values()], "warned": self._warned}
        write_durably(self._path, json.dumps(stored).encode())
        self._changed, self._written_at = False, now


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
