"""One outbound SMTP or LMTP connection: ClientConnection and its octets (session/line.py) between an asyncio transport and the pool.

Connect → greeting → EHLO → STARTTLS by level → AUTH where asked for → transactions → idle → QUIT. Protocol callbacks and futures only:
no task for a message on a kept connection, except for those whose content must be streamed or re-encoded (outbound/smtp_preparation.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from mailwye.message.content import Content
from mailwye.outbound.courier import Host, Stage
from mailwye.outbound.session.line import Line
from mailwye.outbound.session.login import Login
from mailwye.outbound.smtp_preparation import prepare, prepare_at_once
from mailwye.outbound.ticket import STAGES, HostFailed, SessionSettings, Ticket
from mailwye.outbound.tls_trial import TlsTrial
from mailwye.queue.engine import QueueError
from mailwye.runtime.clock import Clock
from mailwye.smtp.client import ClientConnection
from mailwye.smtp.client_events import (
    AuthChallenged,
    AuthEnded,
    ClientEvent,
    ContentRequested,
    Extensions,
    ServerGone,
    ServerReady,
    TlsAccepted,
    TlsRefused,
    TransactionEnded,
)
from mailwye.smtp.client_table import Awaited
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.reply import Reply


class SessionOwner(Protocol):
    """Who hears of a session: the pool."""

    def session_free(self, session: SmtpSession) -> None:
        """It can take a ticket."""

    def session_lost(self, session: SmtpSession) -> None:
        """It is gone; its tickets were settled or returned before."""

    def ticket_returned(self, ticket: Ticket) -> None:
        """A kept connection had died before the peer heard of this message: carry it on another one."""


class SmtpSession(asyncio.Protocol):
    """One connection to `host`. `opened` is done when it can take tickets, or raises HostFailed. `plaintext`: do not try TLS."""

    def __init__(self, host: Host, settings: SessionSettings, owner: SessionOwner, clock: Clock, *, plaintext: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.host_text = str(host)
        self.tls_text = ""
        self.reasons: tuple[str, ...] = ()
        self.messages = 0
        self.failed: HostFailed | None = None  # why it is of no use any more
        self._settings = settings
        self.trial = TlsTrial(settings.demand.of(host.policy), host)
        self._owner = owner
        self._clock = clock
        self._plaintext = plaintext
        self._client = ClientConnection(settings.client, now=clock.monotonic(), peer=self.host_text)
        self._line = Line(host, self._client, self.trial, settings, clock)
        self._flush = self._line.flush
        self._login = Login(settings.account, self._client, self.host_text, clock, self._flush) if settings.account is not None else None
        self._offered = Extensions()
        self._tickets: deque[Ticket] = deque()
        self._idle_since = clock.monotonic()
        self._worn_at = self._idle_since + settings.lifetime
        self._timer: asyncio.TimerHandle | None = None
        self._care: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._content_wanted = asyncio.Event()
        self._closed = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._line.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._arm()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        now, tls = self._clock.monotonic(), self._line.tls
        if tls is not None:
            self._line.receive_encrypted(tls, data, now)
        else:
            self._client.receive_data(data, now)
        self._handle_events()

    def eof_received(self) -> bool:
        """See asyncio."""
        self._client.receive_eof()
        self._handle_events()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._client.receive_eof()
        self._handle_events()
        self._leave()

    def pause_writing(self) -> None:
        """See asyncio."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._writable.set()

    # For the pool

    @property
    def free(self) -> bool:
        """True where `deliver` may be called."""
        return not self._tickets and self._client.can_start

    @property
    def worn_out(self) -> bool:
        """True after as many messages as one connection may carry, or as long as one may last."""
        return self.messages >= self._settings.messages or (self.messages > 0 and self._idle_since > self._worn_at)

    def deliver(self, ticket: Ticket) -> None:
        """Carry the message of `ticket`. Only for a session that is free. A message that breaks our own code gets the exception."""
        ticket.session = self
        self._tickets.append(ticket)
        try:
            prepared = prepare_at_once(ticket.work, self._offered, self._settings.border)
            if prepared is not None and prepared.request is not None:
                ticket.prepared = prepared
                self._client.start(prepared.request, self._clock.monotonic())
                self._flush()
                return
        except Exception as error:  # noqa: BLE001 - D11: a fault of ours must end at its message, or nobody would hear of it again
            self._break_off(ticket, error)
            return
        self._care = care = self._loop.create_task(self._deliver_with_care(ticket))
        care.add_done_callback(lambda task: self._cared(task, ticket))

    def quit(self) -> None:
        """Say QUIT and close; at once where something is under way."""
        self._client.quit(self._clock.monotonic())
        self._handle_events()
        if self._timer is not None:
            self._timer.cancel()
            self._tick()

    def abort(self) -> None:
        """Drop the connection now; what is undecided is deferred."""
        self._client.receive_eof()
        self._handle_events()
        if self._line.transport is not None:
            self._line.transport.abort()

    @property
    def told(self) -> tuple[str, ...]:
        """How it is protected, and as whom it logged in, for people."""
        return tuple(filter(None, (self.trial.reason, self._login.text if self._login is not None else "")))

    # Events of the protocol

    def _handle_events(self) -> None:
        while (event := self._client.next_event()) is not None:
            if isinstance(event, TransactionEnded):  # almost all of them
                self._finish_ticket(event)
            else:
                self._handle(event)
        self._flush()

    def _handle(self, event: ClientEvent) -> None:
        match event:
            case ContentRequested():
                self._content_wanted.set()
            case ServerReady(extensions):
                self._handle_ready(extensions)
            case TlsAccepted():
                self._line.start_handshake()
            case TlsRefused(reply):
                self._go_on(Stage.TLS, self.trial.refused(reply))
            case AuthChallenged(challenge) if self._login is not None:
                self._login.challenged(challenge)
            case AuthEnded(reply) if self._login is not None:
                self._finish_login(self._login, reply)
            case ServerGone():
                self._handle_gone(event)

    def _handle_ready(self, extensions: Extensions) -> None:
        if self._line.tls is not None or self._plaintext:
            self._go_on(Stage.PROTECTION, self.trial.unprotected(offered=extensions.require_tls))
        elif extensions.starttls and self._settings.tls_context is not None:
            self._client.start_tls(self._clock.monotonic())
        else:
            self._go_on(Stage.TLS, self.trial.not_offered())

    def _go_on(self, stage: Stage, refusal: Reply | None) -> None:
        """There will be no more TLS than there is: go on with it, or in plaintext, only where nobody asked for more (W7)."""
        if refusal is not None:
            self._fail(HostFailed(stage, refusal))
        elif self._login is None:
            self._become_usable()
        elif self._line.tls is None:  # the demand on TLS does not let this happen; a password is worth a second look
            self._fail(HostFailed(Stage.AUTH, self.trial.needs_tls()))
        elif (failure := self._login.begin()) is not None:
            self._fail(failure)

    def _finish_login(self, login: Login, reply: Reply) -> None:
        failure = login.ended(reply)
        if failure is not None:
            self._fail(failure)
        else:
            self._become_usable()

    def _become_usable(self) -> None:
        self._offered = self._client.extensions
        self.tls_text = self._line.tls_text
        self._idle_since = self._clock.monotonic()
        if not self.opened.done():
            self.opened.set_result(None)

    def _handle_gone(self, event: ServerGone) -> None:
        failure = self.failed or self._line.failed
        if failure is None and event.at is Awaited.STARTTLS:
            reply, broken = self.trial.lost(event.reply)
            failure = HostFailed(Stage.TLS, reply, handshake=broken)
        if failure is None:
            failure = HostFailed(STAGES[event.at], event.reply if self._login is None else self._login.masked(event.reply))
        self.failed = failure
        if not self.opened.done():
            self.opened.set_exception(failure)
        if self._care is not None:
            self._care.cancel()
        if self._line.transport is not None:
            self._flush()
            self._line.transport.close()

    def _fail(self, failure: HostFailed) -> None:
        """This session is of no use: say goodbye where the protocol allows it."""
        self.failed = failure
        if not self.opened.done():
            self.opened.set_exception(failure)
        self._client.quit(self._clock.monotonic())

    def _leave(self) -> None:
        """The connection is gone for good."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._care is not None:
            self._care.cancel()
        while self._tickets:  # only those that had not begun: the client settled the others
            ticket = self._tickets.popleft()
            ticket.session = None
            self._return(ticket)
        self._owner.session_lost(self)

    # Transactions

    def _finish_ticket(self, event: TransactionEnded) -> None:
        ticket = self._tickets.popleft()
        ticket.session = None
        if self._care is not None:
            self._care.cancel()  # it may still wait for somebody to ask for the content
            self._care = None
        reused = self.messages > 0
        self.messages += 1
        if not event.replied and reused and not ticket.retried and not ticket.done() and event.outcomes[0].reply.enhanced != "4.4.315":
            # The kept connection had ended (idle limit or message limit of the peer) before anything was said about this message.
            self._return(ticket)
            return
        if not ticket.done():  # not cancelled meanwhile
            ticket.finish(event, self.host_text, self.tls_text, self.reasons, offers_dsn=self._offered.dsn)
        self._idle_since = self._clock.monotonic()
        self._owner.session_free(self)

    def _return(self, ticket: Ticket) -> None:
        """Once, another connection may try at once; the second time the message waits like any other."""
        if ticket.retried:
            reply = Reply(450, "4.4.318", f"Connection was closed abruptly by {self.host_text}")
            ticket.fail(Stage.CONNECT, reply, host=self.host_text, tls=self.tls_text, reasons=self.reasons)
        elif not ticket.done():
            ticket.retried = True
            ticket.prepared = None
            self._owner.ticket_returned(ticket)

    async def _deliver_with_care(self, ticket: Ticket) -> None:
        """For content that is streamed or re-encoded, and for what this hop cannot take at all."""
        try:
            prepared = await prepare(ticket.work, self._offered, self.host_text, self._settings.border)
        except (QueueError, OSError) as error:
            self._turn_away(ticket, Stage.MAIL, Reply(451, "4.3.0", f"The stored content cannot be read: {error}"), ())
            return
        ticket.prepared = prepared
        if prepared.request is None:
            self._turn_away(ticket, Stage.MAIL, prepared.reply, prepared.reasons)
            return
        self._content_wanted.clear()
        self._client.start(prepared.request, self._clock.monotonic())
        self._flush()
        if prepared.request.content is not None or prepared.content is None:
            return
        try:
            await self._stream(ticket, prepared.content)
        except (QueueError, OSError, LocalProtocolError) as error:
            # The final dot must never follow half a message.
            ticket.fail(Stage.CONTENT, Reply(451, "4.3.0", f"The stored content cannot be read: {error}"), host=self.host_text)
            self.abort()

    def _cared(self, task: asyncio.Task[None], ticket: Ticket) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._break_off(ticket, error)

    def _break_off(self, ticket: Ticket, error: BaseException) -> None:
        """A defect of ours, met by this message: it ends here, and the next one goes on over another connection."""
        if not ticket.done():
            ticket.set_exception(error)
        self._loop.call_soon(self.abort)  # which lets go of the ticket

    async def _stream(self, ticket: Ticket, content: Content) -> None:
        await self._content_wanted.wait()
        async for piece in content.chunks():
            if ticket.session is not self or not self._client.send_content(piece, self._clock.monotonic()):
                return  # refused meanwhile
            self._flush()
            await self._writable.wait()
        if ticket.session is self:
            self._client.end_content(self._clock.monotonic())
            self._flush()

    def _turn_away(self, ticket: Ticket, stage: Stage, reply: Reply, reasons: tuple[str, ...]) -> None:
        """The message does not go to this hop; the connection was not touched."""
        self._tickets.remove(ticket)
        ticket.session = None
        ticket.fail(stage, reply, host=self.host_text, tls=self.tls_text, reasons=self.reasons + reasons)
        self._idle_since = self._clock.monotonic()
        self._owner.session_free(self)

    # Time

    def _arm(self) -> None:
        """One timer for a session, however many messages it carries: it looks again at most every `idle` seconds."""
        config, now = self._settings.client, self._clock.monotonic()
        pause = min(self._settings.idle, config.command_timeout, config.content_timeout, config.handshake_timeout)
        deadline = self._client.next_deadline()
        if deadline is not None:
            due = deadline
        elif self._tickets:  # its content is being read: nothing is awaited of the peer, nor is the connection idle
            due = now + pause
        else:
            due = self._idle_since + self._settings.idle
        self._timer = self._loop.call_later(max(min(pause, due - now), 0.001), self._tick)

    def _tick(self) -> None:
        now = self._clock.monotonic()
        if self._client.next_deadline() is not None:
            self._client.handle_deadline(now)
        elif not self._tickets and self.opened.done() and now - self._idle_since >= self._settings.idle:
            self._client.quit(now)
        self._handle_events()
        if not self._closed:
            self._arm()
