"""One inbound connection: bytes → (TLS) → protocol machine → events → dialogue → replies → bytes.

A driver without protocol logic: smtp/server.py knows the protocol, dialogue.py what it means. No task per command; one write per burst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from functools import lru_cache, partial
from typing import Any, cast

from mailwye.connectors.matching import canonical_address
from mailwye.inbound.context import InboundContext
from mailwye.inbound.dialogue import Dialogue, Wait
from mailwye.inbound.opening import Opening, open_session
from mailwye.inbound.recording import record_broken_session
from mailwye.inbound.session_settings import SessionSettings
from mailwye.inbound.tls_facts import tls_facts
from mailwye.runtime.tls import ServerTlsContext, TlsError, TlsLayer
from mailwye.smtp.events import ConnectionEnded, StartTlsReceived
from mailwye.smtp.reply import Reply
from mailwye.smtp.server import ServerConnection

CLOSING_TIME = 10.0
"""Seconds that a peer has for taking the last octets before the connection is cut."""

TIMED_OUT = Reply(421, "4.4.2", "The connection has lasted as long as it may (ConnectionTimeout), try again")
SHUTTING_DOWN = Reply(421, "4.3.2", "Service is shutting down, try again later")

_canonical = lru_cache(maxsize=4096)(canonical_address)  # the same few servers connect again and again


class Phase(Enum):
    """What the next octets from the peer are."""

    HANDSHAKE = "TLS handshake"
    DIALOGUE = "dialogue"
    CLOSING = "closing"


_DIALOGUE = Phase.DIALOGUE  # asking an Enum class for a member takes 70 ns, and this one is asked for often


class Session(asyncio.Protocol):
    """See the module. Made by the listener for each connection."""

    __slots__ = (
        "_address",
        "_connection",
        "_context",
        "_deadline",
        "_dialogue",
        "_ended_by_peer",
        "_ends_at",
        "_loop",
        "_lost",
        "_opening",
        "_phase",
        "_reading_paused",
        "_settings",
        "_timer",
        "_tls",
        "_transport",
        "_waiting",
        "_write_full",
    )

    def __init__(self, context: InboundContext, settings: SessionSettings) -> None:
        self._context = context
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._phase = Phase.DIALOGUE
        self._address = ""
        self._opening: Opening | None = None  # from the moment on when the peer's address is known, to the end
        self._ends_at: float | None = None  # by ConnectionTimeout of a ReceiveConnector, whatever is under way
        self._tls: TlsLayer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None  # of the phases before and after the dialogue, which has its own
        self._waiting: asyncio.Future[Any] | None = None
        self._reading_paused = False
        self._write_full = False
        self._ended_by_peer = False
        self._lost = False
        self._transport: asyncio.Transport
        self._connection: ServerConnection
        self._dialogue: Dialogue | None = None  # None until the peer's address is known

    # --- the connection begins

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a peer connected."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # the peer is gone already (V2): the operating system no longer knows him
            self._phase = Phase.CLOSING
            self._transport.abort()
        else:
            self.begin(self._transport, _canonical(peer[0]), peer[1], proxied=False)

    def begin(self, transport: asyncio.Transport, address: str, port: int, *, proxied: bool) -> None:
        """The peer's canonical address is known, from the connection or from a PROXY header: admit him or not, and greet."""
        self._transport = transport
        self._address = address
        self._settings.opened(self)
        context = self._context
        now = context.clock.monotonic()
        self._opening = opening = open_session(context, self._settings, address, port, proxied=proxied, now=now)
        if opening.receiver is not None:
            self._ends_at = now + opening.receiver.connection_timeout
        self._connection = ServerConnection(opening.config, now=now, tls_active=self._settings.implicit_tls)
        self._dialogue = Dialogue(context, opening.facts)
        refusal = opening.refusal
        if self._settings.implicit_tls:
            if refusal is not None or opening.tls is None:
                self._close()  # nothing can be said before the handshake
            else:
                self._start_tls(opening.tls)
        elif refusal is not None:
            self._connection.refuse_connection(refusal)
        else:
            self._connection.greet()
        self._advance()

    def _enter(self, phase: Phase) -> None:
        """A phase whose deadline is ours, not the machine's."""
        seconds = CLOSING_TIME if phase is Phase.CLOSING else self._context.limits.handshake_timeout
        self._phase = phase
        self._deadline = self._context.clock.monotonic() + seconds

    # --- octets come in

    def data_received(self, data: bytes) -> None:
        """asyncio: octets from the peer, through every layer that is up."""
        if self._waiting is not None:
            self._pause_reading()  # what came already is kept by the machine; more must stay in the kernel
        if self._phase is _DIALOGUE:
            plain = data if self._tls is None else self._decrypt(self._tls, data)
            if plain:
                self._connection.receive_data(plain, self._context.clock.monotonic())
                self._advance()
            elif self._phase is _DIALOGUE:
                self._write(b"")  # what TLS itself has to say (key update, alert)
        elif self._phase is Phase.HANDSHAKE:
            self._shake_hands(data)

    def _decrypt(self, tls: TlsLayer, data: bytes) -> bytes:
        try:
            plain = tls.receive_data(data)
        except TlsError as error:
            self._break(error)
            return b""
        if tls.peer_closed and not self._ended_by_peer:
            self._loop.call_soon(self.eof_received)
        return plain

    def eof_received(self) -> bool:
        """asyncio: the peer sends no more. True keeps our direction open until the answer to his message is out."""
        self._ended_by_peer = True
        if self._phase is _DIALOGUE and not self._lost:
            self._connection.receive_eof(self._context.clock.monotonic())
            self._advance()
        if self._waiting is None:
            self._close()
        return True

    # --- TLS

    def _start_tls(self, context: ServerTlsContext) -> None:
        self._enter(Phase.HANDSHAKE)
        self._tls = TlsLayer(context)
        self._tls.start()

    def _shake_hands(self, data: bytes) -> None:
        tls, dialogue = self._tls, self._dialogue
        assert tls is not None
        assert dialogue is not None
        try:
            plain = tls.receive_data(data)
        except TlsError as error:
            self._break(error)
            return
        if not tls.handshake_complete:
            self._write(b"")
            return
        now = self._context.clock.monotonic()
        self._phase = Phase.DIALOGUE
        dialogue.tls_established(tls_facts(tls))
        if self._settings.implicit_tls:
            self._connection.greet()
        else:
            self._connection.tls_started(now)
        if plain:
            self._connection.receive_data(plain, now)
        self._advance()

    def _break(self, error: Exception) -> None:
        """TLS broke: say so where it can (an alert), tell the trace, close."""
        session_id = self._opening.facts.session_id if self._opening is not None else ""
        record_broken_session(self._context, session_id, self._address, self._settings.listener.name, str(error))
        if self._tls is not None:
            self._transport.write(self._tls.data_to_send())
        self._close()

    # --- events and replies

    def _advance(self) -> None:
        """Act on all events that are there, then send what there is to say in one piece."""
        connection, dialogue = self._connection, self._dialogue
        assert dialogue is not None
        while self._waiting is None and self._phase is _DIALOGUE:
            event = connection.next_event()
            if event is None:
                break
            kind = type(event)
            if kind is StartTlsReceived:
                self._write(connection.data_to_send())  # the 220 goes in the clear (RFC 3207 section 4)
                assert self._opening is not None
                assert self._opening.tls is not None, "STARTTLS is offered only with a certificate"
                self._start_tls(self._opening.tls)
            elif kind is ConnectionEnded:
                self._write(connection.data_to_send())
                self._close()
            else:
                outcome = dialogue.handle(event)
                if type(outcome) is Reply:
                    connection.reply(outcome)
                elif outcome is not None:
                    self._answer(outcome)
        if self._phase is _DIALOGUE:
            data = connection.data_to_send()
            if self._tls is not None:
                self._write(data)
            elif data:
                self._transport.write(data)
            if self._timer is not None and not connection.in_transfer:
                return  # deadlines only move away, but for those of content
        self._arm()

    def _answer(self, outcome: Reply | Wait | None, now: float | None = None) -> None:
        """Give the machine its answer, or begin to wait for it. `now`: the time where that has moved on since the octets came."""
        while isinstance(outcome, Wait):
            awaitable = outcome.awaitable
            future = awaitable if isinstance(awaitable, asyncio.Future) else asyncio.ensure_future(awaitable)
            if not future.done():
                self._waiting = future
                future.add_done_callback(partial(self._resume, outcome.then))
                return
            outcome = outcome.then(future)
        if outcome is not None:
            self._connection.reply(outcome, now)

    def _resume(self, then: Callable[[asyncio.Future[Any]], Reply | Wait | None], done: asyncio.Future[Any]) -> None:
        """What the session waited for is there, or failed."""
        self._waiting = None
        try:
            outcome = then(done)  # even where nobody is left to hear the answer: what was accepted is told to the trace
            if self._lost or self._phase is not _DIALOGUE:
                return
            self._answer(outcome, self._context.clock.monotonic())
            self._advance()
        except Exception:
            self._transport.abort()  # as asyncio does for an error in data_received; the loop's exception handler reports it
            raise
        if self._waiting is None:
            self._resume_reading()
            if self._ended_by_peer:
                self._close()

    # --- octets go out

    def _write(self, data: bytes) -> None:
        if self._tls is not None:
            try:
                self._tls.send(data)
            except TlsError as error:
                self._break(error)
                return
            data = self._tls.data_to_send()
        if data:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """asyncio: the peer takes no octets; take none from him either."""
        self._write_full = True
        self._pause_reading()

    def resume_writing(self) -> None:
        """asyncio: the peer takes octets again."""
        self._write_full = False
        if self._waiting is None:
            self._resume_reading()

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._write_full and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # --- deadlines

    def _arm(self) -> None:
        """One timer per session, re-armed only when it is too late or has fired: a burst costs a comparison."""
        deadline = self._next_deadline()
        if deadline is None or self._lost:
            return
        timer = self._timer
        if timer is not None:
            if timer.when() <= deadline:
                return
            timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _next_deadline(self) -> float | None:
        deadline = self._connection.next_deadline() if self._phase is _DIALOGUE else self._deadline
        if self._ends_at is None or self._phase is Phase.CLOSING:
            return deadline
        return self._ends_at if deadline is None else min(deadline, self._ends_at)

    def _on_timer(self) -> None:
        self._timer = None
        deadline, now = self._next_deadline(), self._context.clock.monotonic()
        if deadline is not None and deadline <= now:
            self._context.admission.cut(now)
            if self._ends_at is not None and self._ends_at <= now and self._phase is not Phase.CLOSING:
                self._time_out()
                return
            match self._phase:
                case Phase.DIALOGUE:
                    self._connection.handle_deadline(now)
                    self._advance()
                case Phase.HANDSHAKE:
                    self._break(
                        TimeoutError(f"the {self._phase.value} took longer than {self._context.limits.handshake_timeout:g} seconds")
                    )
                case Phase.CLOSING:
                    self._transport.abort()
                    return
        self._arm()

    # --- the connection ends

    def _time_out(self) -> None:
        """ConnectionTimeout: 421, and what is still under way some seconds later is cut. Its sender heard no 250, so he keeps it."""
        self._ends_at = None
        self._loop.call_later(CLOSING_TIME, self._transport.abort)
        if self._phase is _DIALOGUE:
            self._connection.shut_down(TIMED_OUT)
            self._advance()
        else:
            self._close()

    def shut_down(self) -> None:
        """Say 421 and close as soon as no content is under way (RFC 5321 section 3.8)."""
        if self._dialogue is None or self._phase is not _DIALOGUE:
            self._close()
            return
        self._connection.shut_down(SHUTTING_DOWN)
        self._advance()

    def abort(self) -> None:
        """Cut the connection now."""
        self._transport.abort()

    def _close(self) -> None:
        """Close once the last octets are out; whoever does not take them is cut off."""
        if self._phase is Phase.CLOSING or self._lost:
            return
        tls = self._tls
        if tls is not None and self._phase is _DIALOGUE:
            tls.close()
            self._transport.write(tls.data_to_send())
        self._enter(Phase.CLOSING)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.close()
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone. A message that was handed to the queue stays accepted; any other is forgotten."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._opening is not None and self._opening.admitted:
            receiver = self._opening.receiver
            self._context.admission.release(self._address, receiver.name if receiver is not None else "")
            self._opening = None
        if self._dialogue is not None:
            self._dialogue.abandon()
        self._settings.closed(self)
