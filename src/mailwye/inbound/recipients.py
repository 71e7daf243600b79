"""MAIL FROM and RCPT TO: facts → decisions → replies, and the copies that an accepted message will have.

The decisions themselves are connectors/mailflow.py's; here they are asked once, remembered, and told to the trace.
"""

from __future__ import annotations

from dataclasses import replace

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.attribution import Caller
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, decide_recipient, decide_sender
from mailwye.inbound.context import InboundContext
from mailwye.inbound.recording import record_refusal
from mailwye.message.envelope import Notify
from mailwye.message.facts import PeerCertificate, SessionFacts
from mailwye.queue.item import NewDelivery, Origin
from mailwye.smtp.address import Address
from mailwye.smtp.events import MailReceived, RcptReceived
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

REMEMBERED_RECIPIENTS = 64
"""Decisions on recipients that a session keeps for its next transactions with the same sender."""

_NOTIFY = {word: Notify[word] for word in ("NEVER", "SUCCESS", "FAILURE", "DELAY")}
NO_ROOM = Reply(452, "4.3.1", "Insufficient system storage, try again later")
"""Before content, where the queue says so, and after it."""

_NO_MEMBERS = Reply(550, "5.2.4", "The group has no members that mail can be sent to")


@dataclass(frozen=True, slots=True)
class FinalCopy:
    """One final recipient: `key` of his address, his delivery, and what the trace will tell about his way."""

    key: str
    delivery: NewDelivery
    connector: str
    reasons: tuple[str, ...]
    data: dict[str, str]


@dataclass(frozen=True, slots=True)
class KnownRecipient:
    """What was decided about one forward-path. `key` of its address; `copies` without DSN options."""

    key: str
    decision: RecipientDecision
    copies: tuple[FinalCopy, ...]


@dataclass(frozen=True, slots=True)
class KnownSender:
    """What was decided about one reverse-path, and the origin that its messages have."""

    decision: SenderDecision
    origin: Origin


class Transaction:
    """One transaction from an accepted MAIL FROM on: one snapshot, one caller, the recipients taken so far.

    `accepted`: by the key of the address at RCPT. `copies`: by the key of the final recipient, each once (R7).
    """

    __slots__ = ("_memory", "accepted", "caller", "copies", "facts", "mail", "origin", "snapshot")

    def __init__(self, snapshot: Snapshot, facts: SessionFacts, mail: MailReceived, memory: DecisionMemory, known: KnownSender) -> None:
        self.snapshot = snapshot
        self.facts = facts
        self.mail = mail
        self.caller: Caller = known.decision.caller
        self.origin = known.origin
        self.accepted: dict[str, KnownRecipient] = {}
        self.copies: dict[str, FinalCopy] = {}
        self._memory = memory

    def add(self, event: RcptReceived, context: InboundContext) -> Reply:
        """Decide on one recipient. A repeated one is accepted again and taken once."""
        recipient = self._postmaster(event.recipient, context.hostname)
        again = self.accepted.get(recipient.key)
        if again is not None:
            return again.decision.reply
        known = self._memory.recipient(self, recipient)
        decision = known.decision
        reply = decision.reply
        if reply.is_success and not known.copies:
            reply = _NO_MEMBERS
        if not reply.is_success:
            self.refused(context, reply, decision.reasons, recipient=str(event.recipient))
            return reply
        self.accepted[known.key] = known
        self._add_copies(event, known)
        return reply

    def _postmaster(self, recipient: Address, hostname: str) -> Address:
        """`<Postmaster>` came as the postmaster at our host name, which need not be an accepted domain: his mail goes to the one of the
        default domain (RFC 5321 section 4.5.1).
        """
        directory = self.snapshot.directory
        if recipient.domain != hostname or recipient.local.lower() != "postmaster" or directory.accepted_domain(hostname) is not None:
            return recipient
        return Address("postmaster", directory.default_domain) if directory.default_domain else recipient

    def _add_copies(self, event: RcptReceived, known: KnownRecipient) -> None:
        # RFC 3461 section 5.2.7: ORCPT and NOTIFY go along to what an alias stands for. A final recipient that is reached twice
        # gets one copy, with the options of the first way to him.
        optioned = event.notify or event.orcpt
        for copy in known.copies:
            if copy.key in self.copies:
                continue
            if optioned:
                copy = replace(copy, delivery=replace(copy.delivery, notify=_notify(event.notify), orcpt=event.orcpt))
            self.copies[copy.key] = copy

    def refused(
        self, context: InboundContext, reply: Reply | None, reasons: tuple[str, ...], *, recipient: str = "", message: str = ""
    ) -> None:
        """Tell the trace of a refusal within this transaction. `reply` None: the protocol machine gave it."""
        version = self.snapshot.version
        record_refusal(context, self.facts, self.mail.sender, reply, reasons, config_version=version, recipient=recipient, message=message)


class DecisionMemory:
    """The last decision on a sender and the decisions on recipients that rest on it. Deciding is pure, so the same facts, snapshot
    and sender give the same answer: a kept connection asks once, not once per message. The facts are compared by identity.
    """

    __slots__ = ("_facts", "_known", "_recipients", "_sender", "_snapshot")

    def __init__(self) -> None:
        self._facts: SessionFacts | None = None
        self._snapshot: Snapshot | None = None
        self._sender: Address | None = None
        self._known: KnownSender | None = None
        self._recipients: dict[Address, KnownRecipient] = {}

    def sender(self, snapshot: Snapshot, facts: SessionFacts, sender: Address | None) -> KnownSender:
        """`decide_sender`, asked once."""
        known = self._known
        if known is None or facts is not self._facts or snapshot is not self._snapshot or sender != self._sender:
            decision = decide_sender(snapshot.directory, snapshot.connectors, facts, sender)
            known = self._known = KnownSender(decision, _origin(facts, decision.caller))
            self._facts, self._snapshot, self._sender = facts, snapshot, sender
            self._recipients.clear()
        return known

    def recipient(self, transaction: Transaction, recipient: Address) -> KnownRecipient:
        """`decide_recipient`, asked once. `transaction` was opened with this memory's last sender."""
        known = self._recipients.get(recipient)
        if known is None:
            snapshot = transaction.snapshot
            decision = decide_recipient(
                snapshot.directory, snapshot.connectors, transaction.facts, transaction.caller, transaction.mail.sender, recipient
            )
            known = KnownRecipient(recipient.key, decision, _copies(recipient, decision))
            if len(self._recipients) < REMEMBERED_RECIPIENTS and len(known.copies) <= REMEMBERED_RECIPIENTS:  # no large groups
                self._recipients[recipient] = known
        return known


def open_transaction(
    context: InboundContext, facts: SessionFacts, mail: MailReceived, memory: DecisionMemory
) -> tuple[Transaction | None, Reply]:
    """MAIL FROM: the transaction and its 250, or None and the refusal."""
    snapshot = context.snapshot.current
    known = memory.sender(snapshot, facts, mail.sender)
    reply = known.decision.reply
    if not reply.is_success:
        record_refusal(context, facts, mail.sender, reply, known.decision.caller.reasons, config_version=snapshot.version)
        return None, reply
    if why := context.queue.why_no_room(mail.size):
        record_refusal(context, facts, mail.sender, NO_ROOM, (why,), config_version=snapshot.version)
        return None, NO_ROOM
    if facts.tls is not None and facts.tls.certificate is not None:
        _remember_certificate(context, known.decision.caller, facts.tls.certificate)
    return Transaction(snapshot, facts, mail, memory, known), reply


def _remember_certificate(context: InboundContext, caller: Caller, certificate: PeerCertificate) -> None:
    """Of servers that a connector is for, so that somebody is told before it expires. Strangers' are nobody's business."""
    for name in (caller.connector.name,) if caller.connector is not None else caller.partners:
        context.seen.see(f'inbound connector "{name}"', certificate)


def _copies(recipient: Address, decision: RecipientDecision) -> tuple[FinalCopy, ...]:
    if not decision.reply.is_success:
        return ()
    original = str(recipient)
    return tuple(
        FinalCopy(
            resolved.address.key,
            NewDelivery(resolved.address, recipient, route.next_hop),
            route.connector,
            tuple(dict.fromkeys((*decision.reasons, *route.reasons))),  # both know what the recipient is: say it once
            {"original": original, "next_hop": route.next_hop},
        )
        for resolved, route in zip(decision.resolution.recipients, decision.routes, strict=True)
    )


def _origin(facts: SessionFacts, caller: Caller) -> Origin:
    return Origin(
        session_id=facts.session_id,
        caller_kind=caller.kind.value,
        connector=caller.connector.name if caller.connector is not None else "",
        authenticated=facts.authenticated,
        peer_address=facts.peer_address,
        hello=facts.hello,
        listener=facts.listener,
    )


def _notify(words: frozenset[str]) -> Notify:
    notify = Notify.DEFAULT
    for word in words:
        notify |= _NOTIFY[word]
    return notify
