"""Rows W1 to W24 of the bad-input catalogue, as far as the protocol itself decides them. One named test for each row."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from mailwye.smtp.events import (
    CommandRefused,
    ContentEnded,
    ContentRefused,
    DataStarted,
    Event,
    MailReceived,
    RcptReceived,
    StartTlsReceived,
    TransactionReset,
)
from mailwye.smtp.server import ServerConfig
from mailwye.smtp.wire import DotWriter
from tests.unit.smtp.driver import Driver

NORMALISE = ServerConfig("mx.test", bare_line_end="normalise")
TLS = ServerConfig("mx.test", offer_starttls=True, offer_auth=True)
FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
]
SMUGGLED = b"MAIL FROM:<smug@x.test>\r\nRCPT TO:<smug@b.test>\r\nDATA\r\nSubject: evil\r\n"


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Whole, octet by octet, in two at every place."""
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))]
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]


def senders(driver: Driver) -> list[str]:
    return [str(event.sender) for event in driver.events if isinstance(event, MailReceived)]


def of(driver: Driver, kind: type[Event]) -> list[Event]:
    return [event for event in driver.events if isinstance(event, kind)]


@pytest.mark.parametrize("end", FALSE_ENDS)
def test_w01_end_of_data_variants(end: bytes) -> None:
    content = b"Subject: a\r\n\r\nfirst" + end + SMUGGLED
    for pieces in splits(content + b"\r\n.\r\n"):
        driver = Driver().open()
        driver.feed(b"DATA\r\n")
        codes = [code for piece in pieces for code in driver.feed(piece)]
        if b"\0" in end:  # CR LF stand in pairs here: one message that holds a NUL
            assert codes == ["250 2.6.0"]
            assert b"smug@x.test" in driver.messages[0]
            assert all(event.has_nul for event in driver.events if isinstance(event, ContentEnded))
        else:
            assert codes == ["550 5.5.2"]
            assert driver.messages == []
            assert of(driver, ContentRefused)
        assert senders(driver) == []
        assert driver.send("MAIL FROM:<next@a.test>") == ["250 2.1.0"]


def test_w01_true_end_behind_a_bare_cr() -> None:
    driver = Driver().open()
    driver.feed(b"DATA\r\n")
    assert driver.feed(b"a\r\r\n.\r\n") == ["550 5.5.2"]
    assert driver.send("NOOP") == ["250 2.0.0"]


@pytest.mark.parametrize("end", FALSE_ENDS)
def test_w02_normalised_content_cannot_smuggle_onward(end: bytes) -> None:
    for pieces in splits(b"Subject: a\r\n\r\nfirst" + end + SMUGGLED + b"\r\n.\r\n"):
        driver = Driver(NORMALISE).open()
        driver.feed(b"DATA\r\n")
        assert [code for piece in pieces for code in driver.feed(piece)] == ["250 2.6.0"]
        (message,) = driver.messages
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", message)
        assert senders(driver) == []
        writer = DotWriter()
        onward = writer.feed(message) + writer.finish()
        assert onward.find(b"\r\n.\r\n") == len(onward) - 5


@pytest.mark.parametrize("end", FALSE_ENDS)
def test_w03_no_early_end_past_the_size_limit(end: bytes) -> None:
    driver = Driver(ServerConfig("mx.test", message_size=100)).open()
    driver.feed(b"DATA\r\n")
    assert driver.feed(b"A: b\r\n\r\n" + b"x" * 200 + b"\r\n") == []
    assert driver.feed(b"y" + end + SMUGGLED) == []
    assert driver.feed(b"\r\n.\r\n") == ["552 5.3.4"]
    assert (driver.messages, senders(driver)) == ([], [])


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"EHLO x\r\nMAIL FROM:<a@b>\r\n", b"x"])
@pytest.mark.parametrize("sync", [True, False])
def test_w04_nothing_may_follow_starttls(behind: bytes, sync: bool) -> None:
    driver = Driver(ServerConfig("mx.test", offer_starttls=True, require_pipelining_sync=sync)).hello()
    assert driver.feed(b"STARTTLS\r\n" + behind) == ["503 5.5.0"]
    assert driver.ended == "synchronization"
    assert not of(driver, StartTlsReceived)


def test_w04_plaintext_beside_the_handshake_is_dropped() -> None:
    driver = Driver(TLS).hello()
    assert driver.send("STARTTLS") == ["220 2.0.0"]
    assert driver.feed(b"MAIL FROM:<a@b>\r\n") == []
    driver.connection.tls_started(1.0)
    driver.pump()
    assert (driver.codes(), senders(driver)) == ([], [])


def test_w05_replies_behind_220_show_as_pending() -> None:
    """The client's half is in its own tests; the shared parser is what tells it."""
    driver = Driver()
    driver.sent = b"220 go\r\n250 evil\r\n"
    assert len(driver.replies()) == 2


def test_w06_starttls_only_where_it_is_legal() -> None:
    driver = Driver(TLS).open()
    assert driver.send("STARTTLS") == ["503 5.5.1"]
    driver.send("RSET")
    assert driver.send("STARTTLS now") == ["501 5.5.4"]
    assert driver.send("STARTTLS") == ["220 2.0.0"]
    driver.connection.tls_started(1.0)
    assert driver.send("MAIL FROM:<a@b>") == ["503 5.5.1"]  # RFC 3207 section 4.2: EHLO is forgotten
    driver.send("EHLO client.test")
    assert driver.send("STARTTLS") == ["503 5.5.1"]
    assert driver.send("AUTH PLAIN AGEAc2VjcmV0") == ["235 2.7.0"]
    assert driver.connection.authenticated()
    assert driver.send("STARTTLS") == ["503 5.5.1"]
    assert Driver().hello().send("STARTTLS") == ["502 5.5.1"]


def test_w06_the_offer_follows_the_state() -> None:
    driver = Driver(TLS)
    driver.greet()
    driver.replies()
    driver.connection.receive_data(b"EHLO x\r\n", 0)
    driver.pump()
    plain = driver.replies()[0].text
    assert "STARTTLS" in plain
    assert "AUTH" not in plain
    driver.send("STARTTLS")
    driver.connection.tls_started(1.0)
    driver.connection.receive_data(b"EHLO x\r\n", 0)
    driver.pump()
    secure = driver.replies()[0].text
    assert "STARTTLS" not in secure
    assert "AUTH PLAIN LOGIN" in secure


def test_w07_auth_is_not_possible_without_tls() -> None:
    """Hiding STARTTLS gains an attacker no password. (The outbound half is the client's.)"""
    assert Driver(TLS).hello().send("AUTH PLAIN AGEAYg==") == ["538 5.7.11"]
    required = ServerConfig("mx.test", offer_starttls=True, offer_auth=True, require_auth=True)
    assert Driver(required).hello().send("MAIL FROM:<a@b>") == ["530 5.7.0"]


def test_w08_a_second_handshake_is_a_defect_of_the_driver() -> None:
    """TLS versions are decided below; here only: no handshake that was not asked for resets the session."""
    from mailwye.smtp.errors import LocalProtocolError

    driver = Driver(TLS).hello()
    with pytest.raises(LocalProtocolError):
        driver.connection.tls_started(1.0)


def test_w09_talking_before_the_greeting_or_the_reply_to_ehlo() -> None:
    driver = Driver()
    driver.feed(b"EHLO x\r\n")
    driver.connection.greet()
    driver.pump()
    assert (driver.codes(), driver.ended) == (["554 5.5.0"], "synchronization")
    driver = Driver().greet()
    driver.replies()
    assert driver.feed(b"EHLO x\r\nMAIL FROM:<a@b>\r\n") == ["554 5.5.0"]
    assert senders(driver) == []
    driver = Driver(ServerConfig("mx.test", require_pipelining_sync=False))
    assert driver.feed(b"EHLO x\r\nMAIL FROM:<a@b>\r\n") == []
    driver.connection.greet()
    driver.pump()
    assert driver.codes() == ["220", "250", "250 2.1.0"]


def test_w10_content_before_354() -> None:
    driver = Driver().open()
    assert driver.feed(b"DATA\r\nSubject: x\r\n\r\n.\r\n") == ["554 5.5.0"]
    assert driver.ended == "synchronization"
    assert of(driver, TransactionReset)
    assert driver.messages == []


def test_w10_content_while_the_driver_thinks() -> None:
    driver = Driver().open()
    connection = driver.connection
    connection.receive_data(b"DATA\r\n", 0)
    assert isinstance(connection.next_event(), DataStarted)
    connection.receive_data(b"early", 0)
    from mailwye.smtp import reply as say

    connection.reply(say.START_CONTENT)
    driver.pump()
    assert driver.codes() == ["554 5.5.0"]


def test_w10_commands_behind_the_end_of_data() -> None:
    driver = Driver().open()
    driver.feed(b"DATA\r\n")
    assert driver.feed(b"A: b\r\n\r\n.\r\nMAIL FROM:<n@a.test>\r\nQUIT\r\n") == ["250 2.6.0", "250 2.1.0", "221 2.0.0"]
    plain = Driver().greet()
    plain.feed(b"HELO x\r\n")
    for line in ("MAIL FROM:<a@b.test>", "RCPT TO:<r@b.test>", "DATA"):
        plain.send(line)
    assert plain.feed(b"A: b\r\n\r\n.\r\nQUIT\r\n") == ["554 5.5.0"]
    assert plain.messages == []


def test_w10_no_pipelining_after_helo() -> None:
    driver = Driver().greet()
    driver.feed(b"HELO x\r\n")
    assert driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n") == ["554 5.5.0"]
    assert senders(driver) == []


def test_w11_data_when_all_recipients_failed() -> None:
    driver = Driver().hello()
    burst = b"MAIL FROM:<s@a.test>\r\nRCPT TO:<unknown1@b.test>\r\nRCPT TO:<unknown2@b.test>\r\nDATA\r\n"
    assert driver.feed(burst) == ["250 2.1.0", "550 5.1.1", "550 5.1.1", "503 5.5.1"]
    assert not of(driver, DataStarted)
    assert driver.send("RSET") == ["250 2.0.0"]


def test_w11_pipelined_group_with_a_good_recipient() -> None:
    driver = Driver().hello()
    burst = b"MAIL FROM:<>\r\nRCPT TO:<unknown@b.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n"
    assert driver.feed(burst) == ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354"]


def test_w12_bdat_stall() -> None:
    driver = Driver().open()
    assert driver.feed(b"BDAT 5\r\nabc") == []
    deadline = driver.connection.next_deadline()
    assert deadline == RATE_OR_CONTENT
    driver.connection.handle_deadline(deadline)
    driver.pump()
    assert (driver.codes(), driver.ended, driver.messages) == (["421 4.4.2"], "too slow", [])


RATE_OR_CONTENT = 30.0  # three octets in thirty seconds are below the minimum rate


@pytest.mark.parametrize("size", ["99999999999999999999", "-1", "", "x", "5 FIRST", "5 LAST x", "1e3", "0x5", "٥"])
def test_w12_bdat_syntax(size: str) -> None:
    assert Driver().open().send(f"BDAT {size}") == ["501 5.5.4"]


def test_w12_bdat_sequences() -> None:
    driver = Driver().open()
    assert driver.feed(b"BDAT 0\r\n") == ["250 2.0.0"]
    assert driver.send("DATA") == ["503 5.5.1"]
    assert driver.send("RCPT TO:<x@b.test>") == ["503 5.5.1"]
    assert driver.feed(b"BDAT 6\r\nRSET\r\n") == ["250 2.0.0"]  # RSET within a chunk is content
    assert driver.feed(b"BDAT 3 LAST\r\nabc") == ["250 2.6.0"]
    assert driver.messages == [b"RSET\r\nabc"]
    assert driver.feed(b"BDAT 6\r\nNOOP\r\n") == ["503 5.5.1"]  # swallowed: NOOP was not executed
    driver.send("MAIL FROM:<a@b>")
    assert driver.feed(b"BDAT 6 LAST\r\nNOOP\r\n") == ["503 5.5.1"]
    assert driver.send("RCPT TO:<r@b.test>") == ["250 2.1.5"]
    assert driver.feed(b"BDAT 2\r\nab") == ["250 2.0.0"]
    assert driver.send("RSET") == ["250 2.0.0"]
    assert of(driver, TransactionReset)
    assert driver.send("MAIL FROM:<a@b>") == ["250 2.1.0"]


def test_w12_disconnect_within_a_chunk() -> None:
    driver = Driver().open()
    driver.feed(b"BDAT 5 LAST\r\nabc")
    driver.eof()
    assert (driver.ended, driver.messages, len(of(driver, TransactionReset))) == ("lost", [], 1)


def test_w12_chunk_refused_by_the_driver() -> None:
    driver = Driver().hello()
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<nodata@b.test>\r\n")
    assert driver.feed(b"BDAT 6\r\nNOOP\r\nBDAT 6\r\nNOOP\r\n") == ["451 4.3.0", "503 5.5.1"]
    assert driver.send("MAIL FROM:<a@b>") == ["503 5.5.1"]
    assert driver.feed(b"BDAT 6 LAST\r\nNOOP\r\n") == ["503 5.5.1"]  # the last chunk ends the message, refused or not
    assert driver.send("MAIL FROM:<a@b>") == ["250 2.1.0"]


def test_w12_too_many_octets() -> None:
    driver = Driver(ServerConfig("mx.test", message_size=10)).open()
    assert driver.feed(b"BDAT 8\r\nA: b\r\n\r\n") == ["250 2.0.0"]
    assert driver.feed(b"BDAT 6\r\nNOOP\r\n") == ["552 5.3.4"]
    assert driver.feed(b"BDAT 6\r\nNOOP\r\n") == ["503 5.5.1"]
    assert of(driver, ContentRefused) == [ContentRefused("too_large")]
    assert driver.send("RSET") == ["250 2.0.0"]


def test_w13_bdat_content_ends_by_its_count_only() -> None:
    content = b"a\r\n.\r\nQUIT\r\n"
    for pieces in splits(b"BDAT 12 LAST\r\n" + content):
        driver = Driver().open()
        assert [code for piece in pieces for code in driver.feed(piece)] == ["250 2.6.0"]
        assert driver.messages == [content]


def test_w13_bare_line_ends_in_bdat() -> None:
    for pieces in splits(b"BDAT 4\r\na\n.\nBDAT 2 LAST\r\nb\r"):
        strict, tolerant = Driver().open(), Driver(NORMALISE).open()
        assert [code for piece in pieces for code in strict.feed(piece)] == ["550 5.5.2", "503 5.5.1"]
        assert [code for piece in pieces for code in tolerant.feed(piece)] == ["250 2.0.0", "250 2.6.0"]
        assert tolerant.messages == [b"a\r\n.\r\nb\r\n"]
        binary = Driver().open(b" BODY=BINARYMIME")
        assert [code for piece in pieces for code in binary.feed(piece)] == ["250 2.0.0", "250 2.6.0"]
        assert binary.messages == [b"a\n.\nb\r"]


def test_w13_cr_lf_cut_between_chunks_is_whole() -> None:
    driver = Driver().open()
    assert driver.feed(b"BDAT 2\r\na\rBDAT 2 LAST\r\n\nb") == ["250 2.0.0", "250 2.6.0"]
    assert driver.messages == [b"a\r\nb"]


def test_w13_binarymime_needs_bdat() -> None:
    assert Driver().open(b" BODY=BINARYMIME").send("DATA") == ["503 5.5.1"]


@pytest.mark.parametrize("length", [2047, 3000, 1_000_000])
def test_w14_long_lines(length: int) -> None:
    driver = Driver().hello()
    assert driver.send("NOOP " + "x" * (2046 - 5)) == ["250 2.0.0"]
    assert driver.feed(b"NOOP " + b"x" * (length - 5)) == (["500 5.5.2"] if length > 2047 else [])
    assert driver.feed(b"\r\nNOOP\r\n") == (["250 2.0.0"] if length > 2047 else ["500 5.5.2", "250 2.0.0"])


def test_w14_no_line_end_at_all_stays_bounded() -> None:
    driver = Driver().hello()
    codes = [code for _ in range(64) for code in driver.feed(b"x" * 65_536)]
    assert codes == ["500 5.5.2"]
    assert driver.connection._session.input.left <= 1


def test_w14_auth_line_too_long_and_repeats() -> None:
    driver = Driver(TLS, tls=True).hello()
    assert driver.send("AUTH PLAIN " + "A" * 12_288) == ["500 5.5.6"]
    assert driver.send("AUTH PLAIN") == ["334"]
    assert driver.send("A" * 12_288) == ["500 5.5.6"]
    driver = Driver(ServerConfig("mx.test", error_budget=3)).hello()
    assert driver.feed((b"x" * 3000 + b"\r\n") * 10) == ["500 5.5.2"] * 4 + ["421 4.7.0"]
    assert driver.ended == "errors"


@pytest.mark.parametrize("length", [1001, 65_536, 10_000_000])
def test_w15_long_text_lines(length: int) -> None:
    driver = Driver().open()
    driver.feed(b"DATA\r\n")
    driver.feed(b"A: b\r\n\r\n")
    for start in range(0, length, 65_536):
        driver.feed(b"x" * min(65_536, length - start))
        assert driver.connection._session.input.left == 0
    assert driver.feed(b"\r\n.\r\n") == ["250 2.6.0"]
    assert [event.long_lines for event in driver.events if isinstance(event, ContentEnded)] == [True]
    assert len(driver.messages[0]) == length + 10


@pytest.mark.parametrize("line", [b"NOOP\0", b"MAIL FROM:<a\0b@c>", b"\0", b"NO\x1bOP", b"EHLO a\rb", b"EHLO \x7f", b"NOOP \xc2\x85"])
def test_w16_control_characters_in_commands(line: bytes) -> None:
    driver = Driver().hello()
    assert driver.feed(line + b"\r\n") == ["501 5.5.2"]
    assert driver.send("NOOP") == ["250 2.0.0"]


def test_w16_nul_in_content_is_kept_and_told() -> None:
    driver = Driver().open()
    driver.feed(b"DATA\r\n")
    driver.feed(b"Subject: a\0b\r\n\r\nc\0d\r\n.\r\n")
    assert driver.messages == [b"Subject: a\0b\r\n\r\nc\0d\r\n"]
    assert [event.has_nul for event in driver.events if isinstance(event, ContentEnded)] == [True]


@pytest.mark.parametrize("line", [b"\x80\x81", b"EHLO \xff", b"MAIL FROM:<\xc3@b>", bytes(range(0x80, 0x100))])
def test_w17_invalid_utf8_in_commands(line: bytes) -> None:
    driver = Driver().hello()
    assert driver.feed(line + b"\r\n") == ["501 5.5.2"]
    assert driver.send("NOOP") == ["250 2.0.0"]


def test_w18_eight_bit_content_is_accepted_and_told() -> None:
    driver = Driver().open()
    driver.feed(b"DATA\r\n")
    assert driver.feed("Subject: x\r\n\r\nü\r\n.\r\n".encode()) == ["250 2.6.0"]
    assert [event.eight_bit for event in driver.events if isinstance(event, ContentEnded)] == [True]
    assert driver.messages == ["Subject: x\r\n\r\nü\r\n".encode()]


def test_w19_utf8_addresses_need_smtputf8() -> None:
    driver = Driver().hello()
    assert driver.send("MAIL FROM:<ü@a.test>") == ["553 5.6.7"]
    assert driver.send("MAIL FROM:<u@ü.test> SIZE=1") == ["553 5.6.7"]
    driver.send("MAIL FROM:<u@a.test>")
    assert driver.send("RCPT TO:<ü@b.test>") == ["553 5.6.7"]
    driver.send("RSET")
    assert driver.send("MAIL FROM:<ü@a.test> SMTPUTF8") == ["250 2.1.0"]
    assert driver.send("RCPT TO:<ü@b.test>") == ["250 2.1.5"]
    assert driver.send("MAIL FROM:<ü@a.test> SMTPUTF8=x") == ["503 5.5.1"]
    driver.send("RSET")
    assert driver.send("MAIL FROM:<ü@a.test> SMTPUTF8=x") == ["501 5.5.4"]


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT a:25 HTTP/1.0", "get /", "Host: x", "Subject: x", "X-A:"])
def test_w20_other_protocols_are_cut_off_at_once(line: str) -> None:
    driver = Driver().greet()
    driver.replies()
    assert driver.feed(f"{line}\r\nEHLO x\r\nMAIL FROM:<a@b>\r\n".encode()) == ["554 5.5.0"]
    assert (driver.ended, driver.refused, senders(driver)) == ("foreign protocol", [554], [])


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("SIZE=36700160", "250 2.1.0"),
        ("SIZE=36700161", "552 5.3.4"),
        ("SIZE=99999999999999999999", "552 5.3.4"),
        ("SIZE=999999999999999999999", "501 5.5.4"),
        ("SIZE=-1", "501 5.5.4"),
        ("SIZE=1e9", "501 5.5.4"),
        ("SIZE", "501 5.5.4"),
        ("SIZE=1 SIZE=1", "501 5.5.4"),
        ("size=1 Size=1", "501 5.5.4"),
        ("X=1", "555 5.5.4"),
        ("BODY=8bitmime", "250 2.1.0"),
        ("BODY=9BIT", "501 5.5.4"),
        ("SIZE=1  BODY=7BIT ", "250 2.1.0"),
        ("=1", "501 5.5.4"),
        ("SIZE==1", "501 5.5.4"),
        ("AUTH=<>", "555 5.5.4"),
        ("NOTIFY=NEVER", "555 5.5.4"),
    ],
)
def test_w21_parameters_of_mail(parameters: str, code: str) -> None:
    assert Driver().hello().send(f"MAIL FROM:<a@b> {parameters}") == [code]


def test_w21_parameters_need_ehlo() -> None:
    driver = Driver().greet()
    driver.feed(b"HELO x\r\n")
    assert driver.send("MAIL FROM:<a@b> SIZE=1") == ["555 5.5.4"]


@pytest.mark.parametrize(
    "parameters", ["RET=BODY", "ENVID=+0D+0A..", "ENVID=a+0", "ENVID=" + "a" * 101, "ENVID=", "ENVID=+00", "ENVID=+C3+A9"]
)
def test_w22_dsn_parameters_of_mail_refused(parameters: str) -> None:
    assert Driver().hello().send(f"MAIL FROM:<a@b> {parameters}") == ["501 5.5.4"]


@pytest.mark.parametrize(
    "parameters",
    [
        "ORCPT=rfc822;a+0D+0ADATA",
        "ORCPT=a@b",
        "ORCPT=;a@b",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;a+zz",
        "ORCPT=rfc822;" + "a" * 500,
        "NOTIFY=NEVER,FAILURE",
        "NOTIFY=FAILURE,FAILURE",
        "NOTIFY=",
        "NOTIFY=SOON",
    ],
)
def test_w22_dsn_parameters_of_rcpt_refused(parameters: str) -> None:
    driver = Driver().open()
    assert driver.send(f"RCPT TO:<a@b> {parameters}") == ["501 5.5.4"]
    assert not of(driver, RcptReceived)


@pytest.mark.parametrize(
    ("tls", "parameter", "reply"),
    [(True, "REQUIRETLS", "250"), (True, "requiretls", "250"), (True, "REQUIRETLS=yes", "501 5.5.4"), (False, "REQUIRETLS", "555 5.5.4")],
)
def test_requiretls_only_within_tls(tls: bool, parameter: str, reply: str) -> None:
    """RFC 8689 section 2."""
    driver = Driver(tls=tls).greet()
    driver.replies()
    driver.connection.receive_data(b"EHLO client.test\r\n", driver.now)
    driver.pump()
    (hello,) = driver.replies()
    assert ("REQUIRETLS" in hello.text.split("\n")) is tls
    driver.events.clear()
    (said,) = driver.send(f"MAIL FROM:<a@b> {parameter}")
    assert said.startswith(reply)
    if reply == "250":
        (mail,) = of(driver, MailReceived)
        assert isinstance(mail, MailReceived)
        assert mail.require_tls


def test_w22_dsn_parameters_are_decoded() -> None:
    driver = Driver().hello()
    driver.send("MAIL FROM:<a@b> RET=hdrs ENVID=a+2Bb+20c")
    driver.send("RCPT TO:<a@b> NOTIFY=success,FAILURE ORCPT=rfc822;x+2By@z")
    mail, recipient = driver.events
    assert isinstance(mail, MailReceived)
    assert (mail.ret, mail.envid) == ("HDRS", "a+b c")
    assert isinstance(recipient, RcptReceived)
    assert (recipient.notify, recipient.orcpt) == (frozenset({"SUCCESS", "FAILURE"}), "rfc822;x+y@z")


def test_w23_commands_nobody_serves() -> None:
    driver = Driver().hello()
    assert driver.send("VRFY root") == ["252 2.0.0"]
    assert driver.send("VRFY") == ["501 5.5.4"]
    assert driver.send("HELP") == ["214 2.0.0"]
    for verb in ("EXPN staff", "TURN", "ETRN x", "SEND FROM:<a@b>", "SAML FROM:<a@b>", "SOML FROM:<a@b>"):
        assert driver.send(verb) == ["502 5.5.1"]


@pytest.mark.parametrize("verb", ["NOOP", "RSET", "VRFY x", "HELP", "EHLO x", "HELO x"])
def test_w23_junk_ends_in_421(verb: str) -> None:
    driver = Driver().hello()
    codes: list[str] = []
    while not driver.ended:
        codes += driver.send(verb)
        assert len(codes) < 200
    assert (codes[-1], driver.ended) == ("421 4.7.0", "idle commands")
    assert len(codes) == 100  # the EHLO of `hello` was the first of the budget


def test_w23_an_accepted_message_starts_the_budgets_anew() -> None:
    driver = Driver(ServerConfig("mx.test", idle_commands_budget=5, error_budget=2)).hello()
    for _ in range(10):
        for line in ("NOOP", "RSET", "BOGUS", "MAIL FROM:<a@b>", "RCPT TO:<r@b.test>", "DATA"):
            assert driver.send(line)
        assert driver.feed(b"A: b\r\n.\r\n") == ["250 2.6.0"]
    assert not driver.ended


@pytest.mark.parametrize("line", ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2", "XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1"])
def test_w24_nobody_may_name_another_address(line: str) -> None:
    driver = Driver().hello()
    assert driver.send(line) == ["500 5.5.1"]
    assert of(driver, CommandRefused)
