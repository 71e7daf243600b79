"""Content that the next hop cannot take, re-encoded to 7 bit with lines of at most 998 octets (RFC 6152 section 3, RFC 2045).

Off the hot path: messages that need nothing never come here. The stdlib's parser is used with the compat32 policy, which keeps headers
as they are written and raised nothing on thousands of hostile files. Headers that need no change keep their text and order.
"""

from __future__ import annotations

import base64
import quopri
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.message import Message
from email.policy import compat32
from io import BytesIO

CONVERSION_LIMIT = 67_108_864  # octets of content; the parser needs several times as much memory
NESTING_LIMIT = 100  # multiparts within multiparts (M2)
LINE_LIMIT = 998

_WIRE = compat32.clone(linesep="\r\n", max_line_length=None)  # our own folding never touches what is short enough
_SIGNED = frozenset({"multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})


class ConversionImpossible(Exception):
    """Re-encoding would break the message, or cannot be done; the text is the reason, for 5.6.3."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """The new content and what was done to it, for the trace."""

    content: bytes
    changes: tuple[str, ...]


def to_seven_bit(content: bytes) -> Conversion:
    """Any content → 7-bit content with short lines.

    :raises ConversionImpossible: a signed or encrypted part would have to change, or the content is too large or nested too deep.
    """
    if len(content) > CONVERSION_LIMIT:
        raise ConversionImpossible(f"the message has {len(content)} octets; more than {CONVERSION_LIMIT} are not re-encoded")
    changes: list[str] = []
    try:
        message = message_from_bytes(content, policy=_WIRE)
        _convert(message, changes, depth=0)
        _declare_mime(message, changes)
        buffer = BytesIO()
        BytesGenerator(buffer, mangle_from_=False, policy=_WIRE).flatten(message)
    except (MessageError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise ConversionImpossible(f"the message cannot be parsed as MIME ({error})") from error
    converted = buffer.getvalue()
    if _needs_conversion(converted):
        raise ConversionImpossible("the message holds 8-bit octets or long lines outside its MIME parts")
    return Conversion(converted, tuple(dict.fromkeys(changes)))


def _needs_conversion(octets: bytes) -> bool:
    return not octets.isascii() or b"\0" in octets or any(len(line) > LINE_LIMIT for line in octets.split(b"\r\n"))


def _convert(part: Message, changes: list[str], depth: int) -> None:
    if depth > NESTING_LIMIT:
        raise ConversionImpossible(f"the message is nested deeper than {NESTING_LIMIT} parts")
    kind = part.get_content_type()
    if kind in _SIGNED:
        if _needs_conversion(_octets(part)):
            raise ConversionImpossible(f"re-encoding would break the signature or encryption of its {kind} part")
        return
    _convert_headers(part, changes)
    if part.is_multipart():
        for inner in _parts(part):
            _convert(inner, changes, depth + 1)
        # RFC 6152 section 3, RFC 2045 section 6.4: a multipart is what its parts are, and 7bit now.
        _set_encoding(part, "7bit", only_if_present=True)
        _clean_surroundings(part)
        return
    _convert_body(part, kind, changes)


def _declare_mime(message: Message, changes: list[str]) -> None:
    """A Content-Transfer-Encoding means nothing without MIME-Version (RFC 2045 section 4); raw 8-bit text has an unknown charset."""
    if not changes or ("Content-Transfer-Encoding" not in message and not message.is_multipart()):
        return
    if "MIME-Version" not in message:
        message["MIME-Version"] = "1.0"
    if "Content-Type" not in message:
        message["Content-Type"] = "text/plain; charset=unknown-8bit"  # RFC 1428 section 3


def _parts(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _octets(part: Message) -> bytes:
    buffer = BytesIO()
    BytesGenerator(buffer, mangle_from_=False, policy=_WIRE).flatten(part)
    return buffer.getvalue()


def _convert_body(part: Message, kind: str, changes: list[str]) -> None:
    octets = _octets(part)
    octets = octets[2:] if octets.startswith(b"\r\n") else octets.partition(b"\r\n\r\n")[2]
    if not _needs_conversion(octets):
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("8bit", "binary"):
            _set_encoding(part, "7bit", only_if_present=True)
        return
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    # Raw octets, where they are not encoded; where they claim to be but are not, decode, then encode well.
    decoded = part.get_payload(decode=True)
    octets = decoded if isinstance(decoded, bytes) else octets
    if kind.startswith("text/") and encoding != "binary" and b"\0" not in octets:
        lines = octets.replace(b"\r\n", b"\n")
        encoded = quopri.encodestring(lines).decode("ascii")
        _set_encoding(part, "quoted-printable")
        changes.append(f"converted {encoding} to quoted-printable")
    else:
        encoded = base64.encodebytes(octets).decode("ascii")
        _set_encoding(part, "base64")
        changes.append(f"converted {encoding} to base64")
    part.set_payload(encoded)


def _set_encoding(part: Message, encoding: str, *, only_if_present: bool = False) -> None:
    if "Content-Transfer-Encoding" in part:
        del part["Content-Transfer-Encoding"]
    elif only_if_present:
        return
    part["Content-Transfer-Encoding"] = encoding


def _clean_surroundings(part: Message) -> None:
    """Preamble and epilogue of a multipart are read by nobody (RFC 2046 section 5.1.1): what cannot pass there is dropped."""
    for name in ("preamble", "epilogue"):
        text = getattr(part, name)
        if isinstance(text, str) and _needs_conversion(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")):
            setattr(part, name, "")


def _convert_headers(part: Message, changes: list[str]) -> None:
    """Fields with raw 8-bit octets or over-long lines are encoded (RFC 2047) and folded; the others keep their octets."""
    fields = list(part.raw_items())
    if not any(_field_is_bad(str(value)) for _, value in fields):
        return
    for name in {name.lower() for name, _ in fields}:
        del part[name]
    for name, value in fields:
        text = str(value)
        if _field_is_bad(text):
            octets = text.replace("\r", "").replace("\n", "").encode("utf-8", "surrogateescape")
            charset = "utf-8" if _is_utf8(octets) else "unknown-8bit"
            known = octets.decode("utf-8") if charset == "utf-8" else octets.decode("ascii", "surrogateescape")
            encoded = Header(known, charset="us-ascii" if known.isascii() else charset, header_name=name, maxlinelen=76)
            part[name] = encoded.encode(linesep="\r\n")
            changes.append(f"encoded the header {name}")
        else:
            part[name] = value


def _field_is_bad(value: str) -> bool:
    return not value.isascii() or any(len(line) > LINE_LIMIT - 80 for line in value.split("\n"))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
