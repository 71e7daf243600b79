"""Octets of the wire: lines, dot-stuffing and inspection, each whole, octet by octet, and cut at every place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailwye.smtp.wire import ContentInspector, DotReader, DotWriter, InputBuffer, LineFault, has_bare_line_end, normalise_line_ends


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Whole, octet by octet, and in two at every place."""
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))]
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]


def unstuff(pieces: list[bytes]) -> tuple[bytes, bool, bytes]:
    reader = DotReader()
    content, rest = b"", b""
    for piece in pieces:
        if reader.ended:
            rest += piece
            continue
        content += reader.feed(piece)
    return content, reader.ended, reader.rest + rest


@pytest.mark.parametrize(
    ("wire", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
        (b"a\r\n.\r\nMAIL", b"a\r\n", b"MAIL"),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b".a\r\n.b\r\n...\r\n.\r\n", b"a\r\nb\r\n..\r\n", b""),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
        (b"a.\r\n.b\r\r\n.\r\n", b"a.\r\nb\r\r\n", b""),
    ],
)
def test_dot_reader(wire: bytes, content: bytes, rest: bytes) -> None:
    for pieces in cuts(wire):
        assert unstuff(pieces) == (content, True, rest), pieces


@pytest.mark.parametrize(
    "wire", [b"a", b"a\r\n", b"a\r\n.", b"a\r\n.\r", b"a\n.\n", b"a\r.\r", b"a\r\n.\n", b"a\r\n.\r\r\n", b"", b".", b".\r", b"a.\r\n"]
)
def test_dot_reader_does_not_end_early(wire: bytes) -> None:
    for pieces in cuts(wire):
        assert not unstuff(pieces)[1]


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n.a\r\n", b"..\r\n..a\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb\r", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"\r\r\n.", b"\r\n\r\n..\r\n.\r\n"),
    ],
)
def test_dot_writer(content: bytes, wire: bytes) -> None:
    for pieces in cuts(content):
        writer = DotWriter()
        assert b"".join(map(writer.feed, pieces)) + writer.finish() == wire, pieces


def test_normalise_and_bare() -> None:
    assert not has_bare_line_end(b"a\r\nb\r\n")
    assert has_bare_line_end(b"\r\n\n\r")
    assert has_bare_line_end(b"\n\r")
    assert has_bare_line_end(b"a\r")
    assert normalise_line_ends(b"a\rb\nc\r\n\r\r\n\n") == b"a\r\nb\r\nc\r\n\r\n\r\n\r\n"


def lines_of(pieces: list[bytes], limit: int = 16) -> list[bytes | int]:
    """Lines, or the fault's limit where one is refused."""
    buffer = InputBuffer()
    found: list[bytes | int] = []
    for piece in pieces:
        buffer.add(piece)
        while True:
            try:
                line = buffer.take_line(limit)
            except LineFault as fault:
                found.append(fault.limit)
                continue
            if line is None:
                break
            found.append(line)
        assert buffer.left <= 12_288
    return found


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"NOOP\r\nQUIT\r\n", [b"NOOP", b"QUIT"]),
        (b"\r\n\r\nx", [b"", b""]),
        (b"12345678901234\r\nQ\r\n", [b"12345678901234", b"Q"]),
        (b"123456789012345\r\nQ\r\n", [16, b"Q"]),
        (b"1234567890123456\r\nQ\r\n", [16, b"Q"]),
        (b"x" * 100 + b"\r\nQ\r\n", [16, b"Q"]),
        (b"EHLO x\nMAIL\r\nQ\r\n", [0, b"Q"]),  # the injected line is never executed
        (b"\nQ\r\nR\r\n", [0, b"R"]),
        (b"a\rb\r\nQ\r\n", [b"a\rb", b"Q"]),
        (b"AUTH PLAIN 1234567890\r\nQ\r\n", [b"AUTH PLAIN 1234567890", b"Q"]),
    ],
)
def test_lines(octets: bytes, found: list[bytes | int]) -> None:
    for pieces in cuts(octets):
        assert lines_of(pieces) == found, pieces


def test_a_line_without_end_stays_bounded() -> None:
    buffer = InputBuffer()
    buffer.add(b"x" * 3000)
    with pytest.raises(LineFault):
        buffer.take_line(2048)
    for _ in range(100):
        buffer.add(b"y" * 10_000)
        assert buffer.take_line(2048) is None
        assert buffer.left <= 1
    buffer.add(b"\r\nNOOP\r\n")
    assert buffer.take_line(2048) == b"NOOP"


def test_auth_lines_may_be_longer() -> None:
    line = b"auth PLAIN " + b"x" * (12_288 - 13)
    assert lines_of([line + b"\r\n"]) == [line]
    assert lines_of([line + b"x\r\nQ\r\n"]) == [12_288, b"Q"]


def inspect(
    pieces: list[bytes], *, mode: str = "reject", binary: bool = False, size: int = 10**6, header: int = 10**6
) -> tuple[bytes, ContentInspector]:
    inspector = ContentInspector(size_limit=size, header_limit=header, bare_line_end=mode, binary=binary)
    kept = b"".join(map(inspector.take, pieces)) + inspector.finish()
    return kept, inspector


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r", b"\n", b"\r\r\n", b"a\r\n\rb\r\n", b"a\r\n\n"])
def test_bare_line_ends(content: bytes) -> None:
    for pieces in cuts(content):
        assert inspect(pieces)[1].refusal == "bare_line_end", pieces
        kept, inspector = inspect(pieces, mode="normalise")
        assert (kept, inspector.refusal, inspector.size) == (normalise_line_ends(content), "", len(kept)), pieces
        kept, inspector = inspect(pieces, binary=True)
        assert (kept, inspector.refusal) == (content, ""), pieces


def test_good_content_passes_unchanged() -> None:
    content = b"A: b\r\n\r\nc\r\nd"
    for pieces in cuts(content):
        kept, inspector = inspect(pieces)
        assert (kept, inspector.refusal, inspector.size) == (content, "", len(content))
        assert (inspector.eight_bit, inspector.has_nul, inspector.long_lines) == (False, False, False)


def test_eight_bit_and_nul() -> None:
    for pieces in cuts(b"a\r\n\xe9\0\r\n"):
        inspector = inspect(pieces)[1]
        assert (inspector.eight_bit, inspector.has_nul) == (True, True)


@pytest.mark.parametrize(("length", "long"), [(997, False), (998, False), (999, True), (5000, True)])
@pytest.mark.parametrize("before", [b"", b"a\r\n", b"x" * 990 + b"\r\n", (b"x" * 998 + b"\r\n") * 3])
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\nb\r\n", b"\r\n" + b"y" * 2000])
def test_long_lines(before: bytes, length: int, long: bool, after: bytes) -> None:
    content = before + b"z" * length + after
    expected = long or len(after) > 1000
    for width in (len(content), 1, 7, 500, 999, 1000, 1001):
        pieces = [content[index : index + width] for index in range(0, len(content), width)]
        assert inspect(pieces)[1].long_lines is expected, width


@pytest.mark.parametrize(("limit", "refusal"), [(11, "header_too_large"), (12, "")])
def test_header_limit(limit: int, refusal: str) -> None:
    for pieces in cuts(b"A: b\r\nC:\r\n\r\n" + b"x" * 30):  # the header and its empty line have 12 octets
        assert inspect(pieces, header=limit)[1].refusal == refusal


def test_header_limit_without_an_end_and_with_no_header() -> None:
    for pieces in cuts(b"\r\n" + b"x" * 100):
        assert inspect(pieces, header=2)[1].refusal == ""
    for pieces in cuts(b"x" * 100):
        assert inspect(pieces, header=99)[1].refusal == "header_too_large"
        assert inspect(pieces, header=100)[1].refusal == ""


def test_size_limit() -> None:
    for pieces in cuts(b"A: b\r\n\r\n12"):
        assert inspect(pieces, size=10)[1].refusal == ""
        assert inspect(pieces, size=9)[1].refusal == "too_large"


def test_a_blank_line_of_the_body_does_not_end_the_header() -> None:
    """Content that begins with the blank line has no header, however long its first paragraph is."""
    inspector = ContentInspector(size_limit=1000, header_limit=10, bare_line_end="reject")
    content = b"\r\n" + b"x" * 50 + b"\r\n\r\nmore\r\n"
    assert inspector.take(content) == content
    assert inspector.refusal == ""
