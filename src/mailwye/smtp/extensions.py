"""ESMTP as the server offers it: the reply to EHLO, parameters of MAIL and RCPT, xtext.

SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), CHUNKING and BINARYMIME (RFC 3030), DSN (RFC 3461), AUTH= (RFC 4954),
REQUIRETLS (RFC 8689).
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailwye.smtp.reply import Reply

ENVID_LIMIT = 100  # characters of ENVID=, encoded, RFC 3461 section 4.4
ORCPT_LIMIT = 500  # characters of ORCPT=, encoded, section 4.2
MECHANISMS = ("PLAIN", "LOGIN")

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+|[!-<>-~\x80-\U0010ffff]+))?").fullmatch  # RFC 5321 section 4.1.2
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*").fullmatch  # RFC 3461 section 4
_HEX = re.compile(r"\+([0-9A-F]{2})")
_ORIGINAL_TYPE = re.compile(r"[A-Za-z0-9-]+").fullmatch
_NOTIFY_WORDS = frozenset({"NEVER", "SUCCESS", "FAILURE", "DELAY"})
_BODIES = frozenset({"7BIT", "8BITMIME", "BINARYMIME"})


class CommandError(ValueError):
    """A command that is refused for its form; `reply` says so to the peer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def syntax_error(text: str) -> CommandError:
    """501 5.5.4: invalid command arguments (RFC 3463 section 3.6)."""
    return CommandError(Reply(501, "5.5.4", text))


@lru_cache(maxsize=64)
def hello_reply(hostname: str, message_size: int, *, starttls: bool, auth: bool, requiretls: bool = False, xclient: bool = False) -> bytes:
    """The octets of the reply to EHLO (RFC 5321 section 4.1.1.1)."""
    lines = [
        hostname,
        "PIPELINING",
        f"SIZE {message_size}",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "BINARYMIME",
        "ENHANCEDSTATUSCODES",
        "DSN",
    ]
    if starttls:
        lines.append("STARTTLS")
    if requiretls:
        lines.append("REQUIRETLS")
    if auth:
        lines.append(f"AUTH {' '.join(MECHANISMS)}")
    if xclient:
        lines.append("XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT")
    return Reply(250, "", "\n".join(lines)).encode()


@lru_cache(maxsize=64)
def greeting(hostname: str) -> bytes:
    """The octets of the 220 greeting (RFC 5321 section 4.2)."""
    return f"220 {hostname} ESMTP Mailwye\r\n".encode("ascii")


@lru_cache(maxsize=64)
def helo_reply(hostname: str) -> bytes:
    """The octets of the reply to HELO."""
    return Reply(250, "", hostname).encode()


def parse_parameters(text: str) -> dict[str, str]:
    """`SIZE=10 SMTPUTF8` → {"SIZE": "10", "SMTPUTF8": ""}, keywords in upper case.

    :raises CommandError: bad syntax, or the same parameter twice (RFC 5321 section 4.1.1.11, W21).
    """
    parameters: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        found = _PARAMETER(word)
        if found is None:
            raise syntax_error("Bad parameter; the form is KEYWORD or KEYWORD=value")
        keyword = found[1].upper()
        if keyword in parameters:
            raise syntax_error(f"The parameter {keyword} stands twice")
        parameters[keyword] = found[2] or ""
    return parameters


def parse_size(value: str, limit: int) -> int:
    """The value of SIZE= (RFC 1870 section 6).

    :raises CommandError: 501 for no number, 552 for more than `limit`.
    """
    if not value.isascii() or not value.isdigit() or len(value) > 20:
        raise syntax_error("SIZE takes a number of octets")
    size = int(value)
    if size > limit:
        raise CommandError(Reply(552, "5.3.4", f"The message is too large; the limit is {limit} octets"))
    return size


def parse_body(value: str) -> str:
    """The value of BODY= (RFC 6152, RFC 3030).

    :raises CommandError: not one of the three words.
    """
    body = value.upper()
    if body not in _BODIES:
        raise syntax_error("BODY takes 7BIT, 8BITMIME or BINARYMIME")
    return body


def parse_notify(value: str) -> frozenset[str]:
    """The value of NOTIFY= (RFC 3461 section 4.1): NEVER alone, or SUCCESS, FAILURE, DELAY.

    :raises CommandError: other words, one twice, or NEVER with others (W22).
    """
    words = value.upper().split(",")
    notify = frozenset(words)
    if len(notify) != len(words) or not notify <= _NOTIFY_WORDS or ("NEVER" in notify and len(notify) > 1):
        raise syntax_error("NOTIFY takes NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return notify


def parse_return(value: str) -> str:
    """The value of RET= (RFC 3461 section 4.3).

    :raises CommandError: neither FULL nor HDRS.
    """
    ret = value.upper()
    if ret not in {"FULL", "HDRS"}:
        raise syntax_error("RET takes FULL or HDRS")
    return ret


def parse_envelope_id(value: str) -> str:
    """The value of ENVID=, decoded (RFC 3461 section 4.4).

    :raises CommandError: too long, no xtext, or not printable when decoded.
    """
    if not value or len(value) > ENVID_LIMIT:
        raise syntax_error(f"ENVID takes 1 to {ENVID_LIMIT} characters")
    return decode_xtext(value, "ENVID")


def parse_original_recipient(value: str) -> str:
    """The value of ORCPT= → `type;address`, decoded (RFC 3461 section 4.2; type utf-8: RFC 6533 section 3, kept as it came).

    :raises CommandError: too long, no type, no xtext, or not printable when decoded.
    """
    kind, semicolon, address = value.partition(";")
    if not semicolon or not address or len(value) > ORCPT_LIMIT or _ORIGINAL_TYPE(kind) is None:
        raise syntax_error("ORCPT takes type;address")
    if kind.lower() == "utf-8":
        if not address.isprintable():
            raise syntax_error("ORCPT holds a character that is not printable")
        return f"{kind};{address}"
    return f"{kind};{decode_xtext(address, 'ORCPT')}"


def decode_xtext(value: str, name: str) -> str:
    """Xtext (RFC 3461 section 4) → printable ASCII text: a `+0D+0A` never becomes a line end in a header or a command (W22).

    :raises CommandError: naming the parameter `name`.
    """
    if _XTEXT(value) is None:
        raise syntax_error(f"{name} is not encoded as xtext")
    if "+" not in value:
        return value
    text = _HEX.sub(lambda found: chr(int(found[1], 16)), value)
    if not text.isascii() or not text.isprintable():
        raise syntax_error(f"{name} holds a character that is not printable")
    return text
