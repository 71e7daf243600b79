"""SMTP replies (RFC 5321 section 4.2) with enhanced status codes (RFC 3463, RFC 2034): the value, both directions of the wire, and
the catalogue of standard replies.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import Enum
from functools import lru_cache

from mailwye.smtp.errors import RemoteProtocolError
from mailwye.value import dataclass

REPLY_LINE_LIMIT = 512  # octets with CR LF that we send, RFC 5321 section 4.5.3.1.5
REPLY_LINES_SENT = 100  # the rest of a longer text is cut
RECEIVED_LINE_LIMIT = 2_048  # octets that we take: peers do send longer lines than the RFC has
RECEIVED_REPLY_LIMIT = 65_536  # octets of one multi-line reply (R8)

_TOO_LONG = f"a reply line is longer than {RECEIVED_LINE_LIMIT} octets"
_UNPRINTABLE = re.compile(r"[^ -~]+")
_LINE = re.compile(rb"([2-5][0-5][0-9])(?:([ -])(.*))?", re.DOTALL).fullmatch
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)").match


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
    _wire: bytes = field(default=b"", init=False, repr=False, compare=False)

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

    def encode(self) -> bytes:
        """The octets for the wire: every line at most 512 octets of printable ASCII, whatever the text holds; the status code on each
        line (RFC 2034 section 4).
        """
        if not self._wire:
            object.__setattr__(self, "_wire", self._encoded())  # most replies are said again and again
        return self._wire

    def _encoded(self) -> bytes:
        text = self.text
        status = f"{self.enhanced} " if self.enhanced else ""
        if len(text) < 490 and text.isascii() and text.isprintable():
            return f"{self.code} {status}{text}\r\n".encode("ascii")
        lines = _lines_of(text, REPLY_LINE_LIMIT - len(status) - 6)
        head = "".join(f"{self.code}-{status}{line}\r\n" for line in lines[:-1])
        return f"{head}{self.code} {status}{lines[-1]}\r\n".encode("ascii")

    def shortened(self, limit: int) -> Reply:
        """The same with at most `limit` characters of text: what is kept with a message must not be as long as a peer likes."""
        return self if len(self.text) <= limit else Reply(self.code, self.enhanced, f"{self.text[: limit - 3]}...")

    def __str__(self) -> str:
        """The reply as one line, as logs, traces and DSNs show it."""
        status = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {status}{self.text}".replace("\n", " ")


def _lines_of(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` printable ASCII characters, broken at blanks where there are any; at least one line."""
    lines: list[str] = []
    for part in text.split("\n")[:REPLY_LINES_SENT]:
        rest = _UNPRINTABLE.sub(" ", part.encode("ascii", "replace").decode("ascii")).rstrip()
        while len(rest) > width:
            cut = rest.rfind(" ", 1, width + 1)
            cut = cut if cut > 0 else width
            lines.append(rest[:cut])
            rest = rest[cut:].lstrip(" ")
        lines.append(rest)
    return lines[:REPLY_LINES_SENT]


def parse_reply_line(line: bytes) -> tuple[int, bool, str]:
    """One reply line without its CR LF → (code, more lines follow, text). Status codes stay in the text. What is no printable
    character becomes "?".

    :raises RemoteProtocolError: no reply line (`999 x`, no number, …).
    """
    found = _LINE(line)
    if found is None:
        raise RemoteProtocolError(f"not an SMTP reply: {line[:80].decode('latin-1')!a}")
    text = (found[3] or b"").decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(character if character.isprintable() else "?" for character in text)
    return int(found[1]), found[2] == b"-", text


class ReplyParser:
    """Octets of the peer → replies. Bounded by RECEIVED_LINE_LIMIT and RECEIVED_REPLY_LIMIT."""

    __slots__ = ("_code", "_lines", "_octets", "_rest", "_texts")

    def __init__(self) -> None:
        self._rest = b""  # of a line whose end has not come
        self._lines: list[bytes] = []  # complete and not looked at, the next one last
        self._code = 0
        self._texts: list[str] = []
        self._octets = 0

    @property
    def has_pending(self) -> bool:
        """True while octets or lines wait that belong to no reply yet. After 220 to STARTTLS that is an attack (W5)."""
        return bool(self._rest or self._lines or self._texts)

    def receive_data(self, data: bytes) -> None:
        """Take octets."""
        # Only CR LF ends a line: a peer that echoes our own text with a lone LF cannot make a reply of it.
        lines = (self._rest + data).split(b"\r\n")
        self._rest = lines.pop()
        lines.reverse()
        self._lines = lines + self._lines if self._lines else lines

    def next_reply(self) -> Reply | None:
        """The next complete reply, None when more octets are needed.

        :raises RemoteProtocolError: garbage, lines with different codes, or a limit passed (R8). The parser is of no use afterwards.
        """
        lines = self._lines
        while lines:
            line = lines.pop()
            if len(line) > RECEIVED_LINE_LIMIT:
                raise RemoteProtocolError(_TOO_LONG)
            if not self._texts and (whole := _single_line_reply(line)) is not None:
                return whole
            code, more, text = parse_reply_line(line)
            self._octets += len(line) + 2
            if self._octets > RECEIVED_REPLY_LIMIT:
                raise RemoteProtocolError(f"a reply is longer than {RECEIVED_REPLY_LIMIT} octets")
            if self._texts and code != self._code:
                raise RemoteProtocolError(f"one reply has the codes {self._code} and {code}")
            self._code = code
            self._texts.append(text)
            if not more:
                return self._finish()
        if len(self._rest) > RECEIVED_LINE_LIMIT:
            raise RemoteProtocolError(_TOO_LONG)
        return None

    def _finish(self) -> Reply:
        """The collected lines → one Reply."""
        code, texts = self._code, self._texts
        self._texts, self._octets = [], 0
        return _reply_of(code, texts)


def _reply_of(code: int, texts: list[str]) -> Reply:
    """The status code leaves the text where its class is that of the code (RFC 2034 section 4)."""
    found = _STATUS(texts[0])
    if found is None or int(texts[0][0]) != code // 100:
        return Reply(code, "", "\n".join(texts))
    status = found[1]
    stripped = [text[len(status) :].lstrip(" ") if text.startswith(status) else text for text in texts]
    return Reply(code, status, "\n".join(stripped))


@lru_cache(maxsize=256)
def _single_line_reply(line: bytes) -> Reply | None:
    """The reply that one line is, None where more lines follow. Remembered: a server says the same few lines all day.

    :raises RemoteProtocolError: see parse_reply_line.
    """
    code, more, text = parse_reply_line(line)
    return None if more else _reply_of(code, [text])


# The catalogue: what the machine says without asking anyone, and what drivers say most. Sorted by code.
HELP = Reply(214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT (RFC 5321)")
OK = Reply(250, "2.0.0", "Ok")
SENDER_OK = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Ok")
CLOSING = Reply(221, "2.0.0", "Bye")
TLS_READY = Reply(220, "2.0.0", "Ready to start TLS")
AUTH_SUCCEEDED = Reply(235, "2.7.0", "Authentication succeeded")
CANNOT_VERIFY = Reply(252, "2.0.0", "Cannot verify the user; send some mail and see")
START_CONTENT = Reply(354, "", "End data with <CR><LF>.<CR><LF>")

SHUTTING_DOWN = Reply(421, "4.3.2", "Service is shutting down; try again in a moment")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections; try again later")
TIMED_OUT = Reply(421, "4.4.2", "Timeout; closing the connection")
TOO_SLOW = Reply(421, "4.4.2", "Data arrives too slowly; closing the connection")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors; closing the connection")
TOO_MANY_IDLE_COMMANDS = Reply(421, "4.7.0", "Too many commands without a message; closing the connection")
TRY_LATER = Reply(451, "4.3.0", "Temporary failure; try again later")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients in one message; send the rest in another one")

COMMAND_TOO_LONG = Reply(500, "5.5.2", "Line too long")
BARE_LF_IN_COMMAND = Reply(500, "5.5.2", "Lines must end with <CR><LF>")
BAD_CHARACTER = Reply(501, "5.5.2", "The command holds a control character or invalid UTF-8")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognized")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication line too long")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
AUTH_MALFORMED = Reply(501, "5.5.2", "Cannot decode the response")
NO_ARGUMENT_ALLOWED = Reply(501, "5.5.4", "This command takes no argument")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
BAD_SEQUENCE = Reply(503, "5.5.1", "Bad sequence of commands")
NO_VALID_RECIPIENTS = Reply(503, "5.5.1", "No valid recipients")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "Authentication mechanism not supported")
PLAINTEXT_AFTER_STARTTLS = Reply(503, "5.5.0", "Nothing may follow STARTTLS before TLS is up (RFC 3207 section 6)")
SYNCHRONIZATION_LOST = Reply(554, "5.5.0", "Protocol synchronization error: you must wait for the reply")
AUTH_REQUIRED = Reply(530, "5.7.0", "Authentication required")
TLS_REQUIRED = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
AUTH_FAILED = Reply(535, "5.7.8", "Authentication credentials invalid")
ENCRYPTION_REQUIRED = Reply(538, "5.7.11", "Encryption required for the requested authentication mechanism")
BARE_LINE_END = Reply(550, "5.5.2", "The message holds a bare <CR> or <LF>; lines must end with <CR><LF> (RFC 5321 section 2.3.8)")
HEADER_TOO_LARGE = Reply(552, "5.3.4", "The message header is too large")
MESSAGE_TOO_LARGE = Reply(552, "5.3.4", "The message is too large")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "A non-ASCII address needs SMTPUTF8 in MAIL FROM")
NOT_SMTP = Reply(554, "5.5.0", "This is a mail server")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Unknown parameter")
