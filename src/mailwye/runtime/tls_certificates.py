"""Certificates for runtime/tls.py: reading PEM files with errors that name file and remedy, the names that a certificate proves,
and the verdict on a presented chain in words.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

NAMES_LIMIT = 256
"""How many names of one certificate are read; OpenSSL bounds the presented chain itself (100 KiB)."""

CHAIN_ERRORS_LIMIT = 4
"""How many faults of one chain are told."""

# A dNSName as RFC 9525 section 6.3 lets it match: whole LDH labels in lower case, "*" as the whole leftmost label only, no trailing
# dot, and no number as the last label (that would be an IP address in the wrong place). NUL and control characters never match.
_DNS_NAME = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_REVOCATION_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)

# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h) are part of its stable interface; pyOpenSSL names only some of them.
INVALID_PURPOSE = 26

_ERRORS = {
    7: "its signature is wrong",
    22: "the chain is too long",
    23: "revoked",
    24: "issued by a certificate that is not an authority",
    25: "the chain is longer than one of its authorities allows",
    INVALID_PURPOSE: "its key usage does not allow TLS",
    27: "not trusted for this purpose",
    28: "rejected by the trust settings of an authority",
    32: "issued by an authority whose key usage does not allow it to sign certificates",
    34: "it has a critical extension that is not understood",
    47: "a name in it lies outside what its authority may certify (name constraints)",
    48: "a name in it is one that its authority must not certify (name constraints)",
    66: "its key is too weak",
    67: "the key of one of its authorities is too weak",
    68: "signed with a digest that is too weak",
}


UNREADABLE = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm)
"""What the strict parser raises for certificates that OpenSSL reads."""


class TlsError(Exception):
    """The handshake or the stream failed, or a certificate file cannot be used; the text is for people."""


@dataclass(frozen=True, slots=True)
class Staple:
    """What a server sent with its handshake about the revocation of its certificate (RFC 6066 section 8). `response`: an OCSP response, b""
    where none came; `certificate` and `issuer`: the leaf and the verified one that issued it; all in DER. `required`: the certificate asks
    for a response with each handshake (RFC 7633).
    """

    response: bytes
    certificate: bytes
    issuer: bytes
    required: bool = False


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """What the peer presented, field by field as message/facts.PeerCertificate has it; `issuers` and `verdicts` are not among them
    (TlsLayer.issuers and TlsLayer.judgements). Times in Unix seconds.

    For outbound connections only: `from_common_name`, the names come from the subject, since there is no subjectAltName; `chain`, DER of
    what was presented, leaf first, which only a client reads; `staple`, for transport/staples.py, where the chain is trusted and has
    an issuer.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    fingerprint: str
    trusted: bool
    trust_reason: str
    public_key: str = ""
    path: tuple[str, ...] = ()
    from_common_name: bool = False
    chain: tuple[bytes, ...] = ()
    staple: Staple | None = None


class ChainVerdict:
    """What OpenSSL's verification found for one handshake, fault by fault. Filled in by the verify callback of runtime/tls.py.

    `stapled`: the OCSP response that came with the handshake, unread.
    """

    __slots__ = ("_anchor", "_anchor_depth", "_faults", "stapled")

    def __init__(self) -> None:
        self.stapled = b""
        self._faults: list[str] = []
        self._anchor: x509.Certificate | None = None
        self._anchor_depth = -1

    def add(self, error: int, depth: int, certificate: x509.Certificate | None) -> None:
        """One call of the verify callback: `error` 0 says that the certificate at `depth` (0: leaf) is good. None: it is unreadable."""
        if certificate is None:
            self._add_fault("a certificate of the chain is unreadable")
        elif error == 0:
            if depth > self._anchor_depth:
                self._anchor, self._anchor_depth = certificate, depth
        elif not (error == INVALID_PURPOSE and _is_for_servers(certificate)):
            self._add_fault(fault_in_words(error, depth, certificate))

    def refuse(self, words: str) -> None:
        """A fault that somebody else found, such as a revocation."""
        self._add_fault(words)

    def _add_fault(self, words: str) -> None:
        if words not in self._faults and len(self._faults) < CHAIN_ERRORS_LIMIT:
            self._faults.append(words)

    @property
    def trusted(self) -> bool:
        """True where the chain leads to a trusted authority without any fault."""
        return not self._faults and self._anchor is not None

    @property
    def reason(self) -> str:
        """The verdict in words: by which authority, or what is wrong."""
        if self._faults:
            return "; ".join(self._faults)
        if self._anchor is None:
            return "the chain was not verified"
        return f"chain to the trusted authority {subject_of(self._anchor)}"


def fault_in_words(error: int, depth: int, certificate: x509.Certificate) -> str:
    """OpenSSL's verification `error` at `depth` (0: the leaf), for people."""
    whose = "" if depth == 0 else f"authority {subject_of(certificate)}: "
    match error:
        case 9:
            return f"{whose}not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
        case 10:
            return f"{whose}expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
        case 18:
            return "self-signed certificate"
        case 19:
            return f"issued by an authority that is not trusted: {subject_of(certificate)}"
        case 2 | 20 | 21:
            issuer = issuer_of(certificate)
            return f"issued by an authority that is not trusted: {issuer}, or the peer left out an intermediate certificate"
    return f"{whose}{_ERRORS.get(error, f'not accepted (OpenSSL verification error {error})')}"


def _is_for_servers(certificate: x509.Certificate) -> bool:
    """True for a certificate whose extended key usage names serverAuth. Mail servers present their one certificate in both
    directions, so it identifies them as clients too (docs/decisions/0001-server-certificates-identify-clients.md).
    """
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return ExtendedKeyUsageOID.SERVER_AUTH in usage


def public_key_digest(certificate: x509.Certificate) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo) in hex: what a pin names, as in RFC 7469 section 2.4. "" where it is unreadable."""
    try:
        key = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return ""  # a kind of key that nobody knows: no pin names it
    return hashlib.sha256(key).hexdigest()


def present(
    certificate: x509.Certificate,
    verdict: ChainVerdict,
    path: Sequence[x509.Certificate] = (),
    chain: tuple[bytes, ...] = (),
    staple: Staple | None = None,
) -> PresentedCertificate:
    """The peer's leaf with the verdict on its chain. `path`: the verified one; `chain`: what was presented, in DER."""
    return PresentedCertificate(
        subject=subject_of(certificate),
        issuer=issuer_of(certificate),
        names=certificate_names(certificate),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        trusted=verdict.trusted,
        trust_reason=verdict.reason,
        public_key=public_key_digest(certificate),
        path=tuple(map(public_key_digest, path)) if verdict.trusted else (),
        from_common_name=_has_no_alternative_names(certificate),
        chain=chain,
        staple=staple,
    )


def _has_no_alternative_names(certificate: x509.Certificate) -> bool:
    try:
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return True
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return False
    return False


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The dNSName entries of subjectAltName in lower case, each once, at most NAMES_LIMIT; the CN only where there is no
    subjectAltName (RFC 9525 section 2 drops it; old appliances still need it). What is no DNS name is left out, so it matches nothing.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        found = _common_names(certificate)
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()  # unreadable extensions prove nothing
    names = (name.lower() for name in found[:NAMES_LIMIT])
    return tuple(dict.fromkeys(name for name in names if len(name) <= 253 and _DNS_NAME.fullmatch(name)))


# --- for DANE (RFC 6698)

_UNREADABLE_CHAIN = "a certificate of the chain is unreadable"


def is_certificate(der: bytes) -> bool:
    """Whether `der` is a certificate that can be read."""
    try:
        x509.load_der_x509_certificate(der)
    except UNREADABLE:
        return False
    return True


def is_public_key(der: bytes) -> bool:
    """Whether `der` is a SubjectPublicKeyInfo that can be read."""
    try:
        serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def public_key_of(certificate: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo of a certificate, both in DER; None for one that cannot be read."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except UNREADABLE:
        return None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def chain_fault(chain: tuple[bytes, ...], anchor: bytes, now: float) -> str:
    """Why the leaf of `chain` (DER, leaf first) does not lead to the authority `anchor`, whose own issuer does not matter; "" where it
    does. `now`: Unix seconds.
    """
    try:
        store = crypto.X509Store()
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        store.set_time(datetime.datetime.fromtimestamp(now, tz=datetime.UTC))
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, anchor))
        leaf, *others = (crypto.load_certificate(crypto.FILETYPE_ASN1, one) for one in chain)
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        return _verifier_words(error)
    except (crypto.Error, ValueError):
        return _UNREADABLE_CHAIN
    return ""


def _verifier_words(error: crypto.X509StoreContextError) -> str:
    try:
        readable = error.certificate.to_cryptography()
    except UNREADABLE:  # OpenSSL reads it, the stricter parser does not
        return _UNREADABLE_CHAIN
    return fault_in_words(error.errors[0], error.errors[1], readable)


def _common_names(certificate: x509.Certificate) -> list[str]:
    try:
        return [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError:
        return []


def subject_of(certificate: x509.Certificate) -> str:
    """The subject's distinguished name for people: one line, at most 256 characters, without control characters."""
    return _name_text(certificate, "subject")


def issuer_of(certificate: x509.Certificate) -> str:
    """The issuer's, likewise."""
    return _name_text(certificate, "issuer")


def full_name(certificate: x509.Certificate, which: str) -> str:
    """The whole "subject" or "issuer" by RFC 4514, for comparing; "" for an unreadable one."""
    try:
        text: str = getattr(certificate, which).rfc4514_string()  # names are read when they are asked for, and may turn out to be none
    except ValueError:
        return ""
    return text


def _name_text(certificate: x509.Certificate, which: str) -> str:
    try:
        text: str = getattr(certificate, which).rfc4514_string()
    except ValueError:
        return "(unreadable name)"
    return "".join(c if c.isprintable() else "?" for c in text)[:256] or "(empty name)"


def name_octets(certificate: x509.Certificate, which: str) -> bytes:
    """The name of the "subject" or "issuer" in DER; b"" for an unreadable one."""
    try:
        octets: bytes = getattr(certificate, which).public_bytes()
    except ValueError:
        return b""
    return octets


def read_chain(path: str) -> list[x509.Certificate]:
    """The certificates of a PEM file, leaf first.

    :raises TlsError: the file cannot be read or holds no certificate.
    """
    data = _read(path, "certificate")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise TlsError(
            f"{path}: no certificate in PEM form ({error}); it must hold -----BEGIN CERTIFICATE----- blocks, leaf first"
        ) from error


def read_revocations(path: str) -> list[tuple[bytes, x509.CertificateRevocationList]]:
    """The revocation lists among the blocks of a PEM file, each with its issuer's name in DER; mostly none.

    :raises TlsError: the file cannot be read, or one of them is none.
    """
    try:
        lists = [x509.load_pem_x509_crl(block) for block in _REVOCATION_BLOCK.findall(_read(path, "certificate"))]
        return [(one.issuer.public_bytes(), one) for one in lists]
    except ValueError as error:
        raise TlsError(f"{path}: it holds a revocation list (X509 CRL) that is none ({error}); write it anew") from error


def read_key(path: str) -> PrivateKeyTypes:
    """The private key of a PEM file.

    :raises TlsError: the file cannot be read, holds no key, or the key has a passphrase.
    """
    data = _read(path, "private key")
    try:
        return serialization.load_pem_private_key(data, None)
    except TypeError as error:
        raise TlsError(f"{path}: the private key has a passphrase; store it without one: openssl pkey -in {path} -out new.key") from error
    except ValueError as error:
        raise TlsError(f"{path}: no private key in PEM form; it must hold a -----BEGIN PRIVATE KEY----- block") from error


def check_pair(chain: list[x509.Certificate], key: PrivateKeyTypes, certificate_path: str, key_path: str) -> None:
    """:raises TlsError: the key does not belong to the chain's first certificate."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    wanted = key.public_key().public_bytes(*form)
    if chain[0].public_key().public_bytes(*form) == wanted:
        return
    if any(other.public_key().public_bytes(*form) == wanted for other in chain[1:]):
        raise TlsError(f"{certificate_path}: the certificate of the key {key_path} must come first in the file, its issuers after it")
    raise TlsError(f"{key_path}: the private key does not belong to the certificate in {certificate_path}; give the pair that was issued")


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise TlsError(f"{path}: the {what} file does not exist; put it there or correct the path in the settings") from error
    except OSError as error:
        raise TlsError(f"{path}: the {what} file cannot be read ({error.strerror}); check its owner and mode") from error
