"""The envelope of a message: reverse-path, recipients and their options (RFC 5321 section 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, Flag

from mailwye.smtp.address import Address


class BodyType(Enum):
    """BODY= of MAIL FROM (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"


class Notify(Flag):
    """NOTIFY= of RCPT TO (RFC 3461 section 4.1). DEFAULT (no flag) means: failure and delay, as the RFC advises."""

    DEFAULT = 0
    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path as the client gave it. `orcpt` is the decoded ORCPT ("rfc822;a@b"), "" when absent."""

    address: Address
    notify: Notify = Notify.DEFAULT
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender, recipients and transaction options. `sender` None is the null reverse-path `<>` (RFC 5321 section 4.5.5).

    `ret` is "FULL", "HDRS" or "" (RFC 3461 section 4.3); `envid` the decoded ENVID, "" when absent.
    """

    sender: Address | None
    recipients: tuple[Recipient, ...]
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    declared_size: int = field(default=0, compare=False)

    @property
    def sender_text(self) -> str:
        """The reverse-path for people and traces: the address, or `<>`."""
        return str(self.sender) if self.sender is not None else "<>"
