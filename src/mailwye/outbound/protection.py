"""What the recipient's domain demands of the hosts that its MX records name (RFC 8461 section 5). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mailwye.outbound.courier import Host
from mailwye.outbound.mx import Exchanges
from mailwye.runtime.dns_answer import MxRecord
from mailwye.smtp.reply import Reply
from mailwye.transport.host_policy import Demand, HostPolicy, sts_host_policy
from mailwye.transport.mta_sts import CachedPolicy


def keep_listed(domain: str, exchanges: Exchanges, cached: CachedPolicy | None) -> Exchanges:
    """The exchanges to which mail for `domain` may go by its MTA-STS policy; those that it does not name are left out before any limit
    counts them. With none left there is a `failure` that defers.
    """
    refused: list[str] = []
    groups: list[tuple[MxRecord, ...]] = []
    for group in exchanges.groups:
        kept = []
        for record in group:
            verdict = sts_host_policy(cached, record.exchange)
            if isinstance(verdict, HostPolicy):
                kept.append(record)
            else:
                refused.append(verdict)
        if kept:
            groups.append(tuple(kept))
    if not refused:
        return exchanges
    reasons = (*exchanges.reasons, *refused)
    if groups:
        return replace(exchanges, groups=tuple(groups), reasons=reasons)
    text = f"MX hosts of {domain} failed MTA-STS validation: {'; '.join(refused[:5])}"
    return replace(exchanges, groups=(), reasons=reasons, failure=Reply(450, "4.7.5", text))


def with_policy(host: Host, cached: CachedPolicy | None) -> Host:
    """`host`, which `keep_listed` has kept, with what the policy demands of it."""
    policy = sts_host_policy(cached, host.name)
    assert isinstance(policy, HostPolicy)
    return replace(host, policy=policy)


def demands(hosts: Iterable[Host]) -> tuple[str, ...]:
    """One sentence for each host name of which something is demanded, for people."""
    told = {host.name: f"{host.name}: {host.policy.words}" for host in hosts if host.policy.demand is not Demand.NOTHING}
    return tuple(told.values())
