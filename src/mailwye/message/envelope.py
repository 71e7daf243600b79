"""Options of the envelope: what MAIL FROM and RCPT TO may ask beside the addresses."""

from __future__ import annotations

from enum import Enum, Flag


class BodyType(Enum):
    """BODY= of MAIL FROM (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"


class TlsWish(Enum):
    """What the sender asks of every hop. REQUIRED: REQUIRETLS of MAIL FROM; OPTIONAL: the field TLS-Required: No (RFC 8689)."""

    DEFAULT = ""
    REQUIRED = "requiretls"
    OPTIONAL = "tls-optional"


class Notify(Flag):
    """NOTIFY= of RCPT TO (RFC 3461 section 4.1). DEFAULT (no flag) means: failure and delay, as the RFC advises."""

    DEFAULT = 0
    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8
