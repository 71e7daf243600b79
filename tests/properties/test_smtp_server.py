"""Whatever a peer sends and a driver decides: the machine raises nothing, its replies are well-formed, and cuts change nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.smtp.address import Address, AddressError, parse_address, parse_path
from mailwye.smtp.events import (
    AuthReceived,
    ConnectionEnded,
    ContentEnded,
    ContentReceived,
    DataStarted,
    Event,
    MailReceived,
    RcptReceived,
    StartTlsReceived,
)
from mailwye.smtp.reply import Reply, ReplyParser
from mailwye.smtp.server import ServerConfig, ServerConnection
from mailwye.smtp.transfer import has_long_line
from mailwye.smtp.wire import DotWriter
from tests.unit.smtp.driver import Driver

LINES = st.sampled_from(
    [
        b"EHLO x\r\n",
        b"HELO x\r\n",
        b"MAIL FROM:<a@b>\r\n",
        b"MAIL FROM:<> SIZE=5 BODY=BINARYMIME\r\n",
        b"MAIL FROM:<\xc3\xbc@b> SMTPUTF8\r\n",
        b"RCPT TO:<r@b>\r\n",
        b"RCPT TO:<unknown@b> NOTIFY=NEVER\r\n",
        b"RCPT TO:<nodata@b>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\n",
        b".\r\n",
        b"..\r\n",
        b".",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"\xff",
        b"BDAT 0\r\n",
        b"BDAT 4\r\nNOOP",
        b"BDAT 7 LAST\r\nNOOP\r\nx",
        b"BDAT 99999999999999999999\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"VRFY x\r\n",
        b"EXPN x\r\n",
        b"HELP\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN dXNlcg==\r\n",
        b"AUTH PLAIN AGEAc2VjcmV0\r\n",
        b"c2VjcmV0\r\n",
        b"*\r\n",
        b"QUIT\r\n",
        b"BOGUS\r\n",
        b"GET / HTTP/1.1\r\n",
        b"x" * 200 + b"\r\n",
    ]
)
INPUT = st.one_of(LINES, st.binary(max_size=12))
CONFIGS = st.builds(
    ServerConfig,
    st.just("mx.test"),
    message_size=st.sampled_from([10, 10_000]),
    recipients_per_message=st.sampled_from([1, 100]),
    offer_starttls=st.booleans(),
    offer_auth=st.booleans(),
    require_auth=st.booleans(),
    require_pipelining_sync=st.booleans(),
    bare_line_end=st.sampled_from(["reject", "normalise"]),
    command_line=st.just(150),
    header_octets=st.sampled_from([5, 1000]),
    error_budget=st.sampled_from([2, 1000]),
    idle_commands_budget=st.sampled_from([2, 1000]),
)
ANSWERS = st.sampled_from(
    [Reply(250, "2.0.0", "ok"), Reply(451, "4.3.0", "later"), Reply(550, "5.7.1", "no\nnever"), Reply(421, "4.3.2", "bye")]
)


def answered(connection: ServerConnection, event: Event, answer: Reply) -> None:
    """Answer what wants an answer, in a way that fits."""
    match event:
        case DataStarted(chunking=False) if answer.is_success:
            connection.reply(Reply(354, "", "go"))
        case MailReceived() | RcptReceived() | DataStarted() | ContentEnded() | AuthReceived():
            connection.reply(answer)
        case StartTlsReceived():
            connection.tls_started(1.0)
        case _:
            pass


@given(CONFIGS, st.booleans(), st.lists(st.tuples(INPUT, ANSWERS), max_size=40), st.booleans())
def test_nothing_that_a_peer_sends_raises(config: ServerConfig, tls: bool, steps: list[tuple[bytes, Reply]], eof: bool) -> None:
    connection = ServerConnection(config, now=0.0, tls_active=tls)
    connection.greet()
    replies = ReplyParser()
    ended = 0
    for now, (data, answer) in enumerate(steps):
        connection.receive_data(data, float(now))
        if eof and now == len(steps) - 1:
            connection.receive_eof(float(now))
        while (event := connection.next_event()) is not None:
            assert not ended, "nothing follows the end"
            ended += isinstance(event, ConnectionEnded)
            answered(connection, event, answer)
        out = connection.data_to_send()
        assert all(len(line) <= 510 and line.isascii() for line in out.split(b"\r\n"))
        replies.receive_data(out)
        while replies.next_reply() is not None:
            pass
        assert not replies.has_pending
        deadline = connection.next_deadline()
        assert deadline is None or deadline > now
    assert not (eof and steps) or ended == 1


def outcome(config: ServerConfig, pieces: list[bytes]) -> tuple[list[Event], list[str], list[bytes]]:
    """Events without content (its pieces may differ, and what is refused later is thrown away), replies, messages."""
    driver = Driver(config).greet()
    codes = [code for piece in pieces for code in driver.feed(piece)]
    return [event for event in driver.events if not isinstance(event, ContentReceived)], codes, driver.messages


@given(st.lists(LINES, max_size=25), st.lists(st.integers(0, 400), max_size=6), st.sampled_from(["reject", "normalise"]))
def test_cuts_change_nothing(lines: list[bytes], places: list[int], mode: str) -> None:
    config = ServerConfig("mx.test", require_pipelining_sync=False, bare_line_end=mode, command_line=150, error_budget=100)
    data = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@b>\r\n" + b"".join(line for line in lines if not line.startswith(b"STARTTLS"))
    cuts = sorted({0, *(place % (len(data) + 1) for place in places), len(data)})
    whole = outcome(config, [data])
    assert outcome(config, [data[start:end] for start, end in pairwise(cuts)]) == whole
    assert outcome(config, [data[index : index + 1] for index in range(len(data))]) == whole


@given(st.text(max_size=40), st.text(st.characters(codec="ascii"), max_size=40))
def test_addresses_that_parse_are_fixed_points(local: str, domain: str) -> None:
    for text in (local, f"{local}@{domain}", f"{domain}@example.test", f'"{local}"@example.test'):
        try:
            address = parse_address(text)
        except AddressError:
            continue
        assert parse_address(str(address)) == address
        assert parse_path(f"<{address}> X=1") == (address, "X=1")
        assert address.key == Address(address.local, address.domain).key
        assert not any(ord(character) < 32 or ord(character) == 127 for character in str(address))


PIECES = st.sampled_from(
    [b"a", b".", b"..", b"\r\n", b"\r\n.", b"\n", b"\n.", b"\r", b"x" * 996, b"Subject: x\r\n\r\n", b"\xc3\xbc", b"\0"]
)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["reject", "normalise"]), st.integers(1, 7), st.booleans())
def test_plain_content_leaves_as_it_came(pieces: list[bytes], bare_line_end: str, width: int, chunking: bool) -> None:
    """What is called plain needs no look on its way out: stuffing, completing and normalising it change nothing."""
    driver = Driver(ServerConfig("mx.test", bare_line_end=bare_line_end)).open()
    content = b"".join(pieces)
    if chunking:
        wire = b"BDAT %d LAST\r\n%s" % (len(content), content)
    else:
        driver.feed(b"DATA\r\n")
        wire = content + b"\r\n.\r\n"
    for at in range(0, len(wire), width):
        driver.feed(wire[at : at + width])
    for event in [one for one in driver.events if isinstance(one, ContentEnded) and one.plain]:
        kept = driver.messages[0]
        writer = DotWriter()
        assert writer.feed(kept) + writer.finish() == kept + b".\r\n" == DotWriter(plain=True).feed(kept) + DotWriter(plain=True).finish()
        assert not event.long_lines
        assert not has_long_line(kept)


@pytest.mark.parametrize(
    ("wire", "plain"),
    [
        (b"Subject: x\r\n\r\nbody. More.\r\n.\r\n", True),
        (b".\r\n", True),  # no content at all
        (b"..\r\n.\r\n", False),
        (b"a\r\n..b\r\n.\r\n", False),
        (b"x" * 998 + b"\r\n.\r\n", True),
        (b"x" * 999 + b"\r\n.\r\n", False),
        (b"a\n.\r\n.\r\n", False),  # normalised: the line after the bare LF begins with a dot
    ],
)
def test_what_is_plain(wire: bytes, plain: bool) -> None:
    """As a table; both ends would otherwise agree on "never"."""
    driver = Driver(ServerConfig("mx.test", bare_line_end="normalise")).open()
    driver.feed(b"DATA\r\n")
    driver.feed(wire)
    assert [event.plain for event in driver.events if isinstance(event, ContentEnded)] == [plain]
