"""Several rules: order, who wins, what stops, audit modes; and one decision for each recipient."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.policy.rules.decide import NO_RULES, NOTHING, RuleTable, decide_rules, may_route
from mailwye.policy.rules.matching import Match
from mailwye.policy.rules.model import RuleMode, TransportRule
from tests.unit.policy.rules.world import CONTOSO, decide, finals, message, rule, ways

AUDIT, NOTIFY = RuleMode.AUDIT, RuleMode.AUDIT_AND_NOTIFY
WEST = rule("West", 0, sent_to_member_of=["west@contoso.com"])
EAST = rule("East", 1, sent_to_member_of=["east@contoso.com"])
X_SITE: dict[str, Any] = {"header_contains_message_header": "X-Site", "header_contains_words": ("west",)}


def test_two_sites_by_two_groups() -> None:
    """The page's scenario: one message to everybody takes three ways."""
    assert ways([WEST, EAST], "everybody@contoso.com") == {
        "wendy@contoso.com": "West",
        "walt@west.example": "West",
        "eva@contoso.com": "East",
        "bob@contoso.com": "",
    }


TABLE = [
    ("the last one that matches wins", [rule("A", 0), rule("B", 1)], "B", ["A", "B"]),
    ("by Priority, not by place", [rule("B", 1), rule("A", 0)], "B", ["A", "B"]),
    ("StopRuleProcessing is the last word", [rule("A", 0, stop_rule_processing=True), rule("B", 1)], "A", ["A"]),
    (
        "it stops only where the rule matches",
        [rule("A", 0, sent_to=["eva@contoso.com"], stop_rule_processing=True), rule("B", 1)],
        "B",
        ["B"],
    ),
    ("audit changes nothing", [rule("A", 0), rule("B", 1, mode=AUDIT)], "A", ["A", "B"]),
    ("nor does it with a notice", [rule("A", 0), rule("B", 1, mode=NOTIFY)], "A", ["A", "B"]),
    ("audit does not stop", [rule("A", 0, mode=AUDIT, stop_rule_processing=True), rule("B", 1)], "B", ["A", "B"]),
    ("disabled is not there", [rule("A", 0), rule("B", 1, enabled=False)], "A", ["A"]),
    ("all conditions must hold", [rule("A", 0, sent_to=["bob@contoso.com"], sender_domain_is=("nobody.example",))], "", []),
    ("both do", [rule("A", 0, sent_to=["bob@contoso.com"], sender_domain_is=("customer.example",))], "A", ["A"]),
    ("one exception is enough", [rule("A", 0, unless={"sent_to": ["bob@contoso.com"], "sender_domain_is": ("nobody.example",)})], "", []),
    ("no rule", [], "", []),
]


@pytest.mark.parametrize(("rules", "connector", "hits"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_table(rules: list[TransportRule], connector: str, hits: list[str]) -> None:
    decision = decide(rules, message(), "bob@contoso.com")
    assert (decision.connector, [hit.rule for hit in decision.hits]) == (connector, hits)
    assert decision.routing is None if not connector else decision.routing is not None and decision.routing.rule == connector
    assert decide(rules, message(), "bob@contoso.com", explain=True).connector == connector


def test_a_hit_says_what_and_why() -> None:
    (hit,) = decide([WEST], message(), "wendy@contoso.com").hits
    assert (hit.mode, hit.action) == ("Enforce", 'RouteMessageOutboundConnector "West"')
    assert hit.sentence == 'Mail flow rule "West" matched: SentToMemberOf west@contoso.com holds'
    (hit,) = decide([rule("All")], message(), "wendy@contoso.com").hits
    assert hit.reasons == ("It has no condition",)


def test_findings_tell_of_every_rule() -> None:
    rules = [
        rule("Off", 0, enabled=False),
        WEST,
        rule("Stop", 2, connector="X", stop_rule_processing=True, mode=RuleMode.ENFORCE),
        rule("Never", 3),
    ]
    found = decide([*rules], message(), "bob@contoso.com", explain=True).findings
    assert [(one.rule, one.match) for one in found] == [("Off", None), ("West", Match.NO), ("Stop", Match.YES), ("Never", None)]
    assert found[0].reasons == ("It is disabled",)
    assert found[3].reasons == ('Rule "Stop" matched and has StopRuleProcessing',)


def test_an_exception_that_holds_is_named() -> None:
    (found,) = decide([rule("A", unless={"sent_to": ["bob@contoso.com"]})], message(), "bob@contoso.com", explain=True).findings
    assert (found.match, found.reasons) == (Match.NO, ("ExceptIfSentTo bob@contoso.com holds",))


@pytest.mark.parametrize(
    ("rules", "to", "may"),
    [
        ([WEST], "wendy@contoso.com", True),
        ([WEST], "bob@contoso.com", False),
        ([rule("A", **X_SITE)], "bob@contoso.com", True),
        ([rule("A", mode=AUDIT, **X_SITE)], "bob@contoso.com", False),
        ([rule("A", sent_to=["eva@contoso.com"], **X_SITE)], "bob@contoso.com", False),
        ([], "bob@contoso.com", False),
    ],
)
def test_may_a_rule_still_give_a_way(rules: list[TransportRule], to: str, may: bool) -> None:
    answer = may_route(RuleTable(CONTOSO, rules), message(header=None))
    assert [answer(one) for one in finals(to)] == [may]


def test_without_rules_nothing_is_made() -> None:
    (decision,) = decide_rules(NO_RULES, message(), finals("bob@contoso.com"))
    assert decision is NOTHING
    assert NO_RULES.active == ()


def test_only_rules_that_look_at_the_header_need_it() -> None:
    assert not RuleTable(CONTOSO, [WEST, rule("A", 2, enabled=False, **X_SITE)]).reads_header
    assert RuleTable(CONTOSO, [rule("A", unless=X_SITE)]).reads_header
