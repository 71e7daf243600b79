"""Contoso on two sites, by two groups, and short ways to ask its rules."""

from __future__ import annotations

from typing import Any

from mailwye.directory.lookup import Directory, ResolvedRecipient
from mailwye.directory.model import AcceptedDomain, RecipientKind
from mailwye.message.headers import scan
from mailwye.policy.rules.decide import RuleDecision, RuleTable, decide_rules
from mailwye.policy.rules.matching import MessageFacts, message_facts
from mailwye.policy.rules.model import Predicates, TransportRule
from mailwye.smtp.address import parse_address
from tests.unit.connectors.world import group, mail_user, mailbox, recipient

CONTOSO = Directory(
    [AcceptedDomain("contoso.com"), AcceptedDomain("fabrikam.com")],
    [
        mailbox("bob@contoso.com", "robert@contoso.com"),
        mail_user("wendy@contoso.com", "w@contoso.com"),
        mail_user("walt@contoso.com", external="walt@west.example"),
        mail_user("eva@contoso.com"),
        recipient(RecipientKind.MAIL_CONTACT, "sun@contoso.com", external="sun@customer.example"),
        group("west@contoso.com", "wendy@contoso.com", "coast@contoso.com"),
        group("coast@contoso.com", "walt@contoso.com", "west@contoso.com"),
        group("east@contoso.com", "eva@contoso.com"),
        group("everybody@contoso.com", "west@contoso.com", "east@contoso.com", "bob@contoso.com"),
    ],
)


def rule(name: str, priority: int = 0, *, connector: str = "", unless: dict[str, Any] | None = None, **facts: Any) -> TransportRule:
    """A rule through `connector` ("" means the rule's own name); keywords of Predicates are conditions, `unless` are exceptions."""
    conditions = {key: facts.pop(key) for key in list(facts) if key in Predicates.__dataclass_fields__}
    return TransportRule(
        name,
        priority,
        conditions=Predicates(**_addresses(conditions)),
        exceptions=Predicates(**_addresses(unless or {})),
        route_message_outbound_connector=connector or name,
        **facts,
    )


def _addresses(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(parse_address(one) for one in value) if key in ("sent_to", "sent_to_member_of") else value
        for key, value in values.items()
    }


def message(
    sender: str = "sun@customer.example", caller: str = "anonymous", header: str | None = "", directory: Directory = CONTOSO
) -> MessageFacts:
    """A message from `sender`. `header` None: not known yet."""
    found = None if header is None else scan(header.replace("\n", "\r\n").encode())
    return message_facts(directory, caller, None if sender == "<>" else parse_address(sender), found)


def finals(*addresses: str, directory: Directory = CONTOSO) -> list[ResolvedRecipient]:
    """The final recipients of the addresses."""
    return [final for one in addresses for final in directory.resolve(parse_address(one)).recipients]


def decide(rules: list[TransportRule], facts: MessageFacts, to: str, *, explain: bool = False) -> RuleDecision:
    """What the rules say of one recipient who is no group."""
    (decision,) = decide_rules(RuleTable(CONTOSO, rules), facts, finals(to), explain=explain)
    return decision


def ways(rules: list[TransportRule], to: str, facts: MessageFacts | None = None) -> dict[str, str]:
    """Final recipient → connector."""
    recipients = finals(to)
    decisions = decide_rules(RuleTable(CONTOSO, rules), facts or message(), recipients)
    return {str(one.address): decision.connector for one, decision in zip(recipients, decisions, strict=True)}
