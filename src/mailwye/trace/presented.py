"""The certificate that a peer presented, as the trace keeps it: in words for people, and whole, so that a decision can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from mailwye.message.facts import PeerCertificate

FACTS = "certificate_facts"
"""The key in an event's data under which the whole certificate is, as JSON; not for people."""

NAMES_KEPT = 100  # as many as decisions look at (connectors/table.CERTIFICATE_NAMES)
NAMES_CHARACTERS = 4_096  # of all names together
NAMES_SHOWN = 10


def stored_certificate(certificate: PeerCertificate) -> dict[str, str]:
    """The data of the event that tells of a certificate: short, since most mail servers present one in each session."""
    return {
        "certificate": certificate.subject,
        "certificate_verdict": certificate.trust_reason,
        FACTS: msgspec.json.encode(_bounded(certificate)).decode("utf-8", "replace"),
    }


def for_people(data: Mapping[str, str]) -> dict[str, str]:
    """An event's data with a stored certificate told in words."""
    certificate = recorded_certificate(data)
    rest = {name: value for name, value in data.items() if name != FACTS}
    return rest if certificate is None else {**rest, **certificate_data(certificate)}


def certificate_data(certificate: PeerCertificate) -> dict[str, str]:
    """A certificate in words, fact by fact."""
    data = {
        "certificate": certificate.subject,
        "certificate_issuer": certificate.issuer,
        "certificate_names": _some(certificate.names),
        "certificate_valid": _span(certificate.not_before, certificate.not_after),
        "certificate_sha256": certificate.fingerprint,
        "certificate_public_key_sha256": certificate.public_key,
        "certificate_verdict": certificate.trust_reason,
    }
    for number, one in enumerate(certificate.issuers, 1):
        valid = _span(one.not_before, one.not_after)
        data[f"certificate_chain_{number}"] = f"{one.subject}, issued by {one.issuer}, {valid}, SHA-256 {one.fingerprint}"
    for verdict in certificate.verdicts:
        data[f"certificate_authorities_{verdict.name}"] = verdict.reason
    return data


def recorded_certificate(data: Mapping[str, str]) -> PeerCertificate | None:
    """The certificate of an event's data; None where there is none, or none that this release understands."""
    try:
        return msgspec.json.decode(data[FACTS], type=PeerCertificate)
    except (KeyError, msgspec.MsgspecError, ValueError):
        return None


def bounded_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """As many of a certificate's names as are kept: a stranger fills no disk with them."""
    kept: list[str] = []
    left = NAMES_CHARACTERS
    for name in names[:NAMES_KEPT]:
        left -= len(name)
        if left < 0:
            break
        kept.append(name)
    return names if len(kept) == len(names) else tuple(kept)


def _bounded(certificate: PeerCertificate) -> PeerCertificate:
    kept = bounded_names(certificate.names)
    return certificate if kept is certificate.names else replace(certificate, names=kept)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more or "(none)"


def _span(start: float, end: float) -> str:
    return f"valid {_day(start)} to {_day(end)}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
