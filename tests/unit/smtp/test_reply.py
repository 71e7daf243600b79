"""Replies in both directions (RFC 5321 section 4.2, RFC 2034), and row R8: what a hostile server sends."""

from __future__ import annotations

import pytest

from mailwye.smtp import reply as say
from mailwye.smtp.errors import RemoteProtocolError
from mailwye.smtp.reply import RECEIVED_LINE_LIMIT, RECEIVED_REPLY_LIMIT, Reply, ReplyParser, Severity, parse_reply_line


def parse(data: bytes) -> list[Reply]:
    """Whole, and octet by octet: the same replies."""
    whole, pieces = ReplyParser(), ReplyParser()
    whole.receive_data(data)
    replies = list(iter(whole.next_reply, None))
    split = []
    for index in range(len(data)):
        pieces.receive_data(data[index : index + 1])
        split += list(iter(pieces.next_reply, None))
    assert split == replies
    assert whole.has_pending == pieces.has_pending
    return replies


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "2.1.0", "Ok"), b"250 2.1.0 Ok\r\n"),
        (Reply(354, "", "Go"), b"354 Go\r\n"),
        (Reply(334, "", ""), b"334 \r\n"),
        (Reply(550, "5.7.1", "a\nb"), b"550-5.7.1 a\r\n550 5.7.1 b\r\n"),
        (Reply(550, "", "a\r\n250 ok\0\x1b[2J"), b"550-a\r\n550 250 ok [2J\r\n"),
        (Reply(550, "", "gr\u00fcn\u2028x"), b"550 gr?n?x\r\n"),
    ],
)
def test_encode(reply: Reply, octets: bytes) -> None:
    assert reply.encode() == octets


def test_encode_keeps_lines_within_512_octets() -> None:
    for text in ("word " * 500, "x" * 5000, "\n" * 1000, "x" * 500, "x" * 490):
        lines = Reply(550, "5.7.64", text).encode().split(b"\r\n")
        assert lines.pop() == b""
        assert len(lines) <= say.REPLY_LINES_SENT
        assert all(len(line) <= 510 for line in lines)
        assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]


def test_encoded_replies_read_back() -> None:
    for reply in (value for value in vars(say).values() if isinstance(value, Reply)):
        assert parse(reply.encode()) == [reply]
        assert not reply.enhanced or reply.enhanced[0] == str(reply.code)[0]
    long = Reply(550, "5.7.64", "one\ntwo\nthree")
    assert parse(long.encode() * 2) == [long, long]


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"250\r\n", Reply(250, "", "")),
        (b"250-\r\n250 x\r\n", Reply(250, "", "\nx")),
        (b"250-a.test hi\r\n250 SIZE 5\r\n", Reply(250, "", "a.test hi\nSIZE 5")),
        (b"550 5.1.1\r\n", Reply(550, "5.1.1", "")),
        (b"550 4.1.1 x\r\n", Reply(550, "", "4.1.1 x")),  # the class does not fit: it is text
        (b"550-5.1.1 a\r\n550 b\r\n", Reply(550, "5.1.1", "a\nb")),
        (b"550 \xff\x00\x1b\r\n", Reply(550, "", "\ufffd??")),
        (b"550 a\n250 ok\r\n", Reply(550, "", "a?250 ok")),  # a lone LF ends no line
    ],
)
def test_parse(octets: bytes, reply: Reply) -> None:
    assert parse(octets) == [reply]


@pytest.mark.parametrize(
    "line",
    [b"999 x\r\n", b"25 x\r\n", b"2500 x\r\n", b"x\r\n", b"\r\n", b"250:x\r\n", b"160 x\r\n", b"250-a\r\n251 b\r\n", b"\xb2\xb5\xb0 x\r\n"],
)
def test_r8_garbage_is_a_remote_error(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse(line)


def test_r8_endless_replies_are_bounded() -> None:
    lines = RECEIVED_REPLY_LIMIT // len(b"250-x\r\n")
    assert parse_endless(b"250-x\r\n" * lines) is None
    for endless in (b"250-x\r\n" * (lines + 1), b"2" * (RECEIVED_LINE_LIMIT + 1), b"250 " + b"x" * RECEIVED_LINE_LIMIT + b"\r\n"):
        with pytest.raises(RemoteProtocolError):
            parse_endless(endless)


def parse_endless(data: bytes) -> Reply | None:
    parser = ReplyParser()
    parser.receive_data(data)
    return parser.next_reply()


def test_has_pending_tells_what_came_too_early() -> None:
    parser = ReplyParser()
    parser.receive_data(b"220 go\r\n250 evil\r\n")
    states = []
    for _ in range(2):
        reply = parser.next_reply()
        states.append((reply is not None, parser.has_pending))
    assert states == [(True, True), (True, False)]
    parser.receive_data(b"250-x\r\n")
    assert (parser.next_reply(), parser.has_pending) == (None, True)


def test_parse_reply_line() -> None:
    assert parse_reply_line(b"250-x y") == (250, True, "x y")
    assert parse_reply_line(b"250 x") == (250, False, "x")


def test_properties() -> None:
    assert Reply(421, "4.3.2", "x").severity is Severity.TRANSIENT
    assert [Reply(code, "", "").is_success for code in (199, 200, 299, 300)] == [False, True, True, False]
    assert [Reply(code, "", "").is_transient for code in (399, 400, 499, 500)] == [False, True, True, False]
    assert [Reply(code, "", "").is_permanent for code in (499, 500, 599)] == [False, True, True]
    assert str(Reply(550, "5.1.1", "a\nb")) == "550 5.1.1 a b"
