"""Mail flow rules: priorities alone order them, audit modes change nothing, and the decision is what the documentation says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailwye.policy.rules.decide import RuleTable, decide_rules
from mailwye.policy.rules.matching import MessageFacts
from mailwye.policy.rules.model import RuleMode, Scope, TransportRule
from mailwye.policy.rules.words import SearchedText, WordSearch, one_line
from tests.unit.policy.rules.world import CONTOSO, finals, message, rule

TO = finals("everybody@contoso.com") + finals("moon@example.org", "sun@contoso.com")
GROUPS = ["west@contoso.com", "coast@contoso.com", "east@contoso.com", "everybody@contoso.com"]


@st.composite
def predicates(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in (
        ("sent_to", st.lists(st.sampled_from([str(one.address) for one in TO]), min_size=1, max_size=3)),
        ("sent_to_member_of", st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2)),
        ("recipient_domain_is", st.sampled_from([("contoso.com",), ("example",), ("west.example", "example.org")])),
        ("sender_domain_is", st.sampled_from([("customer.example",), ("contoso.com",)])),
        ("from_scope", st.sampled_from(Scope)),
        ("sent_to_scope", st.sampled_from(Scope)),
    ):
        if draw(st.integers(0, 3)) == 0:
            found[name] = draw(values)
    if draw(st.integers(0, 3)) == 0:
        found |= {"header_contains_message_header": "Subject", "header_contains_words": draw(st.sampled_from([("lunch",), ("a", "b")]))}
    return found


@st.composite
def rules(draw: st.DrawFn) -> list[TransportRule]:
    return [
        rule(
            f"Rule {number}",
            priority,
            connector=draw(st.sampled_from(["A", "B", "C"])),
            unless=draw(predicates()),
            enabled=draw(st.integers(0, 4)) > 0,
            mode=draw(st.sampled_from(RuleMode)),
            stop_rule_processing=draw(st.booleans()),
            **draw(predicates()),
        )
        for number, priority in enumerate(draw(st.lists(st.integers(0, 20), unique=True, max_size=6)))
    ]


MESSAGES = st.builds(
    message,
    st.sampled_from(["sun@customer.example", "bob@contoso.com", "<>"]),
    st.sampled_from(["anonymous", "connector", "mailbox"]),
    st.sampled_from(["Subject: Lunch\n", "Subject: dinner, a\n", "", None]),
)


def told(found: list[TransportRule], facts: MessageFacts) -> list[tuple[str, tuple[str, ...], bool]]:
    decisions = decide_rules(RuleTable(CONTOSO, found), facts, TO)
    return [(one.connector, tuple(hit.rule for hit in one.hits), one.open) for one in decisions]


@given(rules(), MESSAGES, st.randoms(use_true_random=False))
def test_the_order_in_the_file_does_not_matter(found: list[TransportRule], facts: MessageFacts, chance: Any) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert told(shuffled, facts) == told(found, facts)


@given(rules(), MESSAGES)
def test_audit_never_changes_a_way(found: list[TransportRule], facts: MessageFacts) -> None:
    enforced = [one for one in found if one.mode is RuleMode.ENFORCE]
    assert [way for way, _, _ in told(found, facts)] == [way for way, _, _ in told(enforced, facts)]


@given(rules(), MESSAGES)
def test_each_recipient_is_decided_by_himself_and_explained_alike(found: list[TransportRule], facts: MessageFacts) -> None:
    table = RuleTable(CONTOSO, found)
    together = decide_rules(table, facts, TO)
    alone = [decide_rules(table, facts, [one])[0] for one in TO]
    explained = decide_rules(table, facts, TO, explain=True)
    assert together == alone
    assert [(one.connector, one.hits, one.open) for one in explained] == [(one.connector, one.hits, one.open) for one in together]
    for one in explained:
        assert [finding.rule for finding in one.findings] == [each.rule.name for each in table.rules]
        assert [finding.rule for finding in one.findings if finding.match and finding.match.value == "yes"] == [
            hit.rule for hit in one.hits
        ]
        assert all(finding.reasons for finding in one.findings)


@given(rules(), MESSAGES)
def test_a_decision_is_what_the_documentation_says(found: list[TransportRule], facts: MessageFacts) -> None:
    """Word by word: all that are enabled, in the order of Priority; the last that acts wins; a stop ends it."""
    alone = {one.name: decide_rules(RuleTable(CONTOSO, [one]), facts, TO) for one in found}
    for index, decision in enumerate(decide_rules(RuleTable(CONTOSO, found), facts, TO)):
        expected = ""
        for one in sorted(found, key=lambda each: each.priority):
            if alone[one.name][index].hits and one.mode is RuleMode.ENFORCE:
                expected = one.route_message_outbound_connector
                if one.stop_rule_processing:
                    break
        assert decision.connector == expected


@given(st.text(st.sampled_from("aB .-_ß*"), max_size=30), st.text(st.sampled_from("aB .-_ß*"), max_size=4))
def test_words_are_whole(text: str, word: str) -> None:
    """By its definition: it stands there, and no letter, digit or underscore of the word goes on beyond it."""

    def is_word(character: str) -> bool:
        return character.isalnum() or character == "_"

    line, wanted = one_line(text), one_line(word)
    places = [at for at in range(len(line)) if wanted and line.startswith(wanted, at)]
    expected = any(
        not (at and is_word(wanted[0]) and is_word(line[at - 1]))
        and not (at + len(wanted) < len(line) and is_word(wanted[-1]) and is_word(line[at + len(wanted)]))
        for at in places
    )
    assert WordSearch([word]).is_in(SearchedText(text)) is expected
