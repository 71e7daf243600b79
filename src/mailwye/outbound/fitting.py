"""Does a message fit what the next hop offers, and if not: what must be done to it? Pure; the common case costs a microsecond."""

from __future__ import annotations

from mailwye.message.envelope import BodyType
from mailwye.queue.item import QueuedMessage
from mailwye.smtp.client_events import Extensions
from mailwye.smtp.reply import Reply
from mailwye.smtp.transfer import has_long_line
from mailwye.value import dataclass

HEADER_LIMIT = 262_144  # octets looked at for the end of the header


@dataclass(frozen=True, slots=True)
class Fit:
    """How the message can go. `body` for BODY=; `convert`: why the content must be re-encoded to 7 bit, "" where it must not;
    `ascii_only`: the hop knows no SMTPUTF8, so non-ASCII addresses and headers cannot pass.
    """

    body: str = ""
    smtputf8: bool = False
    convert: str = ""
    ascii_only: bool = False


PLAIN = Fit()
EIGHT_BIT = Fit(body="8BITMIME")


def fit(message: QueuedMessage, offered: Extensions, *, long_lines: bool) -> Fit:
    """Compare `message` with what the hop offers. `long_lines`: the content has lines above 998 octets."""
    if not (message.requires_8bit or message.smtputf8 or long_lines) and message.body is not BodyType.BINARY_MIME:
        return PLAIN
    convert, body = "", ""
    if message.body is BodyType.BINARY_MIME:
        if offered.binary_mime:
            body = "BINARYMIME"
        else:
            convert = "binary content, and the hop offers no BINARYMIME (RFC 3030)"
    elif long_lines:
        convert = "lines longer than 998 octets (RFC 5321 section 4.5.3.1.6)"
    elif message.requires_8bit and offered.eight_bit_mime:
        body = "8BITMIME"
    elif message.requires_8bit:
        convert = "8-bit content, and the hop offers no 8BITMIME (RFC 6152)"
    if not message.smtputf8:
        return EIGHT_BIT if body == "8BITMIME" else Fit(body, False, convert)
    return Fit(body, offered.smtputf8, convert, ascii_only=not offered.smtputf8)


def fits_as_it_is(message: QueuedMessage, content: bytes, offered: Extensions) -> Fit | None:
    """For the hot path: how `content` goes without being touched or looked through for headers; None where it needs more care."""
    long_lines = not message.plain and message.body is not BodyType.BINARY_MIME and has_long_line(content)
    found = fit(message, offered, long_lines=long_lines)
    return None if found.convert or found.ascii_only else found


def header_of(content: bytes) -> bytes:
    """The header section with its last line end."""
    end = content.find(b"\r\n\r\n", 0, HEADER_LIMIT)
    return content[: end + 2] if end >= 0 else content[:HEADER_LIMIT]


def needs_smtputf8(host: str, what: str) -> Reply:
    """RFC 6531 section 3.5: what cannot be said to this hop is returned, never mangled (W19)."""
    return Reply(550, "5.6.7", f"{what} needs SMTPUTF8, which {host} does not offer")


def too_large(host: str, size: int, limit: int) -> Reply:
    """RFC 1870 section 6.1: no need to ask what the hop has told already."""
    return Reply(552, "5.3.4", f"The message has {size} octets, {host} takes at most {limit}")
