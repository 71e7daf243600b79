"""The header firewall (SEMANTICS section 9): what strangers may not tell us, and how the organization's headers cross.

Pure: a header block in, a header block out. A block in which nothing is to change comes back as the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache

from mailwye.message.headers import Field, Header, scan
from mailwye.smtp.address import AddressError, parse_domain

_ORGANIZATION = b"x-ms-exchange-organization-"
_CROSS_PREMISES = b"x-ms-exchange-crosspremises-"
_ORGANIZATION_WRITTEN = b"X-MS-Exchange-Organization-"
_CROSS_PREMISES_WRITTEN = b"X-MS-Exchange-CrossPremises-"

SHOWN = 20
"""Header names that one sentence of the trace names."""

_FOREST = b"x-ms-exchange-forest-"
_ORGANIZATIONS = (_ORGANIZATION, _FOREST, _CROSS_PREMISES)

# CrossPremises headers go too: from a stranger they would be promoted at the next trusted hop. Return-Path is the final
# delivery's to write (RFC 5321 section 4.4).
_FORBIDDEN_PREFIXES = (*_ORGANIZATIONS, b"x-mailwye-")
_SUSPECTS = (b"x-ms-exchange-", b"x-mailwye-", b"authentication-results", b"return-path")

# A token ends at white space or a special of RFC 2045 section 5.1, which RFC 8601 section 2.2 names for authserv-id.
_TOKEN_END = frozenset(' \t()<>@,;:\\"/[]?=')


def filter_header(
    block: bytes, header: Header, *, trusted: bool, hostname: str, kept: Collection[int] = ()
) -> tuple[bytes, tuple[str, ...]]:
    """The block without the fields that only the organization may set, and the names of those removed (as written).

    `trusted`: it came from an OnPremises connector with TLS, certificate and CloudServicesMailEnabled; then nothing is removed.
    `hostname`: the name in our own Authentication-Results (RFC 8601 section 5). `kept`: offsets of fields that stay, whoever brings
    them: path marks that we signed, or other installations for themselves.
    """
    if trusted:
        return block, ()
    if not [name for name in header.names if name.startswith(_SUSPECTS)]:
        return block, ()
    doomed = [field for field in header.fields if _is_forbidden(field, header, hostname)]
    if kept:
        doomed = [field for field in doomed if field.start not in kept]
    if not doomed:
        return block, ()
    names = tuple(block[field.start : field.start + len(field.name)].decode("ascii", "replace") for field in doomed)
    return _without(block, doomed), names


SOURCE_ADDRESS = "X-Mailwye-Source-Address"
"""Where a message came from before it passed a gateway (connectors/enhanced_filtering.py). Ours: from anybody else it is removed."""


def source_field(address: str) -> bytes:
    """The field that tells the source address, with its CRLF."""
    return f"{SOURCE_ADDRESS}: {address}\r\n".encode("ascii")


def without_source(block: bytes) -> bytes:
    """The block without source fields of others, for messages that the firewall lets pass unchanged and that get one of ours."""
    if SOURCE_ADDRESS.lower().encode("ascii") not in block.lower():
        return block
    header = scan(block)
    name = SOURCE_ADDRESS.lower().encode("ascii")
    return _without(block, [field for field in header.fields if field.name == name])


def promote(block: bytes, header: Header) -> bytes:
    """From a trusted other side: `X-MS-Exchange-CrossPremises-X` becomes `X-MS-Exchange-Organization-X`.

    It replaces an Organization header of the same name that came along (reference/connectors.md 2.6).
    """
    return _cross(block, header, _CROSS_PREMISES, _ORGANIZATION, _ORGANIZATION_WRITTEN)


def demote(block: bytes, header: Header) -> bytes:
    """To the trusted other side: `X-MS-Exchange-Organization-X` becomes `X-MS-Exchange-CrossPremises-X`, replacing what stood there."""
    return _cross(block, header, _ORGANIZATION, _CROSS_PREMISES, _CROSS_PREMISES_WRITTEN)


def leave(block: bytes, header: Header, *, crossing: bool) -> tuple[bytes, tuple[str, ...]]:
    """The block as it leaves, and sentences that say what was changed; the same object and () where nothing was.

    `crossing`: to a trusted other side, so the organization's headers cross as CrossPremises ones (`demote`). Else none of them leaves:
    they speak to the organization's own servers only. Forest headers never leave.
    """
    if crossing:
        crossed = demote(block, header)
        renamed = _names(header, (_ORGANIZATION,))
        if renamed:
            header = scan(crossed)
        doomed = [field for field in header.fields if field.name.startswith(_FOREST)]
        told = (f"Crosses to the other side as {_CROSS_PREMISES_WRITTEN.decode()}*: {renamed}",) if renamed else ()
    else:
        crossed, told = block, ()
        doomed = [field for field in header.fields if field.name.startswith(_ORGANIZATIONS)]
    if not doomed:
        return crossed, told
    removed = f"Removed, since it is for the organization's own servers only: {_written(crossed, doomed)}"
    return _without(crossed, doomed), (*told, removed)


def _names(header: Header, prefixes: tuple[bytes, ...]) -> str:
    return _written(header.block, [field for field in header.fields if field.name.startswith(prefixes)])


def _written(block: bytes, fields: list[Field]) -> str:
    """The names as they stand there, the first SHOWN of them."""
    names = [block[field.start : field.start + len(field.name)].decode("ascii", "replace") for field in fields]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


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

    return rewritten(block, header.fields, rewrite)


def rewritten(block: bytes, fields: list[Field], rewrite: Callable[[Field], bytes | None]) -> bytes:
    """The block with each field as `rewrite` wants it: None as it is, b"" without it."""
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
    return rewritten(block, doomed, lambda _: b"")


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
