"""The header firewall (SEMANTICS section 9): what strangers may not tell us, and how the organization's headers cross.

Pure: a header block in, a header block out. A block in which nothing is to change comes back as the same object.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from mailwye.message.headers import Field, Header
from mailwye.smtp.address import AddressError, parse_domain

_ORGANIZATION = b"x-ms-exchange-organization-"
_CROSS_PREMISES = b"x-ms-exchange-crosspremises-"
_ORGANIZATION_WRITTEN = b"X-MS-Exchange-Organization-"
_CROSS_PREMISES_WRITTEN = b"X-MS-Exchange-CrossPremises-"

# CrossPremises headers go too: from a stranger they would be promoted at the next trusted hop. Return-Path is the final
# delivery's to write (RFC 5321 section 4.4).
_FORBIDDEN_PREFIXES = (_ORGANIZATION, b"x-ms-exchange-forest-", _CROSS_PREMISES, b"x-mailwye-")
_SUSPECTS = (b"x-ms-exchange-", b"x-mailwye-", b"authentication-results", b"return-path")

# A token ends at white space or a special of RFC 2045 section 5.1, which RFC 8601 section 2.2 names for authserv-id.
_TOKEN_END = frozenset(' \t()<>@,;:\\"/[]?=')


def filter_header(block: bytes, header: Header, *, trusted: bool, hostname: str) -> tuple[bytes, tuple[str, ...]]:
    """The block without the fields that only the organization may set, and the names of those removed (as written).

    `trusted`: it came from an OnPremises connector with TLS, certificate and CloudServicesMailEnabled; then nothing is removed.
    `hostname`: the name in our own Authentication-Results (RFC 8601 section 5).
    """
    if trusted:
        return block, ()
    if not [name for name in header.names if name.startswith(_SUSPECTS)]:
        return block, ()
    doomed = [field for field in header.fields if _is_forbidden(field, header, hostname)]
    if not doomed:
        return block, ()
    names = tuple(block[field.start : field.start + len(field.name)].decode("ascii", "replace") for field in doomed)
    return _without(block, doomed), names


def promote(block: bytes, header: Header) -> bytes:
    """From a trusted other side: `X-MS-Exchange-CrossPremises-X` becomes `X-MS-Exchange-Organization-X`.

    It replaces an Organization header of the same name that came along (reference/connectors.md 2.6).
    """
    return _cross(block, header, _CROSS_PREMISES, _ORGANIZATION, _ORGANIZATION_WRITTEN)


def demote(block: bytes, header: Header) -> bytes:
    """To the trusted other side: `X-MS-Exchange-Organization-X` becomes `X-MS-Exchange-CrossPremises-X`, replacing what stood there."""
    return _cross(block, header, _ORGANIZATION, _CROSS_PREMISES, _CROSS_PREMISES_WRITTEN)


def _cross(block: bytes, header: Header, source: bytes, target: bytes, written: bytes) -> bytes:
    crossing = {name[len(source) :] for name in header.names if name.startswith(source)}
    if not crossing:
        return block

    def rewrite(field: Field) -> bytes | None:
        if field.name.startswith(source):
            return written + block[field.start + len(source) : field.end]
        if field.name.startswith(target) and field.name[len(target) :] in crossing:
            return b""
        return None

    return _rewritten(block, header.fields, rewrite)


def _rewritten(block: bytes, fields: list[Field], rewrite: Callable[[Field], bytes | None]) -> bytes:
    pieces: list[bytes] = []
    kept_from = 0
    for field in fields:
        replacement = rewrite(field)
        if replacement is not None:
            pieces += (block[kept_from : field.start], replacement)
            kept_from = field.end
    pieces.append(block[kept_from:])
    return b"".join(pieces)


def _without(block: bytes, doomed: list[Field]) -> bytes:
    return _rewritten(block, doomed, lambda _: b"")


def _is_forbidden(field: Field, header: Header, hostname: str) -> bool:
    name = field.name
    if name.startswith(_FORBIDDEN_PREFIXES) or name == b"return-path":
        return True
    if name != b"authentication-results":
        return False
    value = header.value(field)
    identifier = authserv_id(value)
    if identifier is None:  # unreadable: it must not pass for ours anywhere, so a mention of our name is enough
        return hostname.lower() in value.lower()
    return _canonical(identifier) == _canonical(hostname)


def authserv_id(value: str) -> str | None:
    """The authserv-id of an unfolded Authentication-Results value (RFC 8601 section 2.2); None where comment or quotes do not end.

    Comments before it are skipped, nested ones too (RFC 5322 section 3.2.2); a quoted-string is unquoted.
    """
    start = _after_comments(value)
    if start is None:
        return None
    if value[start : start + 1] != '"':
        end = start
        while end < len(value) and value[end] not in _TOKEN_END:
            end += 1
        return value[start:end]
    text: list[str] = []
    position = start + 1
    while position < len(value) and value[position] != '"':
        position += value[position] == "\\"
        text.append(value[position : position + 1])
        position += 1
    return "".join(text) if position < len(value) else None


def _after_comments(value: str) -> int | None:
    """The offset of the first octet that is neither white space nor in a comment; None where a comment does not end."""
    depth = 0
    position = 0
    while position < len(value):
        character = value[position]
        if character == "(":
            depth += 1
        elif depth and character == ")":
            depth -= 1
        elif depth and character == "\\":
            position += 1
        elif not depth and character not in " \t\r\n":
            return position
        position += 1
    return None if depth else position


@lru_cache(maxsize=1024)
def _canonical(name: str) -> str:
    """One form for comparing names: A-labels, lower case, no trailing dot; what is no domain stays as it is in lower case."""
    try:
        return parse_domain(name.rstrip("."))
    except AddressError:
        return name.lower()
