"""What a finished handshake proved, as the facts that decisions read."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mailwye.message.facts import AuthorityVerdict, ChainCertificate, PeerCertificate, TlsFacts
from mailwye.runtime.tls import PresentedCertificate, TlsLayer
from mailwye.runtime.tls_certificates import issuer_of, subject_of


def tls_facts(tls: TlsLayer) -> TlsFacts:
    """The session's TLS and, where the peer presented one, its certificate with every verdict on the chain."""
    presented = tls.peer_certificate
    return TlsFacts(tls.version, tls.cipher, tls.bits, _peer_certificate(tls, presented) if presented is not None else None)


def _peer_certificate(tls: TlsLayer, presented: PresentedCertificate) -> PeerCertificate:
    issuers = tls.issuers()
    return PeerCertificate(
        subject=presented.subject,
        issuer=presented.issuer,
        names=presented.names,
        not_before=presented.not_before,
        not_after=presented.not_after,
        fingerprint=presented.fingerprint,
        trusted=presented.trusted,
        trust_reason=presented.trust_reason,
        public_key=presented.public_key,
        path=presented.path,
        issuers=tuple(map(_chain_certificate, issuers)),
        verdicts=tuple(AuthorityVerdict(one.name, one.trusted, one.reason, one.path) for one in tls.judgements(issuers)),
    )


def _chain_certificate(certificate: x509.Certificate) -> ChainCertificate:
    return ChainCertificate(
        subject=subject_of(certificate),
        issuer=issuer_of(certificate),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )
