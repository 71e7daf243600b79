"""Mail flow rules: the connectors and groups that they name, conditions that hold for everybody or nobody, and their order."""

from __future__ import annotations

from collections.abc import Iterator

from mailwye.config.checks.findings import Findings
from mailwye.config.problem import did_you_mean
from mailwye.config.schema import Organization, OutboundConnector, TransportRule
from mailwye.config.snapshot import Snapshot
from mailwye.directory.lookup import Directory
from mailwye.policy.rules.model import RULES_LIMIT

_TWINS = ("", "except_if_")
_ACTION = "RouteMessageOutboundConnector"


def check_rules(organization: Organization, snapshot: Snapshot, findings: Findings) -> None:
    """Each rule by itself, against the connectors and the directory, and the rules together."""
    rules = organization.transport_rules
    connectors = {connector.identity: connector for connector in organization.outbound_connectors}
    conditions = {compiled.rule.name.lower(): compiled.has_conditions for compiled in snapshot.rules.rules}
    if len(rules) > RULES_LIMIT:
        findings.error(rules[RULES_LIMIT], "", f"is one of {len(rules)} rules; there may be {RULES_LIMIT}", "Put rules together")
    _check_order(rules, findings)
    for rule in rules:
        _check_action(rule, connectors, findings)
        _check_header(rule, findings)
        for field, twin in _each(rule, "sent_to_member_of"):
            _check_groups(rule, field, twin, snapshot.directory, findings)
        for field, twin in _each(rule, "sent_to"):
            _check_recipients(rule, field, twin, snapshot.directory, findings)
        if rule.enabled and not conditions[rule.identity]:
            exceptions = " but for its exceptions" if _has_exceptions(rule) else ""
            findings.warning(
                rule, "", f"has no condition: it is for every message{exceptions}", "Give it a condition, if that is not meant"
            )
    _check_use(organization, findings)


def _each(rule: TransportRule, name: str) -> Iterator[tuple[str, str]]:
    """The field of a condition and that of its ExceptIf twin: (as written in files, as an attribute)."""
    for prefix in _TWINS:
        attribute = f"{prefix}{name}"
        yield type(rule).fields[attribute].name, attribute


def _has_exceptions(rule: TransportRule) -> bool:
    return any(getattr(rule, name) for name in type(rule).fields if name.startswith("except_if_"))


def _check_order(rules: tuple[TransportRule, ...], findings: Findings) -> None:
    first: dict[int, TransportRule] = {}
    for rule in rules:
        if rule.priority is None:
            continue
        other = first.setdefault(rule.priority, rule)
        if other is not rule:
            findings.error(rule, "Priority", f"{rule.priority} is the Priority of {other.label} too", "Give each rule a number of its own")


def _check_action(rule: TransportRule, connectors: dict[str, OutboundConnector], findings: Findings) -> None:
    name = rule.route_message_outbound_connector
    if not name:
        findings.error(rule, _ACTION, "is missing: the rule does nothing", "Name the outbound connector that takes the messages")
        return
    connector = connectors.get(name.lower())
    if connector is None:
        known = [each.name for each in connectors.values()]
        remedy = did_you_mean(name, known, otherwise="Add the OutboundConnector first, with IsTransportRuleScoped true")
        findings.error(rule, _ACTION, f'there is no outbound connector "{name}"', remedy)
        return
    state = "disabled" if not connector.enabled else "in TestMode" if connector.test_mode else ""
    if state and rule.enabled:
        findings.error(
            rule,
            _ACTION,
            f"{connector.label} is {state}, so mail that this rule sends there could not leave",
            f"{'Enable the connector' if state == 'disabled' else 'Set TestMode false'}, or disable the rule first",
        )
    if not connector.is_transport_rule_scoped:
        findings.warning(
            rule,
            _ACTION,
            f"{connector.label} is not scoped to rules: it takes mail by its own scope as well",
            "Set IsTransportRuleScoped true in the connector, if only rules are to use it",
        )


def _check_header(rule: TransportRule, findings: Findings) -> None:
    names, words = _each(rule, "header_contains_message_header"), _each(rule, "header_contains_words")
    for (name_field, name), (words_field, listed) in zip(names, words, strict=True):
        if getattr(rule, name) and not getattr(rule, listed):
            findings.error(rule, name_field, f"needs {words_field}", f"Add {words_field}, or remove {name_field}")
        elif getattr(rule, listed) and not getattr(rule, name):
            findings.error(rule, words_field, f"needs {name_field}", f"Add {name_field} with the name of a header field, such as X-Site")


def _check_groups(rule: TransportRule, field: str, attribute: str, directory: Directory, findings: Findings) -> None:
    for address in getattr(rule, attribute):
        found = directory.find(address)
        if found is None:
            findings.error(rule, field, f"there is no group {address}", "Add the DistributionGroup, or correct the address")
            continue
        resolution = directory.resolve(found.primary_smtp_address)
        if resolution.kind != "DistributionGroup":
            twin = field.replace("MemberOf", "")
            findings.error(rule, field, f"{address} is a {found.kind.value}, not a DistributionGroup", f"Name a group, or use {twin}")
        elif resolution.failure:
            findings.warning(rule, field, f"nobody is a member of {address}: {resolution.failure}", "Correct the group")


def _check_recipients(rule: TransportRule, field: str, attribute: str, directory: Directory, findings: Findings) -> None:
    for address in getattr(rule, attribute):
        kind = directory.locate(address).kind
        if kind == "DistributionGroup":
            remedy = f"Use {field}MemberOf {address}"
            findings.error(rule, field, f"{address} is a DistributionGroup: its members get the copies, not the group", remedy)
        elif kind == "Unknown":
            findings.warning(rule, field, f"{address} is no known recipient", "Correct the address, or add the recipient")


def _check_use(organization: Organization, findings: Findings) -> None:
    """Connectors that only rules choose, and no rule does."""
    named = {rule.route_message_outbound_connector.lower() for rule in organization.transport_rules if rule.enabled}
    for connector in organization.outbound_connectors:
        if not connector.is_transport_rule_scoped or connector.recipient_domains or connector.all_accepted_domains:
            continue  # a scope that is ignored has its own warning (checks/outbound.py)
        if connector.enabled and connector.identity not in named:
            findings.warning(
                connector,
                "IsTransportRuleScoped",
                "is true, and no enabled mail flow rule names this connector: it carries nothing",
                f'Add a TransportRule with {_ACTION} "{connector.name}"',
            )
