"""Whatever octets arrive, the scanner loses none, and the firewall removes whole forbidden fields and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailwye.message.firewall import demote, filter_header, promote
from mailwye.message.headers import find_header_end, scan
from mailwye.message.mime_words import decode_words

WORDS = (b"Authentication-Results: ", b"mx.example", b"X-MS-Exchange-Organization-A: ", b"X-MS-Exchange-CrossPremises-A: ")
MARKS = (b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"From", b"X-Mailwye-A", b"Return-Path", b"x", b"\x00", b"\xff", b"(", b'"', b"\\")
PIECES = st.sampled_from((*WORDS, *MARKS))
BLOCKS = st.lists(PIECES, max_size=40).map(b"".join)


@given(BLOCKS)
def test_fields_and_blank_lines_make_up_the_block(block: bytes) -> None:
    header = scan(block)
    position = 0
    for field in header.fields:
        assert block[position : field.start].replace(b"\r\n", b"") == b""
        assert field.start < field.end <= len(block)
        position = field.end
    assert block[position:].replace(b"\r\n", b"") == b""
    assert all(isinstance(header.value(field), str) for field in header.fields)


@given(BLOCKS)
def test_the_firewall_removes_whole_fields_and_leaves_nothing_forbidden(block: bytes) -> None:
    header = scan(block)
    result, names = filter_header(block, header, trusted=False, hostname="mx.example")
    left = scan(result)
    assert not [f for f in left.fields if f.name.startswith((b"x-mailwye-", b"x-ms-exchange-")) or f.name == b"return-path"]
    assert (result is block) == (not names)
    assert len(left.fields) == len(header.fields) - len(names)
    again, removed = filter_header(result, left, trusted=False, hostname="mx.example")
    assert again is result
    assert removed == ()


@given(BLOCKS)
def test_promotion_leaves_nothing_to_promote(block: bytes) -> None:
    promoted = promote(block, scan(block))
    assert not [f for f in scan(promoted).fields if f.name.startswith(b"x-ms-exchange-crosspremises-")]
    assert promote(promoted, scan(promoted)) is promoted
    demoted = demote(promoted, scan(promoted))
    assert not [f for f in scan(demoted).fields if f.name.startswith(b"x-ms-exchange-organization-")]


@given(BLOCKS, st.integers(0, 50))
def test_the_header_end_is_found_in_pieces_as_at_once(block: bytes, cut: int) -> None:
    data = block + b"\r\n\r\nbody"
    whole = find_header_end(data)
    part = find_header_end(data[:cut])
    assert part in (-1, whole)
    assert data[:whole].endswith(b"\r\n")
    if part == -1 and data[:2] != b"\r\n":
        assert find_header_end(data, max(0, cut - 3)) == whole


@given(st.text(), st.integers(0, 300))
def test_decoding_words_never_fails_and_keeps_its_limit(value: str, limit: int) -> None:
    text = decode_words(value, limit)
    assert len(text) <= limit
    assert not set(text) & set("\r\n\x00\x1b")
