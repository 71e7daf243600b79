"""What one session proved about its peer. Facts only: who that makes him is decided in connectors/attribution.py."""

from __future__ import annotations

from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class ChainCertificate:
    """One of the certificates that the peer sent behind its own. Times are Unix seconds; `fingerprint`: SHA-256 in hex."""

    subject: str
    issuer: str
    not_before: float
    not_after: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class AuthorityVerdict:
    """Does the presented chain lead to the authorities that [tls.authorities] calls `name`? `reason` as PeerCertificate.trust_reason,
    `path` as PeerCertificate.path.
    """

    name: str
    trusted: bool
    reason: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The certificate that a TLS peer presented.

    `names`: the dNSName entries of subjectAltName, lower-case A-labels; the subject's CN only where there is no SAN
    (RFC 9525 section 2). `trusted` says whether the presented chain leads to an authority that the system or the installation
    trusts for everybody, and is in date; `trust_reason` says why in words (for a trusted one: by which authority). `verdicts`: the
    same question for each set of [tls.authorities], which is trusted only by the connectors that name it. Times are Unix seconds.

    `public_key`: SHA-256 of the public key (SubjectPublicKeyInfo), in hex. `path`: the same of every certificate of the verified
    path, this one first; empty where it is not trusted. `issuers`: what was presented behind it, verified or not.
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
    issuers: tuple[ChainCertificate, ...] = ()
    verdicts: tuple[AuthorityVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """The TLS session: `version` "TLSv1.3", `cipher` "TLS_AES_256_GCM_SHA384", `bits` of the secret key, the peer's certificate."""

    version: str
    cipher: str
    bits: int
    certificate: PeerCertificate | None = None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Everything that is known of the peer of one inbound session at one moment.

    `peer_address` is canonical (IPv4-mapped IPv6 becomes IPv4, no zone id). `authenticated` is the PrimarySmtpAddress of the
    mailbox that AUTH proved, "" when none. `listener_kind` is "mx", "submission" or "submissions". `local`: where the listener listens,
    "192.0.2.1:25" or "[::]:25", "" where nobody said.
    """

    session_id: str
    listener: str
    listener_kind: str
    peer_address: str
    peer_port: int = 0
    hello: str = ""
    esmtp: bool = False
    tls: TlsFacts | None = None
    authenticated: str = ""
    proxied: bool = False
    local: str = ""

    def greeted(self, hello: str, *, esmtp: bool) -> SessionFacts:
        """The same peer after HELO or EHLO. Field by field: `replace` costs four times as much, and every connection greets."""
        return SessionFacts(
            self.session_id,
            self.listener,
            self.listener_kind,
            self.peer_address,
            self.peer_port,
            hello,
            esmtp,
            self.tls,
            self.authenticated,
            self.proxied,
            self.local,
        )
