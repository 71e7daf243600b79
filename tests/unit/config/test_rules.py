"""TransportRule in files: what one rule shows to be wrong, what rules do together with other objects, what the snapshot makes of them."""

from __future__ import annotations

import pytest

from mailwye.config.checks import check_organization
from mailwye.config.compile import compile_snapshot
from mailwye.config.export import from_json, in_order, to_json, to_yaml
from mailwye.config.parse import read_organization
from mailwye.config.problem import Severity
from mailwye.config.schema import KINDS, Organization, TransportRule, field_names
from mailwye.policy.rules.model import RULES_LIMIT, Predicates, RuleMode, Scope

BASE = """\
AcceptedDomain: {DomainName: contoso.com}
Mailbox: {PrimarySmtpAddress: bob@contoso.com}
MailUser: {PrimarySmtpAddress: wendy@contoso.com}
DistributionGroup:
  - {PrimarySmtpAddress: west@contoso.com, Members: wendy@contoso.com}
  - {PrimarySmtpAddress: empty@contoso.com}
OutboundConnector:
  - {Name: Site CA, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: ca.contoso.com}
  - {Name: General, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: mail.contoso.com}
  - {Name: Off, Enabled: false, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: off.contoso.com}
  - {Name: Test, TestMode: true, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: t.contoso.com}
"""
ACTION = "RouteMessageOutboundConnector: Site CA"
CONDITION = "SentToMemberOf: west@contoso.com"
NAMED = "TransportRule: {Name: Named, Enabled: true, " + f"{CONDITION}, {ACTION}" + "}\n"


def organization(text: str) -> Organization:
    parsed = read_organization(text)
    assert parsed.problems == ()
    assert parsed.value is not None
    return parsed.value


def findings(rule: str) -> list[tuple[Severity, str, str, str]]:
    """Of the file with these rules, but for those of its group and connectors."""
    parsed = read_organization(f"{BASE}TransportRule:\n{rule}", "f.yaml")
    assert parsed.problems == ()
    assert parsed.value is not None
    found = check_organization(parsed.value, source=parsed)
    assert all(problem.remedy and problem.file == "f.yaml" and problem.line for problem in found)
    return [(one.severity, one.object, one.field, str(one)) for one in found if one.object.startswith("TransportRule")]


ERRORS = [
    (CONDITION, "RouteMessageOutboundConnector", "is missing: the rule does nothing. Name the outbound connector"),
    (f"{CONDITION}, RouteMessageOutboundConnector: Site CB", "RouteMessageOutboundConnector", "Did you mean Site CA?"),
    (f"{CONDITION}, RouteMessageOutboundConnector: Qqqq", "RouteMessageOutboundConnector", "Add the OutboundConnector first"),
    (
        f"{CONDITION}, Enabled: false, RouteMessageOutboundConnector: Qqqq",
        "RouteMessageOutboundConnector",
        "there is no outbound connector",
    ),
    (f"{CONDITION}, RouteMessageOutboundConnector: off", "RouteMessageOutboundConnector", 'OutboundConnector "Off" is disabled'),
    (f"{CONDITION}, Mode: Audit, RouteMessageOutboundConnector: off", "RouteMessageOutboundConnector", "or disable the rule first"),
    (f"{CONDITION}, RouteMessageOutboundConnector: Test", "RouteMessageOutboundConnector", "is in TestMode"),
    (f"SentToMemberOf: wst@contoso.com, {ACTION}", "SentToMemberOf", "there is no group wst@contoso.com. Add the DistributionGroup"),
    (f"SentToMemberOf: bob@contoso.com, {ACTION}", "SentToMemberOf", "is a Mailbox, not a DistributionGroup. Name a group, or use SentTo."),
    (f"SentTo: west@contoso.com, {ACTION}", "SentTo", "Use SentToMemberOf west@contoso.com"),
    (f"{CONDITION}, ExceptIfSentTo: west@contoso.com, {ACTION}", "ExceptIfSentTo", "Use ExceptIfSentToMemberOf west@contoso.com"),
    (f"{CONDITION}, ExceptIfSentToMemberOf: a@b.c, {ACTION}", "ExceptIfSentToMemberOf", "there is no group a@b.c"),
    (f"HeaderContainsMessageHeader: X-Site, {ACTION}, {CONDITION}", "HeaderContainsMessageHeader", "needs HeaderContainsWords"),
    (f"HeaderContainsWords: west, {ACTION}, {CONDITION}", "HeaderContainsWords", "needs HeaderContainsMessageHeader"),
    (
        f"ExceptIfHeaderContainsWords: west, {ACTION}, {CONDITION}",
        "ExceptIfHeaderContainsWords",
        "needs ExceptIfHeaderContainsMessageHeader",
    ),
]
WARNINGS = [
    (ACTION, "", "has no condition: it is for every message. Give it a condition"),
    (f"{ACTION}, ExceptIfSentTo: bob@contoso.com", "", "for every message but for its exceptions"),
    (f"{CONDITION}, RouteMessageOutboundConnector: General", "RouteMessageOutboundConnector", "is not scoped to rules"),
    (f"SentToMemberOf: empty@contoso.com, {ACTION}", "SentToMemberOf", "nobody is a member of empty@contoso.com"),
    (f"SentTo: nobody@contoso.com, {ACTION}", "SentTo", "nobody@contoso.com is no known recipient"),
]
FINE = [
    f"{CONDITION}, {ACTION}",
    f"{CONDITION}, Enabled: false, RouteMessageOutboundConnector: off",
    f"Enabled: false, {ACTION}",
    f"SentTo: moon@example.org, {ACTION}",
    f"HeaderContainsMessageHeader: X-Site, HeaderContainsWords: [west, far west], {ACTION}",
]


@pytest.mark.parametrize(("rule", "field", "message"), ERRORS)
def test_errors(rule: str, field: str, message: str) -> None:
    ((severity, label, found, text),) = findings(f"  - {{Name: x, {rule}}}")
    assert (severity, label, found) == (Severity.ERROR, 'TransportRule "x"', field)
    assert text.startswith("f.yaml:1")  # with its line
    assert message in text


@pytest.mark.parametrize(("rule", "field", "message"), WARNINGS)
def test_warnings(rule: str, field: str, message: str) -> None:
    ((severity, _, found, text),) = findings(f"  - {{Name: x, {rule}}}")
    assert (severity, found) == (Severity.WARNING, field)
    assert message in text


@pytest.mark.parametrize("rule", FINE)
def test_nothing_is_wrong(rule: str) -> None:
    assert findings(f"  - {{Name: x, {rule}}}") == []


def test_a_priority_is_given_once() -> None:
    rule = f"{CONDITION}, {ACTION}"
    ((severity, label, field, text),) = findings(f"  - {{Name: a, Priority: 3, {rule}}}\n  - {{Name: b, Priority: 3, {rule}}}")
    assert (severity, label, field) == (Severity.ERROR, 'TransportRule "b"', "Priority")
    assert '3 is the Priority of TransportRule "a" too. Give each rule a number of its own.' in text


def test_there_is_a_limit() -> None:
    rules = "\n".join(f"  - {{Name: r{number}, {CONDITION}, {ACTION}}}" for number in range(RULES_LIMIT + 1))
    ((_, label, _, text),) = findings(rules)
    assert label == f'TransportRule "r{RULES_LIMIT}"'
    assert f"there may be {RULES_LIMIT}" in text


def test_two_rules_of_one_name_are_refused() -> None:
    parsed = read_organization(f"TransportRule:\n  - {{Name: West, {ACTION}}}\n  - {{Name: WEST, {ACTION}}}", "f.yaml")
    assert parsed.value is None
    assert 'there is another one of this identity: TransportRule "West" in line 2' in str(parsed.problems[0])


def test_a_scoped_connector_that_no_rule_names_is_told_of() -> None:
    found = [str(one) for one in check_organization(organization(BASE))]
    assert any('"Site CA": IsTransportRuleScoped: is true, and no enabled mail flow rule names this connector' in text for text in found)
    assert not any('"Off"' in text for text in found)
    assert not any('"Site CA"' in str(one) for one in check_organization(organization(BASE + NAMED)))


def test_a_domain_to_which_only_rules_lead_is_told_of() -> None:
    rest = BASE.replace("AllAcceptedDomains: true", "Enabled: false")
    text = "contoso.com has 1 mail user, but no OnPremises connector carries its mail"
    assert any(f"{text}. Add" in str(one) for one in check_organization(organization(rest)))
    assert any(f"{text} where no mail flow rule does. Add" in str(one) for one in check_organization(organization(rest + NAMED)))


SCHEMA_ERRORS = [
    (f"Name: {'x' * 65}", "Name", "is longer than 64 characters"),
    ("Priority: -1", "Priority", "must be a number from 0 to 999999, not -1"),
    ("Priority: true", "Priority", "must be a number"),
    ("Priority: '1'", "Priority", "must be a number"),
    ("Mode: Enforced", "Mode", "Did you mean Enforce?"),
    ("FromScope: Inside", "FromScope", "is none of its values"),
    ("SentToScope: ExternalPartner", "SentToScope", "Use one of: InOrganization, NotInOrganization"),
    ("HeaderContainsMessageHeader: 'X-Site:'", "HeaderContainsMessageHeader", "without the colon"),
    ("HeaderContainsMessageHeader: X Site", "HeaderContainsMessageHeader", "is no name of a header field"),
    ("HeaderContainsMessageHeader: Größe", "HeaderContainsMessageHeader", "is no name of a header field"),
    (f"HeaderContainsMessageHeader: {'x' * 77}", "HeaderContainsMessageHeader", "is no name of a header field"),
    ("HeaderContainsWords: ['']", "HeaderContainsWords", "is empty"),
    (f"HeaderContainsWords: {'x' * 129}", "HeaderContainsWords", "is longer than 128 characters"),
    (f"HeaderContainsWords: [{', '.join(f'w{n}' for n in range(101))}]", "HeaderContainsWords", "has more than 100 words. Split the rule"),
    ("RecipientDomainIs: '*.contoso.com'", "RecipientDomainIs", "Write contoso.com: its subdomains are meant too"),
    ("ExceptIfSenderDomainIs: 'a b'", "ExceptIfSenderDomainIs", "Write a domain name"),
    ("SentTo: bob", "SentTo", "Write it as user@domain"),
    ("State: Enabled", "State", "Set Enabled true or false"),
    ("SenderAddressLocation: Header", "SenderAddressLocation", "The sender is the one of MAIL FROM"),
    ("SetSCL: 5", "SetSCL", "is a setting of Exchange that does not exist here. Mail flow rules choose the way only"),
]


@pytest.mark.parametrize(("setting", "field", "message"), SCHEMA_ERRORS)
def test_one_rule_by_itself(setting: str, field: str, message: str) -> None:
    name = "" if setting.startswith("Name") else "Name: x, "
    parsed = read_organization(f"TransportRule:\n  - {{{name}{setting}}}", "f.yaml")
    assert parsed.value is None
    (problem,) = parsed.problems
    assert (problem.file, problem.line, problem.field.partition("[")[0]) == ("f.yaml", 2, field)
    assert message in str(problem)


FULL = """\
TransportRule:
  - Name: Everything
    Priority: 4
    Enabled: false
    Mode: auditandnotify
    SentTo: [bob@contoso.com, SMTP:wendy@contoso.com]
    SentToMemberOf: west@contoso.com
    RecipientDomainIs: CONTOSO.com
    SenderDomainIs: [b.example, a.example]
    FromScope: notinorganization
    SentToScope: InOrganization
    HeaderContainsMessageHeader: X-Site
    HeaderContainsWords: [far   west, West]
    ExceptIfSentTo: bob@contoso.com
    ExceptIfFromScope: InOrganization
    ExceptIfHeaderContainsMessageHeader: Subject
    ExceptIfHeaderContainsWords: test
    RouteMessageOutboundConnector: Site CA
    StopRuleProcessing: true
    Comments: as in Exchange
"""


def test_what_is_written_comes_back() -> None:
    found = organization(FULL)
    assert from_json(to_json(found)) == found
    assert organization(to_yaml(found)) == in_order(found)
    (compiled,) = compile_snapshot(found, 1).rules.rules
    rule = compiled.rule
    assert (rule.name, rule.priority, rule.enabled, rule.mode) == ("Everything", 4, False, RuleMode.AUDIT_AND_NOTIFY)
    assert (rule.stop_rule_processing, rule.route_message_outbound_connector) == (True, "Site CA")
    assert [str(one) for one in rule.conditions.sent_to] == ["bob@contoso.com", "wendy@contoso.com"]
    assert rule.conditions.sender_domain_is == ("a.example", "b.example")
    assert rule.conditions.recipient_domain_is == ("contoso.com",)
    assert (rule.conditions.from_scope, rule.exceptions.from_scope) == (Scope.NOT_IN_ORGANIZATION, Scope.IN_ORGANIZATION)
    assert rule.conditions.header_contains_words == ("far west", "West")
    assert rule.exceptions.header_contains_words == ("test",)


def test_every_condition_has_its_twin() -> None:
    fields = field_names(TransportRule)
    names = [name.removeprefix("ExceptIf") for name in fields if name.startswith("ExceptIf")]
    assert len(names) == len(Predicates.__dataclass_fields__)
    assert set(names) <= set(fields)
    assert "TransportRule" in KINDS


def test_compiled_in_the_order_of_priority() -> None:
    found = compile_snapshot(organization("TransportRule: [{Name: b, Priority: 1}, {Name: c}, {Name: a, Priority: 0}]"), 1).rules
    assert [(one.rule.name, one.rule.priority) for one in found.rules] == [("a", 0), ("b", 1), ("c", 2)]
