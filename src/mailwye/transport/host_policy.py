"""What a policy demands of one host, and the verdict on what the host presents. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailwye.connectors.matching import certificate_name_matches
from mailwye.runtime.dns_answer import Answer, TlsaRecord
from mailwye.runtime.tls import PresentedCertificate
from mailwye.transport.dane import match, secure_records, shown, tlsa_name, usable, whole
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.mta_sts import CachedPolicy, StsMode, mx_matches
from mailwye.transport.staples import trust_at
from mailwye.transport.tls_report import PolicyType, ReportedPolicy, within_limit

NAMES_SHOWN = 10


class Demand(Enum):
    """NOTHING. STS: TLS with a certificate for the host from a trusted authority, or no delivery. STS_TESTING: the same is looked at and
    told, and the mail goes anyway. DANE: a certificate that a TLSA record names. DANE_ENCRYPTION: TLSA records that nobody can match ask
    for TLS with any certificate (RFC 7672 section 2.2).
    """

    NOTHING = "nothing"
    STS = "MTA-STS"
    STS_TESTING = "MTA-STS testing"
    DANE = "DANE"
    DANE_ENCRYPTION = "DANE without usable records"


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """The demand on one host, the policy domain, and who asks, for people. `unlisted`: a policy in mode testing does not name this host.
    `base`: the name whose TLSA records count, which is also the name to ask for in SNI (RFC 7672 section 8.1), "" without DANE; `tlsa`: the
    records to match; `names`: what a certificate may be for where an authority is matched. `reported`: the policy as TLS reports
    tell of it.
    """

    demand: Demand = Demand.NOTHING
    domain: str = ""
    asked_by: str = ""
    unlisted: bool = False
    base: str = ""
    tlsa: tuple[TlsaRecord, ...] = ()
    names: tuple[str, ...] = ()
    reported: ReportedPolicy | None = None

    @property
    def required(self) -> bool:
        """True where nothing may leave in plaintext."""
        return self.demand not in (Demand.NOTHING, Demand.STS_TESTING)

    @property
    def by_dane(self) -> bool:
        """True where TLSA records demand it."""
        return self.demand in (Demand.DANE, Demand.DANE_ENCRYPTION)

    @property
    def words(self) -> str:
        """What is demanded of the host and by whom."""
        match self.demand:
            case Demand.STS:
                return f"must use TLS with a certificate for its name from a trusted authority, by {self.asked_by}"
            case Demand.STS_TESTING:
                listed = "it is not named in" if self.unlisted else "TLS is looked at and told, never asked for, by"
                return f"{listed} {self.asked_by}"
            case Demand.DANE:
                return f"must use TLS with a certificate that matches {self.asked_by}"
            case Demand.DANE_ENCRYPTION:
                return f"must use TLS with any certificate, by {self.asked_by}"
            case Demand.NOTHING:
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
    reported = reported_sts(cached)
    if mode is StsMode.TESTING:
        return HostPolicy(Demand.STS_TESTING, cached.domain, asked_by, unlisted=not listed, reported=reported)
    if not listed:
        return f"{host} is not an mx of {asked_by}: not used"
    return HostPolicy(Demand.STS, cached.domain, asked_by, reported=reported)


def reported_sts(cached: CachedPolicy) -> ReportedPolicy:
    """The policy as TLS reports tell of it (RFC 8460 section 4.4)."""
    lines = within_limit(line.strip() for line in cached.text.splitlines() if line.strip())
    return ReportedPolicy(cached.domain, PolicyType.STS, lines, within_limit(cached.policy.mx))


def dane_host_policy(answer: Answer[TlsaRecord], base: str, port: int, domain: str, names: tuple[str, ...]) -> HostPolicy | Failure | None:
    """What the TLSA records of the host `base` demand; None: there are no secure ones; Failure: the host must not be used."""
    records = secure_records(answer)
    if isinstance(records, Failure):
        return records
    if not records:
        return None
    at = f"the TLSA records of {tlsa_name(base, port)}"
    good = usable(records)
    reported = ReportedPolicy(domain, PolicyType.TLSA, within_limit(map(whole, records)), (base,))
    if not good:
        listed = ", ".join(map(shown, records[:5]))
        return HostPolicy(Demand.DANE_ENCRYPTION, domain, f"{at} (none is usable: {listed})", base=base, reported=reported)
    listed = ", ".join(map(shown, good[:5]))
    return HostPolicy(Demand.DANE, domain, f"{at} ({listed})", base=base, tlsa=good, names=names, reported=reported)


def without_tls(policy: HostPolicy, cause: str) -> Verdict:
    """There is no TLS with the host; `cause` as a sentence's end: STARTTLS is not offered."""
    return Verdict(f"{cause}; {policy.asked_by} asks for TLS", Failure(FailureType.STARTTLS_NOT_SUPPORTED, cause))


def judge_certificate(policy: HostPolicy, host: str, certificate: PresentedCertificate | None, now: float) -> Verdict:
    """The certificate that the MX host `host` presented, against the policy. `now`: Unix seconds."""
    if policy.demand is Demand.NOTHING:
        return Verdict()
    if policy.demand is Demand.DANE_ENCRYPTION:
        return Verdict(f"TLS as {policy.asked_by} asks; any certificate is good")
    if policy.demand is Demand.DANE:
        found = match(policy.tlsa, policy.names, certificate, now)
        if isinstance(found, str):
            return Verdict(f"{found}, at {policy.asked_by}")
        return Verdict(f"{found.cause}; asked for by {policy.asked_by}", found)
    if policy.unlisted:
        cause = f"{host} is not an mx of {policy.asked_by}"
        return Verdict(cause, Failure(FailureType.VALIDATION_FAILURE, cause))
    return judge_web_certificate(policy, host, certificate, now)


def judge_web_certificate(policy: HostPolicy, host: str, certificate: PresentedCertificate | None, now: float) -> Verdict:
    """Section 4.2: a trusted authority, in date, not revoked where that is known, and a subjectAltName for the host; the subject's CN
    counts for nothing.
    """
    if certificate is None:
        return _failed(policy, FailureType.VALIDATION_FAILURE, f"{host} presented no certificate")
    names = () if certificate.from_common_name else certificate.names
    trusted, why = trust_at(certificate, now)
    if not trusted:
        expired = bool(certificate.not_after) and not certificate.not_before <= now <= certificate.not_after
        kind = FailureType.CERTIFICATE_EXPIRED if expired else FailureType.CERTIFICATE_NOT_TRUSTED
        told = f"{why}; subject {certificate.subject}, issuer {certificate.issuer}, SHA-256 {certificate.fingerprint}"
        return _failed(policy, kind, f"the certificate of {host} is not trusted: {told}")
    for name in names:
        if certificate_name_matches(name, host):
            return Verdict(f"TLS with a trusted certificate for {name}, as {policy.asked_by} asks: {why}")
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    presented = ", ".join(names[:NAMES_SHOWN]) or "no name at all"
    return _failed(policy, FailureType.CERTIFICATE_HOST_MISMATCH, f"expected name {host}, presented {presented}{more}")


def _failed(policy: HostPolicy, kind: FailureType, cause: str) -> Verdict:
    return Verdict(f"{cause}; asked for by {policy.asked_by}", Failure(kind, cause))
