"""SEMANTICS section 5: does the recipient exist?"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.message.facts import SessionFacts
from tests.unit.inbound.world import World
from tests.unit.semantics.asking import BOB, BOBS, FROM_OWN, OWN_SERVER, STRANGER, SUN, Case, ask, organization, out, rule, snapshot

DIRECTORY = """\
Organization: {Name: contoso}
AcceptedDomain:
  - {DomainName: contoso.com, Default: true}
  - {DomainName: devices.contoso.com, DomainType: InternalRelay}
  - {DomainName: sub.contoso.com, DomainType: InternalRelay, MatchSubDomains: true}
  - {DomainName: strict.sub.contoso.com}
Mailbox:
  - {PrimarySmtpAddress: bob@contoso.com, EmailAddresses: [robert@contoso.com, bob@devices.contoso.com]}
  - {PrimarySmtpAddress: carol@devices.contoso.com}
MailUser:
  - {PrimarySmtpAddress: john@contoso.com, EmailAddresses: jack@contoso.com}
  - {PrimarySmtpAddress: moved@contoso.com, ExternalEmailAddress: moved@new.example}
DistributionGroup:
  - PrimarySmtpAddress: all@contoso.com
    EmailAddresses: everybody@contoso.com
    Members: [bob@contoso.com, robert@contoso.com, team@contoso.com, moved@contoso.com, sun@example.net]
  - {PrimarySmtpAddress: team@contoso.com, Members: [john@contoso.com, bob@contoso.com, printer@devices.contoso.com]}
  - {PrimarySmtpAddress: one@contoso.com, Members: [two@contoso.com, bob@contoso.com]}
  - {PrimarySmtpAddress: two@contoso.com, Members: [one@contoso.com, everybody@contoso.com]}
  - {PrimarySmtpAddress: empty@contoso.com}
  - {PrimarySmtpAddress: circle@contoso.com, Members: circle@contoso.com}
"""
TEXT = organization(
    base=DIRECTORY,
    inbound=[OWN_SERVER],
    outbound=[out("Contoso", "RecipientDomains: contoso.com"), out("Below", "RecipientDomains: '*.contoso.com'")],
)
UNKNOWN = "550 5.4.1 Recipient address rejected: Access denied"


@dataclass(frozen=True, slots=True)
class To(Case):
    """`comes_to`: the reply, or each final recipient with his next hop."""

    address: str
    comes_to: str | tuple[str, ...]
    kind: str = ""
    facts: SessionFacts = STRANGER


@rule(
    "5.1",
    "Authoritative: unknown address → `550 5.4.1 Recipient address rejected: Access denied` at RCPT, before any content is read",
    To("unknown", "nobody@contoso.com", UNKNOWN, "Unknown"),
    To("unknown, from an own server", "nobody@contoso.com", UNKNOWN, "Unknown", FROM_OWN),
    To("unknown, from a mailbox user", "nobody@contoso.com", UNKNOWN, "Unknown", BOBS),
    To("the local part is opaque", "bob%contoso.com@contoso.com", UNKNOWN, "Unknown"),
    To("the exact domain beats a parent that matches subdomains", "nobody@strict.sub.contoso.com", UNKNOWN, "Unknown"),
    To("known", "bob@contoso.com", ("bob@contoso.com mailbox",), "Mailbox"),
    To("known elsewhere", "john@contoso.com", ("john@contoso.com connector:Contoso",), "MailUser"),
)
@rule(
    "5.2",
    "InternalRelay: known addresses are handled as what they are, unknown ones are relayed through a connector",
    To("a mailbox there", "carol@devices.contoso.com", ("carol@devices.contoso.com mailbox",), "Mailbox"),
    To("an alias there", "bob@devices.contoso.com", ("bob@contoso.com mailbox",), "Mailbox"),
    To("unknown", "printer@devices.contoso.com", ("printer@devices.contoso.com connector:Below",), "Relayed"),
    To("unknown below MatchSubDomains", "u@deep.sub.contoso.com", ("u@deep.sub.contoso.com connector:Below",), "Relayed"),
    To("unknown below one without", "u@x.devices.contoso.com", "550 5.7.64", "External"),
)
@rule(
    "5.3",
    "Aliases and groups are expanded; loops in them are cut; each final recipient gets one copy",
    To("an alias", "Robert@contoso.com", ("bob@contoso.com mailbox",), "Mailbox"),
    To("an alias of somebody elsewhere", "jack@contoso.com", ("john@contoso.com connector:Contoso",), "MailUser"),
    To(
        "a group within a group, and Bob three times",
        "all@contoso.com",
        (
            "bob@contoso.com mailbox",
            "john@contoso.com connector:Contoso",
            "printer@devices.contoso.com connector:Below",
            "moved@new.example mx:new.example",
            "sun@example.net mx:example.net",
        ),
        "DistributionGroup",
    ),
    To(
        "two groups that hold one another",
        "one@contoso.com",
        (
            "bob@contoso.com mailbox",
            "john@contoso.com connector:Contoso",
            "printer@devices.contoso.com connector:Below",
            "moved@new.example mx:new.example",
            "sun@example.net mx:example.net",
        ),
        "DistributionGroup",
    ),
    To(
        "a group of nobody",
        "empty@contoso.com",
        "550 5.2.4 The group empty@contoso.com has no member that mail can reach: add one",
        "DistributionGroup",
    ),
    To(
        "a group of itself",
        "circle@contoso.com",
        "550 5.2.4 The group circle@contoso.com has no member that mail can reach: add one",
        "DistributionGroup",
    ),
)
def test_recipients(case: To) -> None:
    told = ask(TEXT, case.facts, BOB if case.facts is BOBS else SUN, case.address)
    assert told.recipient.resolution.kind == case.kind
    assert told.recipient.reasons
    if isinstance(case.comes_to, str):
        assert str(told.reply).startswith(case.comes_to)
        return
    assert told.reply.code == 250
    found = {f"{route.recipient} {route.next_hop}" for route in told.routes}
    assert found == set(case.comes_to)
    assert len(told.routes) == len(case.comes_to)


async def test_an_unknown_recipient_is_refused_at_rcpt_before_any_content() -> None:
    """Rule 5.1 in a session: there is nobody left to send content to."""
    world = World(snapshot(TEXT))
    peer = world.greeted()
    assert peer.send("MAIL FROM:<sun@example.net>").startswith("250")
    assert peer.send("RCPT TO:<nobody@contoso.com>") == UNKNOWN
    assert peer.send("DATA").startswith("503")
    assert await world.queued() == []
