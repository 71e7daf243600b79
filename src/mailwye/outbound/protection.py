"""What the recipient's domain demands of the hosts that its MX records name (RFC 8461 section 5, RFC 7672). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mailwye.connectors.model import SmtpDaneMode
from mailwye.connectors.selection import Route
from mailwye.message.envelope import TlsWish
from mailwye.outbound.courier import Host
from mailwye.outbound.mx import Usable
from mailwye.runtime.dns_answer import Answer, Found, MxRecord, TlsaRecord
from mailwye.smtp.reply import Reply
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.host_policy import Demand, HostPolicy, dane_host_policy, reported_sts, sts_host_policy
from mailwye.transport.mta_sts import CachedPolicy
from mailwye.transport.sts_policies import StsFinding
from mailwye.transport.tls_report import TEXT_LIMIT, PolicyType, ReportedPolicy, SessionResult

REQUIRETLS = "REQUIRETLS of the message (RFC 8689)"

TlsaAnswers = Mapping[str, Answer[TlsaRecord]]
"""The TLSA answers by base name."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The MX answer without what the policy forbids; `refused`: what that was; `failure`: nothing is left."""

    answer: Answer[MxRecord]
    refused: tuple[str, ...] = ()
    failure: Reply | None = None
    results: tuple[SessionResult, ...] = ()


def keep_listed(domain: str, answer: Answer[MxRecord], cached: CachedPolicy | None) -> Listed:
    """The MX records of `domain` that its MTA-STS policy names. What is forged is left out before anything is counted or cut, so that it
    does not crowd out the true ones, and so that a forged record with our own name is no loop.
    """
    if not isinstance(answer, Found):
        implicit = sts_host_policy(cached, domain)  # without MX records the domain is its own exchange
        return (
            Listed(answer)
            if isinstance(implicit, HostPolicy)
            else Listed(answer, (implicit,), _none_left(domain, [implicit]), tuple(_unlisted(cached, domain, implicit)))
        )
    kept: list[MxRecord] = []
    refused: list[str] = []
    results: list[SessionResult] = []
    for record in answer.records:
        verdict = sts_host_policy(cached, record.exchange)
        if isinstance(verdict, str):
            refused.append(verdict)
            results += _unlisted(cached, record.exchange, verdict)
        else:
            kept.append(record)
    if not kept:
        return Listed(answer, tuple(refused), _none_left(domain, refused), tuple(results))
    return Listed(replace(answer, records=tuple(kept)), tuple(refused), results=tuple(results))


def _unlisted(cached: CachedPolicy | None, host: str, reason: str) -> list[SessionResult]:
    if cached is None:
        return []
    return [SessionResult(reported_sts(cached), FailureType.VALIDATION_FAILURE, host, reason=reason[:TEXT_LIMIT])]


def _none_left(domain: str, refused: list[str]) -> Reply:
    return Reply(450, "4.7.5", f"MX hosts of {domain} failed MTA-STS validation: {'; '.join(refused[:5])}")


def asks_for_dane(route: Route) -> bool:
    """Whether TLSA records count on this way. TLS-Required: No lets them be, but for what a connector insists on (RFC 8689 section 5)."""
    if route.smtp_dane_mode is SmtpDaneMode.OPPORTUNISTIC:
        return route.tls_wish is not TlsWish.OPTIONAL
    return route.smtp_dane_mode is SmtpDaneMode.MANDATORY


def tlsa_bases(route: Route, usable: Usable) -> tuple[str, ...]:
    """The names whose TLSA records say something about this host, in their order; none where DNSSEC does not vouch for MX and addresses
    (RFC 7672 section 2.2.1). A name that a secure CNAME leads to comes first (section 2.2.2).
    """
    if not asks_for_dane(route) or not usable.hosts or not usable.hosts[0].validated:
        return ()
    return tuple(dict.fromkeys(name for name in (usable.canonical, usable.hosts[0].name) if name))


def protect(route: Route, usable: Usable, cached: CachedPolicy | None, answers: TlsaAnswers, port: int) -> Usable:
    """`usable` with the demand on its hosts, or without hosts where a policy forbids them. DANE comes before MTA-STS, also where it fails
    (RFC 8461 section 2). `answers` hold every name of `tlsa_bases`.
    """
    if not usable.hosts:
        return usable
    name = usable.hosts[0].name
    by_dane = _by_dane(route, usable, answers, port)
    if isinstance(by_dane, Failure):
        reason = f"{name}: {by_dane.cause}; the host is not used (DANE)"
        return _refused(usable, "4.7.324", route, by_dane.type, reason)
    by_sts = sts_host_policy(cached, name)
    if by_dane is not None:
        # Records that nobody can match prove nothing: what MTA-STS demands beyond them counts.
        stronger = by_dane.demand is Demand.DANE_ENCRYPTION and isinstance(by_sts, HostPolicy) and by_sts.demand is Demand.STS
        return _with_policy(usable, by_sts if stronger and isinstance(by_sts, HostPolicy) else by_dane)
    if route.smtp_dane_mode is SmtpDaneMode.MANDATORY:
        lacks = "there are no secure TLSA records" if usable.hosts[0].validated else "DNSSEC does not vouch for its MX and addresses"
        reason = f'{name}: {lacks}; connector "{route.connector}" asks for DANE (SmtpDaneMode Mandatory)'
        return _refused(usable, "4.7.324", route, FailureType.DANE_REQUIRED, reason)
    if isinstance(by_sts, str):
        result = next(iter(_unlisted(cached, name, by_sts)), None)
        return Usable(reasons=(*usable.reasons, by_sts), refusal=Reply(450, "4.7.5", by_sts), result=result)
    return usable if by_sts.demand is Demand.NOTHING else _with_policy(usable, by_sts)


def _refused(usable: Usable, enhanced: str, route: Route, kind: FailureType, reason: str) -> Usable:
    host = usable.hosts[0]
    policy = ReportedPolicy(route.domain, PolicyType.TLSA, mx=(host.name,))
    result = SessionResult(policy, kind, host.name, host.address, reason=reason[:TEXT_LIMIT])
    refusal = Reply(450, enhanced, f"{kind.value}: {reason}")
    return Usable(reasons=(*usable.reasons, reason), refusal=refusal, result=result)


def require(route: Route, usable: Usable, *, doubtful: bool) -> Usable:
    """For a message with REQUIRETLS: the hosts must be named by a signed MX or by an MTA-STS policy, and prove to be who they are (RFC 8689
    section 4.2.1). `doubtful`: a policy could not be had just now, so a refusal is not for good.
    """
    if not usable.hosts or route.tls_wish is not TlsWish.REQUIRED:
        return usable
    host = usable.hosts[0]
    policy = host.policy
    if policy.demand in (Demand.DANE, Demand.STS):
        return usable
    if policy.demand is Demand.STS_TESTING and not policy.unlisted:
        return _with_policy(usable, replace(policy, demand=Demand.STS, asked_by=f"{REQUIRETLS} and {policy.asked_by}"))
    if host.validated:
        return _with_policy(usable, HostPolicy(Demand.STS, route.domain, REQUIRETLS))
    reason = f"{host.name}: neither DNSSEC nor an MTA-STS policy vouches for it, as {REQUIRETLS} asks"
    reply = Reply(450, "4.7.30", reason) if doubtful else Reply(550, "5.7.30", reason)
    return Usable(reasons=(*usable.reasons, reason), refusal=reply)


def _by_dane(route: Route, usable: Usable, answers: TlsaAnswers, port: int) -> HostPolicy | Failure | None:
    bases = tlsa_bases(route, usable)
    for base in bases:
        names = tuple(dict.fromkeys((*bases, route.domain)))  # RFC 7672 section 3.2.3
        found = dane_host_policy(answers[base], base, port, route.domain, names)
        if found is not None:
            return found
    return None


def _with_policy(usable: Usable, policy: HostPolicy) -> Usable:
    return replace(usable, hosts=tuple(replace(host, policy=policy) for host in usable.hosts))


def demands(hosts: Iterable[Host]) -> tuple[str, ...]:
    """One sentence for each host name of which something is demanded, for people."""
    told = {host.name: f"{host.name}: {host.policy.words}" for host in hosts if host.policy.demand is not Demand.NOTHING}
    return tuple(told.values())


def fetch_results(domain: str, finding: StsFinding) -> tuple[SessionResult, ...]:
    """What TLS reports must hear of a policy that is announced and could not be had."""
    if finding.failure is None:
        return ()
    policy = reported_sts(finding.policy) if finding.policy is not None else ReportedPolicy(domain, PolicyType.STS)
    return (SessionResult(policy, finding.failure.type, reason=finding.failure.cause[:TEXT_LIMIT]),)
