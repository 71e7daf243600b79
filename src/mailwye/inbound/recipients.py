"""MAIL FROM and RCPT TO: facts → decisions → replies, and the copies that an accepted message will have.

The decisions themselves are connectors/mailflow.py's; here they are asked once (decisions.py) and told to the trace.
"""

from __future__ import annotations

from dataclasses import replace

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.attribution import Caller
from mailwye.inbound.caller_certificates import remember_certificate
from mailwye.inbound.context import InboundContext
from mailwye.inbound.decisions import Decisions, FinalCopy, KnownRecipient, KnownSender
from mailwye.inbound.recording import record_refusal
from mailwye.message.envelope import Notify
from mailwye.message.facts import SessionFacts
from mailwye.queue.item import Origin
from mailwye.smtp.address import Address
from mailwye.smtp.events import MailReceived, RcptReceived
from mailwye.smtp.reply import Reply

_NOTIFY = {word: Notify[word] for word in ("NEVER", "SUCCESS", "FAILURE", "DELAY")}
NO_ROOM = Reply(452, "4.3.1", "Insufficient system storage, try again later")
"""Before content, where the queue says so, and after it."""


class Transaction:
    """One transaction from an accepted MAIL FROM on: one snapshot, one caller, the recipients taken so far.

    `known`: what was decided about its sender. `accepted`: by the key of the address at RCPT. `copies`: by the key of the final
    recipient, each once (R7).
    """

    __slots__ = ("accepted", "caller", "copies", "facts", "known", "mail", "origin", "snapshot")

    def __init__(self, snapshot: Snapshot, facts: SessionFacts, mail: MailReceived, known: KnownSender, origin: Origin) -> None:
        self.snapshot = snapshot
        self.facts = facts
        self.mail = mail
        self.caller: Caller = known.decision.caller
        self.origin = origin
        self.accepted: dict[str, KnownRecipient] = {}
        self.copies: dict[str, FinalCopy] = {}
        self.known = known

    def add(self, event: RcptReceived, context: InboundContext) -> Reply:
        """Decide on one recipient. A repeated one is accepted again and taken once."""
        recipient = event.recipient
        if recipient.domain == context.hostname:
            recipient = self._postmaster(recipient, context.hostname)
        known = self.known.recipient(recipient)
        again = self.accepted.get(known.key)
        if again is not None:
            return again.reply
        if not known.accepted:
            self.refused(context, known.reply, known.decision.reasons, recipient=str(event.recipient))
            if context.traffic is not None:
                context.traffic.saw(self.known, known, None, context.clock.now(), self.facts.session_id)
            return known.reply
        self.accepted[known.key] = known
        if event.notify or event.orcpt:
            self._add_copies_with_options(event, known)
        else:
            for copy in known.copies:
                self.copies.setdefault(copy.key, copy)
        return known.reply

    def _postmaster(self, recipient: Address, hostname: str) -> Address:
        """`<Postmaster>` came as the postmaster at our host name, which need not be an accepted domain: his mail goes to the one of the
        default domain (RFC 5321 section 4.5.1).
        """
        directory = self.snapshot.directory
        if recipient.local.lower() != "postmaster" or directory.accepted_domain(hostname) is not None:
            return recipient
        return Address("postmaster", directory.default_domain) if directory.default_domain else recipient

    def _add_copies_with_options(self, event: RcptReceived, known: KnownRecipient) -> None:
        # RFC 3461 section 5.2.7: ORCPT and NOTIFY go along to what an alias stands for. A final recipient that is reached twice
        # gets one copy, with the options of the first way to him.
        for copy in known.copies:
            if copy.key not in self.copies:
                delivery = replace(copy.delivery, notify=_notify(event.notify), orcpt=event.orcpt)
                self.copies[copy.key] = replace(copy, delivery=delivery)

    def refused(
        self, context: InboundContext, reply: Reply | None, reasons: tuple[str, ...], *, recipient: str = "", message: str = ""
    ) -> None:
        """Tell the trace of a refusal within this transaction. `reply` None: the protocol machine gave it."""
        version = self.snapshot.version
        record_refusal(context, self.facts, self.mail.sender, reply, reasons, config_version=version, recipient=recipient, message=message)


class LastSender:
    """The sender of a session's last transaction: the next one mostly has the same. Facts and snapshot are compared by identity."""

    __slots__ = ("_facts", "_known", "_origin", "_sender", "_snapshot")

    def __init__(self) -> None:
        self._facts: SessionFacts | None = None
        self._snapshot: Snapshot | None = None
        self._sender: Address | None = None
        self._known: tuple[KnownSender, Origin] | None = None

    def ask(self, decisions: Decisions, snapshot: Snapshot, facts: SessionFacts, sender: Address | None) -> tuple[KnownSender, Origin]:
        """What is known of this sender, and the origin that his messages have."""
        known = self._known
        if (
            known is None
            or facts is not self._facts
            or snapshot is not self._snapshot
            or (sender is not self._sender and sender != self._sender)
        ):
            found = decisions.sender(snapshot, facts, sender)
            known = self._known = found, _origin(facts, found.decision.caller)
            self._facts, self._snapshot, self._sender = facts, snapshot, sender
        return known


def open_transaction(
    context: InboundContext, facts: SessionFacts, mail: MailReceived, last: LastSender
) -> tuple[Transaction | None, Reply]:
    """MAIL FROM: the transaction and its 250, or None and the refusal."""
    snapshot = context.snapshot.current
    known, origin = last.ask(context.decisions, snapshot, facts, mail.sender)
    reply = known.decision.reply
    if not reply.is_success:
        record_refusal(context, facts, mail.sender, reply, known.decision.caller.reasons, config_version=snapshot.version)
        if context.traffic is not None:
            context.traffic.saw(known, None, None, context.clock.now(), facts.session_id)
        return None, reply
    if why := context.queue.why_no_room(mail.size):
        record_refusal(context, facts, mail.sender, NO_ROOM, (why,), config_version=snapshot.version)
        return None, NO_ROOM
    if context.certificates is not None and facts.tls is not None and facts.tls.certificate is not None:
        remember_certificate(context.certificates, known.decision.caller, facts.tls.certificate, snapshot.connectors)
    return Transaction(snapshot, facts, mail, known, origin), reply


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
