"""Authorities that only some connectors trust ([tls.authorities]): does a presented chain lead to them? And what any authority has revoked.

The handshake is over when these are asked, since nobody knows the connector before MAIL FROM. The judge is the same OpenSSL as in the
handshake, so the same chain gets the same words (docs/decisions/0007); what only a TLS handshake checks by itself, the extended key
usage and the strength of keys and digests, is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from mailwye.runtime.tls_certificates import (
    INVALID_PURPOSE,
    UNREADABLE,
    Staple,
    fault_in_words,
    issuer_of,
    name_octets,
    public_key_digest,
    read_chain,
    read_revocations,
    subject_of,
)

ISSUERS_LIMIT = 10
"""How many certificates of a presented chain are looked at beside the peer's own."""

_FOR_TLS = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})
_WEAK_DIGESTS = (hashes.MD5, hashes.SHA1)
_REVOKED = 23  # X509_V_ERR_CERT_REVOKED (x509_vfy.h)
_WEAK_KEY, _WEAK_AUTHORITY, _WEAK_DIGEST = 66, 67, 68  # X509_V_ERR_*_TOO_SMALL, _MD_TOO_WEAK (x509_vfy.h)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one set. `path`: SHA-256 of the public keys of the verified path, leaf first; empty where it is not trusted."""

    name: str
    trusted: bool
    reason: str
    path: tuple[str, ...] = ()


class Presented:
    """A presented chain, looked at once for all sets."""

    __slots__ = ("fingerprints", "issuers", "leaf", "names")

    def __init__(self, leaf: x509.Certificate, issuers: Sequence[x509.Certificate]) -> None:
        self.leaf = leaf
        self.issuers = issuers
        everything = (leaf, *issuers)
        self.names = frozenset(name_octets(one, "issuer") for one in everything) - {b""}
        self.fingerprints = frozenset(one.fingerprint(hashes.SHA256()) for one in everything)


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


class AuthoritySet:
    """The certificates of one [tls.authorities] entry. Each is trusted as it stands: a root, an intermediate, or a server's own.
    Certificate revocation lists (CRL) in the same files count, with the signature of the authority that they are of.
    """

    __slots__ = ("_fingerprints", "_revocations", "_store", "_subjects", "name")

    def __init__(self, name: str, files: Sequence[str]) -> None:
        """:raises TlsError: a file is missing, unreadable or no PEM; names file and remedy."""
        self.name = name
        self._store = crypto.X509Store()
        self._store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        certificates = [certificate for file in files for certificate in read_chain(file)]
        for certificate in certificates:
            self._store.add_cert(crypto.X509.from_cryptography(certificate))
        self._subjects = frozenset(name_octets(certificate, "subject") for certificate in certificates)
        self._fingerprints = frozenset(certificate.fingerprint(hashes.SHA256()) for certificate in certificates)
        self._revocations = RevocationLists(files)

    def judge(self, presented: Presented) -> Judgement:
        """Does the presented chain lead here, by this moment's date? Never raises."""
        if self._subjects.isdisjoint(presented.names) and self._fingerprints.isdisjoint(presented.fingerprints):
            last = presented.issuers[-1] if presented.issuers else presented.leaf  # spares most strangers' chains the signatures
            return Judgement(self.name, False, f"issued by an authority that is not among them: {issuer_of(last)}")
        try:
            path = self._verified(presented)
            fault = _unfit(path) or self._revocations.fault(path)
        except crypto.X509StoreContextError as error:
            return Judgement(self.name, False, _words(error))
        except (crypto.Error, *UNREADABLE):
            return Judgement(self.name, False, "a certificate of the chain is unreadable")
        if fault:
            return Judgement(self.name, False, fault)
        reason = f"chain to the trusted authority {subject_of(path[-1])} ([tls.authorities] {self.name})"
        return Judgement(self.name, True, reason, tuple(map(public_key_digest, path)))

    def _verified(self, presented: Presented) -> list[x509.Certificate]:
        """The path, leaf first. :raises X509StoreContextError: there is no good one."""
        untrusted = [crypto.X509.from_cryptography(issuer) for issuer in presented.issuers]
        context = crypto.X509StoreContext(self._store, crypto.X509.from_cryptography(presented.leaf), untrusted)
        return [one.to_cryptography() for one in context.get_verified_chain()]


def read_authorities(files: Mapping[str, Sequence[str]]) -> tuple[AuthoritySet, ...]:
    """All sets of the installation. :raises TlsError: names file and remedy."""
    return tuple(AuthoritySet(name, paths) for name, paths in files.items())


def _words(error: crypto.X509StoreContextError) -> str:
    code, depth = int(error.errors[0]), int(error.errors[1])
    try:
        return fault_in_words(code, depth, error.certificate.to_cryptography())
    except UNREADABLE:
        return "a certificate of the chain is unreadable"


def _unfit(path: Sequence[x509.Certificate]) -> str:
    """What a TLS handshake would say against a verified path; "" where nothing (docs/decisions/0001 on the key usage)."""
    for depth, certificate in enumerate(path):
        if not _is_for_tls(certificate):
            return fault_in_words(INVALID_PURPOSE, depth, certificate)
        if _is_weak(certificate):
            return fault_in_words(_WEAK_AUTHORITY if depth else _WEAK_KEY, depth, certificate)
        if depth + 1 < len(path) and isinstance(_digest(certificate), _WEAK_DIGESTS):  # nobody asks who signed the trusted one
            return fault_in_words(_WEAK_DIGEST, depth, certificate)
    return ""


def _is_for_tls(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except (x509.DuplicateExtension, ValueError):
        return False
    return not _FOR_TLS.isdisjoint(usage)


def _is_weak(certificate: x509.Certificate) -> bool:
    """Below 112 bits of security: OpenSSL's level 2, which the handshake asks for."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return key.key_size < 2048
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < 224


def _digest(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    try:
        return certificate.signature_hash_algorithm
    except ValueError:  # an algorithm that nobody knows; OpenSSL has verified it, so it is no old one
        return None


# --- revocation by staples: what came, for transport/staples.py to judge


def staple_of(response: bytes, path: Sequence[x509.Certificate]) -> Staple | None:
    """What came with the handshake of a server, beside the verified `path` (leaf first) that it is about. None where a certificate is
    trusted by itself: no issuer speaks about it.
    """
    if len(path) < 2:
        return None
    leaf, issuer = (one.public_bytes(serialization.Encoding.DER) for one in path[:2])
    return Staple(response, leaf, issuer, _asks_for_staple(path[0]))


def _asks_for_staple(leaf: x509.Certificate) -> bool:
    """RFC 7633 section 4.2.3.1: status_request in its TLS feature extension."""
    try:
        return x509.TLSFeatureType.status_request in leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return False
