"""Does a presented certificate count for one connector? Names, authorities and pins (SEMANTICS section 3, rule 1).

The verdicts on the chain are facts: runtime/tls.py reached them at the handshake, one for what everybody trusts and one for each set
of [tls.authorities]. Here each connector looks at its own only, so an authority that is trusted for one identifies nobody for another.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailwye.connectors.matching import sender_certificate_matches
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import CERTIFICATE_NAMES
from mailwye.message.facts import PeerCertificate, SessionFacts
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class Trust:
    """Is a certificate trusted for a connector? `reason`: by which authority, or what is missing."""

    trusted: bool
    reason: str


def trust_in(connector: InboundConnector, certificate: PeerCertificate) -> Trust:
    """The chain leads to an authority that everybody trusts, or to one of the connector's TrustedAuthorities; and where it has
    TlsSenderCertificatePins, one of them is on that very path.
    """
    pins = connector.tls_sender_certificate_pins
    if certificate.trusted and not pins:
        return Trust(True, certificate.trust_reason)
    reasons = []
    unpinned = False
    for trusted, reason, path in _verdicts(connector, certificate):
        if not trusted:
            reasons.append(reason)
        elif not pins or not set(pins).isdisjoint(path):
            return Trust(True, reason)
        else:
            unpinned = True
    if unpinned:
        return Trust(
            False,
            "neither its key nor the key of one of its authorities is in TlsSenderCertificatePins; "
            f"if the certificate was renewed with a new key, add {certificate.public_key}",
        )
    return Trust(False, "; ".join(dict.fromkeys(reasons)))


def _verdicts(connector: InboundConnector, certificate: PeerCertificate) -> Iterator[tuple[bool, str, tuple[str, ...]]]:
    yield certificate.trusted, certificate.trust_reason or "no reason given", certificate.path
    if connector.trusted_authorities:
        known = {verdict.name: verdict for verdict in certificate.verdicts}
        for name in connector.trusted_authorities:
            verdict = known.get(name)
            if verdict is None:
                yield False, f"TrustedAuthorities {name}: the installation has no [tls.authorities] of this name", ()
            elif verdict.trusted:
                yield True, verdict.reason, verdict.path
            else:
                yield False, f"TrustedAuthorities {name}: {verdict.reason}", ()


def certificate_missing(connector: InboundConnector, facts: SessionFacts) -> str:
    """What is missing for a certificate that `connector` accepts for its TlsSenderCertificateName; "" where nothing is."""
    pattern = connector.tls_sender_certificate_name
    if facts.tls is None:
        return f"the session has no TLS, so the client presented no certificate for TlsSenderCertificateName {pattern}"
    certificate = facts.tls.certificate
    if certificate is None:
        return f"the client presented no certificate for TlsSenderCertificateName {pattern}"
    if not any(sender_certificate_matches(presented, pattern) for presented in certificate.names[:CERTIFICATE_NAMES]):
        return f"the certificate's names {shown_names(certificate.names)} do not match TlsSenderCertificateName {pattern}"
    trust = trust_in(connector, certificate)
    if not trust.trusted:
        return f"the certificate for {shown_names(certificate.names)} is not trusted ({trust.reason})"
    return ""


def shown_names(names: tuple[str, ...], limit: int = 3) -> str:
    """Names of a certificate for a sentence. They are foreign text: printable ASCII only, cut, and not all of many."""
    if not names:
        return "(none)"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(ascii(name)[1:-1][:80] for name in names[:limit]) + more
