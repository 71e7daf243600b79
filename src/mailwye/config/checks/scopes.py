"""Outbound connectors against one another and against the accepted domains: who is chosen, who never, what has no way.

The questions are put to the tables that the live path asks, so that a warning and the mail flow cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mailwye.config.checks.findings import Findings
from mailwye.config.schema import Organization, OutboundConnector, SendConnector
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import ConnectorType
from mailwye.connectors.model import OutboundConnector as Compiled
from mailwye.connectors.table import ConnectorTable, ScopeIndex, is_chosen_by_domain, scope_of
from mailwye.directory.model import DomainType
from mailwye.policy.rules.model import RuleMode

ALL_ACCEPTED = "AllAcceptedDomains"
SHOWN = 5
ANY_LABEL = "any"
"""Stands for the name of a subdomain that is not listed itself."""


def check_scopes(organization: Organization, snapshot: Snapshot, findings: Findings) -> None:
    """Scopes that overlap, connectors that are never chosen, accepted domains without a way."""
    by_name: dict[str, OutboundConnector | SendConnector] = {
        connector.identity: connector for connector in organization.outbound_connectors
    }
    by_name |= {connector.identity: connector for connector in organization.send_connectors}
    table = snapshot.connectors
    for compiled in table.outbound:
        if is_chosen_by_domain(compiled):
            _check_claims(compiled, by_name[compiled.name.lower()], snapshot, findings)
    _check_all_accepted(organization, by_name, table, findings)
    _check_ways(organization, table, findings)


def _check_claims(compiled: Compiled, connector: OutboundConnector | SendConnector, snapshot: Snapshot, findings: Findings) -> None:
    lost: dict[str, list[str]] = {}
    won = 0
    for pattern in _patterns(compiled):
        winners = _winners(pattern, snapshot)
        if not winners:  # a partner's claim on an accepted domain
            findings.warning(
                connector,
                "RecipientDomains",
                f"{pattern} is an accepted domain: only OnPremises connectors lead to its mailboxes",
                "Set ConnectorType OnPremises, or remove the domain",
            )
        elif compiled in winners:
            won += 1
        else:
            lost.setdefault(winners[0].name, []).append(pattern)
    for winner, patterns in lost.items():
        costs = snapshot.connectors.outbound_by_name[winner.lower()].costs
        patterns = [pattern for pattern in patterns if costs.get(pattern, 1) == compiled.costs.get(pattern, 1)]
        if not patterns:
            continue  # costs say who is meant to win
        field = ALL_ACCEPTED if patterns == [ALL_ACCEPTED] else compiled.scope_field
        more = f" and {len(patterns) - SHOWN} more" if len(patterns) > SHOWN else ""
        never = ", so this connector is never chosen" if not won and len(lost) == 1 else ""
        findings.warning(
            connector,
            field,
            f'"{winner}" has the scope {", ".join(patterns[:SHOWN])}{more} too and wins{never}',
            "Give each scope to one connector: the cost decides, then the type, then the alphabetical order of the names",
        )


def _check_all_accepted(
    organization: Organization, by_name: dict[str, OutboundConnector | SendConnector], table: ConnectorTable, findings: Findings
) -> None:
    """AllAcceptedDomains where each accepted domain has a more specific connector."""
    compiled = table.inside.accepted
    if compiled is None or not organization.accepted_domains:
        return
    if any(_takes(table.inside, domain.domain_name, compiled) for domain in organization.accepted_domains):
        return
    findings.warning(
        by_name[compiled.name.lower()],
        ALL_ACCEPTED,
        "is never the most specific scope: each accepted domain has a connector of its own",
        "Remove it, if that is meant",
    )


def _takes(index: ScopeIndex, domain: str, connector: Compiled) -> bool:
    found = index.find(domain)
    return found is not None and found[0] is connector


def _patterns(compiled: Compiled) -> Iterator[str]:
    yield from dict.fromkeys(scope_of(compiled))
    if compiled.all_accepted_domains and compiled.connector_type is ConnectorType.ON_PREMISES:
        yield ALL_ACCEPTED


def _winners(pattern: str, snapshot: Snapshot) -> list[Compiled]:
    """The connectors that get the mail of exactly this scope: inside, outside, or (wildcards) both."""
    table = snapshot.connectors
    if pattern == ALL_ACCEPTED:
        return [table.inside.accepted] if table.inside.accepted is not None else []
    inside, outside = _claimed(table.inside, pattern), _claimed(table.outside, pattern)
    if pattern != "*" and not pattern.startswith("*."):
        return inside if snapshot.directory.accepted_domain(pattern) is not None else outside
    return [*outside, *inside]


def _claimed(index: ScopeIndex, pattern: str) -> list[Compiled]:
    if pattern == "*":
        found = index.everything
    elif pattern.startswith("*."):
        found = index.suffix.get(pattern[2:])
    else:
        found = index.exact.get(pattern)
    return [found] if found is not None else []


def _check_ways(organization: Organization, table: ConnectorTable, findings: Findings) -> None:
    """Accepted domains with recipients elsewhere need an OnPremises connector."""
    routing = any(rule.enabled and rule.mode is RuleMode.ENFORCE for rule in organization.transport_rules)
    ruled = " where no mail flow rule does" if routing else ""
    elsewhere: Counter[str] = Counter()
    for user in organization.mail_users:
        elsewhere[(user.external_email_address or user.primary_smtp_address).domain] += 1
    for domain in organization.accepted_domains:
        name, users = domain.domain_name, elsewhere[domain.domain_name]
        relays = domain.domain_type is DomainType.INTERNAL_RELAY
        if domain.match_sub_domains and relays and table.inside.find(f"{ANY_LABEL}.{name}") is None:
            findings.warning(
                domain,
                "MatchSubDomains",
                f"takes mail for the subdomains of {name}, but no OnPremises connector carries it",
                f"Add *.{name} to the RecipientDomains of a connector, or use AllAcceptedDomains",
            )
        if not (users or relays) or table.inside.find(name) is not None:
            continue
        who = f"{users} mail user{'s' if users > 1 else ''}" if users else "unknown recipients to relay"
        findings.warning(
            domain,
            "DomainName",
            f"{name} has {who}, but no OnPremises connector carries its mail{ruled}",
            f"Add an OutboundConnector of type OnPremises with RecipientDomains {name} (or AllAcceptedDomains) and SmartHosts; on the own "
            "server a SendConnector",
        )
