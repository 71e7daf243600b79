"""OCSP responses that servers staple to their handshakes (RFC 6066 section 8): is the certificate revoked? Pure: the time is an argument.

Nothing is fetched (docs/decisions/0007). Where no response that counts came, nothing is known, and that keeps no mail back; but a
certificate may ask for one with each handshake (RFC 7633, "must-staple"), and then its absence counts like a revocation, as whoever
stole the key would leave it out.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailwye.runtime.tls_certificates import UNREADABLE, PresentedCertificate, Staple, subject_of

RESPONSE_LIMIT = 65_536
"""Octets of a response that is read at all."""

STATEMENTS_LIMIT = 16
"""How many statements of one response are looked at; it is about one certificate mostly."""

RESPONDERS_LIMIT = 4
"""How many certificates that came with the response are tried."""

CLOCK_TOLERANCE = 300.0
"""Seconds by which the responder's clock may differ from ours."""

LIFE_WITHOUT_END = 86_400.0
"""Seconds that a response without nextUpdate counts: its authority says that newer ones can always be had (RFC 6960 section 4.2.2.1)."""

_WEAK = (hashes.MD5, hashes.SHA1)


class _Status(Enum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StapleVerdict:
    """`refused`: the certificate must not be trusted. `reason`: why, or what is known, as the end of a sentence."""

    refused: bool
    reason: str


def trust_at(certificate: PresentedCertificate, now: float) -> tuple[bool, str]:
    """Whether the certificate of a server is trusted, and why: the verdict on its chain, and what is known of its revocation. `now`: Unix
    seconds.
    """
    if not certificate.trusted or certificate.staple is None:
        return certificate.trusted, certificate.trust_reason
    verdict = judge_staple(certificate.staple, now)
    return (False, verdict.reason) if verdict.refused else (True, f"{certificate.trust_reason}; {verdict.reason}")


def judge_staple(staple: Staple, now: float) -> StapleVerdict:
    """Never raises, whatever the server sent. `now`: Unix seconds."""
    try:
        status, reason = _read(staple, now)
    except UNREADABLE:
        status, reason = _Status.UNKNOWN, "the OCSP response that came with it cannot be read"
    if status is not _Status.UNKNOWN:
        return StapleVerdict(status is _Status.REVOKED, reason)
    if staple.required:
        return StapleVerdict(True, f"it asks for an OCSP response with each handshake (must-staple, RFC 7633), and {reason}")
    return StapleVerdict(False, f"whether it is revoked is not known: {reason}")


def _read(staple: Staple, now: float) -> tuple[_Status, str]:
    """:raises UNREADABLE: see there."""
    if not staple.response:
        return _Status.UNKNOWN, "no OCSP response came with it"
    if len(staple.response) > RESPONSE_LIMIT:
        return _Status.UNKNOWN, f"the OCSP response that came with it has more than {RESPONSE_LIMIT} octets"
    response = ocsp.load_der_ocsp_response(staple.response)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return _Status.UNKNOWN, f"the OCSP response that came with it is an error: {_words(response.response_status)}"
    leaf, issuer = x509.load_der_x509_certificate(staple.certificate), x509.load_der_x509_certificate(staple.issuer)
    if not any(_is_signed_by(response, one) for one in _responders(response, issuer, now)):
        # Section 4.2.2.2: the issuer itself, or whom it made a responder.
        return _Status.UNKNOWN, f"the OCSP response that came with it is signed by nobody who may speak for {subject_of(issuer)}"
    about = [one for one in _statements(response) if _is_about(one, leaf, issuer)]
    if not about:
        return _Status.UNKNOWN, "the OCSP response that came with it is about another certificate"
    revoked = next((one for one in about if one.certificate_status is ocsp.OCSPCertStatus.REVOKED), None)
    return _judge(revoked or max(about, key=lambda one: one.this_update_utc), now)


def _judge(statement: ocsp.OCSPSingleResponse, now: float) -> tuple[_Status, str]:
    """Section 4.2.2.1. What is revoked stays revoked, so its dates do not matter."""
    if statement.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        since = statement.revocation_time_utc
        why = f" ({_words(statement.revocation_reason)})" if statement.revocation_reason is not None else ""
        when = f" on {since:%Y-%m-%d}" if since is not None else ""
        return _Status.REVOKED, f"revoked{when}{why}, as the OCSP response says that came with it"
    begin, end = statement.this_update_utc.timestamp(), statement.next_update_utc
    last = begin + LIFE_WITHOUT_END if end is None else end.timestamp()
    if now < begin - CLOCK_TOLERANCE:
        return _Status.UNKNOWN, f"the OCSP response that came with it does not count before {_moment(begin)}"
    if now > last + CLOCK_TOLERANCE:
        return _Status.UNKNOWN, f"the OCSP response that came with it expired on {_moment(last)}"
    if statement.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return _Status.UNKNOWN, "the OCSP response that came with it says that the authority does not know the certificate"
    return _Status.GOOD, f"not revoked, as an OCSP response of {_moment(begin)} says"


def _statements(response: ocsp.OCSPResponse) -> Iterator[ocsp.OCSPSingleResponse]:
    for number, statement in enumerate(response.responses):
        if number == STATEMENTS_LIMIT:
            return
        yield statement


def _is_about(statement: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Its CertID names the certificate: serial number, and the issuer's name and key by digest (section 4.1.1)."""
    if statement.serial_number != leaf.serial_number:
        return False
    ours = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, statement.hash_algorithm).build()
    return (statement.issuer_name_hash, statement.issuer_key_hash) == (ours.issuer_name_hash, ours.issuer_key_hash)


def _responders(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: float) -> Iterator[x509.Certificate]:
    yield issuer
    for delegate in response.certificates[:RESPONDERS_LIMIT]:
        if _is_delegate(delegate, issuer, now):
            yield delegate


def _is_delegate(delegate: x509.Certificate, issuer: x509.Certificate, now: float) -> bool:
    """Section 4.2.2.2: issued by the very issuer, and for id-kp-OCSPSigning; in date."""
    try:
        delegate.verify_directly_issued_by(issuer)
        usages = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension, *UNREADABLE):
        return False
    in_date = delegate.not_valid_before_utc.timestamp() <= now <= delegate.not_valid_after_utc.timestamp()
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages and in_date


def _is_signed_by(response: ocsp.OCSPResponse, responder: x509.Certificate) -> bool:
    key, digest = responder.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
            return True
        if digest is None or isinstance(digest, _WEAK):
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _words(value: ocsp.OCSPResponseStatus | x509.ReasonFlags) -> str:
    """KEY_COMPROMISE, key_compromise: key compromise."""
    return value.name.lower().replace("_", " ")


def _moment(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, tz=datetime.UTC):%Y-%m-%d %H:%M} UTC"
