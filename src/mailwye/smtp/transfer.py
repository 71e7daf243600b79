"""What the client writes: MAIL and RCPT with their parameters, and what must be known of content before it leaves. Pure functions."""

from __future__ import annotations

import re

from mailwye.smtp.client_events import Extensions, RecipientRequest, TransactionRequest
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.wire import LINE_LIMIT, normalise_line_ends

ORCPT_LIMIT = 500  # characters, RFC 3461 section 4.2
ENVID_LIMIT = 100  # section 4.4

_XTEXT_UNSAFE = re.compile(r"[^!-*,-<>-~]")  # RFC 3461 section 4: "+", "=", and all that is no printable ASCII
_UTF8_UNSAFE = re.compile(r"[^!-*,-<>-\[\]-~]")  # RFC 6533 section 3: and "\"


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
    if request.require_tls and offered.require_tls:
        command += " REQUIRETLS"  # RFC 8689 section 4.2.1
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


def complete_lines(content: bytes) -> bytes:
    """Content for BDAT: every line end CR LF (W2), the last line ended. Clean content comes back as it is, uncopied."""
    content = normalise_line_ends(content)
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


def has_long_line(content: bytes) -> bool:
    """True where a line of normalised content has more than LINE_LIMIT octets. Steps a thousand octets at a time: far cheaper than
    splitting.
    """
    position, last = 0, len(content) - LINE_LIMIT - 1
    while position < last:
        position = content.rfind(b"\n", position, position + LINE_LIMIT + 2) + 1
        if not position:
            return True
    return False


def after_line_end(piece: bytes, carried: int) -> int:
    """For content in pieces: octets since the last line end, `carried` of them before `piece`. More than LINE_LIMIT + 1 (the CR of a
    full line counts too): a line is too long.
    """
    position, end = -carried, len(piece)
    while end - position > LINE_LIMIT + 1:
        found = piece.rfind(b"\n", max(position, 0), max(position + LINE_LIMIT + 2, 0))
        if found < 0:
            return LINE_LIMIT + 2
        position = found + 1
    return end - (piece.rfind(b"\n", max(position, 0)) + 1 or position)
