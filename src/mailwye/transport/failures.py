"""What can go wrong with the protection of a connection, in the words of TLS reports (RFC 8460 section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FailureType(Enum):
    """RFC 8460 sections 4.3.1 (negotiation), 4.3.2.1 (DANE), 4.3.2.2 (MTA-STS), 4.3.3 (general)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure: its type and the exact cause for people."""

    type: FailureType
    cause: str
