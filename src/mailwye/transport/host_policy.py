"""What a policy demands of one host, and the verdict on what the host presents. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailwye.connectors.matching import certificate_name_matches
from mailwye.runtime.tls import PresentedCertificate
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.mta_sts import CachedPolicy, StsMode, mx_matches

NAMES_SHOWN = 10


class Demand(Enum):
    """NOTHING. STS: TLS with a certificate for the host from a trusted authority, or no delivery. STS_TESTING: the same is looked at and
    told, and the mail goes anyway.
    """

    NOTHING = "nothing"
    STS = "MTA-STS"
    STS_TESTING = "MTA-STS testing"


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """The demand on one host, the policy domain, and who asks, for people. `unlisted`: a policy in mode testing does not name this host."""

    demand: Demand = Demand.NOTHING
    domain: str = ""
    asked_by: str = ""
    unlisted: bool = False

    @property
    def required(self) -> bool:
        """True where nothing may leave in plaintext."""
        return self.demand is Demand.STS

    @property
    def words(self) -> str:
        """What is demanded of the host and by whom."""
        match self.demand:
            case Demand.STS:
                return f"must use TLS with a certificate for its name from a trusted authority, by {self.asked_by}"
            case Demand.STS_TESTING:
                listed = "it is not named in" if self.unlisted else "TLS is looked at and told, never asked for, by"
                return f"{listed} {self.asked_by}"
            case _:
                return "nothing is demanded"


NO_POLICY = HostPolicy()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`failure` None: the host proved what is asked; `reason` says how, or what was overlooked."""

    reason: str = ""
    failure: Failure | None = None


def sts_host_policy(cached: CachedPolicy | None, host: str) -> HostPolicy | str:
    """What the policy demands of the MX host `host`; text: why mail may not go to it (RFC 8461 section 5)."""
    if cached is None or cached.policy.mode is StsMode.NONE:
        return NO_POLICY
    mode = cached.policy.mode
    asked_by = f"the MTA-STS policy of {cached.domain} (mode {mode.value}, id {cached.id})"
    listed = mx_matches(cached.policy, host)
    if mode is StsMode.TESTING:
        return HostPolicy(Demand.STS_TESTING, cached.domain, asked_by, unlisted=not listed)
    if not listed:
        return f"{host} is not an mx of {asked_by}: not used"
    return HostPolicy(Demand.STS, cached.domain, asked_by)


def without_tls(policy: HostPolicy, cause: str) -> Verdict:
    """There is no TLS with the host; `cause` as a sentence's end: STARTTLS is not offered."""
    return Verdict(f"{cause}; {policy.asked_by} asks for TLS", Failure(FailureType.STARTTLS_NOT_SUPPORTED, cause))


def judge_certificate(policy: HostPolicy, host: str, certificate: PresentedCertificate | None, now: float) -> Verdict:
    """The certificate that the MX host `host` presented, against the policy. `now`: Unix seconds."""
    if policy.demand is Demand.NOTHING:
        return Verdict()
    if policy.unlisted:
        cause = f"{host} is not an mx of {policy.asked_by}"
        return Verdict(cause, Failure(FailureType.VALIDATION_FAILURE, cause))
    return judge_web_certificate(policy, host, certificate, now)


def judge_web_certificate(policy: HostPolicy, host: str, certificate: PresentedCertificate | None, now: float) -> Verdict:
    """Section 4.2: a trusted authority, in date, and a subjectAltName for the host; the subject's CN counts for nothing."""
    if certificate is None:
        return _failed(policy, FailureType.VALIDATION_FAILURE, f"{host} presented no certificate")
    names = () if certificate.from_common_name else certificate.names
    if not certificate.trusted:
        expired = bool(certificate.not_after) and not certificate.not_before <= now <= certificate.not_after
        kind = FailureType.CERTIFICATE_EXPIRED if expired else FailureType.CERTIFICATE_NOT_TRUSTED
        told = f"{certificate.trust_reason}; subject {certificate.subject}, issuer {certificate.issuer}, SHA-256 {certificate.fingerprint}"
        return _failed(policy, kind, f"the certificate of {host} is not trusted: {told}")
    for name in names:
        if certificate_name_matches(name, host):
            return Verdict(f"TLS with a trusted certificate for {name}, as {policy.asked_by} asks: {certificate.trust_reason}")
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    presented = ", ".join(names[:NAMES_SHOWN]) or "no name at all"
    return _failed(policy, FailureType.CERTIFICATE_HOST_MISMATCH, f"expected name {host}, presented {presented}{more}")


def _failed(policy: HostPolicy, kind: FailureType, cause: str) -> Verdict:
    return Verdict(f"{cause}; asked for by {policy.asked_by}", Failure(kind, cause))
