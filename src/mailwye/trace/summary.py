"""From events to the rows that people search: one per message and recipient, with its newest status. Pure.

A message is found once a Receive or Reject event was recorded for it: that event gives the row its time and, in `data`, `size`,
`message_id`, `subject` and `peer_address`. Without a queue id (refused in the session) a row belongs to the session.
"""

from __future__ import annotations

import msgspec

from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.recorder import TraceQuery, TraceRow, place_of

ARRIVALS = frozenset({EventKind.RECEIVE, EventKind.REJECT})


class MessageFacts(msgspec.Struct, gc=False):
    """What all rows of one message share. Empty and 0: not known (yet)."""

    received_at: float = 0.0
    message: str = ""
    session: str = ""
    message_id: str = ""
    subject: str = ""
    sender: str = ""
    size: int = 0
    peer_address: str = ""


class RecipientFacts(msgspec.Struct, gc=False):
    """What one recipient's row adds. Empty: as it was."""

    status: str = ""
    connector: str = ""
    detail: str = ""


class Summary:
    """Folds events, in their order, into facts by trace id and by (trace id, recipient).

    `whole`: facts of events without a recipient that carry a status; they hold for all recipients that came before them.
    """

    def __init__(self) -> None:
        self.messages: dict[str, MessageFacts] = {}
        self.recipients: dict[tuple[str, str], RecipientFacts] = {}
        self.whole: dict[str, RecipientFacts] = {}

    def apply(self, event: TraceEvent) -> None:
        """One more event."""
        if not event.message and event.kind not in ARRIVALS:
            return
        trace_id = event.message or event.session
        facts = self.messages.get(trace_id)
        if facts is None:
            facts = self.messages[trace_id] = MessageFacts(message=event.message)
        if event.kind in ARRIVALS:
            self._arrive(facts, event)
        facts.sender = facts.sender or event.sender
        if event.recipient:
            self._note(self.recipients, (trace_id, event.recipient), event)
            for recipient in event.also:
                self._note(self.recipients, (trace_id, recipient), event)
        elif event.status:
            self._note_whole(trace_id, event)

    @staticmethod
    def _arrive(facts: MessageFacts, event: TraceEvent) -> None:
        data = event.data
        facts.received_at = facts.received_at or event.at
        facts.session = facts.session or event.session
        facts.message_id = data.get("message_id", "") or facts.message_id
        facts.subject = data.get("subject", "") or facts.subject
        facts.peer_address = data.get("peer_address", "") or facts.peer_address
        size = data.get("size", "")
        if size.isascii() and size.isdigit() and len(size) < 19:
            facts.size = int(size)

    def _note_whole(self, trace_id: str, event: TraceEvent) -> None:
        for owner, recipient in self.recipients:
            if owner == trace_id:
                self._note(self.recipients, (owner, recipient), event)
        facts = self.whole.setdefault(trace_id, RecipientFacts())
        _overlay(facts, event)

    @staticmethod
    def _note(rows: dict[tuple[str, str], RecipientFacts], key: tuple[str, str], event: TraceEvent) -> None:
        facts = rows.get(key)
        if facts is None:
            facts = rows[key] = RecipientFacts()
        _overlay(facts, event)


def _overlay(facts: RecipientFacts, event: TraceEvent) -> None:
    facts.status = event.status or facts.status
    facts.connector = event.connector or facts.connector
    facts.detail = event.reply or "; ".join(event.reasons) or facts.detail


def row(message: MessageFacts, recipient: str, facts: RecipientFacts) -> TraceRow:
    """The row of one recipient."""
    return TraceRow(
        received_at=message.received_at,
        message=message.message,
        session=message.session,
        message_id=message.message_id,
        subject=message.subject,
        sender=message.sender,
        recipient=recipient,
        status=facts.status,
        connector=facts.connector,
        detail=facts.detail,
        size=message.size,
        peer_address=message.peer_address,
    )


def matches(query: TraceQuery, one: TraceRow) -> bool:
    """Whether a row fits every field of `query` that is not empty (`limit` aside). `since` is within, `until` is not."""
    if query.after is not None and place_of(one).order <= query.after.order:
        return False
    if one.received_at < query.since or (query.until and one.received_at >= query.until):
        return False
    if query.message_id and query.message_id not in (one.message_id, one.message):
        return False
    if query.status and query.status.lower() != one.status.lower():
        return False
    return address_matches(query.sender, one.sender) and address_matches(query.recipient, one.recipient)


def address_matches(pattern: str, address: str) -> bool:
    """Whether `address` is meant by `pattern`: "" everything, `*@domain` the domain, else that address; without regard to case."""
    if not pattern:
        return True
    pattern, address = pattern.lower(), address.lower()
    return address.endswith(pattern[1:]) if pattern.startswith("*@") else address == pattern
