"""The receiving side of one SMTP connection, without I/O (RFC 5321, 6409). Everything on that side revolves around `ServerConnection`.

Whatever needs no policy is answered here; what needs one becomes an event, and no octet is looked at until the driver answered it.
Time comes in as `now`, monotonic seconds. The parts: server_table.py (the transitions as data), server_session.py (what is
remembered), server_commands.py (the verbs), server_content.py (DATA and BDAT).
"""

from __future__ import annotations

import re
from typing import Protocol

from mailwye.smtp import reply as say
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.events import AuthReceived, ContentEnded, DataStarted, Event, MailReceived, RcptReceived
from mailwye.smtp.extensions import greeting
from mailwye.smtp.reply import Reply
from mailwye.smtp.server_commands import answer_auth, answer_mail, answer_rcpt, answer_sasl, leave_auth, run_command
from mailwye.smtp.server_content import answer_content_ended, answer_data_started, read_content
from mailwye.smtp.server_session import ServerConfig, ServerSession
from mailwye.smtp.server_table import Input, State
from mailwye.smtp.wire import AUTH_LINE_LIMIT, LineFault

__all__ = ["BUFFER_LIMIT", "ServerConfig", "ServerConnection"]

BUFFER_LIMIT = 1_048_576  # octets kept while the driver owes an answer; a driver that stops reading then never comes near
RATE_GRACE = 30.0  # seconds of content before the minimum rate counts

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
# Bound once: on CPython 3.11 a look-up of an enum's member costs 70 ns, and these stand on the path of every command.
_GREETING, _HANDSHAKE, _ENDED, _AUTH = State.GREETING, State.HANDSHAKE, State.ENDED, State.AUTH
_UNTIMED = frozenset({State.GREETING, State.HANDSHAKE, State.ENDED})


class ServerConnection:
    """Drive it: `receive_data`; then `next_event` until it returns None, answering events that want it; then send `data_to_send`.

    While an answer is due, stop reading from the peer: what is fed anyway is kept up to BUFFER_LIMIT, then the connection ends.
    """

    __slots__ = ("_session",)

    def __init__(self, config: ServerConfig, *, now: float, tls_active: bool = False) -> None:
        self._session = ServerSession(config, now=now, tls=tls_active)

    def greet(self) -> None:
        """Queue the 220 greeting (RFC 5321 section 4.2)."""
        session = self._session
        session.move(Input.GREETED)
        if session.input.left and session.config.require_pipelining_sync:
            session.lose_synchronization("(before the greeting)")  # RFC 5321 section 4.3.1: the client waits for it (W9)
        else:
            session.out += greeting(session.config.hostname)

    def refuse_connection(self, reply: Reply) -> None:
        """Queue `reply` (421 or 554) instead of the greeting; the connection ends (RFC 5321 section 3.1).

        :raises LocalProtocolError: it was greeted already.
        """
        if self._session.state is not _GREETING:
            raise LocalProtocolError("the connection was greeted already")
        self._session.end(reply, "refused")

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the peer. Bounded: raises nothing whatever they are."""
        session = self._session
        session.now = now
        if session.state is _HANDSHAKE or session.state is _ENDED:
            return  # plaintext beside a handshake is never kept (RFC 3207 section 6)
        session.input.add(data)
        if (session.waiting is not None or session.state is _GREETING) and session.input.left > BUFFER_LIMIT:
            session.input.take_all()
            session.farewell = (say.SYNCHRONIZATION_LOST, "synchronization")

    def receive_eof(self, now: float) -> None:
        """The peer closed. Once no answer is due and all complete commands were read, an open transaction is reset (W12)."""
        self._session.now = now
        self._session.eof = True

    def next_event(self) -> Event | None:
        """The next event, None when more data or an answer is needed."""
        session = self._session
        events = session.events
        while not events:
            if session.waiting is not None or session.state is _ENDED:
                return None
            if session.farewell is not None and session.transfer is None:
                session.end(*session.farewell)
            elif not session.input.left or not _read(session):
                if not session.eof:
                    return None
                session.end(None, "lost")
        return events.popleft()

    def reply(self, reply: Reply, now: float | None = None) -> None:
        """Answer the event that waits. `now`: where known, the time for the peer's next command begins there.

        :raises LocalProtocolError: none waits, or the reply does not fit it.
        """
        session = self._session
        event = session.waiting
        if event is None:
            raise LocalProtocolError("no event waits for a reply")
        good = reply.code == 354 if type(event) is DataStarted and not event.chunking else 200 <= reply.code < 300
        if not good and not 400 <= reply.code < 600:
            raise LocalProtocolError(f"{reply.code} does not answer {type(event).__name__}")
        if now is not None:
            session.now = now
        session.since = session.now
        session.waiting = None
        if reply.code == 421:  # RFC 5321 section 3.8: 421 announces the end
            session.end(reply, "refused")
        else:
            _ANSWERS[type(event)](session, reply, good=good)

    def tls_started(self, now: float) -> None:
        """The handshake succeeded: everything learnt before is forgotten (RFC 3207 section 4.2).

        :raises LocalProtocolError: no StartTlsReceived was handed out.
        """
        session = self._session
        session.move(Input.TLS_STARTED)
        session.now = session.since = now
        session.tls = True
        session.esmtp = False
        session.authenticated = False
        session.input.take_all()

    def authenticated(self) -> bool:
        """True after AUTH was answered 235 in this session."""
        return self._session.authenticated

    @property
    def in_transfer(self) -> bool:
        """True while content is on its way: its deadlines are earlier than those of commands."""
        return self._session.transfer is not None

    def data_to_send(self) -> bytes:
        """Octets for the peer since the last call; replies of one burst in one piece."""
        out = self._session.out
        self._session.out = b""
        return out

    def shut_down(self, reply: Reply) -> None:
        """Say `reply` (421) at the next possible moment (RFC 5321 section 3.8) and end: at the next `next_event`, or after the answer
        or the content that is due. A farewell that was decided before stands.
        """
        self._session.farewell = self._session.farewell or (reply, "shutdown")

    def next_deadline(self) -> float | None:
        """When `handle_deadline` must be called, in the unit of `now` (monotonic seconds). None while the peer is not awaited."""
        session = self._session
        if session.waiting is not None or session.state in _UNTIMED:
            return None
        transfer = session.transfer
        if transfer is None:
            return session.since + session.config.command_timeout  # for the whole command: octets one by one gain nothing (V1)
        deadline = transfer.last_octets + session.config.content_timeout
        if rate := session.config.minimum_rate:
            deadline = min(deadline, transfer.since + max(RATE_GRACE, transfer.octets / rate))
        return deadline

    def handle_deadline(self, now: float) -> None:
        """A deadline passed: 421 4.4.2 and the end of the connection. Called too early, it does nothing."""
        deadline = self.next_deadline()
        session = self._session
        session.now = now
        if deadline is None or now < deadline:
            return
        if session.transfer is not None and now < session.transfer.last_octets + session.config.content_timeout:
            session.end(say.TOO_SLOW, "too slow")
        else:
            session.end(say.TIMED_OUT, "timeout")


def _read(session: ServerSession) -> bool:
    """Use some input. False when there is not enough."""
    if session.transfer is not None:
        return read_content(session, session.transfer)
    state = session.state
    if state is _GREETING or state is _HANDSHAKE:
        return False
    try:
        line = session.input.take_line(AUTH_LINE_LIMIT if state is _AUTH else session.config.command_line)
    except LineFault as fault:
        too_long = say.AUTH_LINE_TOO_LONG if fault.limit == AUTH_LINE_LIMIT else say.COMMAND_TOO_LONG
        _refuse_line(session, too_long if fault.limit else say.BARE_LF_IN_COMMAND)
        return True
    if line is None:
        return False
    session.since = session.now
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        _refuse_line(session, say.BAD_CHARACTER)
        return True
    if not text.isprintable() and _CONTROL(text) is not None:
        _refuse_line(session, say.BAD_CHARACTER)
    elif state is _AUTH:
        answer_sasl(session, text)
    else:
        run_command(session, text)
    return True


def _refuse_line(session: ServerSession, reply: Reply) -> None:
    """Refuse a line for its octets, whatever it was to mean."""
    if session.state is _AUTH:
        leave_auth(session)
    session.refuse(reply, "")


class _Answer(Protocol):
    def __call__(self, session: ServerSession, reply: Reply, *, good: bool) -> None: ...


_ANSWERS: dict[type[Event], _Answer] = {
    MailReceived: answer_mail,
    RcptReceived: answer_rcpt,
    DataStarted: answer_data_started,
    ContentEnded: answer_content_ended,
    AuthReceived: answer_auth,
}
