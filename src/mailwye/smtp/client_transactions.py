"""The transactions of one client connection: from MAIL to the verdict on the content, in lock-step or pipelined.

How one transaction goes, depending on what the peer offers:
- neither PIPELINING nor CHUNKING: MAIL, each RCPT, DATA and the content one by one;
- PIPELINING: MAIL, all RCPT and DATA in one write, then the content (RFC 2920 section 3.1);
- PIPELINING and CHUNKING, small content: MAIL, all RCPT and BDAT LAST with the content in one write (RFC 3030 section 4.2). Where every
  recipient is refused, the peer reads the chunk, refuses it too, and RSET clears what is left;
- BINARYMIME content: BDAT, one chunk for each piece (RFC 3030 section 3).
"""

from __future__ import annotations

from collections import deque

from mailwye.smtp.client_events import (
    ClientConfig,
    ClientEvent,
    ClientMode,
    ContentRequested,
    Extensions,
    RecipientOutcome,
    TransactionEnded,
    TransactionRequest,
)
from mailwye.smtp.client_table import Awaited
from mailwye.smtp.errors import LocalProtocolError, RemoteProtocolError
from mailwye.smtp.reply import Reply
from mailwye.smtp.transfer import complete_lines, encode_commands, mail_command, rcpt_command
from mailwye.smtp.wire import END_OF_DATA, DotWriter


class Transaction:
    """One message under way."""

    __slots__ = ("accepted", "chunking", "complete", "hurried", "outcomes", "replied", "request", "settled", "writer")

    def __init__(self, request: TransactionRequest, *, chunking: bool, complete: bool, hurried: bool) -> None:
        self.request = request
        self.outcomes: list[RecipientOutcome | None] = [None] * len(request.recipients)
        self.accepted: list[int] = []  # recipients that wait for the verdict on the content
        self.chunking = chunking
        self.complete = complete  # no octet of content is missing on the wire
        self.hurried = hurried  # every command left at once: no reply to RCPT lets another one leave
        self.settled = False
        self.replied = False
        self.writer: DotWriter | None = None

    def decide(self, awaited: Awaited, reply: Reply) -> None:
        """`reply` decides every recipient that is still open."""
        outcome, outcomes = RecipientOutcome(awaited, reply), self.outcomes
        for index, known in enumerate(outcomes):
            if known is None:
                outcomes[index] = outcome

    def ended(self) -> TransactionEnded:
        """The event; every recipient is decided."""
        return TransactionEnded(tuple(filter(None, self.outcomes)), self.replied)


class Channel:
    """What the two halves of the client share: replies awaited, octets to send, events to tell."""

    __slots__ = ("awaited", "events", "extensions", "out", "since")

    def __init__(self, now: float) -> None:
        self.awaited: deque[tuple[Awaited, Transaction | None, int]] = deque()
        self.out: list[bytes] = []
        self.events: deque[ClientEvent] = deque()
        self.extensions = Extensions()
        self.since = now  # when the oldest awaited reply became due, or content last moved

    def say(self, command: bytes, awaited: Awaited, now: float) -> None:
        """Send one command of the session."""
        if not self.awaited:
            self.since = now
        self.out.append(command)
        self.awaited.append((awaited, None, 0))


class Transactions:
    """`open`: the open transactions in the order of sending; more than one only where the peer pipelines."""

    __slots__ = ("_channel", "_config", "_needs_reset", "open")

    def __init__(self, config: ClientConfig, channel: Channel) -> None:
        self._config = config
        self._channel = channel
        self.open: deque[Transaction] = deque()
        self._needs_reset = False

    @property
    def can_follow(self) -> bool:
        """True where one more may start behind what is open: the peer pipelines, and all content has left."""
        return self._channel.extensions.pipelining and self.open[-1].complete

    def start(self, request: TransactionRequest, now: float) -> None:
        """Send MAIL, and as much with it as the RFCs allow. :raises LocalProtocolError: an argument would smuggle a command."""
        channel, offered, content = self._channel, self._channel.extensions, request.content
        binary = request.body == "BINARYMIME"
        burst = offered.pipelining and offered.chunking and content is not None and len(content) <= self._config.single_burst
        chunking = binary or burst
        hurried = offered.pipelining and (burst or not chunking)
        transaction = Transaction(request, chunking=chunking, complete=burst, hurried=hurried)
        commands = [mail_command(request, offered)]
        if offered.pipelining:
            commands += [rcpt_command(recipient, offered) for recipient in request.recipients]
            if not chunking:
                commands.append("DATA")
        encoded = encode_commands("\r\n".join(commands) + "\r\n", len(commands))
        # RFC 3030 section 2: after a refused chunk the state is unknown. Behind one whose verdict is still out that must be assumed.
        if self._needs_reset or (self.open and self.open[-1].chunking):
            self._needs_reset = False
            channel.say(b"RSET\r\n", Awaited.RSET, now)
        if not channel.awaited:
            channel.since = now
        channel.out.append(encoded)
        self.open.append(transaction)
        self._await_commands(transaction, offered)
        if burst and content is not None:
            self._send_chunk(transaction, content if binary or request.plain else complete_lines(content), last=True)

    def _await_commands(self, transaction: Transaction, offered: Extensions) -> None:
        awaited = self._channel.awaited
        awaited.append((Awaited.MAIL, transaction, 0))
        if offered.pipelining:
            rcpt = Awaited.RCPT
            for index in range(len(transaction.outcomes)):
                awaited.append((rcpt, transaction, index))
            if not transaction.chunking:
                awaited.append((Awaited.DATA, transaction, 0))

    def send_content(self, data: bytes, now: float) -> bool:
        """The next piece of streamed content; False where the peer wants no more of it."""
        transaction = self._streaming()
        if transaction is None:
            return False
        self._channel.since = now
        if transaction.writer is not None:
            self._channel.out.append(transaction.writer.feed(data))
        elif data:
            self._send_chunk(transaction, data, last=False)
        return True

    def end_content(self, now: float) -> None:
        """All of the content was given."""
        transaction = self._streaming()
        if transaction is None:
            return
        self._channel.since = now
        transaction.complete = True
        if transaction.writer is not None:
            self._channel.out.append(transaction.writer.finish())
        else:
            self._send_chunk(transaction, b"", last=True)

    def _streaming(self) -> Transaction | None:
        """The transaction whose content is being streamed, None where it was settled meanwhile."""
        if not self.open:
            return None
        transaction = self.open[-1]
        if transaction.complete or transaction.request.content is not None or not transaction.accepted:
            raise LocalProtocolError("no content is wanted now")
        return transaction

    def _send_chunk(self, transaction: Transaction, data: bytes, *, last: bool) -> None:
        self._channel.out += (b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b""), data)
        self._channel.awaited.append((Awaited.CONTENT if last else Awaited.CHUNK, transaction, 0))
        transaction.complete = last

    # What replies do: one method for each Step.

    def note_sender(self, _reply: Reply, transaction: Transaction, _index: int) -> None:
        """MAIL was accepted."""
        if not self._channel.extensions.pipelining:
            self._say_recipient(transaction, 0)

    def refuse_sender(self, reply: Reply, transaction: Transaction, _index: int) -> None:
        """MAIL was refused: that decides every recipient. What was pipelined behind it is still to be answered."""
        transaction.decide(Awaited.MAIL, reply)
        if not self._channel.extensions.pipelining:
            self._settle(transaction, clean=True)

    def note_recipient(self, _reply: Reply, transaction: Transaction, index: int) -> None:
        """RCPT was accepted."""
        if transaction.outcomes[index] is None:
            transaction.accepted.append(index)
        if not transaction.hurried:
            self._after_recipient(transaction, index)

    def refuse_recipient(self, reply: Reply, transaction: Transaction, index: int) -> None:
        """RCPT was refused."""
        if transaction.outcomes[index] is None:
            transaction.outcomes[index] = RecipientOutcome(Awaited.RCPT, reply)
        if not transaction.hurried:
            self._after_recipient(transaction, index)

    def _after_recipient(self, transaction: Transaction, index: int) -> None:
        if index + 1 < len(transaction.outcomes):
            if not self._channel.extensions.pipelining:
                self._say_recipient(transaction, index + 1)
            return
        if not transaction.accepted:
            self._settle(transaction, clean=False)
        elif transaction.chunking:
            self._begin_content(transaction)
        else:
            self._channel.out.append(b"DATA\r\n")
            self._channel.awaited.append((Awaited.DATA, transaction, 0))

    def _say_recipient(self, transaction: Transaction, index: int) -> None:
        command = rcpt_command(transaction.request.recipients[index], self._channel.extensions)
        self._channel.out.append(encode_commands(f"{command}\r\n", 1))
        self._channel.awaited.append((Awaited.RCPT, transaction, index))

    def send_what_follows_data(self, _reply: Reply, transaction: Transaction, _index: int) -> None:
        """DATA was answered 354. :raises RemoteProtocolError: LMTP, and no recipient stands: no reply would follow (RFC 2033)."""
        if transaction.accepted:
            self._begin_content(transaction)
            return
        if self._config.mode is ClientMode.LMTP:
            raise RemoteProtocolError("DATA was accepted although every recipient was refused (RFC 2033 section 4.2)")
        # RFC 2920 section 3.1: nobody is left to receive it, so nothing but the final dot may follow.
        self._channel.out.append(b".\r\n")
        self._channel.awaited.append((Awaited.CONTENT, transaction, 0))
        transaction.complete = True

    def _begin_content(self, transaction: Transaction) -> None:
        content = transaction.request.content
        if content is None:
            if not transaction.chunking:
                transaction.writer = DotWriter(plain=transaction.request.plain)
                self._channel.awaited.append((Awaited.CONTENT, transaction, 0))
            self._channel.events.append(ContentRequested())
        elif transaction.chunking:
            self._send_chunk(transaction, content, last=True)
        else:
            if transaction.request.plain:
                self._channel.out += (content, END_OF_DATA)
            else:
                writer = DotWriter()
                self._channel.out += (writer.feed(content), writer.finish())
            self._channel.awaited.append((Awaited.CONTENT, transaction, 0))
            transaction.complete = True

    def refuse_content(self, reply: Reply, transaction: Transaction, _index: int) -> None:
        """DATA, or a chunk that is not the last, was refused: that decides everybody who was accepted."""
        if not transaction.settled:
            transaction.decide(Awaited.CONTENT if transaction.chunking else Awaited.DATA, reply)
            self._settle(transaction, clean=False)

    def note_chunk(self, _reply: Reply, _transaction: Transaction, _index: int) -> None:
        """A chunk that is not the last arrived."""

    def end_with(self, reply: Reply, transaction: Transaction, index: int) -> None:
        """The verdict. SMTP: for everybody. LMTP: for one accepted recipient after the other (RFC 2033 section 4.2).

        :raises RemoteProtocolError: it came before the content was complete; who was not refused by it stays undecided.
        """
        if not transaction.complete or self._channel.out:  # the content has not even left yet
            if not reply.is_success:
                transaction.decide(Awaited.CONTENT, reply)
            raise RemoteProtocolError(f"it answered before the message was complete: {reply}")
        if transaction.settled:
            return
        accepted = transaction.accepted
        if self._config.mode is ClientMode.LMTP and accepted:
            transaction.outcomes[accepted[index]] = RecipientOutcome(Awaited.CONTENT, reply)
            if index + 1 < len(accepted):
                self._channel.awaited.appendleft((Awaited.CONTENT, transaction, index + 1))
                return
        transaction.decide(Awaited.CONTENT, reply)
        self._settle(transaction, clean=not transaction.chunking or reply.is_success)

    def _settle(self, transaction: Transaction, *, clean: bool) -> None:
        """Every recipient is decided. `clean`: the peer has no transaction open (RFC 5321 section 4.1.1.4); else RSET comes first."""
        transaction.settled = True
        self.open.popleft()
        self._needs_reset = self._needs_reset or not (clean or self.open)
        self._channel.events.append(transaction.ended())

    def abandon(self, reply: Reply) -> None:
        """The connection is gone: `reply` decides all that is undecided, at the place where each transaction stood."""
        places: dict[int, Awaited] = {}
        for awaited, transaction, _ in self._channel.awaited:
            places.setdefault(id(transaction), awaited)
        while self.open:
            transaction = self.open.popleft()
            transaction.decide(places.get(id(transaction), Awaited.CONTENT), reply)
            transaction.settled = True
            self._channel.events.append(transaction.ended())
