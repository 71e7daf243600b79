"""SMTP replies (RFC 5321 section 4.2) with enhanced status codes (RFC 3463, RFC 2034)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """First digit of a reply code: what the client should do next (RFC 5321 section 4.2.1)."""

    SUCCESS = 2
    INTERMEDIATE = 3
    TRANSIENT = 4
    PERMANENT = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: `code` (200..599), `enhanced` ("5.7.64", or "" where RFC 2034 gives none: greeting, EHLO, 3xx), `text`.

    `text` may hold several lines separated by LF; each becomes one reply line. It is the public text: the peer reads it.
    """

    code: int
    enhanced: str
    text: str

    @property
    def severity(self) -> Severity:
        """The class that the first digit gives."""
        return Severity(self.code // 100)

    @property
    def is_success(self) -> bool:
        """True for 2xx."""
        return 200 <= self.code < 300

    @property
    def is_transient(self) -> bool:
        """True for 4xx: try again later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """True for 5xx: do not try again unchanged."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        """The reply as one line, as logs, traces and DSNs show it."""
        status = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {status}{self.text}".replace("\n", " ")
