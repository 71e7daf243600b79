"""What the receiving side remembers, and the few things that may happen to it: a move, a refusal, an end.

Rule: only `move` and `end` change the state, by the table in server_table.py.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mailwye.smtp import reply as say
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.events import CommandRefused, ConnectionEnded, Event, MailReceived, TransactionReset
from mailwye.smtp.reply import Reply
from mailwye.smtp.sasl import SaslExchange
from mailwye.smtp.server_table import IN_TRANSACTION, TRANSITIONS, Input, State
from mailwye.smtp.wire import ContentInspector, DotReader, InputBuffer

COMMAND_SHOWN = 128  # characters of a bad command that log and trace get


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What the connection offers and where its limits are. Times in seconds, sizes in octets."""

    hostname: str
    message_size: int = 36_700_160
    recipients_per_message: int = 500
    offer_starttls: bool = False
    offer_auth: bool = False  # offered only under TLS (RFC 4954 section 4)
    require_auth: bool = False  # submission: MAIL before AUTH is answered 530 5.7.0
    offer_xclient: bool = False  # the peer is a declared front end and may name the client; from anyone else it is an unknown command
    require_pipelining_sync: bool = True  # talking before the greeting or past a synchronization point ends the connection (W9, W10)
    bare_line_end: str = "reject"  # "reject" | "normalise" (W1, W2)
    command_line: int = 2048
    header_octets: int = 262_144
    error_budget: int = 20  # refused commands before 421; an accepted message starts it anew
    idle_commands_budget: int = 100  # NOOP, RSET, VRFY… before 421; an accepted message starts it anew
    command_timeout: float = 300.0
    content_timeout: float = 180.0
    minimum_rate: int = 64  # octets per second, averaged over a content transfer after its first 30 s; 0: none
    postmaster_domain: str = ""  # of RCPT TO:<Postmaster> (RFC 5321 section 4.5.1); "": hostname


class Transfer:
    """Content on its way: the whole of DATA, or one chunk of BDAT. Octets count as they are on the wire."""

    __slots__ = ("dots", "last", "last_octets", "octets", "refusal", "remaining", "since", "size")

    def __init__(
        self, *, now: float, dots: DotReader | None = None, size: int = 0, last: bool = True, refusal: Reply | None = None
    ) -> None:
        self.dots = dots  # None: a chunk
        self.size = size  # of the chunk
        self.remaining = size
        self.last = last
        self.refusal: Reply | None = None  # set: the chunk is read only to be thrown away, then this is answered
        self.octets = 0
        self.since = now
        self.last_octets = now


class ServerSession:
    """The memory of one ServerConnection; server_commands.py and server_content.py work on it."""

    __slots__ = (
        "authenticated",
        "config",
        "eof",
        "errors",
        "esmtp",
        "events",
        "farewell",
        "idle_commands",
        "input",
        "inspector",
        "mail",
        "now",
        "out",
        "recipients",
        "sasl",
        "since",
        "state",
        "tls",
        "transfer",
        "waiting",
    )

    def __init__(self, config: ServerConfig, *, now: float, tls: bool) -> None:
        self.config = config
        self.tls = tls
        self.state = State.GREETING
        self.input = InputBuffer()
        self.out = b""
        self.events: deque[Event] = deque()
        self.waiting: Event | None = None  # the event whose answer is due
        self.farewell: tuple[Reply, str] | None = None  # the last reply and its reason, said when no answer or content is due
        self.eof = False
        self.now = now
        self.since = now  # since when a command is awaited
        self.esmtp = False
        self.authenticated = False
        self.errors = 0
        self.idle_commands = 0
        self.sasl: SaslExchange | None = None
        self.mail: MailReceived | None = None  # of the open transaction, as this and the next three
        self.recipients = 0
        self.inspector: ContentInspector | None = None
        self.transfer: Transfer | None = None

    def move(self, given: Input) -> None:
        """Go where the table says.

        :raises LocalProtocolError: the table has no such way.
        """
        following = TRANSITIONS[self.state].get(given)
        if following is None:
            raise LocalProtocolError(f"{given} is not possible in the state {self.state}")
        self.state = following

    def ask(self, event: Event) -> None:
        """Hand out an event and stop until it is answered."""
        self.events.append(event)
        self.waiting = event

    def refuse(self, reply: Reply, command: str) -> None:
        """Answer a bad command; `command` is for log and trace and holds no secret."""
        self.out += reply.encode()
        self.notice(reply, command)
        self.count_error()

    def notice(self, reply: Reply, command: str) -> None:
        """Report a refusal."""
        self.events.append(CommandRefused(reply.code, reply.text, command[:COMMAND_SHOWN]))

    def count_error(self) -> None:
        """One more refusal; one too many ends the session (W14, V4)."""
        self.errors += 1
        if self.errors > self.config.error_budget and self.state is not State.ENDED:
            self.end(say.TOO_MANY_ERRORS, "errors")

    def count_idle(self) -> bool:
        """One more command that brings no message nearer (W23). False when it ended the session."""
        self.idle_commands += 1
        if self.idle_commands <= self.config.idle_commands_budget:
            return True
        self.end(say.TOO_MANY_IDLE_COMMANDS, "idle commands")
        return False

    def lose_synchronization(self, command: str, reply: Reply = say.SYNCHRONIZATION_LOST) -> None:
        """The peer did not wait where he had to (RFC 5321 section 4.3.1, RFC 2920 section 3.1): nothing that he said later counts."""
        self.notice(reply, command)
        self.end(reply, "synchronization")

    def forget_transaction(self) -> None:
        """Empty the buffers (RFC 5321 section 4.1.1.5), and say so where a transaction was open."""
        if self.state in IN_TRANSACTION:
            self.events.append(TransactionReset())
        self.mail = None
        self.recipients = 0
        self.inspector = None
        self.transfer = None

    def end(self, reply: Reply | None, reason: str) -> None:
        """The one way out: the open transaction is reset, `reply` said, nothing read any more."""
        self.forget_transaction()
        if reply is not None:
            self.out += reply.encode()
        self.state = State.ENDED
        self.waiting = None
        self.sasl = None
        self.input.take_all()
        self.events.append(ConnectionEnded(reason))
