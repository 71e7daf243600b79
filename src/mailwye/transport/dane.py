"""DANE for SMTP: what TLSA records demand of a host, and whether its certificates match them (RFC 7672, RFC 7671, RFC 6698).

Pure: answers of the DNS and the presented chain in, values with reasons out. Whether an answer is secure was decided by the resolver; only
secure TLSA records count here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from mailwye.connectors.matching import certificate_name_matches
from mailwye.runtime.dns_answer import Absent, Answer, Found, TlsaRecord, Unknown
from mailwye.runtime.tls import PresentedCertificate
from mailwye.runtime.tls_certificates import chain_fault, is_certificate, is_public_key, public_key_of
from mailwye.transport.failures import Failure, FailureType

DANE_TA = 2
DANE_EE = 3
RECORDS_LIMIT = 100
"""How many TLSA records of one host are looked at."""
ANCHORS_LIMIT = 8
"""How many authorities of one host are tried: each means verifying a chain as long, and of as large keys, as the host likes."""

_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS = {1: 32, 2: 64}
_SHOWN = 8  # octets of a record's data in sentences


def tlsa_name(base: str, port: int) -> str:
    """Where the TLSA records of the host `base` stand (RFC 6698 section 3)."""
    return f"_{port}._tcp.{base}"


def shown(record: TlsaRecord) -> str:
    """`3 1 1 0123456789abcdef…`, for people."""
    more = "…" if len(record.data) > _SHOWN else ""
    return f"{record.usage} {record.selector} {record.matching_type} {record.data[:_SHOWN].hex()}{more}"


def whole(record: TlsaRecord) -> str:
    """The record as a zone file has it."""
    return f"{record.usage} {record.selector} {record.matching_type} {record.data.hex()}"


def secure_records(answer: Answer[TlsaRecord]) -> tuple[TlsaRecord, ...] | Failure:
    """The TLSA records that DNSSEC vouches for, none where there are none; a Failure where that is not known: then the host must not be
    used (RFC 7672 section 2.1.2: an attacker could be hiding them).
    """
    match answer:
        case Unknown(reason):
            return Failure(FailureType.DNSSEC_INVALID, f"the TLSA records cannot be looked up: {reason}")
        case Absent():
            return ()
        case Found(records, _, authenticated):
            return records[:RECORDS_LIMIT] if authenticated else ()


def usable(records: Iterable[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """Those that a client can match (RFC 7672 section 3.1), by digest agility the strongest only (RFC 7671 section 9)."""
    kept = [record for record in records if _is_usable(record)]
    strongest: dict[tuple[int, int], int] = {}
    for record in kept:
        key = (record.usage, record.selector)
        strongest[key] = max(strongest.get(key, 0), record.matching_type)
    return tuple(record for record in kept if record.matching_type in (0, strongest[record.usage, record.selector]))


def _is_usable(record: TlsaRecord) -> bool:
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (0, 1):
        return False  # RFC 7672 section 3.1.3: PKIX-TA and PKIX-EE are not for SMTP
    if record.matching_type == 0:
        return is_certificate(record.data) if record.selector == 0 else is_public_key(record.data)
    return len(record.data) == _LENGTHS.get(record.matching_type, -1)


def match(records: Sequence[TlsaRecord], names: Sequence[str], certificate: PresentedCertificate | None, now: float) -> str | Failure:
    """The sentence about the record that matches, or the Failure. `names`: the reference identifiers of RFC 7672 section 3.2.3, which
    count for DANE-TA only; `now`: Unix seconds.
    """
    if certificate is None or not certificate.chain:
        return Failure(FailureType.VALIDATION_FAILURE, "the server presented no certificate")
    for record in records:
        # Section 3.1.1: neither names nor dates count; the record alone binds the key.
        if record.usage == DANE_EE and _matches(record, certificate.chain[0]):
            return f"TLSA {shown(record)} matches the server's own certificate (DANE-EE)"
    failure: Failure | None = None
    anchored = ((record, anchor) for record in records if record.usage == DANE_TA and (anchor := _anchor(record, certificate.chain)))
    for record, anchor in islice(anchored, ANCHORS_LIMIT):
        found = _by_anchor(record, anchor, names, certificate, now)
        if isinstance(found, str):
            return found
        failure = failure or found
    listed = ", ".join(shown(record) for record in records[:5])
    told = f"{certificate.subject}, SHA-256 {certificate.fingerprint}"
    return failure or Failure(FailureType.TLSA_INVALID, f"no TLSA record matches ({listed}); presented {told}")


def _matches(record: TlsaRecord, certificate: bytes) -> bool:
    octets = certificate if record.selector == 0 else public_key_of(certificate)
    digest = _DIGESTS.get(record.matching_type)
    return octets is not None and (digest(octets) if digest is not None else octets) == record.data


def _anchor(record: TlsaRecord, chain: Sequence[bytes]) -> bytes | None:
    """Section 3.1.2: an authority in the presented chain, or the one that the record holds as a whole."""
    presented = next((one for one in chain[1:] if _matches(record, one)), None)
    return record.data if presented is None and (record.selector, record.matching_type) == (0, 0) else presented


def _by_anchor(record: TlsaRecord, anchor: bytes, names: Sequence[str], certificate: PresentedCertificate, now: float) -> str | Failure:
    fault = chain_fault(certificate.chain, anchor, now)
    if fault:
        outdated = not certificate.not_before <= now <= certificate.not_after
        kind = FailureType.CERTIFICATE_EXPIRED if outdated else FailureType.CERTIFICATE_NOT_TRUSTED
        return Failure(kind, f"the chain does not lead to the authority of TLSA {shown(record)}: {fault}")
    for presented in certificate.names:
        for name in names:
            if certificate_name_matches(presented, name):
                return f"TLSA {shown(record)} matches an authority of the chain (DANE-TA), and {presented} the name {name}"
    told = ", ".join(certificate.names[:10]) or "no name at all"
    return Failure(FailureType.CERTIFICATE_HOST_MISMATCH, f"expected one of the names {', '.join(names)}, presented {told}")
