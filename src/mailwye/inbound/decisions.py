"""What was decided about senders and recipients, remembered for all sessions of a worker.

Deciding is pure (connectors/mailflow.py): the same snapshot, facts, sender and recipient give the same answer. So a server that keeps
its connection, or makes one for each message, costs one decision and not one per message.
"""

from __future__ import annotations

from collections.abc import Callable

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, Unwrap, decide_recipient, decide_sender
from mailwye.connectors.returned import KIND as REWRITTEN_SENDER
from mailwye.directory.lookup import ResolvedRecipient
from mailwye.message.facts import SessionFacts, TlsFacts
from mailwye.policy.rules.decide import may_route
from mailwye.policy.rules.matching import message_facts
from mailwye.queue.item import NewDelivery
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

REMEMBERED_SENDERS = 1024
"""Senders (each with the facts of its session) that are remembered; one more, and all are forgotten. Some 2 MB."""

REMEMBERED_RECIPIENTS = 4096
"""Recipients that are remembered, of all senders together; one more, and all are forgotten. Some 8 MB."""

LARGEST_GROUP = 64
"""Final recipients of one recipient that is remembered."""

_NO_MEMBERS = Reply(550, "5.2.4", "The group has no members that mail can be sent to")


@dataclass(frozen=True, slots=True)
class Way:
    """What the trace tells about the way of one final recipient. `data`: facts by name; nobody changes them."""

    recipient: str
    connector: str
    reasons: tuple[str, ...]
    data: dict[str, str]


@dataclass(frozen=True, slots=True)
class FinalCopy:
    """One final recipient: `key` of his address, his delivery, and what the trace will tell about his way."""

    key: str
    delivery: NewDelivery
    way: Way


@dataclass(frozen=True, slots=True)
class KnownRecipient:
    """What was decided about one forward-path, `asked`. `key` of its address; `resolved`: the address that it stands for; `copies` without
    DSN options; `accepted`: `reply` is 250.
    """

    key: str
    resolved: str
    decision: RecipientDecision
    copies: tuple[FinalCopy, ...]
    reply: Reply
    accepted: bool
    asked: Address


class KnownSender:
    """What was decided about one reverse-path from one kind of session, and about recipients that it named."""

    __slots__ = ("_recipients", "_unwrap", "decision", "facts", "sender", "snapshot")

    def __init__(
        self, recipients: Recipients, snapshot: Snapshot, facts: SessionFacts, sender: Address | None, unwrap: Unwrap | None = None
    ) -> None:
        self._recipients = recipients
        self._unwrap = unwrap
        self.snapshot = snapshot
        self.facts = facts
        self.sender = sender
        self.decision: SenderDecision = decide_sender(snapshot.directory, snapshot.connectors, facts, sender)

    def recipient(self, recipient: Address) -> KnownRecipient:
        """`decide_recipient`, asked once."""
        key = (self, recipient.local, recipient.domain)  # hashed without a call into Python, which an Address is not
        return self._recipients.get(key) or self._decide(recipient)

    def _decide(self, recipient: Address) -> KnownRecipient:
        snapshot = self.snapshot
        decision = decide_recipient(
            snapshot.directory,
            snapshot.connectors,
            self.facts,
            self.decision.caller,
            self.sender,
            recipient,
            unwrap=self._unwrap,
            may_have_way=self._may_have_way(),
        )
        copies = _copies(recipient, decision)
        reply = decision.reply
        if reply.is_success and not copies:
            reply = _NO_MEMBERS
        known = KnownRecipient(recipient.key, str(decision.resolution.address), decision, copies, reply, reply.is_success, recipient)
        if len(copies) <= LARGEST_GROUP and decision.resolution.kind != REWRITTEN_SENDER:  # that one expires
            if len(self._recipients) >= REMEMBERED_RECIPIENTS:
                self._recipients.clear()
            self._recipients[self, recipient.local, recipient.domain] = known
        return known

    def _may_have_way(self) -> Callable[[ResolvedRecipient], bool] | None:
        """Mail flow rules are asked when the header is there; at RCPT only where a recipient has no other way."""
        snapshot = self.snapshot
        if not snapshot.rules.active:
            return None
        return may_route(snapshot.rules, message_facts(snapshot.directory, self.decision.caller.kind.value, self.sender, None))


Recipients = dict[tuple[KnownSender, str, str], KnownRecipient]


class Decisions:
    """The memory of one worker. Bounded: see the limits above. Another snapshot empties it. `unwrap`: see decide_recipient."""

    __slots__ = ("_recipients", "_senders", "_snapshot", "_unwrap")

    def __init__(self, unwrap: Unwrap | None = None) -> None:
        self._unwrap = unwrap
        self._snapshot: Snapshot | None = None
        self._senders: dict[tuple[object, ...], KnownSender] = {}
        self._recipients: Recipients = {}

    def sender(self, snapshot: Snapshot, facts: SessionFacts, sender: Address | None) -> KnownSender:
        """`decide_sender`, asked once for all sessions whose facts differ in nothing but their id and the peer's port."""
        if snapshot is not self._snapshot:
            self._forget()
            self._snapshot = snapshot
        key = _key(facts, sender)
        known = self._senders.get(key)
        if known is None:
            known = KnownSender(self._recipients, snapshot, facts, sender, self._unwrap)
            if len(self._senders) >= REMEMBERED_SENDERS:
                self._forget()
            self._senders[key] = known
        return known

    def _forget(self) -> None:
        self._senders.clear()
        self._recipients.clear()


def _key(facts: SessionFacts, sender: Address | None) -> tuple[object, ...]:
    """Every fact but the two that are the session's own and decide nothing."""
    tls: TlsFacts | None = facts.tls
    return (
        facts.listener,
        facts.listener_kind,
        facts.peer_address,
        facts.hello,
        facts.esmtp,
        tls,
        facts.authenticated,
        facts.proxied,
        facts.local,
        None if sender is None else (sender.local, sender.domain),
    )


def _copies(recipient: Address, decision: RecipientDecision) -> tuple[FinalCopy, ...]:
    if not decision.reply.is_success:
        return ()
    original = str(recipient)
    hops = [route.next_hop for route in decision.routes]
    return tuple(
        FinalCopy(
            resolved.address.key,
            NewDelivery(resolved.address, recipient, next_hop),
            Way(
                str(resolved.address),
                route.connector,
                tuple(dict.fromkeys((*decision.reasons, *route.reasons))),  # both know what the recipient is: say it once
                {"original": original, "next_hop": next_hop},
            ),
        )
        for resolved, route, next_hop in zip(decision.resolution.recipients, decision.routes, hops, strict=True)
    )
