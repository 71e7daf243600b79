"""The receiving side of one SMTP connection, without I/O. (Interface; the machine follows.)"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.smtp.events import Event
from mailwye.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What the connection offers and where its limits are. Times in seconds, sizes in octets."""

    hostname: str
    message_size: int = 36_700_160
    recipients_per_message: int = 500
    offer_starttls: bool = False
    offer_auth: bool = False  # offered only under TLS (RFC 4954 section 4)
    require_auth: bool = False  # submission: MAIL before AUTH is answered 530 5.7.0
    require_pipelining_sync: bool = True  # talking before the greeting or past a synchronization point ends the connection (W9, W10)
    bare_line_end: str = "reject"  # "reject" | "normalise" (W1, W2)
    command_line: int = 2048
    header_octets: int = 262_144
    error_budget: int = 20  # refused commands before 421
    idle_commands_budget: int = 100  # NOOP, RSET, VRFY… without a transaction before 421
    command_timeout: float = 300.0
    content_timeout: float = 180.0
    minimum_rate: int = 64  # octets per second, averaged over a content transfer after its first 30 s; 0: none


class ServerConnection:
    """Drive it: `receive_data`; then `next_event` until it returns None, answering events that want it; then send `data_to_send`."""

    def __init__(self, config: ServerConfig, *, now: float, tls_active: bool = False) -> None:
        raise NotImplementedError

    def greet(self) -> None:
        """Queue the 220 greeting (RFC 5321 section 4.2)."""

    def refuse_connection(self, reply: Reply) -> None:
        """Queue `reply` (421 or 554) instead of the greeting; the connection ends (RFC 5321 section 3.1)."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the peer. Bounded: raises nothing whatever they are."""

    def receive_eof(self, now: float) -> None:
        """The peer closed; an open transaction is reset (W12)."""

    def next_event(self) -> Event | None:
        """The next event, None when more data or an answer is needed."""
        raise NotImplementedError

    def reply(self, reply: Reply) -> None:
        """Answer the event that waits. :raises LocalProtocolError: none waits, or the reply does not fit it."""

    def tls_started(self, now: float) -> None:
        """The handshake succeeded: everything learnt before is forgotten (RFC 3207 section 4.2)."""

    def authenticated(self) -> bool:
        """True after AUTH was answered 235 in this session."""
        raise NotImplementedError

    def data_to_send(self) -> bytes:
        """Octets for the peer since the last call; replies of one burst in one piece."""
        raise NotImplementedError

    def shut_down(self, reply: Reply) -> None:
        """Answer 421 at the next possible moment (RFC 5321 section 3.8) and end."""

    def next_deadline(self) -> float | None:
        """When `handle_deadline` must be called, in the unit of `now` (monotonic seconds)."""
        raise NotImplementedError

    def handle_deadline(self, now: float) -> None:
        """A deadline passed: 421 4.4.2 and the end of the connection."""
