"""Dialogues with ClientConnection, each whole and cut at every octet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.smtp.address import Address
from mailwye.smtp.client import ClientConnection
from mailwye.smtp.client_events import (
    AuthChallenged,
    AuthEnded,
    ClientConfig,
    ClientEvent,
    ClientMode,
    ContentRequested,
    Extensions,
    RecipientRequest,
    ServerGone,
    ServerReady,
    TlsAccepted,
    TlsRefused,
    TransactionEnded,
    TransactionRequest,
)
from mailwye.smtp.client_table import Awaited
from mailwye.smtp.errors import LocalProtocolError

SMTP = ClientConfig("me.example")
LMTP = ClientConfig("me.example", ClientMode.LMTP)
CONTENT = b"Subject: x\r\n\r\n.dot\r\n"
REQUEST = TransactionRequest(Address("sun", "example.org"), (RecipientRequest(Address("john", "contoso.com")),), CONTENT, len(CONTENT))
TWO = replace(REQUEST, recipients=(*REQUEST.recipients, RecipientRequest(Address("bob", "contoso.com"))))
MAIL = b"MAIL FROM:<sun@example.org>\r\n"
JOHN = b"RCPT TO:<john@contoso.com>\r\n"
BOB = b"RCPT TO:<bob@contoso.com>\r\n"
STUFFED = b"Subject: x\r\n\r\n..dot\r\n.\r\n"


def events_of(client: ClientConnection) -> list[ClientEvent]:
    found: list[ClientEvent] = []
    while (event := client.next_event()) is not None:
        found.append(event)
    return found


class Peer:
    """Feeds a client, whole or octet by octet."""

    def __init__(self, config: ClientConfig, offers: tuple[bytes, ...] = (), *, cut: bool = False) -> None:
        self.client = ClientConnection(config, now=0.0, peer="mail.contoso.com[192.0.2.1]:25")
        self.cut = cut
        verb = b"LHLO" if config.mode is ClientMode.LMTP else b"EHLO"
        assert self.says(b"220 hello\r\n") == []
        assert self.client.data_to_send() == verb + b" me.example\r\n"
        lines = [b"mail.contoso.com", *offers]
        reply = b"".join(b"250-" + line + b"\r\n" for line in lines[:-1]) + b"250 " + lines[-1] + b"\r\n"
        (ready,) = self.says(reply)
        assert isinstance(ready, ServerReady)

    def says(self, data: bytes, now: float = 1.0) -> list[ClientEvent]:
        pieces = [data[i : i + 1] for i in range(len(data))] if self.cut else [data]
        for piece in pieces:
            self.client.receive_data(piece, now)
        return events_of(self.client)

    def sent(self) -> bytes:
        return self.client.data_to_send()


def codes(events: list[ClientEvent]) -> list[list[tuple[Awaited, int]]]:
    return [[(outcome.at, outcome.reply.code) for outcome in event.outcomes] for event in events if isinstance(event, TransactionEnded)]


def gone(events: list[ClientEvent]) -> ServerGone:
    assert isinstance(events[-1], ServerGone)
    return events[-1]


@pytest.fixture(params=[False, True], ids=["whole", "cut"])
def cut(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_lock_step(cut: bool) -> None:
    peer = Peer(SMTP, cut=cut)
    peer.client.start(TWO, 1.0)
    for reply, command in ((b"", MAIL), (b"250 ok\r\n", JOHN), (b"250 ok\r\n", BOB), (b"452 4.2.2 full\r\n", b"DATA\r\n")):
        assert not peer.says(reply)
        assert peer.sent() == command
    assert not peer.says(b"354 go\r\n")
    assert peer.sent() == STUFFED
    assert codes(peer.says(b"250 queued\r\n")) == [[(Awaited.CONTENT, 250), (Awaited.RCPT, 452)]]
    assert peer.client.can_start


def test_lock_step_when_nobody_is_accepted_resets_first(cut: bool) -> None:
    peer = Peer(SMTP, cut=cut)
    peer.client.start(REQUEST, 1.0)
    peer.says(b"250 ok\r\n")
    assert codes(peer.says(b"550 5.1.1 no\r\n")) == [[(Awaited.RCPT, 550)]]
    peer.sent()
    peer.client.start(REQUEST, 1.0)
    assert peer.sent() == b"RSET\r\n" + MAIL


def test_pipelining_sends_all_commands_in_one_burst(cut: bool) -> None:
    peer = Peer(SMTP, (b"PIPELINING",), cut=cut)
    peer.client.start(TWO, 1.0)
    assert peer.sent() == MAIL + JOHN + BOB + b"DATA\r\n"
    assert not peer.says(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert peer.sent() == STUFFED
    assert peer.client.can_start  # RFC 2920 section 3.1: the next MAIL may follow the content at once
    peer.client.start(REQUEST, 1.0)
    assert peer.sent() == MAIL + JOHN + b"DATA\r\n"
    events = peer.says(b"250 queued\r\n250 ok\r\n550 no\r\n503 no\r\n")
    assert codes(events) == [[(Awaited.CONTENT, 250)] * 2, [(Awaited.RCPT, 550)]]


def test_pipelined_data_after_every_recipient_was_refused_is_ended_by_the_dot_alone(cut: bool) -> None:
    peer = Peer(SMTP, (b"PIPELINING",), cut=cut)
    peer.client.start(REQUEST, 1.0)
    peer.sent()
    assert not peer.says(b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n")
    assert peer.sent() == b".\r\n"
    assert codes(peer.says(b"554 nobody\r\n")) == [[(Awaited.RCPT, 550)]]


def test_refused_sender_decides_everybody(cut: bool) -> None:
    peer = Peer(SMTP, (b"PIPELINING",), cut=cut)
    peer.client.start(TWO, 1.0)
    assert codes(peer.says(b"550 5.7.1 not you\r\n503 bad\r\n503 bad\r\n503 bad\r\n")) == [[(Awaited.MAIL, 550)] * 2]


def test_chunking_sends_everything_in_one_burst(cut: bool) -> None:
    peer = Peer(SMTP, (b"PIPELINING", b"CHUNKING", b"SIZE 1000"), cut=cut)
    peer.client.start(TWO, 1.0)
    size = b" SIZE=%d\r\n" % len(CONTENT)
    burst = MAIL[:-2] + size + JOHN + BOB + b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT
    assert peer.sent() == burst
    assert codes(peer.says(b"250 ok\r\n550 no\r\n250 ok\r\n250 2.0.0 queued\r\n")) == [[(Awaited.RCPT, 550), (Awaited.CONTENT, 250)]]
    peer.client.start(TWO, 1.0)
    assert peer.sent() == burst
    # Every recipient refused: the chunk is refused too, and what is left in the peer is cleared before the next MAIL.
    assert codes(peer.says(b"250 ok\r\n550 no\r\n550 no\r\n503 no recipients\r\n")) == [[(Awaited.RCPT, 550)] * 2]
    peer.client.start(TWO, 1.0)
    assert peer.sent() == b"RSET\r\n" + burst


def test_binary_content_goes_unchanged_by_chunks(cut: bool) -> None:
    peer = Peer(SMTP, (b"CHUNKING", b"BINARYMIME"), cut=cut)
    binary = b"A: b\r\n\r\n\x00\n.\n\r\r.\r\n"
    peer.client.start(replace(REQUEST, content=None, body="BINARYMIME"), 1.0)
    assert peer.sent() == MAIL[:-2] + b" BODY=BINARYMIME\r\n"
    peer.says(b"250 ok\r\n")
    assert isinstance(peer.says(b"250 ok\r\n")[0], ContentRequested)
    peer.sent()
    assert peer.client.send_content(binary, 2.0)
    assert peer.sent() == b"BDAT %d\r\n" % len(binary) + binary
    peer.client.end_content(2.0)
    assert peer.sent() == b"BDAT 0 LAST\r\n"
    assert codes(peer.says(b"250 got it\r\n250 queued\r\n")) == [[(Awaited.CONTENT, 250)]]


def test_a_refused_chunk_ends_the_stream() -> None:
    peer = Peer(SMTP, (b"CHUNKING", b"BINARYMIME"))
    peer.client.start(replace(REQUEST, content=None, body="BINARYMIME"), 1.0)
    peer.says(b"250 ok\r\n")
    peer.says(b"250 ok\r\n")
    assert peer.client.send_content(b"x" * 10, 2.0)
    assert codes(peer.says(b"552 5.3.4 too big\r\n")) == [[(Awaited.CONTENT, 552)]]
    assert not peer.client.send_content(b"x" * 10, 2.0)


@pytest.mark.parametrize("pieces", [[b"a\r", b"\n.", b"b\n", b".\r", b".c"], [b"a\r\n.b\r\n.\r\n.c"], [b"a\n.b\r.\n.c\r"]])
def test_streamed_content_never_leaves_a_bare_line_end_or_an_unstuffed_dot(pieces: list[bytes]) -> None:
    peer = Peer(SMTP)
    peer.client.start(replace(REQUEST, content=None), 1.0)
    peer.says(b"250 ok\r\n")
    peer.says(b"250 ok\r\n")
    assert isinstance(peer.says(b"354 go\r\n")[0], ContentRequested)
    peer.sent()
    for piece in pieces:
        assert peer.client.send_content(piece, 1.0)
    peer.client.end_content(1.0)
    assert peer.sent() == b"a\r\n..b\r\n..\r\n..c\r\n.\r\n"


def test_lmtp_has_a_reply_for_each_accepted_recipient(cut: bool) -> None:
    for offers in ((b"PIPELINING",), (b"PIPELINING", b"CHUNKING"), ()):
        peer = Peer(LMTP, offers, cut=cut)
        three = replace(TWO, recipients=(*TWO.recipients, RecipientRequest(Address("sue", "contoso.com"))))
        peer.client.start(three, 1.0)
        events = []
        for reply in (b"250 ok\r\n", b"250 ok\r\n", b"550 no\r\n", b"250 ok\r\n"):
            events += peer.says(reply)
        if b"CHUNKING" not in offers:
            events += peer.says(b"354 go\r\n")
        assert not events
        peer.sent()
        assert not peer.says(b"250 2.0.0 one\r\n")
        assert codes(peer.says(b"452 4.2.2 full\r\n")) == [[(Awaited.CONTENT, 250), (Awaited.RCPT, 550), (Awaited.CONTENT, 452)]]
        assert peer.client.can_start


def test_an_answer_before_the_content_has_left_is_no_verdict() -> None:
    """354 and 250 in one segment: nothing of the message was sent yet, so it cannot have been taken."""
    peer = Peer(SMTP)
    peer.client.start(REQUEST, 1.0)
    peer.says(b"250 ok\r\n250 ok\r\n")
    events = peer.says(b"354 go\r\n250 2.0.0 early\r\n")
    assert codes(events) == [[(Awaited.CONTENT, 450)]]
    assert gone(events).reply.is_transient


def test_lmtp_that_accepts_data_for_nobody_is_left() -> None:
    peer = Peer(LMTP, (b"PIPELINING",))
    peer.client.start(REQUEST, 1.0)
    events = peer.says(b"250 ok\r\n550 no\r\n354 go\r\n")
    assert codes(events) == [[(Awaited.RCPT, 550)]]
    assert gone(events).reply.is_transient


def test_helo_follows_a_refused_ehlo(cut: bool) -> None:
    client = ClientConnection(SMTP, now=0.0)
    client.receive_data(b"220 old\r\n502 what?\r\n", 0.0)
    assert client.data_to_send() == b"EHLO me.example\r\nHELO me.example\r\n"
    client.receive_data(b"250 old.example\r\n", 0.0)
    assert events_of(client) == [ServerReady(Extensions(name="old.example"))]


@pytest.mark.parametrize(
    ("talk", "at", "code"),
    [
        (b"554 5.3.2 go away\r\n", Awaited.GREETING, 554),
        (b"421 busy\r\n", Awaited.GREETING, 421),
        (b"220 hi\r\n451 later\r\n", Awaited.GREETING, 451),
        (b"220 hi\r\n500 no\r\n500 no\r\n", Awaited.GREETING, 500),
    ],
)
def test_a_host_that_does_not_want_us(talk: bytes, at: Awaited, code: int) -> None:
    client = ClientConnection(SMTP, now=0.0)
    client.receive_data(talk, 0.0)
    end = gone(events_of(client))
    assert end.reply.code == code
    assert end.at in (at, Awaited.EHLO, Awaited.HELO, None)


def test_starttls(cut: bool) -> None:
    peer = Peer(SMTP, (b"STARTTLS", b"SIZE 5"), cut=cut)
    peer.client.start_tls(1.0)
    assert peer.sent() == b"STARTTLS\r\n"
    assert peer.says(b"220 go\r\n") == [TlsAccepted()]
    assert peer.client.next_deadline() == 61.0
    peer.client.tls_started(2.0)
    assert peer.sent() == b"EHLO me.example\r\n"  # RFC 3207 section 4.2
    assert peer.says(b"250 secure\r\n") == [ServerReady(Extensions(name="secure"))]


@pytest.mark.parametrize("injected", [b"250 evil\r\n", b"x", b"250-"])
def test_octets_behind_the_reply_to_starttls_end_the_connection(injected: bytes) -> None:
    peer = Peer(SMTP, (b"STARTTLS",))
    peer.client.start_tls(1.0)
    peer.sent()
    events = peer.says(b"220 go\r\n" + injected)
    assert [type(event) for event in events] == [ServerGone]
    assert (gone(events).at, gone(events).reply.code) == (Awaited.STARTTLS, 450)
    assert peer.sent() == b""


def test_refused_starttls_leaves_the_session_usable() -> None:
    peer = Peer(SMTP, (b"STARTTLS",))
    peer.client.start_tls(1.0)
    (event,) = peer.says(b"454 4.7.0 not now\r\n")
    assert isinstance(event, TlsRefused)
    assert peer.client.can_start


@pytest.mark.parametrize(
    "garbage",
    [b"999 x\r\n", b"hello\r\n", b"250-" + b"a" * 70_000, b"250-a\r\n" * 20_000, b"354 what\r\n", b"250-a\r\n550 b\r\n", b"\x00\r\n"],
    ids=["code", "text", "long line", "long reply", "misfit", "two codes", "nul"],
)
def test_garbage_defers(garbage: bytes) -> None:
    peer = Peer(SMTP, (b"PIPELINING",))
    peer.client.start(TWO, 1.0)
    events = peer.says(garbage)
    assert codes(events) == [[(Awaited.MAIL, 450)] * 2]
    assert not gone(events).orderly
    assert peer.client.next_deadline() is None


def test_421_after_an_accepted_recipient_defers_all(cut: bool) -> None:
    peer = Peer(SMTP, (b"PIPELINING",), cut=cut)
    peer.client.start(TWO, 1.0)
    events = peer.says(b"250 ok\r\n250 ok\r\n421 4.3.2 shutting down\r\n")
    assert codes(events) == [[(Awaited.RCPT, 421)] * 2]
    assert gone(events).reply.code == 421


def test_unasked_talk_ends_an_idle_connection() -> None:
    peer = Peer(SMTP)
    assert gone(peer.says(b"421 idle too long\r\n")).at is None


@pytest.mark.parametrize("reply", [b"552 5.3.4 too big\r\n", b"421 bye\r\n"])
def test_a_verdict_in_the_middle_of_the_content_counts_and_ends_the_connection(reply: bytes) -> None:
    peer = Peer(SMTP)
    peer.client.start(replace(REQUEST, content=None), 1.0)
    peer.says(b"250 ok\r\n")
    peer.says(b"250 ok\r\n")
    peer.says(b"354 go\r\n")
    peer.client.send_content(b"part", 1.0)
    events = peer.says(reply)
    assert codes(events) == [[(Awaited.CONTENT, int(reply[:3]))]]
    assert not gone(events).orderly


def test_an_early_250_is_no_success() -> None:
    peer = Peer(SMTP)
    peer.client.start(replace(REQUEST, content=None), 1.0)
    peer.says(b"250 ok\r\n")
    peer.says(b"250 ok\r\n")
    peer.says(b"354 go\r\n")
    assert codes(peer.says(b"250 queued already\r\n")) == [[(Awaited.CONTENT, 450)]]


@pytest.mark.parametrize(
    ("talk", "at"),
    [
        (b"", Awaited.MAIL),
        (b"250 ok\r\n", Awaited.RCPT),
        (b"250 ok\r\n250 ok\r\n", Awaited.DATA),
        (b"250 ok\r\n" * 2 + b"354 go\r\n", Awaited.CONTENT),
    ],
)
def test_a_lost_connection_defers_and_says_where(talk: bytes, at: Awaited) -> None:
    peer = Peer(SMTP, (b"PIPELINING",))
    peer.client.start(REQUEST, 1.0)
    peer.says(talk)
    peer.client.receive_eof()
    events = events_of(peer.client)
    assert codes(events) == [[(at, 450)]]
    assert gone(events).reply.enhanced == "4.4.318"
    assert "mail.contoso.com[192.0.2.1]:25" in gone(events).reply.text


def test_deadlines_follow_the_rfc() -> None:
    """RFC 5321 section 4.5.3.2."""
    client = ClientConnection(SMTP, now=100.0)
    assert client.next_deadline() == 400.0
    peer = Peer(SMTP, (b"PIPELINING",))
    assert peer.client.next_deadline() is None
    peer.client.start(REQUEST, 10.0)
    assert peer.client.next_deadline() == 310.0
    peer.says(b"250 ok\r\n250 ok\r\n", now=20.0)
    assert peer.client.next_deadline() == 140.0
    peer.says(b"354 go\r\n", now=30.0)
    assert peer.client.next_deadline() == 630.0
    peer.says(b"250-", now=600.0)  # half a reply wins no time
    peer.client.handle_deadline(629.0)
    assert not events_of(peer.client)
    peer.client.handle_deadline(630.0)
    events = events_of(peer.client)
    assert codes(events) == [[(Awaited.CONTENT, 450)]]
    assert gone(events).reply.enhanced == "4.4.315"


def test_quit(cut: bool) -> None:
    peer = Peer(SMTP, cut=cut)
    peer.client.quit(1.0)
    assert peer.sent() == b"QUIT\r\n"
    assert not peer.client.can_start
    assert gone(peer.says(b"221 bye\r\n")).orderly


def test_quit_in_the_middle_gives_up() -> None:
    peer = Peer(SMTP)
    peer.client.start(REQUEST, 1.0)
    peer.client.quit(1.0)
    assert codes(events_of(peer.client)) == [[(Awaited.MAIL, 450)]]


def test_auth() -> None:
    peer = Peer(SMTP, (b"AUTH PLAIN LOGIN",))
    peer.client.start_auth("PLAIN", b"\0bob\0secret", 1.0)
    assert peer.sent() == b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n"
    (ended,) = peer.says(b"535 5.7.8 no\r\n")
    assert isinstance(ended, AuthEnded)
    peer.client.start_auth("LOGIN", None, 1.0)
    assert peer.sent() == b"AUTH LOGIN\r\n"
    assert peer.says(b"334 VXNlcm5hbWU6\r\n") == [AuthChallenged(b"Username:")]
    peer.client.continue_auth(b"bob", 1.0)
    assert peer.sent() == b"Ym9i\r\n"
    assert peer.says(b"334 \r\n") == [AuthChallenged(b"")]
    peer.client.continue_auth(None, 1.0)
    assert peer.sent() == b"*\r\n"
    (ended,) = peer.says(b"501 cancelled\r\n")
    assert isinstance(ended, AuthEnded)
    with pytest.raises(LocalProtocolError):
        peer.client.start_auth("CRAM-MD5", b"", 1.0)


def test_an_initial_response_that_is_too_long_waits_for_the_challenge() -> None:
    """RFC 4954 section 4: the command must fit into 512 octets."""
    peer = Peer(SMTP, (b"AUTH PLAIN",))
    peer.client.start_auth("PLAIN", b"", 1.0)
    assert peer.sent() == b"AUTH PLAIN =\r\n"
    peer.says(b"501 no\r\n")
    peer.client.start_auth("PLAIN", b"x" * 372, 1.0)
    assert len(peer.sent()) == 509
    peer.says(b"501 no\r\n")
    peer.client.start_auth("PLAIN", b"x" * 375, 1.0)
    assert peer.sent() == b"AUTH PLAIN\r\n"
    assert peer.says(b"334 \r\n") == []
    assert peer.sent() == b"eHh4" * 125 + b"\r\n"
    assert peer.says(b"334 \r\n") == [AuthChallenged(b"")]


@pytest.mark.parametrize("challenge", [b"334 ???\r\n", b"334 QQ\r\n", b"334-QQ==\r\n334 QQ==\r\n", b"334 \xc3\xb6\r\n", b"334 QQ== \r\n"])
def test_a_challenge_that_is_no_base64_ends_the_connection(challenge: bytes) -> None:
    peer = Peer(SMTP, (b"AUTH PLAIN",))
    peer.client.start_auth("PLAIN", b"x", 1.0)
    peer.sent()
    end = gone(peer.says(challenge))
    assert (end.at, end.reply.code) == (Awaited.AUTH, 450)
    peer.client.continue_auth(b"x", 1.0)  # who answers too late says nothing
    assert peer.sent() == b""


def test_a_server_that_goes_on_with_a_cancelled_login_is_left() -> None:
    """Else the two would talk for ever, and the mail for this hop would wait for the end of it."""
    peer = Peer(SMTP, (b"AUTH PLAIN",))
    peer.client.start_auth("PLAIN", b"x", 1.0)
    peer.says(b"334 \r\n")
    peer.client.continue_auth(None, 1.0)
    end = gone(peer.says(b"334 \r\n"))
    assert (end.at, str(end.reply)) == (
        Awaited.AUTH,
        "450 4.5.0 mail.contoso.com[192.0.2.1]:25 does not speak SMTP properly: it goes on with a login that was cancelled",
    )


def test_misuse_is_told() -> None:
    peer = Peer(SMTP)
    with pytest.raises(LocalProtocolError):
        peer.client.start_tls(1.0)
    with pytest.raises(LocalProtocolError):
        peer.client.tls_started(1.0)
    with pytest.raises(LocalProtocolError):
        peer.client.start(replace(REQUEST, recipients=()), 1.0)
    with pytest.raises(LocalProtocolError):
        peer.client.start(replace(REQUEST, sender=Address("a>\r\nRCPT TO:<x", "y.example")), 1.0)
    peer.client.start(REQUEST, 1.0)
    with pytest.raises(LocalProtocolError):
        peer.client.start(REQUEST, 1.0)
    with pytest.raises(LocalProtocolError):
        peer.client.send_content(b"x", 1.0)
