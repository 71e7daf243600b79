"""The header section at byte level: where it ends, which fields it has. Reads only; nothing here rewrites an octet.

The line end is CRLF alone (RFC 5322 section 2.1): bare CR and LF are octets like any other, so that no two readers of one message
see different fields. Malformed lines are kept in place. Linear in the size of the block.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# A field goes on while the next line starts with white space (RFC 5322 section 2.2.3).
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_WHITE_SPACE = b" \t"


class Field(NamedTuple):
    """One header field. `name`: lower case, without the white space that obsolete syntax allows before the colon; b"" where the
    line has no colon or is a continuation of nothing. `start` and `end` are offsets in the block; `end` is after the field's CRLF.
    """

    name: bytes
    start: int
    end: int


class Header:
    """The fields of one header block, in order. Holds a reference to `block`, copies nothing."""

    __slots__ = ("block", "fields")

    def __init__(self, block: bytes, fields: list[Field]) -> None:
        self.block = block
        self.fields = fields

    def raw(self, field: Field) -> bytes:
        """The field as it stands, with its CRLF."""
        return self.block[field.start : field.end]

    def value(self, field: Field) -> str:
        """The unfolded value: CRLF removed (RFC 5322 section 2.2.3), white space at both ends too, octets read as UTF-8."""
        body = self.raw(field).partition(b":")[2]
        return body.replace(b"\r\n", b"").decode("utf-8", "replace").strip(" \t")

    def get(self, name: str) -> str:
        """The unfolded value of the first field with this name, "" where there is none."""
        wanted = name.lower().encode("ascii")
        for field in self.fields:
            if field.name == wanted:
                return self.value(field)
        return ""

    def get_all(self, name: str) -> list[str]:
        """The unfolded values of all fields with this name, in order."""
        wanted = name.lower().encode("ascii")
        return [self.value(field) for field in self.fields if field.name == wanted]

    def count(self, name: str) -> int:
        """How many fields have this name."""
        wanted = name.lower().encode("ascii")
        return [field[0] for field in self.fields].count(wanted)


def find_header_end(data: bytes | bytearray, start: int = 0) -> int:
    """The offset of the first octet of the body, that is after the blank line; -1 where the blank line has not come yet.

    A message may begin with the blank line: it has no header (2). `start`: where to go on searching (at least three octets before
    the data that is new).
    """
    if data[:2] == b"\r\n":
        return 2
    end = data.find(b"\r\n\r\n", start)
    return -1 if end < 0 else end + 4


def scan(block: bytes) -> Header:
    """Fields of a header block, with or without the blank line that ends it."""
    fields: list[Field] = []
    append = fields.append
    make = tuple.__new__  # half the price of Field(...), and this runs for every field of every message
    start = 0
    for line in _FIELD_END.split(block):
        end = start + len(line) + 2
        if line:
            name, colon, _ = line.partition(b":")
            # White space before the colon is obsolete syntax that receivers must read (RFC 5322 section 4.5.8).
            known = colon and line[0] not in _WHITE_SPACE
            append(make(Field, (name.rstrip(_WHITE_SPACE).lower() if known else b"", start, end)))
        start = end
    if fields and fields[-1].end > len(block):  # the last line lacks its CRLF
        fields[-1] = fields[-1]._replace(end=len(block))
    return Header(block, fields)
