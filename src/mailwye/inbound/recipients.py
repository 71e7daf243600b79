"""MAIL FROM and RCPT TO: facts → decisions → replies, and the copies that an accepted message will have.

The decisions themselves are connectors/mailflow.py's; here they are asked once, remembered, and told to the trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.attribution import Caller
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, decide_recipient, decide_sender
from mailwye.inbound.context import InboundContext
from mailwye.inbound.recording import record_refusal
from mailwye.message.envelope import Notify
from mailwye.message.facts import SessionFacts
from mailwye.queue.item import NewDelivery
from mailwye.smtp.address import Address
from mailwye.smtp.events import MailReceived, RcptReceived
from mailwye.smtp.reply import Reply

REMEMBERED_RECIPIENTS = 64
"""Decisions on recipients that a session keeps for its next transactions with the same sender."""

_NOTIFY = {word: Notify[word] for word in ("NEVER", "SUCCESS", "FAILURE", "DELAY")}
_NO_MEMBERS = Reply(550, "5.2.4", "The group has no members that mail can be sent to")


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted RCPT TO: its event and what was decided about it."""

    event: RcptReceived
    decision: RecipientDecision


class Transaction:
    """One transaction from an accepted MAIL FROM on: one snapshot, one caller, the recipients taken so far."""

    __slots__ = ("_memory", "accepted", "caller", "deliveries", "facts", "mail", "snapshot")

    def __init__(self, snapshot: Snapshot, facts: SessionFacts, mail: MailReceived, memory: DecisionMemory, caller: Caller) -> None:
        self.snapshot = snapshot
        self.facts = facts
        self.mail = mail
        self.caller = caller
        self.accepted: dict[str, Accepted] = {}  # by the key of the address at RCPT
        self.deliveries: dict[str, NewDelivery] = {}  # by the key of the final recipient
        self._memory = memory

    def add(self, event: RcptReceived, context: InboundContext) -> Reply:
        """Decide on one recipient. A repeated one is accepted again and taken once (R7)."""
        key = event.recipient.key
        if key in self.accepted:
            return self.accepted[key].decision.reply
        decision = self._memory.recipient(self, event.recipient)
        reply = decision.reply
        if reply.is_success and not decision.resolution.recipients:
            reply = _NO_MEMBERS
        if not reply.is_success:
            self.refused(context, reply, decision.reasons, recipient=str(event.recipient))
            return reply
        self.accepted[key] = Accepted(event, decision)
        self._add_deliveries(event, decision)
        return reply

    def refused(
        self, context: InboundContext, reply: Reply | None, reasons: tuple[str, ...], *, recipient: str = "", message: str = ""
    ) -> None:
        """Tell the trace of a refusal within this transaction. `reply` None: the protocol machine gave it."""
        version = self.snapshot.version
        record_refusal(context, self.facts, self.mail.sender, reply, reasons, config_version=version, recipient=recipient, message=message)

    def _add_deliveries(self, event: RcptReceived, decision: RecipientDecision) -> None:
        # RFC 3461 section 5.2.7: ORCPT and NOTIFY go along to what an alias stands for. A final recipient that is reached twice
        # gets one copy, with the options of the first way to him.
        notify = _notify(event.notify) if event.notify else Notify.DEFAULT
        for resolved, route in zip(decision.resolution.recipients, decision.routes, strict=True):
            key = resolved.address.key
            if key not in self.deliveries:
                self.deliveries[key] = NewDelivery(resolved.address, event.recipient, route.next_hop, notify, event.orcpt)


class DecisionMemory:
    """The last decision on a sender and the decisions on recipients that rest on it. Deciding is pure, so the same facts, snapshot
    and sender give the same answer: a kept connection asks once, not once per message. The facts are compared by identity.
    """

    __slots__ = ("_decision", "_facts", "_recipients", "_sender", "_snapshot")

    def __init__(self) -> None:
        self._facts: SessionFacts | None = None
        self._snapshot: Snapshot | None = None
        self._sender: Address | None = None
        self._decision: SenderDecision | None = None
        self._recipients: dict[Address, RecipientDecision] = {}

    def sender(self, snapshot: Snapshot, facts: SessionFacts, sender: Address | None) -> SenderDecision:
        """`decide_sender`, asked once."""
        if self._decision is None or facts is not self._facts or snapshot is not self._snapshot or sender != self._sender:
            self._decision = decide_sender(snapshot.directory, snapshot.connectors, facts, sender)
            self._facts, self._snapshot, self._sender = facts, snapshot, sender
            self._recipients.clear()
        return self._decision

    def recipient(self, transaction: Transaction, recipient: Address) -> RecipientDecision:
        """`decide_recipient`, asked once. `transaction` was opened with this memory's last sender."""
        decision = self._recipients.get(recipient)
        if decision is None:
            snapshot = transaction.snapshot
            decision = decide_recipient(
                snapshot.directory, snapshot.connectors, transaction.facts, transaction.caller, transaction.mail.sender, recipient
            )
            if len(self._recipients) < REMEMBERED_RECIPIENTS:
                self._recipients[recipient] = decision
        return decision


def open_transaction(
    context: InboundContext, facts: SessionFacts, mail: MailReceived, memory: DecisionMemory
) -> tuple[Transaction | None, Reply]:
    """MAIL FROM: the transaction and its 250, or None and the refusal."""
    snapshot = context.snapshot.current
    decision = memory.sender(snapshot, facts, mail.sender)
    if not decision.reply.is_success:
        reasons = decision.caller.reasons
        record_refusal(context, facts, mail.sender, decision.reply, reasons, config_version=snapshot.version)
        return None, decision.reply
    return Transaction(snapshot, facts, mail, memory, decision.caller), decision.reply


def _notify(words: frozenset[str]) -> Notify:
    notify = Notify.DEFAULT
    for word in words:
        notify |= _NOTIFY[word]
    return notify
