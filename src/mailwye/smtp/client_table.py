"""The client's transitions as data: which reply is awaited, how long, and what each class of reply means there.

A pair that is missing from TABLE is garbage at that place: the connection is of no use any more (R8).
"""

from __future__ import annotations

from enum import Enum, IntEnum


class Awaited(IntEnum):
    """The reply that the peer owes next. One is queued for each command sent, in the order of sending (RFC 2920 section 3.1)."""

    GREETING = 1
    EHLO = 2  # LHLO in LMTP
    HELO = 3
    STARTTLS = 4
    AUTH = 5
    MAIL = 6
    RCPT = 7
    DATA = 8
    CHUNK = 9  # BDAT without LAST
    CONTENT = 10  # after the final dot, or BDAT LAST; in LMTP one for each accepted recipient (RFC 2033 section 4.2)
    RSET = 11
    QUIT = 12

    @property
    def moment(self) -> str:
        """When it is awaited, for people."""
        return _MOMENTS[self]


_MOMENTS: dict[Awaited, str] = {
    Awaited.GREETING: "before its greeting",
    Awaited.EHLO: "after EHLO",
    Awaited.HELO: "after HELO",
    Awaited.STARTTLS: "after STARTTLS",
    Awaited.AUTH: "during AUTH",
    Awaited.MAIL: "after MAIL FROM",
    Awaited.RCPT: "after RCPT TO",
    Awaited.DATA: "after DATA",
    Awaited.CHUNK: "within the content",
    Awaited.CONTENT: "at the end of the content",
    Awaited.RSET: "after RSET",
    Awaited.QUIT: "after QUIT",
}


class Step(Enum):
    """What the client does next."""

    SAY_HELLO = "send EHLO or LHLO"
    FALL_BACK = "send HELO"
    BECOME_READY = "parse the extensions"
    BECOME_READY_PLAIN = "no extensions"
    GIVE_UP = "this host does not want us"
    START_HANDSHAKE = "hand over to TLS"
    STAY_PLAIN = "tell that STARTTLS was refused"
    CONTINUE_AUTH = "send the next response"
    END_AUTH = "tell how AUTH ended"
    NOTE_SENDER = "the sender is accepted"
    REFUSE_SENDER = "every recipient fails with this reply"
    NOTE_RECIPIENT = "this recipient is accepted"
    REFUSE_RECIPIENT = "this recipient fails with this reply"
    SEND_CONTENT = "send what follows DATA"
    REFUSE_CONTENT = "every accepted recipient fails with this reply"
    NOTE_CHUNK = "the chunk arrived"
    END_CONTENT = "this is the verdict"
    NOTE_RESET = "the old transaction is gone"
    CLOSE = "done"


TABLE: dict[tuple[Awaited, int], Step] = {
    (Awaited.GREETING, 2): Step.SAY_HELLO,
    (Awaited.GREETING, 4): Step.GIVE_UP,
    (Awaited.GREETING, 5): Step.GIVE_UP,  # RFC 5321 section 3.1: 554 instead of 220
    (Awaited.EHLO, 2): Step.BECOME_READY,
    (Awaited.EHLO, 4): Step.GIVE_UP,
    (Awaited.EHLO, 5): Step.FALL_BACK,  # RFC 5321 section 3.2: a server that knows no EHLO is offered HELO
    (Awaited.HELO, 2): Step.BECOME_READY_PLAIN,
    (Awaited.HELO, 4): Step.GIVE_UP,
    (Awaited.HELO, 5): Step.GIVE_UP,
    (Awaited.STARTTLS, 2): Step.START_HANDSHAKE,
    (Awaited.STARTTLS, 4): Step.STAY_PLAIN,  # 454, RFC 3207 section 4
    (Awaited.STARTTLS, 5): Step.STAY_PLAIN,
    (Awaited.AUTH, 2): Step.END_AUTH,
    (Awaited.AUTH, 3): Step.CONTINUE_AUTH,
    (Awaited.AUTH, 4): Step.END_AUTH,
    (Awaited.AUTH, 5): Step.END_AUTH,
    (Awaited.MAIL, 2): Step.NOTE_SENDER,
    (Awaited.MAIL, 4): Step.REFUSE_SENDER,
    (Awaited.MAIL, 5): Step.REFUSE_SENDER,
    (Awaited.RCPT, 2): Step.NOTE_RECIPIENT,  # 250, and 251 and 252 alike (RFC 5321 section 4.3.2)
    (Awaited.RCPT, 4): Step.REFUSE_RECIPIENT,
    (Awaited.RCPT, 5): Step.REFUSE_RECIPIENT,
    (Awaited.DATA, 3): Step.SEND_CONTENT,
    (Awaited.DATA, 4): Step.REFUSE_CONTENT,
    (Awaited.DATA, 5): Step.REFUSE_CONTENT,
    (Awaited.CHUNK, 2): Step.NOTE_CHUNK,
    (Awaited.CHUNK, 4): Step.REFUSE_CONTENT,
    (Awaited.CHUNK, 5): Step.REFUSE_CONTENT,
    (Awaited.CONTENT, 2): Step.END_CONTENT,
    (Awaited.CONTENT, 4): Step.END_CONTENT,
    (Awaited.CONTENT, 5): Step.END_CONTENT,
    (Awaited.RSET, 2): Step.NOTE_RESET,
    (Awaited.QUIT, 2): Step.CLOSE,
    (Awaited.QUIT, 4): Step.CLOSE,
    (Awaited.QUIT, 5): Step.CLOSE,
}
