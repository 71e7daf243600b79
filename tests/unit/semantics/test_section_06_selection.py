"""SEMANTICS section 6: which way out?"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.selection import RouteKind
from mailwye.smtp.address import parse_address
from tests.unit.semantics.asking import (
    BOB,
    BOBS,
    CONTOSO,
    JOHN,
    STRANGER,
    SUN,
    Case,
    ask,
    errors,
    organization,
    out,
    own,
    rule,
    snapshot,
    warnings,
    way,
)

SALES, FABRIKAM = "john@sales.contoso.com", "john@fabrikam.com"
EXAMPLE = (
    out("Connector 1", "AllAcceptedDomains: true"),
    out("Connector 2", "RecipientDomains: contoso.com"),
    out("Connector 3", "RecipientDomains: '*.contoso.com'"),
)
SCOPED = out("Site", "IsTransportRuleScoped: true")
CENTRALIZED = "RouteAllMessagesViaOnPremises: true"
RECOGNIZED = [own("In", "SenderIPAddresses: 192.0.2.7")]  # without it centralized transport is not saved
RULE = "TransportRule: [{Name: Rule, RecipientDomainIs: [contoso.com, example.net], RouteMessageOutboundConnector: Site}]\n"


@dataclass(frozen=True, slots=True)
class Chosen(Case):
    """The connector that takes mail for `to`, "" where it is none; `against` stands in the reasons of the others."""

    outbound: tuple[str, ...]
    connector: str
    to: str = SALES
    against: str = ""
    more: str = ""


@rule(
    "6.1",
    "A rule action (`RouteMessageOutboundConnector`) wins",
    Chosen("over an exact domain", (EXAMPLE[1], SCOPED), "Site", JOHN, more=RULE),
    Chosen("over the mailbox here", (SCOPED,), "Site", BOB, more=RULE),
    Chosen("over the MX records", (SCOPED,), "Site", SUN, more=RULE),
    Chosen("but where it does not match", (*EXAMPLE, SCOPED), "Connector 1", FABRIKAM, more=RULE),
)
@rule(
    "6.1 scoped",
    "Rule-scoped connectors are used only this way",
    Chosen(
        "its RecipientDomains do not count",
        (out("A", "RecipientDomains: sales.contoso.com, IsTransportRuleScoped: true"), out("Z", "RecipientDomains: '*'")),
        "Z",
        against="only a rule's action uses it",
    ),
    Chosen("alone it is none", (out("A", "AllAcceptedDomains: true, IsTransportRuleScoped: true"),), ""),
    Chosen("nor for outside", (out("A", "RecipientDomains: '*', IsTransportRuleScoped: true"),), "", SUN),
)
@rule(
    "6.3",
    "Recipient in an accepted domain, mailbox elsewhere → the most specific enabled OnPremises "
    "connector: exact domain > longest `*.suffix` > "
    "AllAcceptedDomains > `*`",
    Chosen(
        "exact beats suffix",
        (out("A", "RecipientDomains: '*.contoso.com'"), out("B", "RecipientDomains: sales.contoso.com")),
        "B",
        against="is more specific",
    ),
    Chosen(
        "a longer suffix beats a shorter one", (out("A", "RecipientDomains: '*.com'"), out("B", "RecipientDomains: '*.contoso.com'")), "B"
    ),
    Chosen(
        "a suffix beats all accepted domains",
        (EXAMPLE[0], out("Z", "RecipientDomains: '*.contoso.com'")),
        "Z",
        against="as Exchange's own example has it",
    ),
    Chosen("all accepted domains beat everything", (out("A", "RecipientDomains: '*'"), out("Z", "AllAcceptedDomains: true")), "Z"),
    Chosen("everything", (out("A", "RecipientDomains: '*'"),), "A"),
    Chosen(
        "one connector's best pattern counts",
        (out("A", "RecipientDomains: ['*', '*.contoso.com']"), out("B", "AllAcceptedDomains: true")),
        "A",
    ),
    Chosen("a suffix is not its apex", (out("A", "RecipientDomains: '*.sales.contoso.com'"), out("Z", "RecipientDomains: '*'")), "Z"),
    Chosen(
        "enabled ones only",
        (out("A", "RecipientDomains: sales.contoso.com, Enabled: false"), out("Z", "RecipientDomains: '*'")),
        "Z",
        against="It is disabled",
    ),
    Chosen(
        "not in test",
        (out("A", "RecipientDomains: sales.contoso.com, TestMode: true"), out("Z", "RecipientDomains: '*'")),
        "Z",
        against="TestMode",
    ),
    Chosen(
        "OnPremises ones only",
        (out("A", "RecipientDomains: sales.contoso.com", kind="Partner"), out("Z", "RecipientDomains: '*'")),
        "Z",
        against="only OnPremises connectors lead to mailboxes of accepted domains",
    ),
)
@rule(
    "6.3 example",
    "The page's example: john@fabrikam.com → 1; john@contoso.com → 2; john@sales.contoso.com → 3",
    Chosen("all accepted", EXAMPLE, "Connector 1", FABRIKAM),
    Chosen("exact domain", EXAMPLE, "Connector 2", JOHN, "is more specific"),
    Chosen("wildcard", EXAMPLE, "Connector 3", SALES, 'AllAcceptedDomains matches, but *.contoso.com of "Connector 3" is more specific'),
)
@rule(
    "6.3 tie",
    "Same scope twice: lower name in alphabetical order",
    Chosen(
        "the lower name",
        (out("b", "RecipientDomains: '*.contoso.com'"), out("A", "RecipientDomains: '*.contoso.com'")),
        "A",
        against="comes first in alphabetical order",
    ),
    Chosen("of all accepted domains", (out("b", "AllAcceptedDomains: true"), out("A", "AllAcceptedDomains: true")), "A"),
)
@rule(
    "6.4",
    "Recipient outside → the most specific enabled connector of either type whose RecipientDomains match "
    "(exact > longest `*.suffix` > `*`, "
    "where RouteAllMessagesViaOnPremises counts as `*`; at the same rank Partner before OnPremises, then the name); else the MX records",
    Chosen(
        "exact beats everything", (out("A", "RecipientDomains: '*'"), out("B", "RecipientDomains: example.net", kind="Partner")), "B", SUN
    ),
    Chosen(
        "OnPremises may be exact", (out("A", "RecipientDomains: '*'", kind="Partner"), out("B", "RecipientDomains: example.net")), "B", SUN
    ),
    Chosen(
        "a longer suffix", (out("A", "RecipientDomains: '*.net'"), out("B", "RecipientDomains: '*.example.net'")), "B", "u@a.example.net"
    ),
    Chosen("a suffix beats everything", (out("A", "RecipientDomains: '*'"), out("B", "RecipientDomains: '*.net'")), "B", SUN),
    Chosen(
        "Partner first at the same rank",
        (out("A", "RecipientDomains: example.net"), out("B", "RecipientDomains: example.net", kind="Partner")),
        "B",
        SUN,
        "is a Partner connector, which comes first at the same rank",
    ),
    Chosen("then the name", (out("b", "RecipientDomains: example.net"), out("A", "RecipientDomains: example.net")), "A", SUN),
    Chosen("centralized transport counts as everything", (out("A", CENTRALIZED),), "A", SUN),
    Chosen("so an exact domain beats it", (out("A", CENTRALIZED), out("B", "RecipientDomains: example.net")), "B", SUN),
    Chosen("and a partner for everything", (out("A", CENTRALIZED), out("B", "RecipientDomains: '*'", kind="Partner")), "B", SUN),
    Chosen("enabled ones only", (out("A", "RecipientDomains: example.net, Enabled: false"),), "", SUN, "It is disabled"),
    Chosen("else MX", (out("A", "RecipientDomains: other.example"),), "", SUN, "RecipientDomains other.example do not hold example.net"),
)
@rule(
    "6.4 accepted",
    "AllAcceptedDomains never catches a recipient outside",
    Chosen("by itself", (EXAMPLE[0],), "", SUN, "AllAcceptedDomains never catches a recipient outside"),
    Chosen("with RecipientDomains it is a union", (out("A", "AllAcceptedDomains: true, RecipientDomains: '*'"),), "A", SUN),
)
def test_selection(case: Chosen) -> None:
    for outbound in (case.outbound, case.outbound[::-1]):
        told = ask(organization(inbound=RECOGNIZED, outbound=outbound, more=case.more), BOBS, BOB, case.to)
        (route,) = told.routes
        assert route.connector == case.connector
        if not case.connector:
            assert route.kind is (RouteKind.MX if case.to == SUN else RouteKind.NONE)
        assert len(route.considered) == len(outbound)
        assert [one.connector for one in route.considered if one.chosen] == ([case.connector] if case.connector else [])
        assert all(one.reason for one in route.considered)
        assert case.against in " ".join(one.reason for one in route.considered if not one.chosen)


@dataclass(frozen=True, slots=True)
class Saved(Case):
    """What `check` says, "" where it is content."""

    outbound: tuple[str, ...]
    error: str = ""
    warning: str = ""
    more: str = ""


@rule(
    "6.1 saved",
    "A rule that names a disabled or missing connector is refused when saved",
    Saved("missing", (), 'there is no outbound connector "Site"', more=RULE),
    Saved(
        "disabled",
        (out("Site", "IsTransportRuleScoped: true, Enabled: false"),),
        "is disabled, so mail that this rule sends there could not leave",
        more=RULE,
    ),
    Saved("in test", (out("Site", "IsTransportRuleScoped: true, TestMode: true"),), "is in TestMode", more=RULE),
    Saved(
        "the rule is off too",
        (out("Site", "IsTransportRuleScoped: true, Enabled: false"),),
        more=RULE.replace("Name: Rule", "Name: Rule, Enabled: false"),
    ),
    Saved("there", (SCOPED,), more=RULE),
)
@rule(
    "6.3 warned",
    "Same scope twice … and a warning when saved",
    Saved(
        "twice",
        (out("b", "RecipientDomains: contoso.com"), out("A", "RecipientDomains: contoso.com")),
        warning='"A" has the scope contoso.com too and wins',
    ),
    Saved("all accepted domains twice", (out("b", "AllAcceptedDomains: true"), out("A", "AllAcceptedDomains: true")), warning='"A" has'),
    Saved("one is disabled", (out("b", "AllAcceptedDomains: true"), out("A", "AllAcceptedDomains: true, Enabled: false"))),
)
def test_what_is_told_on_saving(case: Saved) -> None:
    text = organization(outbound=case.outbound, more=case.more)
    assert case.error in " ".join(errors(text))
    assert bool(errors(text)) is bool(case.error)
    assert case.warning in " ".join(warnings(text))
    if not case.warning:
        assert not [one for one in warnings(text) if "and wins" in one]


@dataclass(frozen=True, slots=True)
class Way(Case):
    """Where a copy goes: next hops, or the beginning of the reply; `words` stand in it."""

    to: str
    hop: str
    outbound: tuple[str, ...] = EXAMPLE
    words: str = ""
    base: str = CONTOSO


CONTACTS = (
    CONTOSO.replace("  - {PrimarySmtpAddress: john@fabrikam.com}\n", "")
    + """\
  - {PrimarySmtpAddress: moved@contoso.com, ExternalEmailAddress: moved@new.example}
  - {PrimarySmtpAddress: routed@contoso.com, ExternalEmailAddress: john@fabrikam.com}
  - {PrimarySmtpAddress: back@contoso.com, ExternalEmailAddress: bob@contoso.com}
MailContact:
  - {PrimarySmtpAddress: sun@contoso.com, ExternalEmailAddress: sun@example.net}
"""
)


@rule(
    "6.2",
    "Hosted mailbox → mailbox delivery, unless centralized transport applies (7)",
    Way("Bob", BOB, "mailbox"),
    Way("whatever the connectors say", BOB, "mailbox", (out("A", "RecipientDomains: [contoso.com, '*']"),)),
    Way("centralized transport", BOB, "connector:All", (out("All", CENTRALIZED),)),
)
@rule(
    "6.3 none",
    "None → `550 5.4.4`-class failure that names the missing connector; never a delivery to our own MX",
    Way(
        "no connector",
        JOHN,
        "550 5.4.4 No outbound connector leads to contoso.com, whose mailbox is not hosted here",
        (),
        "Create an enabled outbound connector of type OnPremises with RecipientDomains contoso.com (or AllAcceptedDomains)",
    ),
    Way("one for others", JOHN, "550 5.4.4", (out("A", "RecipientDomains: fabrikam.com"),)),
    Way(
        "a disabled one",
        JOHN,
        "550 5.4.4",
        (out("Old", "RecipientDomains: contoso.com, Enabled: false"),),
        'Connector "Old" nearly matched: it is disabled.',
    ),
    Way(
        "a partner's",
        JOHN,
        "550 5.4.4",
        (out("P", "RecipientDomains: contoso.com", kind="Partner"),),
        'Connector "P" nearly matched: it is a Partner connector',
    ),
    Way(
        "one for rules",
        JOHN,
        "550 5.4.4",
        (out("S", "RecipientDomains: contoso.com, IsTransportRuleScoped: true"),),
        "nearly matched: it is scoped to mail flow rules",
    ),
)
@rule(
    "6.5",
    "A MailUser or MailContact with an ExternalEmailAddress in another domain takes the way of that "
    "address; the envelope recipient becomes "
    "that address",
    Way("a mail user outside", "moved@contoso.com", "mx:new.example", words="moved@new.example", base=CONTACTS),
    Way(
        "through the connector of that domain",
        "moved@contoso.com",
        "connector:New",
        (*EXAMPLE, out("New", "RecipientDomains: new.example", kind="Partner")),
        "moved@new.example",
        CONTACTS,
    ),
    Way("in another accepted domain", "routed@contoso.com", "connector:Connector 1", words="john@fabrikam.com", base=CONTACTS),
    Way("a mailbox here", "back@contoso.com", "mailbox", words="bob@contoso.com", base=CONTACTS),
    Way("a contact", "sun@contoso.com", "mx:example.net", words="sun@example.net", base=CONTACTS),
    Way("without one it keeps its address", JOHN, "connector:Connector 2", words="john@contoso.com", base=CONTACTS),
)
def test_ways(case: Way) -> None:
    text = organization(inbound=RECOGNIZED, outbound=case.outbound, base=case.base)
    told = ask(text, STRANGER, SUN, case.to)
    if case.hop.startswith("550"):
        assert str(told.reply).startswith(case.hop)
        assert case.words in told.reply.text
        # A later attempt, when the connector is gone, does not take our own MX either.
        route = decide_route(snapshot(text).directory, snapshot(text).connectors, parse_address(case.to), from_on_premises=False)
        assert route.kind is RouteKind.NONE
        return
    assert way(text, STRANGER, SUN, case.to) == case.hop
    if case.words:
        assert str(told.routes[0].recipient) == case.words
