"""ServerConnection: sequence, recipients, AUTH, deadlines, endings, and what a driver must not do. Hostile input: test_bad_input.py."""

from __future__ import annotations

import pytest

from mailwye.smtp import reply as say
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.events import (
    AuthReceived,
    CommandRefused,
    ConnectionEnded,
    ContentEnded,
    ContentReceived,
    DataStarted,
    HelloReceived,
    MailReceived,
    RcptReceived,
    TransactionReset,
)
from mailwye.smtp.reply import Reply
from mailwye.smtp.server import BUFFER_LIMIT, ServerConfig, ServerConnection
from mailwye.smtp.server_table import REMEDY, TRANSITIONS, VERBS, Input, State, draw
from tests.unit.smtp.driver import Driver

SECURE = ServerConfig("mx.test", offer_starttls=True, offer_auth=True)
COMMANDS = {
    Input.EHLO: "EHLO x",
    Input.HELO: "HELO x",
    Input.MAIL: "MAIL FROM:<a@b>",
    Input.RCPT: "RCPT TO:<r@b>",
    Input.DATA: "DATA",
    Input.BDAT: "BDAT 0",
    Input.RSET: "RSET",
    Input.NOOP: "NOOP",
    Input.VRFY: "VRFY x",
    Input.EXPN: "EXPN x",
    Input.HELP: "HELP",
    Input.STARTTLS: "STARTTLS",
    Input.AUTH: "AUTH PLAIN",
    Input.XCLIENT: "XCLIENT ADDR=192.0.2.1",
    Input.QUIT: "QUIT",
}
WAYS = {
    State.HELLO: [],
    State.READY: ["EHLO x"],
    State.MAIL: ["EHLO x", "MAIL FROM:<a@b>"],
    State.RCPT: ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<r@b>"],
    State.CHUNKS: ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<r@b>", "BDAT 0"],
    State.CHUNKS_REFUSED: ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<nodata@b>", "BDAT 0"],
}


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("verb", VERBS)
def test_every_state_and_every_verb(state: State, verb: Input) -> None:
    """A verb that the table names moves the machine as it says; any other is 503 and moves nothing."""
    config = ServerConfig("mx.test", offer_starttls=True, offer_auth=True, offer_xclient=True)
    driver = Driver(config, tls=verb is not Input.STARTTLS).greet()
    driver.replies()
    for line in WAYS[state]:
        driver.send(line)
    session = driver.connection._session
    assert session.state is state
    codes = driver.send(COMMANDS[verb])
    if verb in TRANSITIONS[state]:
        assert not codes[0].startswith("503")
        assert session.state is TRANSITIONS[state][verb]
    else:
        assert codes == ["503 5.5.1"]
        assert session.state is state


def test_the_table_is_closed() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {following for row in TRANSITIONS.values() for following in row.values()} == set(State) - {State.GREETING}
    assert {state for state in State if any(verb not in TRANSITIONS[state] for verb in VERBS) and Input.NOOP in TRANSITIONS[state]} == set(
        REMEDY
    )
    assert draw().count("\n") == 2 + sum(map(len, TRANSITIONS.values()))


def test_one_message_event_by_event() -> None:
    driver = Driver().greet()
    (greeting,) = driver.replies()
    assert greeting == Reply(220, "", "mx.test ESMTP Mailwye")
    driver.connection.receive_data(b"ehlo [192.0.2.1]\r\n", 0)
    driver.pump()
    (hello,) = driver.replies()
    assert hello.text.split("\n") == [
        "mx.test",
        "PIPELINING",
        "SIZE 36700160",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "BINARYMIME",
        "ENHANCEDSTATUSCODES",
        "DSN",
    ]
    driver.send("mail from: <S@a.test>  SIZE=10")
    driver.send("rcpt to:<r@B.test>")
    driver.send("data")
    driver.feed(b"A: b\r\n\r\n..\r\n.\r\n")
    driver.send("quit")
    assert [type(event) for event in driver.events] == [
        HelloReceived,
        MailReceived,
        RcptReceived,
        DataStarted,
        ContentReceived,
        ContentEnded,
        ConnectionEnded,
    ]
    assert driver.events[0] == HelloReceived("[192.0.2.1]", esmtp=True)
    assert driver.messages == [b"A: b\r\n\r\n.\r\n"]
    assert driver.ended == "quit"


def test_postmaster_needs_no_domain() -> None:
    driver = Driver(ServerConfig("mx.test", postmaster_domain="b.test")).hello()
    driver.send("MAIL FROM:<>")
    driver.send("RCPT TO:<PostMaster>")
    driver.send("RCPT TO:<postmaster> NOTIFY=NEVER")
    assert [str(event.recipient) for event in driver.events if isinstance(event, RcptReceived)] == ["postmaster@b.test"] * 2
    assert driver.send("RCPT TO:<>") == ["501 5.1.3"]
    assert driver.send("RCPT TO:<hostmaster>") == ["501 5.1.3"]
    assert driver.send("RCPT FROM:<a@b>") == ["501 5.5.4"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MAIL FROM:<a..b@c>", "501 5.1.7"),
        ("MAIL FROM:a@b", "501 5.1.7"),
        ("MAIL TO:<a@b>", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("EHLO", "501 5.5.4"),
        ("EHLO " + "x" * 256, "501 5.5.4"),
        ("RSET x", "501 5.5.4"),
        ("QUIT x", "501 5.5.4"),
        ("", "500 5.5.1"),
        ("MAILFROM", "500 5.5.1"),
        (" NOOP", "500 5.5.1"),
    ],
)
def test_syntax_errors(line: str, code: str) -> None:
    driver = Driver().hello()
    assert driver.send(line) == [code]
    assert driver.refused == [int(code[:3])]
    assert not driver.ended


def test_r7_recipients_over_the_limit_wait_for_another_message() -> None:
    driver = Driver(ServerConfig("mx.test", recipients_per_message=100)).hello()
    driver.send("MAIL FROM:<a@b>")
    codes = driver.feed(b"".join(b"RCPT TO:<r%d@b.test>\r\n" % number for number in range(200)))
    assert codes == ["250 2.1.5"] * 100 + ["452 4.5.3"] * 100
    assert driver.send("DATA") == ["354"]
    assert driver.feed(b".\r\n") == ["250 2.6.0"]
    assert driver.send("MAIL FROM:<a@b>") == ["250 2.1.0"]
    assert driver.send("RCPT TO:<r@b.test>") == ["250 2.1.5"]


def test_v4_harvesting_ends() -> None:
    driver = Driver().hello()
    driver.send("MAIL FROM:<a@b>")
    codes = driver.feed(b"".join(b"RCPT TO:<unknown%d@b.test>\r\n" % number for number in range(1000)))
    assert codes == ["550 5.1.1"] * 21 + ["421 4.7.0"]
    assert driver.ended == "errors"


def test_temporary_refusals_do_not_count() -> None:
    driver = Driver().hello()
    for _ in range(100):
        assert driver.send("MAIL FROM:<later@b>") == ["451 4.3.0"]
    assert not driver.ended


def test_header_limit() -> None:
    driver = Driver(ServerConfig("mx.test", header_octets=100)).open()
    driver.feed(b"DATA\r\n")
    assert driver.feed(b"A: " + b"x" * 100 + b"\r\n\r\n.\r\n") == ["552 5.3.4"]
    assert driver.messages == []


def test_content_refused_by_the_driver_ends_the_transaction() -> None:
    driver = Driver().hello()
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<reject@b>\r\nDATA\r\n")
    assert driver.feed(b".\r\n") == ["250 2.1.0", "250 2.1.5", "354", "554 5.7.1"][3:]
    assert driver.send("MAIL FROM:<a@b>") == ["250 2.1.0"]


def test_data_refused_by_the_driver_keeps_the_transaction() -> None:
    driver = Driver().hello()
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<nodata@b>\r\n")
    driver.replies()
    assert driver.send("DATA now") == ["501 5.5.4"]
    assert driver.send("DATA") == ["451 4.3.0"]
    assert driver.send("RCPT TO:<r@b>") == ["250 2.1.5"]
    assert driver.send("DATA") == ["354"]


def test_new_hello_and_rset_end_the_transaction() -> None:
    for line in ("EHLO y", "HELO y", "RSET"):
        driver = Driver().open()
        driver.send(line)
        assert driver.events[0] == TransactionReset()
        assert driver.send("RCPT TO:<a@b>") == ["503 5.5.1"]
    driver = Driver().open()
    driver.send("EHLO")  # refused: nothing changes
    assert driver.send("DATA") == ["354"]


def test_auth_plain_and_login() -> None:
    driver = Driver(SECURE, tls=True).hello()
    assert driver.send("AUTH CRAM-MD5") == ["504 5.5.4"]
    assert driver.send("AUTH PLAIN") == ["334"]
    assert driver.send("aWQAdXNlcgBub3BlCg==") == ["535 5.7.8"]
    assert driver.events[-1] == AuthReceived("PLAIN", "user", "nope\n", "id")
    assert driver.send("AUTH LOGIN") == ["334"]
    assert driver.send("*") == ["501 5.7.0"]
    assert driver.send("AUTH LOGIN dXNlcg==") == ["334"]
    assert driver.send("c2VjcmV0") == ["235 2.7.0"]
    assert driver.events[-1] == AuthReceived("LOGIN", "user", "secret")
    assert driver.connection.authenticated()
    assert driver.send("AUTH LOGIN") == ["503 5.5.1"]


@pytest.mark.parametrize("response", ["!", "YQ", "", "=", "AGE=", "AGEAYgBj", "AAB4", "AP8AeA==", "AAphAGI=", "ü"])
def test_auth_responses_that_are_none(response: str) -> None:
    driver = Driver(SECURE, tls=True).hello()
    driver.send("AUTH PLAIN")
    assert driver.send(response) == ["501 5.5.2"]
    assert driver.send("NOOP") == ["250 2.0.0"]


def test_auth_in_the_wrong_place_and_no_secret_in_notices() -> None:
    driver = Driver(SECURE, tls=True).hello()
    assert driver.send("AUTH") == ["501 5.5.4"]
    assert driver.send("AUTH PLAIN c2VjcmV0 c2VjcmV0") == ["501 5.5.4"]
    assert driver.send("AUTH PLAIN c2VjcmV0") == ["501 5.5.2"]
    driver.send("AUTH PLAIN")
    driver.send("c2VjcmV0\x01")
    driver.send("MAIL FROM:<a@b>")
    assert driver.send("AUTH PLAIN c2VjcmV0") == ["503 5.5.1"]
    assert "c2VjcmV0" not in str([event for event in driver.events if isinstance(event, CommandRefused)])
    assert Driver().hello().send("AUTH PLAIN") == ["502 5.5.1"]
    helo = Driver(SECURE, tls=True).greet()
    helo.feed(b"HELO x\r\n")
    assert helo.send("AUTH PLAIN") == ["503 5.5.1"]


def test_submission_needs_auth() -> None:
    config = ServerConfig("mx.test", offer_auth=True, require_auth=True)
    driver = Driver(config, tls=True).hello()
    assert driver.send("MAIL FROM:<a@b>") == ["530 5.7.0"]
    assert driver.send("AUTH PLAIN AGEAc2VjcmV0") == ["235 2.7.0"]
    assert driver.send("MAIL FROM:<a@b> AUTH=x+40y") == ["250 2.1.0"]
    mail = driver.events[-1]
    assert isinstance(mail, MailReceived)
    assert mail.auth == "x@y"


def test_v1_a_command_has_one_deadline_however_slowly_it_comes() -> None:
    driver = Driver()
    assert driver.connection.next_deadline() is None
    driver.hello()
    assert driver.connection.next_deadline() == 300.0
    driver.now = 200.0
    driver.feed(b"NO")
    assert driver.connection.next_deadline() == 300.0
    driver.feed(b"OP\r\n")
    assert driver.connection.next_deadline() == 500.0
    driver.connection.handle_deadline(499.0)
    assert driver.connection.next_event() is None
    driver.connection.handle_deadline(500.0)
    driver.pump()
    assert (driver.codes(), driver.ended) == (["421 4.4.2"], "timeout")
    assert driver.connection.next_deadline() is None


def test_v1_content_has_a_minimum_rate() -> None:
    driver = Driver().open()
    driver.now = 100.0
    driver.feed(b"DATA\r\n")
    assert driver.connection.next_deadline() == 130.0
    driver.now = 110.0
    driver.feed(b"x" * 6400)
    assert driver.connection.next_deadline() == 200.0  # 6400 octets are good for 100 seconds
    driver.now = 120.0
    driver.feed(b"x" * 64_000)
    assert driver.connection.next_deadline() == 300.0  # silence for 180 seconds
    driver.connection.handle_deadline(300.0)
    driver.pump()
    assert (driver.ended, driver.events[-2]) == ("timeout", TransactionReset())
    free = Driver(ServerConfig("mx.test", minimum_rate=0)).open()
    free.feed(b"DATA\r\n")
    assert free.connection.next_deadline() == 180.0


def test_no_deadline_while_the_driver_thinks_and_none_during_the_handshake() -> None:
    driver = Driver(SECURE).hello()
    driver.connection.receive_data(b"MAIL FROM:<a@b>\r\n", 5.0)
    assert isinstance(driver.connection.next_event(), MailReceived)
    assert driver.connection.next_deadline() is None
    driver.connection.handle_deadline(1e9)
    assert driver.connection.next_event() is None
    driver.connection.reply(say.SENDER_OK, 50.0)
    assert driver.connection.next_deadline() == 350.0
    driver.send("RSET")
    driver.send("STARTTLS")
    assert driver.connection.next_deadline() is None


def test_end_of_input() -> None:
    driver = Driver().hello()
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<r@b>\r\nNO")
    driver.eof()
    assert driver.events[-2:] == [TransactionReset(), ConnectionEnded("lost")]
    driver.feed(b"NOOP\r\n")
    assert driver.codes()[2:] == []


def test_end_of_input_behind_commands_and_while_an_answer_is_due() -> None:
    driver = Driver().open()
    driver.feed(b"DATA\r\n")
    connection = driver.connection
    connection.receive_data(b".\r\nQUIT\r\n", 0)
    assert isinstance(connection.next_event(), ContentEnded)
    connection.receive_eof(0)
    assert connection.next_event() is None
    connection.reply(say.OK)
    driver.pump()
    assert (driver.codes()[-2:], driver.ended) == (["250 2.0.0", "221 2.0.0"], "quit")


def test_shut_down() -> None:
    idle = Driver().hello()
    idle.connection.shut_down(say.SHUTTING_DOWN)
    idle.pump()
    assert (idle.codes(), idle.ended) == (["421 4.3.2"], "shutdown")
    busy = Driver().open()
    busy.feed(b"DATA\r\n")
    busy.connection.shut_down(say.SHUTTING_DOWN)
    busy.pump()
    assert busy.codes() == []
    assert busy.feed(b".\r\nNOOP\r\n") == ["250 2.6.0", "421 4.3.2"]
    assert len(busy.messages) == 1


def test_refuse_connection() -> None:
    driver = Driver()
    driver.connection.refuse_connection(say.TOO_MANY_CONNECTIONS)
    driver.pump()
    assert (driver.codes(), driver.ended) == (["421 4.7.0"], "refused")
    assert driver.feed(b"EHLO x\r\n") == []
    with pytest.raises(LocalProtocolError):
        Driver().hello().connection.refuse_connection(say.TOO_MANY_CONNECTIONS)
    with pytest.raises(LocalProtocolError):
        Driver().hello().connection.greet()


def test_a_driver_that_answers_421_ends_the_session() -> None:
    driver = Driver().hello()
    driver.connection.receive_data(b"MAIL FROM:<a@b>\r\n", 0)
    driver.connection.next_event()
    driver.connection.reply(say.SHUTTING_DOWN)
    driver.pump()
    assert (driver.codes(), driver.ended) == (["421 4.3.2"], "refused")


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("MAIL FROM:<a@b>", say.START_CONTENT),
        ("MAIL FROM:<a@b>\r\nRCPT TO:<r@b>", say.START_CONTENT),
        ("MAIL FROM:<a@b>\r\nRCPT TO:<r@b>\r\nDATA", say.OK),
        ("MAIL FROM:<a@b>\r\nRCPT TO:<r@b>\r\nBDAT 1", say.START_CONTENT),
        ("AUTH PLAIN AGEAYg==", Reply(334, "", "")),
        ("MAIL FROM:<a@b>", Reply(600, "", "")),
        ("MAIL FROM:<a@b>", Reply(199, "", "")),
    ],
)
def test_replies_that_do_not_fit_are_defects_of_the_driver(lines: str, wrong: Reply) -> None:
    connection = ServerConnection(SECURE, now=0, tls_active=True)
    connection.greet()
    with pytest.raises(LocalProtocolError):
        connection.reply(say.OK)
    connection.receive_data(b"EHLO x\r\n", 0)
    assert isinstance(connection.next_event(), HelloReceived)
    *before, _ = commands = lines.split("\r\n")
    for line in commands:
        connection.receive_data(line.encode() + b"\r\n", 0)
        assert connection.next_event() is not None
        if line in before:
            connection.reply(say.OK)
    with pytest.raises(LocalProtocolError):
        connection.reply(wrong)
    assert connection.next_event() is None  # the answer is still due


def test_flooding_while_an_answer_is_due_is_bounded() -> None:
    driver = Driver().hello()
    connection = driver.connection
    connection.receive_data(b"MAIL FROM:<a@b>\r\n", 0)
    assert isinstance(connection.next_event(), MailReceived)
    for _ in range(50):
        connection.receive_data(b"x" * 65_536, 0)
        assert connection._session.input.left <= BUFFER_LIMIT
    connection.reply(say.SENDER_OK)
    driver.pump()
    assert (driver.codes(), driver.ended) == (["250 2.1.0", "554 5.5.0"], "synchronization")
    early = Driver()
    for _ in range(50):
        early.connection.receive_data(b"x" * 65_536, 0)
        assert early.connection._session.input.left <= BUFFER_LIMIT
