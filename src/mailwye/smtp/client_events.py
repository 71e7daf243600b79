"""Values around ClientConnection: its configuration, what the peer offers, one transaction's request, and the events."""

from __future__ import annotations

from enum import Enum

from mailwye.smtp.address import Address
from mailwye.smtp.client_table import Awaited
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass


class ClientMode(Enum):
    """SMTP (RFC 5321), or LMTP (RFC 2033): LHLO, and a reply for each recipient after the content."""

    SMTP = "smtp"
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How this side speaks. Times in seconds (RFC 5321 section 4.5.3.2), sizes in octets.

    `single_burst`: content up to this size goes with its MAIL and RCPT in one write where the peer offers PIPELINING and CHUNKING.
    """

    hostname: str
    mode: ClientMode = ClientMode.SMTP
    greeting_timeout: float = 300.0
    command_timeout: float = 300.0
    data_timeout: float = 120.0  # from DATA to 354
    block_timeout: float = 180.0  # for one piece of content to leave
    content_timeout: float = 600.0  # from the end of the content to its reply: shorter ones cause duplicates (D6)
    handshake_timeout: float = 60.0
    quit_timeout: float = 5.0
    single_burst: int = 131_072


@dataclass(frozen=True, slots=True)
class Extensions:
    """What EHLO told (RFC 5321 section 4.1.1.1). `size` is the peer's limit, 0 where it names none."""

    name: str = ""
    pipelining: bool = False
    chunking: bool = False
    eight_bit_mime: bool = False
    binary_mime: bool = False
    smtputf8: bool = False
    dsn: bool = False
    starttls: bool = False
    size_offered: bool = False
    size: int = 0
    auth: frozenset[str] = frozenset()
    require_tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Extensions:
        """The text of the reply to EHLO. Unknown keywords are passed over."""
        greeting, *lines = text.split("\n")
        words = [line.upper().split() for line in lines]
        known = {line[0]: line[1:] for line in words if line}
        limit = known.get("SIZE", [])
        return cls(
            name=greeting.partition(" ")[0],
            pipelining="PIPELINING" in known,
            chunking="CHUNKING" in known,
            eight_bit_mime="8BITMIME" in known,
            binary_mime="BINARYMIME" in known and "CHUNKING" in known,  # RFC 3030 section 3: useless without CHUNKING
            smtputf8="SMTPUTF8" in known,
            dsn="DSN" in known,
            starttls="STARTTLS" in known,
            size_offered="SIZE" in known,
            size=int(limit[0]) if limit and limit[0].isascii() and limit[0].isdigit() and len(limit[0]) < 20 else 0,
            auth=frozenset(known.get("AUTH", [])),
            require_tls="REQUIRETLS" in known,
        )


@dataclass(frozen=True, slots=True)
class RecipientRequest:
    """One RCPT. `notify`: words for NOTIFY= in the order to send; `orcpt`: decoded. Both leave only towards a peer that offers DSN."""

    address: Address
    notify: tuple[str, ...] = ()
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """One message to one peer, already fitted to what the peer offers. `content` None: it is streamed (`send_content`).

    `body` is "", "8BITMIME" or "BINARYMIME"; `size` in octets; `ret` and `envid` decoded. `plain`: see ContentEnded.plain.
    """

    sender: Address | None
    recipients: tuple[RecipientRequest, ...]
    content: bytes | None
    size: int
    body: str = ""
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    plain: bool = False
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """The reply that decided one recipient, and to what it was the reply."""

    at: Awaited
    reply: Reply


@dataclass(frozen=True, slots=True)
class ServerReady:
    """EHLO (HELO, LHLO) was answered: STARTTLS, AUTH and transactions may start. Comes again after `tls_started`."""

    extensions: Extensions


@dataclass(frozen=True, slots=True)
class TlsAccepted:
    """STARTTLS was answered 220 and nothing followed it (W5): do the handshake, then call `tls_started`."""


@dataclass(frozen=True, slots=True)
class TlsRefused:
    """STARTTLS was refused; the session goes on in plaintext if the driver wants that."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class AuthChallenged:
    """The server asks for more within AUTH: call `continue_auth`. `challenge` without base64."""

    challenge: bytes


@dataclass(frozen=True, slots=True)
class AuthEnded:
    """AUTH ended with `reply` (235, or the refusal)."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class ContentRequested:
    """At least one recipient stands and the peer waits: call `send_content` piece by piece, then `end_content`."""


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """One outcome for each recipient of the oldest open transaction, in its order. `replied`: the peer said anything about it."""

    outcomes: tuple[RecipientOutcome, ...]
    replied: bool


@dataclass(frozen=True, slots=True)
class ServerGone:
    """The connection is of no use any more; close it after `data_to_send` left. `at`: the reply that was owed (None: none was).
    `reply`: the peer's words, or what happened as a reply. `orderly`: it ended as we asked (QUIT).
    """

    at: Awaited | None
    reply: Reply
    orderly: bool = False


ClientEvent = ServerReady | TlsAccepted | TlsRefused | AuthChallenged | AuthEnded | ContentRequested | TransactionEnded | ServerGone
