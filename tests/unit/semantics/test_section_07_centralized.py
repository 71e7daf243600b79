"""SEMANTICS section 7: centralized transport (RouteAllMessagesViaOnPremises)."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.connectors.mailflow import decide_route
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import parse_address
from tests.unit.semantics.asking import (
    BOB,
    BOBS,
    FROM_OWN,
    JOHN,
    OWN_SERVER,
    STRANGER,
    SUN,
    Case,
    ask,
    errors,
    organization,
    out,
    rule,
    snapshot,
    way,
)

ALL = "RouteAllMessagesViaOnPremises: true"
CENTRAL = out("Central", ALL)


@dataclass(frozen=True, slots=True)
class Saved(Case):
    """The error on saving, "" where it can be saved."""

    outbound: str
    error: str = ""
    inbound: tuple[str, ...] = (OWN_SERVER,)


@rule(
    "7.1",
    "OnPremises only, no accepted-domain scope (refused when saved: it loops)",
    Saved("alone", CENTRAL),
    Saved("for everything", out("Central", f"{ALL}, RecipientDomains: '*'")),
    Saved("for a domain outside", out("Central", f"{ALL}, RecipientDomains: example.net")),
    Saved("a partner", out("Central", ALL, kind="Partner"), "needs an OnPremises connector"),
    Saved("all accepted domains", out("Central", f"{ALL}, AllAcceptedDomains: true"), "loops together with AllAcceptedDomains"),
    Saved(
        "an accepted domain",
        out("Central", f"{ALL}, RecipientDomains: contoso.com"),
        "loops together with the accepted domain scope contoso.com",
    ),
    Saved(
        "a suffix that holds one",
        out("Central", f"{ALL}, RecipientDomains: '*.com'"),
        "loops together with the accepted domain scope *.com",
    ),
    Saved("for rules", out("Central", f"{ALL}, IsTransportRuleScoped: true"), "excludes IsTransportRuleScoped"),
    Saved("by MX records", f"{{Name: Central, ConnectorType: OnPremises, {ALL}}}", "the MX records of hosted mailboxes lead here"),
    Saved("what comes back is not recognized", CENTRAL, "no enabled InboundConnector of type OnPremises recognizes the own servers", ()),
)
def test_what_is_refused_when_saved(case: Saved) -> None:
    found = errors(organization(inbound=case.inbound, outbound=[case.outbound]))
    assert bool(found) is bool(case.error)
    assert case.error in " ".join(found)


TEXT = organization(inbound=[OWN_SERVER], outbound=[CENTRAL])
EXACT = organization(
    inbound=[OWN_SERVER], outbound=[CENTRAL, out("Exact", "RecipientDomains: example.net"), out("Inside", "RecipientDomains: contoso.com")]
)


@dataclass(frozen=True, slots=True)
class Passed(Case):
    """Who sends to whom, and which way it takes."""

    facts: SessionFacts
    sender: str
    to: str
    hop: str
    text: str = TEXT


@rule(
    "7.2",
    "Outside-bound mail of hosted users and Internet mail for hosted users go to the own servers first",
    Passed("Bob to Sun", BOBS, BOB, SUN, "connector:Central"),
    Passed("Sun to Bob", STRANGER, SUN, BOB, "connector:Central"),
    Passed("the null sender to Bob", STRANGER, "<>", BOB, "connector:Central"),
    Passed("a more specific connector is meant", BOBS, BOB, SUN, "connector:Exact", EXACT),
    Passed("but not for hosted mailboxes", STRANGER, SUN, BOB, "connector:Central", EXACT),
    Passed("hosted to hosted stays here", BOBS, BOB, "robert@contoso.com", "mailbox"),
    Passed("Sun to John is for the own servers anyhow", STRANGER, SUN, JOHN, "connector:Central"),
)
@rule(
    "7.3",
    "what comes back through the inbound connector is delivered",
    Passed("Sun's mail to Bob, back again", FROM_OWN, SUN, BOB, "mailbox"),
    Passed("a bounce for Bob", FROM_OWN, "<>", BOB, "mailbox"),
    Passed("John's to Bob", FROM_OWN, JOHN, BOB, "mailbox"),
)
@rule(
    "7.4",
    "what came from the own servers is not sent back to them",
    Passed("Bob's mail to Sun, back again", FROM_OWN, BOB, SUN, "mx:example.net"),
    Passed("John's to Sun", FROM_OWN, JOHN, SUN, "mx:example.net"),
    Passed("forwarded mail", FROM_OWN, SUN, "moon@example.org", "mx:example.org"),
    Passed("a connector for that domain still counts", FROM_OWN, JOHN, SUN, "connector:Exact", EXACT),
)
def test_which_way_it_takes(case: Passed) -> None:
    assert way(case.text, case.facts, case.sender, case.to) == case.hop
    # The way is decided again at each attempt: it is the same then.
    compiled = snapshot(case.text)
    later = decide_route(
        compiled.directory,
        compiled.connectors,
        ask(case.text, case.facts, case.sender, case.to).routes[0].recipient,
        from_on_premises=case.facts is FROM_OWN,
        from_mailbox=case.facts is BOBS,
    )
    assert later.next_hop == case.hop


def test_it_is_explained() -> None:
    compiled = snapshot(TEXT)
    route = decide_route(compiled.directory, compiled.connectors, parse_address(SUN), from_on_premises=True, explain=True)
    assert "what came from the own servers is not sent back to them" in route.considered[0].reason
    (to_bob,) = ask(TEXT, STRANGER, SUN, BOB).routes
    assert "Centralized transport" in " ".join(to_bob.reasons)
