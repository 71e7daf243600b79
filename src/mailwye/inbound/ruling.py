"""Mail flow rules on the way in: asked once, when the header section is complete, for all copies of the message.

The decision is policy/rules/decide.py's; here it is put into the copies. The trace learns of it after acceptance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailwye.connectors.attribution import CallerKind
from mailwye.connectors.mailflow import decide_route
from mailwye.directory.lookup import ResolvedRecipient
from mailwye.inbound.decisions import FinalCopy, Way
from mailwye.inbound.recipients import Transaction
from mailwye.message.headers import scan
from mailwye.policy.rules.decide import RuleDecision, RuleHit, decide_rules
from mailwye.policy.rules.matching import header_answers, message_facts
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

_NO_HEADER = scan(b"")
_NOWHERE = "none"
"""The next_hop of a copy that has no way."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """`hits`: each rule that matched, with the final recipients whose copies it concerns. `refusal`: no copy has a way. `answers`: what
    rules were told about the header (policy/rules AnsweredHeader).
    """

    hits: tuple[tuple[RuleHit, tuple[str, ...]], ...] = ()
    refusal: Reply | None = None
    answers: tuple[str, ...] = ()


NO_RULING = Ruling()


def apply_rules(transaction: Transaction, block: bytes) -> Ruling:
    """Give the copies of `transaction` the ways that the rules choose. `block`: the header section after the header firewall, so that no
    stranger can bring about a rule with a field that only the organization may set.
    """
    snapshot = transaction.snapshot
    table = snapshot.rules
    header = scan(block) if table.questions else _NO_HEADER
    facts = message_facts(snapshot.directory, transaction.origin.caller_kind, transaction.mail.sender, header)
    answers = header_answers(table.questions, facts.header) if table.questions and facts.header is not None else ()
    pairs = list(_copies(transaction))
    decisions = decide_rules(table, facts, [recipient for recipient, _ in pairs])
    hits: dict[RuleHit, list[str]] = {}
    failure: Reply | None = None
    for (_, copy), decision in zip(pairs, decisions, strict=True):
        for hit in decision.hits:
            hits.setdefault(hit, []).append(str(copy.delivery.recipient))
        if decision.connector:
            failure = _route(transaction, copy, decision) or failure
    found = tuple((hit, tuple(recipients)) for hit, recipients in hits.items())
    if any(copy.delivery.next_hop != _NOWHERE for copy in transaction.copies.values()):
        return Ruling(found, None, answers)
    return Ruling(found, failure or _without_way(transaction), answers)


def _copies(transaction: Transaction) -> Iterator[tuple[ResolvedRecipient, FinalCopy]]:
    """Each copy once, with what the directory said of its recipient on the first way to him."""
    seen: set[str] = set()
    for known in transaction.accepted.values():
        for recipient, copy in zip(known.decision.resolution.recipients, known.copies, strict=True):
            if copy.key not in seen:
                seen.add(copy.key)
                yield recipient, transaction.copies[copy.key]  # with its DSN options


def _route(transaction: Transaction, copy: FinalCopy, decision: RuleDecision) -> Reply | None:
    """Send one copy the way of its rule; the refusal where that way does not exist (which the checks on save rule out)."""
    snapshot, delivery = transaction.snapshot, copy.delivery
    assert decision.routing is not None, "a connector was chosen by a rule"
    route = decide_route(
        snapshot.directory,
        snapshot.connectors,
        delivery.recipient,
        from_on_premises=transaction.caller.kind is CallerKind.CONNECTOR,
        rule_connector=decision.connector,
    )
    reasons = (*copy.way.reasons, decision.routing.sentence, *route.reasons)
    transaction.copies[copy.key] = FinalCopy(
        copy.key,
        replace(delivery, next_hop=route.next_hop, rule_connector=decision.connector),
        Way(copy.way.recipient, route.connector, reasons, {**copy.way.data, "next_hop": route.next_hop}),
    )
    return route.reply if route.next_hop == _NOWHERE else None


def _without_way(transaction: Transaction) -> Reply:
    """The refusal that RCPT held back, since a rule might have given a way."""
    routes = (route for known in transaction.accepted.values() for route in known.decision.routes)
    return next(route.reply for route in routes if route.next_hop == _NOWHERE)
