"""From the first octet of content to the reply that answers it. The only file that may say 250 to content, and it says so only with
the Receipt of a queue engine in hand (ARCHITECTURE section 2, point 3; RFC 5321 section 6.1).

The header section is collected up to its limit and transformed once; the body streams through unchanged.
"""

from __future__ import annotations

from collections.abc import Awaitable

from mailwye.connectors.attribution import keeps_headers
from mailwye.connectors.enhanced_filtering import Source, find_source
from mailwye.inbound.context import InboundContext
from mailwye.inbound.recipients import NO_ROOM, Transaction
from mailwye.inbound.recording import record_expansion, record_receipt, record_rule, record_ways
from mailwye.inbound.ruling import NO_RULING, apply_rules
from mailwye.message.envelope import BodyType, TlsWish
from mailwye.message.firewall import filter_header, promote, source_field, without_source
from mailwye.message.headers import Header, find_header_end, scan
from mailwye.message.mime_words import decode_words
from mailwye.message.path_mark import (
    HOPS,
    MESSAGE_ID_CHARACTERS,
    TAKEN_BEFORE,
    Mark,
    has_mark,
    loop_reply,
    message_id_of,
    was_taken,
    way_in,
)
from mailwye.message.received import date_text, received_field
from mailwye.queue.engine import QueueFull
from mailwye.queue.item import NewMessage, Receipt
from mailwye.smtp.events import ContentEnded
from mailwye.smtp.reply import BARE_LINE_END, Reply
from mailwye.smtp.wire import has_bare_line_end

SUBJECT_CHARACTERS = 256
"""How much of the decoded subject the trace keeps (queue/item.NewMessage)."""

_BODIES = {body.value: body for body in BodyType}
_NO_HEADER = scan(b"")
_NOTHING_FOUND = ContentEnded(0)
_CONTENT_WANTED = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
_CHUNKS_WANTED = Reply(250, "2.0.0", "Continue")
_NO_FIELD = Reply(554, "5.6.0", "The message begins with a continuation line: no header field comes before it (RFC 5322 section 2.2.3)")
_NOT_DURABLE = Reply(451, "4.3.0", "The message could not be stored safely, try again later")


def go_ahead(*, chunking: bool) -> Reply:
    """The answer to the start of content: 354, or for BDAT the word that its octets are wanted (RFC 3030 section 2)."""
    return _CHUNKS_WANTED if chunking else _CONTENT_WANTED


def accepted(receipt: Receipt) -> Reply:
    """The reply 250 to content: a durable commit lies behind it."""
    return Reply(250, "2.0.0", f"Ok: queued as {receipt.message_id}")


def not_accepted(error: BaseException) -> Reply:
    """The reply to content that did not become durable, whatever the reason: the client keeps the message and tries again."""
    return NO_ROOM if isinstance(error, QueueFull) else _NOT_DURABLE


class Intake:
    """The content of one transaction on its way into the queue. Bounded: the header section up to its limit is in memory, everything
    else is the ContentWriter's. After a refusal the rest is read and dropped.
    """

    __slots__ = (
        *("_context", "_found", "_header", "_kept", "_marks", "_removed", "_ruling", "_source", "_start", "_streaming", "_transaction"),
        *("_writer", "at", "id", "refusal"),
    )

    def __init__(self, context: InboundContext, transaction: Transaction) -> None:
        """:raises QueueError: the engine takes nothing."""
        self._context = context
        self._transaction = transaction
        self._writer = context.queue.content_writer()
        self._start = bytearray()  # the content so far, until its header section is complete
        self._streaming = False
        self._found = _NOTHING_FOUND  # what the protocol machine found out about the content
        self._header = _NO_HEADER
        self._marks: tuple[Mark, ...] = ()
        self._kept: tuple[int, ...] = ()  # fields of marks that the firewall lets pass
        self._removed: tuple[str, ...] = ()
        self._source: Source | None = None  # where a gateway was skipped
        self._ruling = NO_RULING
        self.id = context.new_id()
        self.at = context.clock.now()
        self.refusal: Reply | None = None

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take octets of content. An awaitable: wait for it before the next ones (back-pressure)."""
        if self.refusal is not None:
            return None
        if self._streaming:
            return self._writer.write(data)
        if not self._start:
            end = find_header_end(data)
            if end >= 0:
                return self._begin(data[:end], memoryview(data)[end:])
            self._start += data
        else:
            # The blank line may have begun up to three octets before the new data; searching from there keeps the cost linear.
            searched = max(0, len(self._start) - 3)
            self._start += data
            end = find_header_end(self._start, searched)
            if end >= 0:
                start, self._start = bytes(self._start), bytearray()
                return self._begin(start[:end], memoryview(start)[end:])
        limit = self._context.limits.header_octets
        if len(self._start) > limit:
            self._refuse(_header_too_large(limit))
        return None

    def _begin(self, block: bytes, body: bytes | memoryview) -> Awaitable[None] | None:
        """The header section is complete: check it, transform it, and let it go ahead of the body."""
        self._streaming = True
        header = self._header = scan(block)
        refusal = self._check(block, header)
        if refusal is not None:
            self._refuse(refusal)
            return None
        transaction = self._transaction
        if keeps_headers(transaction.caller, transaction.facts):
            filtered = promote(block, header)
        else:
            filtered, self._removed = filter_header(block, header, trusted=False, hostname=self._context.hostname, kept=self._kept)
        if transaction.snapshot.rules.rules:
            self._ruling = apply_rules(transaction, filtered)
            if self._ruling.refusal is not None:
                self._count()
                self._refuse(self._ruling.refusal)
                return None
        only = next(iter(transaction.accepted.values())).resolved if len(transaction.accepted) == 1 else ""
        received = received_field(
            transaction.facts,
            hostname=self._hostname(),
            queue_id=self.id,
            at=self.at,
            # Several: naming one would tell the others of him. Beyond ASCII: a hop without SMTPUTF8 could not take our own line.
            recipient=only if only.isascii() else "",
            smtputf8=transaction.mail.smtputf8,
        )
        return self._writer.write(b"".join((received, self._missing_fields(header), *self._with_source(header, filtered), body)))

    def _hostname(self) -> str:
        """Who we are in Received: as the peer was greeted."""
        receiver = self._transaction.caller.receiver
        return receiver.fqdn if receiver is not None and receiver.fqdn else self._context.hostname

    def _with_source(self, header: Header, filtered: bytes) -> tuple[bytes, ...]:
        """The header section, and before it the source address where the message came through a gateway that is skipped."""
        transaction = self._transaction
        caller = transaction.caller
        if caller.connector is None and not caller.partners:
            return (filtered,)
        source = find_source(transaction.facts, caller, transaction.snapshot.connectors, header.get_all("Received"))
        if not source.connector:
            return (filtered,)
        self._source = source
        return (source_field(source.address) if source.address else b"", without_source(filtered))

    def _check(self, block: bytes, header: Header) -> Reply | None:
        limits = self._context.limits
        if self._transaction.mail.body == "BINARYMIME" and has_bare_line_end(block):
            # Binary content may hold bare CR and LF, the header may not (RFC 5322 section 2.2): whoever normalises them later would
            # see fields that the header firewall did not (C7, W13).
            return BARE_LINE_END
        if block[:1] in (b" ", b"\t"):
            return _NO_FIELD  # it would continue our own Received field
        if len(block) > limits.header_octets:
            return _header_too_large(limits.header_octets)
        if len(header.names) > limits.header_fields:
            return Reply(554, "5.6.0", f"Message header has more than {limits.header_fields} fields")
        hops = header.count("Received")
        if has_mark(header):
            self._marks = marks = self._context.marks.read(header)
            self._kept = (*(mark.start for mark in marks), *self._context.marks.of_others(header))
            hops += sum(mark.removed for mark in marks)
        receiver = self._transaction.caller.receiver
        most = limits.received_headers if receiver is None else receiver.max_hop_count
        if hops > most:  # RFC 5321 section 6.3
            return self._loop(f"more than {most} hops", named=bool(self._transaction.origin.connector))
        if self._marks and self._took_before(message_id_of(header)):
            return self._loop(TAKEN_BEFORE, named=True)
        return None

    def _took_before(self, message_id: str) -> bool:
        """Every copy took its way through this installation before. Copies among others that did not are stopped when they leave."""
        origin, marks = self._transaction.origin, self._context.marks
        came = way_in(origin.caller_kind, origin.connector)
        deliveries = (copy.delivery for copy in self._transaction.copies.values())
        return all(was_taken(self._marks, marks.step(came, one.next_hop, one.recipient.key, message_id)) for one in deliveries)

    def _loop(self, what: str, *, named: bool) -> Reply:
        """`named`: with both connectors, so that the one notice about it names them. Who can count to thirty need not learn their names."""
        if not named:
            return Reply(554, "5.4.14", f"{HOPS}: {what}")
        outbound = next((copy.way.connector for copy in self._transaction.copies.values() if copy.way.connector), "")
        return loop_reply(what, self._transaction.origin.connector, outbound)

    def _missing_fields(self, header: Header) -> bytes:
        """Date and Message-ID where a submission lacks them (RFC 6409 section 8). Relayed mail gets nothing added."""
        if self._transaction.facts.listener_kind == "mx":
            return b""
        lines = b""
        if not header.count("Date"):
            lines += f"Date: {date_text(int(self.at))}\r\n".encode("ascii")
        if not header.count("Message-ID"):
            lines += f"Message-ID: {self._own_message_id()}\r\n".encode("ascii")
        return lines

    def _own_message_id(self) -> str:
        return f"<{self.id}@{self._context.hostname}>"

    def _refuse(self, reply: Reply) -> None:
        self.refusal = reply
        self._start = bytearray()
        self._writer.discard()

    def fail(self, error: BaseException) -> None:
        """Staging failed: the content is lost, and the client will hear that he must try again."""
        self._refuse(not_accepted(error))

    def discard(self) -> None:
        """Forget the content. Harmless when repeated and after acceptance."""
        self._start = bytearray()
        self._writer.discard()

    def end(self, found: ContentEnded) -> Awaitable[None] | None:
        """There is no more content. An awaitable: wait for it before `finish`."""
        self._found = found
        if self._streaming or self.refusal is not None:
            return None
        start, self._start = bytes(self._start), bytearray()
        return self._begin(start, b"")  # a message without a body

    def finish(self) -> NewMessage | None:
        """After `end`: the message to hand to the queue, or None where `refusal` says why there is none."""
        if self.refusal is not None:
            self._transaction.refused(self._context, self.refusal, (self.refusal.text,), message=self.id)
            return None
        return self._message()

    def _message(self) -> NewMessage:
        transaction = self._transaction
        mail = transaction.mail
        header = self._header
        message_id = header.get("Message-ID")
        if not message_id and transaction.facts.listener_kind != "mx":
            message_id = self._own_message_id()
        return NewMessage(
            id=self.id,
            received_at=self.at,
            sender=mail.sender,
            deliveries=tuple([copy.delivery for copy in transaction.copies.values()]),
            content=self._writer.finish(),
            origin=transaction.origin,
            config_version=transaction.snapshot.version,
            body=_BODIES[mail.body],
            smtputf8=mail.smtputf8,
            ret=mail.ret,
            envid=mail.envid,
            message_id=message_id[:MESSAGE_ID_CHARACTERS],
            subject=decode_words(header.get("Subject"), SUBJECT_CHARACTERS),
            auto_submitted=is_auto_submitted(header.get("Auto-Submitted")),
            requires_8bit=self._found.eight_bit,
            plain=self._found.plain,
            tls=tls_wish(mail.require_tls, header.get("TLS-Required")),
        )

    def record(self, message: NewMessage) -> None:
        """Tell the trace what was accepted and why it goes where it goes: after the commit, so never of mail that is not there."""
        transaction = self._transaction
        record_receipt(self._context, transaction.facts, transaction.caller, message, self._removed, self._source)
        for known in transaction.accepted.values():
            if known.decision.resolution.kind == "DistributionGroup":
                record_expansion(self._context, message, known.decision)
        for hit, recipients in self._ruling.hits:
            record_rule(self._context, message, hit, recipients)
        record_ways(self._context, message, [copy.way for copy in transaction.copies.values()])
        self._count()

    def _count(self) -> None:
        """The settings decided about this message: for replays."""
        traffic = self._context.traffic
        if traffic is not None:
            transaction = self._transaction
            for known in transaction.accepted.values():
                traffic.saw(transaction.known, known, self._ruling.answers, self.at, self.id)


def _header_too_large(limit: int) -> Reply:
    return Reply(552, "5.3.4", f"Message header size exceeds the limit of {limit} octets")


def is_auto_submitted(value: str) -> bool:
    """True where the Auto-Submitted field says that a program sent the message (RFC 3834 section 5): it causes no DSN of ours."""
    return bool(value) and value.partition(";")[0].strip().lower() != "no"


def tls_wish(require_tls: bool, field: str) -> TlsWish:
    """From REQUIRETLS of MAIL and the value of the field TLS-Required, which only says something without it (RFC 8689 sections 3, 5)."""
    if require_tls:
        return TlsWish.REQUIRED
    return TlsWish.OPTIONAL if field and field.lower() == "no" else TlsWish.DEFAULT
