"""Each condition as a table, and what it says for people."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mailwye.policy.rules.matching import HEADER_CHARACTERS, HEADER_FIELDS, Match, MessageFacts
from mailwye.policy.rules.model import Scope
from tests.unit.policy.rules.world import decide, message, rule

INSIDE, OUTSIDE = Scope.IN_ORGANIZATION, Scope.NOT_IN_ORGANIZATION


def matches(facts: MessageFacts, to: str, **conditions: Any) -> bool:
    """Whether a rule with these conditions matches; as exceptions they must say the opposite."""
    found = bool(decide([rule("A", **conditions)], facts, to).hits)
    assert bool(decide([rule("A", unless=conditions)], facts, to).hits) is not found
    return found


SENT_TO = [
    (["bob@contoso.com"], "bob@contoso.com", True),
    (["bob@contoso.com"], "Robert@contoso.com", True),  # sent to an alias
    (["robert@contoso.com"], "bob@contoso.com", True),  # the rule names the alias
    (["BOB@contoso.com"], "bob@CONTOSO.com", True),
    (["walt@contoso.com"], "walt@contoso.com", True),  # his copy goes to walt@west.example
    (["walt@west.example"], "walt@contoso.com", True),
    (["moon@example.org"], "moon@example.org", True),
    (["eva@contoso.com", "bob@contoso.com"], "bob@contoso.com", True),
    (["eva@contoso.com"], "bob@contoso.com", False),
]
MEMBER_OF = [
    (["west@contoso.com"], "wendy@contoso.com", True),
    (["west@contoso.com"], "w@contoso.com", True),
    (["west@contoso.com"], "walt@contoso.com", True),  # of a group within, which contains west again
    (["coast@contoso.com"], "wendy@contoso.com", True),  # by that circle
    (["east@contoso.com"], "wendy@contoso.com", False),
    (["east@contoso.com", "west@contoso.com"], "wendy@contoso.com", True),
    (["everybody@contoso.com"], "eva@contoso.com", True),
    (["west@contoso.com"], "moon@example.org", False),
]
DOMAIN_IS = [
    (["contoso.com"], "bob@contoso.com", True),
    (["contoso.com"], "x@sales.contoso.com", True),  # subdomains too
    (["contoso.com"], "x@notcontoso.com", False),
    (["sales.contoso.com"], "bob@contoso.com", False),
    (["contoso.com"], "walt@contoso.com", True),  # known by this address
    (["west.example"], "walt@contoso.com", True),  # and this is where his copy goes
    (["example.org", "fabrikam.com"], "moon@a.b.example.org", True),
]
TO_SCOPE = [
    (INSIDE, "bob@contoso.com", True),
    (INSIDE, "walt@contoso.com", True),  # a MailUser of ours, wherever his mailbox is
    (INSIDE, "sun@contoso.com", False),  # a MailContact is somebody outside
    (INSIDE, "moon@example.org", False),
    (OUTSIDE, "moon@example.org", True),
    (OUTSIDE, "sun@contoso.com", True),
    (OUTSIDE, "bob@contoso.com", False),
]


@pytest.mark.parametrize(("addresses", "to", "found"), SENT_TO)
def test_sent_to(addresses: list[str], to: str, found: bool) -> None:
    assert matches(message(), to, sent_to=addresses) is found


@pytest.mark.parametrize(("groups", "to", "found"), MEMBER_OF)
def test_sent_to_member_of(groups: list[str], to: str, found: bool) -> None:
    assert matches(message(), to, sent_to_member_of=groups) is found


@pytest.mark.parametrize(("domains", "to", "found"), DOMAIN_IS)
def test_recipient_domain_is(domains: list[str], to: str, found: bool) -> None:
    assert matches(message(), to, recipient_domain_is=domains) is found


@pytest.mark.parametrize(("scope", "to", "found"), TO_SCOPE)
def test_sent_to_scope(scope: Scope, to: str, found: bool) -> None:
    assert matches(message(), to, sent_to_scope=scope) is found


@pytest.mark.parametrize(
    ("domains", "sender", "found"),
    [
        (["partner.example"], "a@partner.example", True),
        (["partner.example"], "a@x.partner.example", True),
        (["partner.example"], "a@mypartner.example", False),
        (["x.partner.example"], "a@partner.example", False),
        (["other.example", "partner.example"], "a@partner.example", True),
        (["partner.example"], "<>", False),
    ],
)
def test_sender_domain_is(domains: list[str], sender: str, found: bool) -> None:
    assert matches(message(sender), "bob@contoso.com", sender_domain_is=domains) is found


@pytest.mark.parametrize(
    ("caller", "sender", "inside"),
    [
        ("mailbox", "bob@contoso.com", True),
        ("mailbox", "<>", True),  # he logged in
        ("connector", "eva@contoso.com", True),
        ("connector", "sun@customer.example", False),  # relayed through the own server, but not its own
        ("connector", "<>", False),
        ("anonymous", "bob@contoso.com", False),  # he only says so
        ("anonymous", "sun@customer.example", False),
        ("internal", "<>", True),
    ],
)
def test_from_scope(caller: str, sender: str, inside: bool) -> None:
    facts = message(sender, caller)
    assert matches(facts, "bob@contoso.com", from_scope=INSIDE) is inside
    assert matches(facts, "bob@contoso.com", from_scope=OUTSIDE) is not inside


GERMAN = base64.b64encode("Dringend: Größe prüfen".encode()).decode()


@pytest.mark.parametrize(
    ("header", "words", "found"),
    [
        ("X-Site: west coast\n", ["west"], True),
        ("x-SITE : WEST\n", ["west"], True),
        ("X-Site: westcoast\n", ["west"], False),
        ("X-Site: first\n\twest\n", ["first west"], True),  # folded
        ("X-Site: a\nX-Site: west\n", ["west"], True),  # any field of the name
        ("X-Other: west\n", ["west"], False),
        (f"X-Site: =?utf-8?B?{GERMAN}?=\n", ["größe"], True),
        (f"X-Site: =?utf-8?B?{GERMAN}?=\n", [GERMAN[:8]], False),
        ("X-Site: west\n", ["east", "West"], True),
        ("X-Site:\n", ["west"], False),
        ("", ["west"], False),
        ("X-Site: " + "a " * (HEADER_CHARACTERS // 2) + "west\n", ["west"], False),  # what is searched is bounded
        ("X-Site: a\n" * HEADER_FIELDS + "X-Site: west\n", ["west"], False),
    ],
)
def test_header_contains_words(header: str, words: list[str], found: bool) -> None:
    conditions: dict[str, Any] = {"header_contains_message_header": "X-Site", "header_contains_words": tuple(words)}
    assert matches(message(header=header), "bob@contoso.com", **conditions) is found


def test_a_header_that_has_not_come_is_unknown() -> None:
    conditions: dict[str, Any] = {"header_contains_message_header": "X-Site", "header_contains_words": ("west",)}
    for found in (rule("A", **conditions), rule("A", unless=conditions)):
        decision = decide([found], message(header=None), "bob@contoso.com", explain=True)
        assert (decision.hits, decision.open, decision.connector) == ((), True, "")
        assert decision.findings[0].match is Match.UNKNOWN
        assert "depends on the header" in decision.findings[0].reasons[0]


def test_what_cannot_match_is_not_unknown() -> None:
    """Another condition, or an exception, says no already: the header does not matter."""
    conditions: dict[str, Any] = {"header_contains_message_header": "X-Site", "header_contains_words": ("west",)}
    for found in (
        rule("A", sent_to=["eva@contoso.com"], **conditions),
        rule("A", unless={"sent_to": ["bob@contoso.com"]}, **conditions),
        rule("A", sender_domain_is=("nobody.example",), **conditions),
    ):
        assert not decide([found], message(header=None), "bob@contoso.com").open


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ({"sent_to": ["eva@contoso.com"]}, "SentTo eva@contoso.com does not hold: the recipient is walt@west.example (walt@contoso.com)"),
        ({"sent_to_member_of": ["east@contoso.com"]}, "SentToMemberOf east@contoso.com does not hold: walt@west.example is no member"),
        ({"sender_domain_is": ("a.example",)}, "SenderDomainIs a.example does not hold: the sender is sun@customer.example"),
        (
            {"from_scope": INSIDE},
            "FromScope InOrganization does not hold: sun@customer.example is not taken for a sender of the organization",
        ),
        ({"sent_to_scope": OUTSIDE}, "SentToScope NotInOrganization does not hold: walt@west.example is in the organization"),
        (
            {"recipient_domain_is": ("a.example", "b.example", "c.example", "d.example")},
            (
                "RecipientDomainIs a.example, b.example, c.example and 1 more does not hold: "
                "the recipient is walt@west.example (walt@contoso.com)"
            ),
        ),
        (
            {"header_contains_message_header": "X-Site", "header_contains_words": ("west",)},
            "HeaderContainsWords west in X-Site does not hold: the header has no field X-Site",
        ),
    ],
)
def test_reasons(conditions: dict[str, Any], sentence: str) -> None:
    (finding,) = decide([rule("A", **conditions)], message(), "walt@contoso.com", explain=True).findings
    assert (finding.match, finding.reasons) == (Match.NO, (sentence,))
    (finding,) = decide([rule("A", unless=conditions)], message(), "walt@contoso.com", explain=True).findings
    assert finding.match is Match.YES
