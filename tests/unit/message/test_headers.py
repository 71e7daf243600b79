"""The header scanner: offsets are exact, malformed lines stay, CRLF alone ends a line."""

from __future__ import annotations

import pytest

from mailwye.message.headers import find_header_end, scan

BLOCK = (
    b"Received: from a\r\n\tby b;\r\n date\r\n"
    b"From: John <john@contoso.com>\r\n"
    b"SUBJECT:   folded\r\n subject \r\n"
    b"Received: second\r\n"
    b"Empty:\r\n"
    b"From : obsolete\r\n"
    b"no colon here\r\n"
    b"X-8bit: caf\xc3\xa9 \xff\r\n"
    b"\r\n"
)


def test_fields_and_offsets() -> None:
    header = scan(BLOCK)
    assert [field.name for field in header.fields] == [
        b"received",
        b"from",
        b"subject",
        b"received",
        b"empty",
        b"from",
        b"",
        b"x-8bit",
    ]
    assert b"".join(header.raw(field) for field in header.fields) + b"\r\n" == BLOCK


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("Received", "from a\tby b; date", 2),
        ("from", "John <john@contoso.com>", 2),
        ("Subject", "folded subject", 1),
        ("empty", "", 1),
        ("x-8bit", "café \ufffd", 1),
        ("absent", "", 0),
    ],
)
def test_values(name: str, value: str, count: int) -> None:
    header = scan(BLOCK)
    assert (header.get(name), header.count(name), len(header.get_all(name))) == (value, count, count)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", -1),
        (b"A: b\r\n", -1),
        (b"A: b\r\n\r\n", 8),
        (b"A: b\r\n\r\nbody\r\n\r\n", 8),
        (b"\r\nbody", 2),
        (b"\r\n\r\n", 2),
        (b"A: b\n\nbody\r\n\r\n", 14),  # a bare LF ends no line
        (b"A: b\r\r\n\r\n", 9),
    ],
)
def test_header_end(data: bytes, end: int) -> None:
    assert find_header_end(data) == end
    assert find_header_end(bytearray(data)) == end


def test_header_end_can_go_on_searching() -> None:
    data = b"A: " + b"x" * 1000 + b"\r\n\r\nbody"
    assert find_header_end(data[:1004]) == -1
    assert find_header_end(data, 1001) == find_header_end(data) == 1007


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"A: b", [b"a"]),
        (b" A: b\r\nC: d\r\n", [b"", b"c"]),
        (b"A: b\r\n \r\n\tB: c\r\n", [b"a"]),
        (b"A: b\nB: c\r\n", [b"a"]),
        (b"A: b\rB: c\r\n", [b"a"]),
        (b": value\r\n", [b""]),
        (b"A\x00: b\r\n", [b"a\x00"]),
    ],
)
def test_odd_blocks(block: bytes, names: list[bytes]) -> None:
    header = scan(block)
    assert [field.name for field in header.fields] == names
    assert all(field.end <= len(block) for field in header.fields)


def test_a_header_of_very_many_lines_is_scanned_in_linear_time() -> None:
    assert len(scan(b"A: b\r\n" * 40_000).fields) == 40_000
    assert len(scan(b"A: b" + b"\r\n c" * 60_000 + b"\r\n").fields) == 1
