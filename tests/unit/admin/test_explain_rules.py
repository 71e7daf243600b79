"""`explain` tells of each mail flow rule, and shows the way that the live path takes."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.admin.explain import explain
from mailwye.admin.explain_rows import ExplanationRow
from mailwye.admin.explain_text import render
from mailwye.admin.question import Question
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.table import ConnectorTable
from mailwye.policy.rules.decide import RuleTable
from mailwye.policy.rules.model import RuleMode, Scope, TransportRule
from tests.unit.connectors.world import inbound, outbound
from tests.unit.policy.rules.world import CONTOSO, rule

TRUSTED = inbound("From our servers", require_tls=True, tls_sender_certificate_name="*.contoso.com", cloud_services_mail_enabled=True)
SITES = (outbound("West", is_transport_rule_scoped=True), outbound("East", is_transport_rule_scoped=True))
GENERAL = outbound("General", all_accepted_domains=True)
X_SITE: dict[str, Any] = {"header_contains_message_header": "X-Site", "header_contains_words": ("west",)}
WEST = rule("DL West", 0, connector="West", sent_to_member_of=["west@contoso.com"])
EAST = rule("DL East", 1, connector="East", sent_to_member_of=["east@contoso.com"])


def snapshot(*rules: TransportRule, general: bool = True) -> Snapshot:
    table = ConnectorTable([TRUSTED], [*SITES, *([GENERAL] if general else [])])
    return Snapshot(1, "contoso", CONTOSO, table, RuleTable(CONTOSO, rules))


def told(now: Snapshot, to: str, **question: Any) -> ExplanationRow:
    return explain(now, Question("sun@customer.example", to, **question)).to_dict()


def test_each_recipient_has_his_rules_and_his_way() -> None:
    answer = told(snapshot(WEST, EAST), "everybody@contoso.com")
    assert [(route["recipient"], route["connector"]) for route in answer["routes"]] == [
        ("wendy@contoso.com", "West"),
        ("walt@west.example", "West"),
        ("eva@contoso.com", "East"),
        ("bob@contoso.com", ""),
    ]
    west, east = answer["route"]["rules"]
    assert west == {
        "rule": "DL West",
        "priority": 0,
        "mode": "Enforce",
        "action": 'RouteMessageOutboundConnector "West"',
        "match": "yes",
        "reasons": ["SentToMemberOf west@contoso.com holds"],
    }
    assert (east["match"], east["reasons"]) == ("no", ["SentToMemberOf east@contoso.com does not hold: wendy@contoso.com is no member"])
    assert [(one["connector"], one["chosen"]) for one in answer["considered"]] == [("West", True), ("East", False), ("General", False)]


def test_the_story_names_rules_before_the_way() -> None:
    text = render(explain(snapshot(WEST, EAST, rule("Off", 2, enabled=False)), Question("<>", "eva@contoso.com")))
    assert "Which rules match for eva@contoso.com?" in text
    assert "- no        DL West (0, Enforce): SentToMemberOf west@contoso.com does not hold: eva@contoso.com is no member" in text
    assert "- matched   DL East (1, Enforce): SentToMemberOf east@contoso.com holds" in text
    assert "- not asked Off (2, Enforce): It is disabled" in text
    assert 'Mail flow rule "DL East" matched' in text
    assert text.index("Which rules match") < text.index("Which way out?")
    assert "Which rules" not in render(explain(snapshot(), Question("<>", "eva@contoso.com")))


def test_rules_are_told_once_where_they_are_the_same() -> None:
    text = render(explain(snapshot(rule("All", connector="West")), Question("<>", "everybody@contoso.com")))
    assert text.count("Which rules match") == 1


@pytest.mark.parametrize(
    ("header", "connector", "match"),
    [
        (("X-Site: far west",), "West", "yes"),
        (("Subject: x", "x-site: West"), "West", "yes"),
        (("X-Site: westward",), "General", "no"),
        ((), "General", "unknown"),
    ],
)
def test_header_fields_of_the_question(header: tuple[str, ...], connector: str, match: str) -> None:
    route = told(snapshot(rule("By header", connector="West", **X_SITE)), "eva@contoso.com", header=header)["route"]
    assert (route["connector"], route["rules"][0]["match"]) == (connector, match)


@pytest.mark.parametrize(("peer", "connector"), [({}, "General"), ({"certificate_name": "mail.contoso.com"}, "West")])
def test_the_header_firewall_comes_first(peer: dict[str, str], connector: str) -> None:
    trusted = rule("A", connector="West", header_contains_message_header="X-MS-Exchange-Organization-Site", header_contains_words=("west",))
    header = ("X-MS-Exchange-CrossPremises-Site: west",)
    assert told(snapshot(trusted), "eva@contoso.com", header=header, **peer)["route"]["connector"] == connector


def test_audit_is_shown_and_changes_nothing() -> None:
    route = told(snapshot(rule("Watch", connector="West", mode=RuleMode.AUDIT)), "eva@contoso.com")["route"]
    assert (route["connector"], route["rules"][0]["match"], route["rules"][0]["mode"]) == ("General", "yes", "Audit")


def test_the_own_servers_are_in_the_organization() -> None:
    ours = rule("Ours", connector="West", from_scope=Scope.IN_ORGANIZATION)
    for name, connector in (("", "General"), ("mail.contoso.com", "West")):
        question = Question("eva@contoso.com", "eva@contoso.com", certificate_name=name)
        assert explain(snapshot(ours), question).routes[0].connector == connector


@pytest.mark.parametrize(
    ("header", "reply", "kind"),
    [
        ((), "250 2.1.5", "none"),  # RCPT is accepted, the content decides
        (("X-Site: west",), "250 2.1.5", "connector"),
        (("X-Site: east",), "550 5.4.4", "none"),
    ],
)
def test_where_only_a_rule_leads(header: tuple[str, ...], reply: str, kind: str) -> None:
    answer = told(snapshot(rule("By header", connector="West", **X_SITE), general=False), "eva@contoso.com", header=header)
    assert answer["reply"].startswith(reply)
    assert answer["route"]["kind"] == kind


@pytest.mark.parametrize("line", ["X-Site", ": west", "X-Site: a\r\nX-Other: b", "Größe: x"])
def test_what_is_no_header_field_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="not a header field"):
        told(snapshot(), "eva@contoso.com", header=(line,))
