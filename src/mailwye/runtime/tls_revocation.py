"""Revocation lists (CRL) in the files of authorities: what they revoke is trusted nowhere. Nothing is fetched (docs/decisions/0007)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from cryptography import x509

from mailwye.runtime.tls_certificates import UNREADABLE, fault_in_words, name_octets, read_revocations

_REVOKED = 23  # X509_V_ERR_CERT_REVOKED (x509_vfy.h)


class RevocationLists:
    """The lists among the PEM blocks of `files`; mostly there are none. A list counts with the signature of the authority that it is of."""

    __slots__ = ("_lists",)

    def __init__(self, files: Iterable[str] = ()) -> None:
        """:raises TlsError: a file is missing or unreadable, or a list is none; names file and remedy."""
        self._lists = [one for file in dict.fromkeys(files) for one in read_revocations(file)]

    def fault(self, path: Sequence[x509.Certificate]) -> str:
        """What is revoked on a verified path (leaf first), for people; "" for nothing. A list beyond its nextUpdate still counts: what it
        revokes stays revoked (RFC 5280 section 5.1.2.5 lets us know no more).
        """
        if not self._lists:
            return ""
        for depth, (certificate, issuer) in enumerate(pairwise(path)):
            for name, revocations in self._lists:
                if name == name_octets(certificate, "issuer") and _revokes(revocations, certificate, issuer):
                    return fault_in_words(_REVOKED, depth, certificate)
        return ""


def _revokes(revocations: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        entry = revocations.get_revoked_certificate_by_serial_number(certificate.serial_number)
        return entry is not None and revocations.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # TypeError below
    except UNREADABLE:  # a kind of key or of signature that proves nothing
        return False
