"""Authorities that only some connectors trust ([tls.authorities]): does a presented chain lead to them?

The handshake is over when these are asked, since nobody knows the connector before MAIL FROM. The judge is the same OpenSSL as in the
handshake, so the same chain gets the same words (docs/decisions/0007); what only a TLS handshake checks by itself, the extended key
usage and the strength of keys and digests, is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from mailwye.runtime.tls_certificates import INVALID_PURPOSE, fault_in_words, public_key_digest, read_chain, subject_text

ISSUERS_LIMIT = 10
"""How many certificates of a presented chain are looked at beside the peer's own."""

_FOR_TLS = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})
_WEAK_DIGESTS = (hashes.MD5, hashes.SHA1)
_WEAK_KEY, _WEAK_AUTHORITY, _WEAK_DIGEST = 66, 67, 68  # X509_V_ERR_*_TOO_SMALL, _MD_TOO_WEAK (x509_vfy.h)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one set. `path`: SHA-256 of the public keys of the verified path, leaf first; empty where it is not trusted."""

    name: str
    trusted: bool
    reason: str
    path: tuple[str, ...] = ()


class AuthoritySet:
    """The certificates of one [tls.authorities] entry. Each is trusted as it stands: a root, an intermediate, or a server's own."""

    __slots__ = ("_fingerprints", "_store", "_subjects", "name")

    def __init__(self, name: str, files: Sequence[str]) -> None:
        """:raises TlsError: a file is missing, unreadable or no PEM; names file and remedy."""
        self.name = name
        self._store = crypto.X509Store()
        self._store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        certificates = [certificate for file in files for certificate in read_chain(file)]
        for certificate in certificates:
            self._store.add_cert(crypto.X509.from_cryptography(certificate))
        self._subjects = frozenset(certificate.subject.public_bytes() for certificate in certificates)
        self._fingerprints = frozenset(certificate.fingerprint(hashes.SHA256()) for certificate in certificates)

    def judge(self, leaf: x509.Certificate, issuers: Sequence[x509.Certificate]) -> Judgement:
        """Does `leaf` with the presented `issuers` lead here, by this moment's date? Never raises."""
        if not self._may_lead_here((leaf, *issuers)):
            last = issuers[-1] if issuers else leaf
            return Judgement(self.name, False, f"issued by an authority that is not among them: {subject_text(last.issuer)}")
        try:
            untrusted = [crypto.X509.from_cryptography(issuer) for issuer in issuers]
            context = crypto.X509StoreContext(self._store, crypto.X509.from_cryptography(leaf), untrusted)
            path = [one.to_cryptography() for one in context.get_verified_chain()]
            fault = _unfit(path)
        except crypto.X509StoreContextError as error:
            code, depth = int(error.errors[0]), int(error.errors[1])
            return Judgement(self.name, False, fault_in_words(code, depth, error.certificate.to_cryptography()))
        except (crypto.Error, ValueError, UnsupportedAlgorithm):
            return Judgement(self.name, False, "a certificate of the chain is unreadable")
        if fault:
            return Judgement(self.name, False, fault)
        reason = f"chain to the trusted authority {subject_text(path[-1].subject)} ([tls.authorities] {self.name})"
        return Judgement(self.name, True, reason, tuple(map(public_key_digest, path)))

    def _may_lead_here(self, presented: Sequence[x509.Certificate]) -> bool:
        """Spares most strangers' chains the signatures."""
        return any(
            one.issuer.public_bytes() in self._subjects or one.fingerprint(hashes.SHA256()) in self._fingerprints for one in presented
        )


def read_authorities(files: Mapping[str, Sequence[str]]) -> tuple[AuthoritySet, ...]:
    """All sets of the installation. :raises TlsError: names file and remedy."""
    return tuple(AuthoritySet(name, paths) for name, paths in files.items())


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
