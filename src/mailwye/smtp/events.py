"""What ServerConnection tells its driver. Events marked *answer* stop the machine until the driver calls `reply`."""

from __future__ import annotations

from dataclasses import field

from mailwye.smtp.address import Address
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """EHLO or HELO was taken and answered. The name is as the client gave it, checked for printable characters only."""

    name: str
    esmtp: bool


@dataclass(frozen=True, slots=True)
class MailReceived:
    """MAIL FROM (*answer*: 250 opens the transaction). Parameters are checked for syntax and for what was offered."""

    sender: Address | None
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    auth: str = ""
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class RcptReceived:
    """RCPT TO (*answer*: 250 adds the recipient). `notify` holds words of NOTIFY=; `orcpt` is decoded."""

    recipient: Address
    notify: frozenset[str] = frozenset()
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class DataStarted:
    """DATA (*answer*: 354, or a refusal) or the first BDAT (*answer*: 250 or a refusal; the reply 250 itself is not sent: the
    chunk's own reply is). `chunking` is True for BDAT. Comes only with at least one accepted recipient.
    """

    chunking: bool = False


@dataclass(frozen=True, slots=True)
class ContentReceived:
    """Octets of content: CRLF line ends, dots unstuffed. For BDAT the chunk's octets; exactly those where BODY=BINARYMIME was said."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ContentEnded:
    """The content is complete and well-formed (*answer*: 250 from a Receipt, or a refusal). `size` in octets.

    `eight_bit`: it holds octets above 127; `long_lines`: a line has more than 998 octets; `has_nul`: it holds a NUL. `plain`: every line
    ends with CR LF, has at most 998 octets and begins with no dot, so that DATA can carry the content on as it is.
    """

    size: int
    eight_bit: bool = False
    long_lines: bool = False
    has_nul: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class ContentRefused:
    """The content was read to its end and refused by the protocol itself (too large, bare CR or LF, …); already answered.
    The driver discards what it collected.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class TransactionReset:
    """RSET, a new EHLO, or a lost connection ended the transaction. The driver discards what it collected."""


@dataclass(frozen=True, slots=True)
class AuthReceived:
    """AUTH finished its exchange (*answer*: 235, 535 or 454). `identity` is the authorization identity, mostly ""."""

    mechanism: str
    username: str
    password: str = field(repr=False)  # no log or traceback shows it
    identity: str = ""


@dataclass(frozen=True, slots=True)
class ClientNamed:
    """XCLIENT from a declared front end was taken and answered: the session is that of the client at `address` (canonical) now, and
    begins anew. `hello` "": the front end did not say it.
    """

    address: str
    port: int = 0
    hello: str = ""


@dataclass(frozen=True, slots=True)
class StartTlsReceived:
    """STARTTLS was answered with 220 (in `data_to_send`). The driver sends that, starts the handshake as server, and calls
    `tls_started` when it succeeded. Plaintext that arrived after the command was refused already (RFC 3207 section 6).
    """


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A notice: the machine itself answered `code` to a bad command. For the error budget, log and trace."""

    code: int
    text: str
    command: str


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The machine wants the connection closed after `data_to_send` was sent. `reason` for log and trace: "quit", "timeout"…"""

    reason: str


Event = (
    HelloReceived
    | MailReceived
    | RcptReceived
    | DataStarted
    | ContentReceived
    | ContentEnded
    | ContentRefused
    | TransactionReset
    | AuthReceived
    | StartTlsReceived
    | ClientNamed
    | CommandRefused
    | ConnectionEnded
)
