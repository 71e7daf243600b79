"""The sending side of one SMTP or LMTP connection, without I/O (RFC 5321, 2033, 2920, 3030, 3207, 3461, 4954, 6531).

Theory of operation. Every command that is sent queues what it awaits (`Awaited`); every reply takes the oldest entry and does what
client_table.TABLE says for it. So lock-step and pipelined talk are the same code, and a transaction may start while the verdict
on the one before is still under way (RFC 2920 section 3.1 allows MAIL right behind the content).

Drive it: `receive_data`, then `next_event` until None, then send `data_to_send`; `handle_deadline` at `next_deadline`.
After ServerReady: `start_tls`, `start_auth`, `start` (while `can_start`), `quit`. After ServerGone nothing works any more.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from mailwye.smtp.client_events import (
    AuthChallenged,
    AuthEnded,
    ClientConfig,
    ClientEvent,
    ClientMode,
    Extensions,
    ServerGone,
    ServerReady,
    TlsAccepted,
    TlsRefused,
    TransactionRequest,
)
from mailwye.smtp.client_table import TABLE, Awaited, Step
from mailwye.smtp.client_transactions import Channel, Transaction, Transactions
from mailwye.smtp.errors import LocalProtocolError, RemoteProtocolError
from mailwye.smtp.reply import Reply, ReplyParser

COMMAND_LIMIT = 512
"""Octets of a command line with its CR LF (RFC 5321 section 4.5.3.1.4)."""


class ClientConnection:
    """See the module. `peer` names the far side in the replies that describe failures: `mail.contoso.com[192.0.2.1]:25`."""

    __slots__ = ("_cancelled", "_channel", "_config", "_gone", "_initial", "_parser", "_peer", "_ready", "_shaking_hands", "_transactions")

    def __init__(self, config: ClientConfig, *, now: float, peer: str = "the server") -> None:
        self._config = config
        self._peer = peer
        self._parser = ReplyParser()
        self._channel = Channel(now)
        self._channel.awaited.append((Awaited.GREETING, None, 0))
        self._transactions = Transactions(config, self._channel)
        self._ready = False
        self._shaking_hands = False
        self._gone = False
        self._initial: bytes | None = None  # of AUTH, where it did not fit into the command
        self._cancelled = False  # AUTH

    # Receiving

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the peer. Raises nothing whatever they are: garbage ends in ServerGone with a 4xx (R8)."""
        parser = self._parser
        parser.receive_data(data)
        try:
            # During the handshake no reply in plaintext may be taken any more.
            while not (self._gone or self._shaking_hands) and (reply := parser.next_reply()) is not None:
                self._take(reply, now)
        except RemoteProtocolError as error:
            self._end(Reply(450, "4.5.0", f"{self._peer} does not speak SMTP properly: {error}"))
        if self._shaking_hands and parser.has_pending:
            # CVE-2021-38371 (W5): octets in plaintext behind the 220 would be taken for replies from inside TLS.
            self._channel.events.clear()
            self._end(Reply(450, "4.7.0", f"{self._peer} sent plaintext behind its reply to STARTTLS; the connection was dropped"))

    def receive_eof(self, why: str = "") -> None:
        """The peer closed, or the connection broke; `why`, where more is known than that."""
        because = f": {why}" if why else ""
        self._end(Reply(450, "4.4.318", f"Connection was closed abruptly by {self._peer}{self._moment()}{because}"))

    def next_event(self) -> ClientEvent | None:
        """The next event, None when more data is needed."""
        events = self._channel.events
        return events.popleft() if events else None

    def data_to_send(self) -> bytes:
        """Octets for the peer since the last call, in one piece."""
        out = self._channel.out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    # Acting

    @property
    def extensions(self) -> Extensions:
        """What the last EHLO told."""
        return self._channel.extensions

    @property
    def can_start(self) -> bool:
        """True where `start` may be called: nothing is open, or the peer pipelines and all content of what is open has left."""
        return self._ready and not self._gone and (not self._transactions.open or self._transactions.can_follow)

    def start_tls(self, now: float) -> None:
        """Ask for TLS. :raises LocalProtocolError: not offered, or something is under way."""
        self._require_idle("STARTTLS")
        if not self.extensions.starttls:
            raise LocalProtocolError("STARTTLS is not offered")
        self._ready = False
        self._channel.say(b"STARTTLS\r\n", Awaited.STARTTLS, now)

    def tls_started(self, now: float) -> None:
        """The handshake succeeded: forget what plaintext told (RFC 3207 section 4.2) and say EHLO again."""
        if not self._shaking_hands:
            raise LocalProtocolError("no handshake is under way")
        self._shaking_hands = False
        self._channel.extensions = Extensions()
        self._parser = ReplyParser()
        self._say_hello(now)

    def start_auth(self, mechanism: str, initial: bytes | None, now: float) -> None:
        """AUTH (RFC 4954); `initial`: the initial response without base64, None where the mechanism has none. AuthChallenged asks for
        more, AuthEnded ends it. The caller sees to it that TLS is on.

        :raises LocalProtocolError: not offered, or something is under way.
        """
        self._require_idle("AUTH")
        if mechanism not in self.extensions.auth:
            raise LocalProtocolError(f"AUTH {mechanism} is not offered")
        self._ready = self._cancelled = False
        command = f"AUTH {mechanism}".encode("ascii")
        if initial is not None:
            encoded = base64.b64encode(initial) or b"="  # RFC 4954 section 4: "=" is an empty one
            if len(command) + 1 + len(encoded) + 2 <= COMMAND_LIMIT:
                command += b" " + encoded
            else:
                self._initial = initial  # section 4: what makes the command too long waits for the first challenge
        self._channel.say(command + b"\r\n", Awaited.AUTH, now)

    def continue_auth(self, response: bytes | None, now: float) -> None:
        """Answer AuthChallenged; None cancels the exchange (the server then ends it with 501). Harmless once the server is gone."""
        if not self._gone:
            self._cancelled = response is None
            line = b"*" if response is None else base64.b64encode(response)  # RFC 4954 section 4: "*" cancels
            self._channel.say(line + b"\r\n", Awaited.AUTH, now)

    def start(self, request: TransactionRequest, now: float) -> None:
        """Begin a transaction. With PIPELINING as much as the RFCs allow leaves in one burst.

        :raises LocalProtocolError: `can_start` is False, no recipients, or an argument that would smuggle a command.
        """
        if not self.can_start or not request.recipients:
            raise LocalProtocolError("a transaction cannot start now")
        self._transactions.start(request, now)

    def send_content(self, data: bytes, now: float) -> bool:
        """The next piece of streamed content, after ContentRequested; call it as the transport drains. False: the peer wants no more."""
        return self._transactions.send_content(data, now)

    def end_content(self, now: float) -> None:
        """All of the content was given to `send_content`."""
        self._transactions.end_content(now)

    def quit(self, now: float) -> None:
        """Say QUIT; ServerGone follows its reply. Ends at once where no reply to it can be expected."""
        if self._ready and not self._transactions.open and not self._gone:
            self._ready = False
            self._channel.say(b"QUIT\r\n", Awaited.QUIT, now)
        else:
            self._end(Reply(450, "4.3.2", f"The connection to {self._peer} was given up{self._moment()}"))

    # Time

    def next_deadline(self) -> float | None:
        """When `handle_deadline` must be called; None while nothing is awaited."""
        if self._gone:
            return None
        if self._shaking_hands:
            return self._channel.since + self._config.handshake_timeout
        if self._channel.awaited:
            awaited, transaction, _ = self._channel.awaited[0]
            return self._channel.since + self._patience(awaited, transaction)
        # Between the pieces of a BINARYMIME stream no reply is awaited, yet it must move.
        return self._channel.since + self._config.block_timeout if self._transactions.open else None

    def handle_deadline(self, now: float) -> None:
        """Ends the connection where its deadline passed: the peer owes a reply for too long."""
        deadline = self.next_deadline()
        if deadline is not None and now >= deadline:
            waited = now - self._channel.since
            self._end(Reply(450, "4.4.315", f"Connection timed out: {self._peer} was silent for {waited:.0f} s{self._moment()}"))

    def _patience(self, awaited: Awaited, transaction: Transaction | None) -> float:
        """RFC 5321 section 4.5.3.2."""
        config = self._config
        match awaited:
            case Awaited.CONTENT:
                return config.content_timeout if transaction is None or transaction.complete else config.block_timeout
            case Awaited.DATA:
                return config.data_timeout
            case Awaited.GREETING:
                return config.greeting_timeout
            case Awaited.QUIT:
                return config.quit_timeout
            case _:
                return config.command_timeout

    def _moment(self) -> str:
        """When it happened, for people: what the peer owed at that time."""
        if self._shaking_hands:
            return " during the TLS handshake"
        if self._channel.awaited:
            return f" {self._channel.awaited[0][0].moment}"
        return " while the content was being sent" if self._transactions.open else ""

    # What replies do: one method for each Step that belongs to the session, those of transactions are in client_transactions.py.

    def _take(self, reply: Reply, now: float) -> None:
        awaited_replies = self._channel.awaited
        if not awaited_replies:
            # RFC 5321 section 3.8: only 421 may come unasked.
            self._end(reply if reply.code == 421 else Reply(450, "4.5.0", f"{self._peer} spoke without being asked: {reply}"))
            return
        awaited, transaction, index = awaited_replies[0]
        if reply.code == 421 and awaited is not Awaited.QUIT:
            self._end(reply)  # RFC 5321 section 3.8: it closes, whatever the command was
            return
        if transaction is None:
            session_step = _SESSION_STEPS.get((awaited, reply.code // 100))
            if session_step is None:
                raise RemoteProtocolError(f"the reply does not fit {awaited.name}: {reply}")
            self._channel.since = now
            if session_step is not ClientConnection._give_up:  # which stays the thing that was awaited when the connection ended
                awaited_replies.popleft()
            session_step(self, reply, now)
            return
        step = _TRANSACTION_STEPS.get((awaited, reply.code // 100))
        if step is None:
            raise RemoteProtocolError(f"the reply does not fit {awaited.name}: {reply}")
        self._channel.since = now
        transaction.replied = True
        awaited_replies.popleft()
        step(self._transactions, reply, transaction, index)

    def _say_hello(self, now: float) -> None:
        verb = "LHLO" if self._config.mode is ClientMode.LMTP else "EHLO"
        self._channel.say(f"{verb} {self._config.hostname}\r\n".encode("ascii"), Awaited.EHLO, now)

    def _greeted(self, _reply: Reply, now: float) -> None:
        self._say_hello(now)

    def _fall_back(self, reply: Reply, now: float) -> None:
        if self._config.mode is ClientMode.LMTP:
            self._end(reply)  # RFC 2033 section 4.1: LMTP has no HELO
        else:
            self._channel.say(f"HELO {self._config.hostname}\r\n".encode("ascii"), Awaited.HELO, now)

    def _become_ready(self, reply: Reply, _now: float) -> None:
        self._offer(Extensions.parse(reply.text))

    def _become_ready_plain(self, reply: Reply, _now: float) -> None:
        self._offer(Extensions(name=reply.text.partition(" ")[0]))

    def _offer(self, extensions: Extensions) -> None:
        self._channel.extensions = extensions
        self._ready = True
        self._channel.events.append(ServerReady(extensions))

    def _give_up(self, reply: Reply, _now: float) -> None:
        self._end(reply)

    def _start_handshake(self, _reply: Reply, _now: float) -> None:
        self._shaking_hands = True
        self._channel.events.append(TlsAccepted())

    def _stay_plain(self, reply: Reply, _now: float) -> None:
        self._ready = True
        self._channel.events.append(TlsRefused(reply))

    def _continue_auth(self, reply: Reply, now: float) -> None:
        if self._cancelled:  # section 4: it must refuse now; to cancel again and again would keep the mail of this hop for ever
            self._channel.awaited.appendleft((Awaited.AUTH, None, 0))
            raise RemoteProtocolError("it goes on with a login that was cancelled")
        try:
            challenge = base64.b64decode(reply.text.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            self._channel.awaited.appendleft((Awaited.AUTH, None, 0))  # AUTH is where it ends
            raise RemoteProtocolError("its challenge is no base64") from None
        initial, self._initial = self._initial, None
        if initial is None:
            self._channel.events.append(AuthChallenged(challenge))
        else:
            self.continue_auth(initial, now)

    def _end_auth(self, reply: Reply, _now: float) -> None:
        self._initial = None
        self._ready = True
        self._channel.events.append(AuthEnded(reply))

    def _note_reset(self, _reply: Reply, _now: float) -> None:
        """The next reply is the one to MAIL."""

    def _close(self, reply: Reply, _now: float) -> None:
        self._end(reply, orderly=True)

    def _require_idle(self, verb: str) -> None:
        if not self._ready or self._gone or self._transactions.open:
            raise LocalProtocolError(f"{verb} is not possible now")

    def _end(self, reply: Reply, *, orderly: bool = False) -> None:
        """Nothing more will be said: tell what was undecided, then that the server is gone."""
        if self._gone:
            return
        self._gone = True
        channel = self._channel
        at = channel.awaited[0][0] if channel.awaited else None
        at = Awaited.STARTTLS if self._shaking_hands else at
        self._transactions.abandon(reply)
        channel.awaited.clear()
        channel.out.clear()
        self._shaking_hands = False
        channel.events.append(ServerGone(at, reply, orderly))


_SESSION: dict[Step, Callable[[ClientConnection, Reply, float], None]] = {
    Step.SAY_HELLO: ClientConnection._greeted,
    Step.FALL_BACK: ClientConnection._fall_back,
    Step.BECOME_READY: ClientConnection._become_ready,
    Step.BECOME_READY_PLAIN: ClientConnection._become_ready_plain,
    Step.GIVE_UP: ClientConnection._give_up,
    Step.START_HANDSHAKE: ClientConnection._start_handshake,
    Step.STAY_PLAIN: ClientConnection._stay_plain,
    Step.CONTINUE_AUTH: ClientConnection._continue_auth,
    Step.END_AUTH: ClientConnection._end_auth,
    Step.NOTE_RESET: ClientConnection._note_reset,
    Step.CLOSE: ClientConnection._close,
}
_TRANSACTION: dict[Step, Callable[[Transactions, Reply, Transaction, int], None]] = {
    Step.NOTE_SENDER: Transactions.note_sender,
    Step.REFUSE_SENDER: Transactions.refuse_sender,
    Step.NOTE_RECIPIENT: Transactions.note_recipient,
    Step.REFUSE_RECIPIENT: Transactions.refuse_recipient,
    Step.SEND_CONTENT: Transactions.send_what_follows_data,
    Step.REFUSE_CONTENT: Transactions.refuse_content,
    Step.NOTE_CHUNK: Transactions.note_chunk,
    Step.END_CONTENT: Transactions.end_with,
}
_SESSION_STEPS = {key: _SESSION[step] for key, step in TABLE.items() if step in _SESSION}
_TRANSACTION_STEPS = {key: _TRANSACTION[step] for key, step in TABLE.items() if step in _TRANSACTION}
