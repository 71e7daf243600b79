"""What the client writes: MAIL and RCPT with their parameters, and content in the form of DATA or BDAT. Pure functions, bytes at C speed.

Rule (W2): whatever the stored octets are, no bare CR or LF and no unstuffed dot leaves in DATA.
"""

from __future__ import annotations

import re

from mailwye.smtp.client_events import Extensions, RecipientRequest, TransactionRequest
from mailwye.smtp.errors import LocalProtocolError

ORCPT_LIMIT = 500  # characters, RFC 3461 section 4.2
ENVID_LIMIT = 100  # section 4.4
LINE_LIMIT = 998  # octets of text line without CR LF, RFC 5321 section 4.5.3.1.6

_XTEXT_UNSAFE = re.compile(r"[^!-*,-<>-~]")  # RFC 3461 section 4: "+", "=", and all that is no printable ASCII
_UTF8_UNSAFE = re.compile(r"[^!-*,-<>-\[\]-~]")  # RFC 6533 section 3: and "\"
_BARE = re.compile(rb"\r\n|\r|\n")


def xtext(text: str) -> str:
    """ASCII text → xtext (RFC 3461 section 4): a CR or LF that somebody decoded becomes `+0D` again, never a new line (W22)."""
    return _XTEXT_UNSAFE.sub(lambda match: f"+{ord(match[0]):02X}", text)


def mail_command(request: TransactionRequest, offered: Extensions) -> str:
    """MAIL FROM with the parameters that `offered` allows, without CR LF."""
    sender = request.sender
    command = f"MAIL FROM:<{sender.local}@{sender.domain}>" if sender is not None else "MAIL FROM:<>"
    if offered.size_offered:
        command += f" SIZE={request.size}"
    if request.body and (offered.eight_bit_mime or request.body == "BINARYMIME"):
        command += f" BODY={request.body}"
    if request.smtputf8 and offered.smtputf8:
        command += " SMTPUTF8"
    if offered.dsn:
        if request.ret:
            command += f" RET={request.ret}"
        if request.envid and request.envid.isascii() and len(envid := xtext(request.envid)) <= ENVID_LIMIT:
            command += f" ENVID={envid}"
    return command


def rcpt_command(recipient: RecipientRequest, offered: Extensions) -> str:
    """RCPT TO with NOTIFY and ORCPT towards a peer that offers DSN, without CR LF."""
    address = recipient.address
    command = f"RCPT TO:<{address.local}@{address.domain}>"
    if offered.dsn:
        if recipient.notify:
            command += f" NOTIFY={','.join(recipient.notify)}"
        if recipient.orcpt and (orcpt := _orcpt(recipient.orcpt)):
            command += f" ORCPT={orcpt}"
    return command


def _orcpt(text: str) -> str:
    """`type;address` encoded, "" where it cannot be said (RFC 3461 section 4.2; RFC 6533 section 3 for utf-8)."""
    kind, semicolon, address = text.partition(";")
    if not semicolon or not kind.isascii() or not kind.replace("-", "").isalnum():
        return ""
    if kind.lower() == "utf-8":
        encoded = _UTF8_UNSAFE.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", address)
    elif address.isascii():
        encoded = xtext(address)
    else:
        return ""
    command = f"{kind};{encoded}"
    return command if len(command) <= ORCPT_LIMIT else ""


def encode_commands(commands: str, count: int) -> bytes:
    """`count` commands, each with its CR LF → octets (UTF-8 for SMTPUTF8 addresses).

    :raises LocalProtocolError: an argument smuggles a line end; the parser of addresses lets none through, this is the second lock (A8).
    """
    if commands.count("\n") != count or commands.count("\r") != count or "\0" in commands:
        raise LocalProtocolError("a command argument holds CR, LF or NUL")
    return commands.encode("utf-8")


def has_bare_line_ends(content: bytes) -> bool:
    """True where a CR or LF stands alone (RFC 5321 section 2.3.8)."""
    pairs = content.count(b"\r\n")
    return pairs != content.count(b"\n") or pairs != content.count(b"\r")


def normalise(content: bytes) -> bytes:
    """Every bare CR and bare LF becomes CR LF, and the last line ends. Clean content comes back as it is."""
    if has_bare_line_ends(content):
        content = _BARE.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


def stuff(content: bytes) -> bytes:
    """Clean content → the octets after 354, with the final dot (RFC 5321 section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"".join((b"." if content.startswith(b".") else b"", stuffed, b".\r\n"))


def has_long_line(content: bytes) -> bool:
    """True where a line of normalised content has more than LINE_LIMIT octets."""
    return after_line_end(content, 0) > LINE_LIMIT + 1


def after_line_end(piece: bytes, carried: int) -> int:
    """For content in pieces: octets since the last line end, `carried` of them before `piece`. More than LINE_LIMIT + 1 (the CR of a
    full line counts too): a line is too long. Steps a thousand octets at a time: far cheaper than splitting.
    """
    position, end = -carried, len(piece)
    while end - position > LINE_LIMIT + 1:
        found = piece.rfind(b"\n", max(position, 0), max(position + LINE_LIMIT + 2, 0))
        if found < 0:
            return LINE_LIMIT + 2
        position = found + 1
    return end - (piece.rfind(b"\n", max(position, 0)) + 1 or position)


class DataEncoder:
    """Normalising and dot-stuffing for content that comes in pieces of any size."""

    __slots__ = ("_at_line_start", "_held_cr")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held_cr = False

    def feed(self, piece: bytes) -> bytes:
        """The next octets to send. A CR at the end waits for what follows it."""
        if self._held_cr:
            piece = b"\r" + piece
            self._held_cr = False
        if piece.endswith(b"\r"):
            piece = piece[:-1]
            self._held_cr = True
        if not piece:
            return b""
        if has_bare_line_ends(piece):
            piece = _BARE.sub(b"\r\n", piece)
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and piece.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = piece.endswith(b"\n")
        return stuffed

    def finish(self) -> bytes:
        """The end of the content: the last line's end where it misses, and the final dot."""
        return b".\r\n" if self._at_line_start and not self._held_cr else b"\r\n.\r\n"
