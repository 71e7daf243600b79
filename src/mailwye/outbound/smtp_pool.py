"""The connections to one destination, and the work that waits for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.selection import Route
from mailwye.outbound.courier import Host, HostResolver, Stage
from mailwye.outbound.outcomes import LOGIN_REST_SECONDS, is_failed_login, is_refused_login
from mailwye.outbound.smtp_session import SmtpSession
from mailwye.outbound.ticket import HostFailed, SessionSettings, Ticket
from mailwye.outbound.tls_trial import TlsTrial
from mailwye.runtime.clock import Clock
from mailwye.runtime.network import Network
from mailwye.smtp.reply import Reply
from mailwye.transport.tls_report import TEXT_LIMIT, ReportedPolicy, SessionResult

Report = Callable[[SessionResult], None]
"""Takes what a session met, for TLS reports."""

GROWTH_PAUSE = 10.0  # seconds without further connections after one was refused while others work


@dataclass(frozen=True, slots=True)
class PoolState:
    """Counts: tickets waiting; sessions idle, busy and being opened; how many sessions there may be. `may_grow`: no recent refusal."""

    waiting: int
    idle: int
    busy: int
    opening: int
    limit: int
    may_grow: bool = True


@dataclass(frozen=True, slots=True)
class PoolStep:
    """What to do: give so many tickets to idle sessions, open so many new ones."""

    assign: int
    open: int


def plan(state: PoolState) -> PoolStep:
    """Which tickets go out now, and how many connections to open. Pure.

    The first connection is opened alone: it finds out whether there is anybody at all. While it and its successors serve and work
    still waits, as many again may be opening at a time, so the number at most doubles per handshake.
    """
    assign = min(state.waiting, state.idle)
    rest = state.waiting - assign
    serving = state.idle + state.busy
    if serving and not state.may_grow:
        return PoolStep(assign, 0)
    room = state.limit - serving - state.opening
    return PoolStep(assign, max(0, min(rest - state.opening, room, max(1, serving) - state.opening)))


@dataclass(frozen=True, slots=True)
class _Refusal:
    """No host could be used: the last failure, and what was tried."""

    stage: Stage
    reply: Reply
    host: str
    reasons: tuple[str, ...]


class SmtpPool:
    """One destination. `on_empty` is called whenever nothing is left here: no session, no work."""

    def __init__(
        self,
        route: Route,
        *,
        settings: SessionSettings,
        delivery: DeliverySettings,
        resolver: HostResolver,
        network: Network,
        clock: Clock,
        on_empty: Callable[[SmtpPool], None],
        report: Report | None = None,
    ) -> None:
        self.route = route
        self._settings = settings
        self._delivery = delivery
        self._resolver = resolver
        self._network = network
        self._clock = clock
        self._on_empty = on_empty
        self._report = report
        self._waiting: deque[Ticket] = deque()
        self._sessions: set[SmtpSession] = set()
        self._idle: list[SmtpSession] = []  # the one used last is taken first, so that surplus ones reach their idle limit
        self._opening: set[asyncio.Task[None]] = set()
        self._grow_after = 0.0
        self._closing = False

    def submit(self, ticket: Ticket) -> None:
        """Carry the work of `ticket` as soon as a connection allows it."""
        if self._idle and not self._waiting and self._idle[-1].free:
            self._idle.pop().deliver(ticket)
            return
        self._waiting.append(ticket)
        if self._idle or len(self._sessions) < self._delivery.connections_per_destination:
            self._advance()  # else a session takes it when it is free

    def close_when_idle(self) -> None:
        """Say QUIT on every connection that has nothing to do, now and from now on."""
        self._closing = True
        for session in tuple(self._idle):
            session.quit()
        if all(ticket.done() for ticket in self._waiting):
            for task in self._opening:
                task.cancel()  # for nobody: a silent host must not hold up the end
        self._advance()

    def abort(self) -> None:
        """Drop everything; what is under way is deferred."""
        self._closing = True
        for task in self._opening:
            task.cancel()
        for session in tuple(self._sessions):
            session.abort()
        self._fail_waiting(_Refusal(Stage.CONNECT, Reply(450, "4.3.2", "The delivery was given up"), "", ()))

    # SessionOwner

    def session_free(self, session: SmtpSession) -> None:
        """See SessionOwner."""
        waiting = self._waiting
        while waiting and waiting[0].done():
            waiting.popleft()
        if not session.free:
            return  # it ended in the same moment
        if session.worn_out or (self._closing and not waiting):
            session.quit()
        elif waiting:
            session.deliver(waiting.popleft())  # the hot path: the next message leaves in the callback that ended the last one
        else:
            self._idle.append(session)

    def session_lost(self, session: SmtpSession) -> None:
        """See SessionOwner."""
        self._sessions.discard(session)
        if session in self._idle:
            self._idle.remove(session)
        self._advance()

    def ticket_returned(self, ticket: Ticket) -> None:
        """See SessionOwner."""
        self._waiting.appendleft(ticket)

    # Within

    def _advance(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0].done():  # cancelled meanwhile
            waiting.popleft()
        self._idle = [session for session in self._idle if session.free]
        step = plan(
            PoolState(
                len(waiting),
                len(self._idle),
                len(self._sessions) - len(self._idle),
                len(self._opening),
                self._delivery.connections_per_destination,
                self._clock.monotonic() >= self._grow_after,
            )
        )
        for _ in range(step.assign):
            self._idle.pop().deliver(waiting.popleft())
        for _ in range(step.open):
            task = asyncio.get_running_loop().create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opened)
        if not waiting and not self._sessions and not self._opening:
            self._on_empty(self)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            reply = Reply(450, "4.3.0", f"Internal error while connecting: {error!r}")
            self._fail_waiting(_Refusal(Stage.CONNECT, reply, "", ()))
        self._advance()

    async def _open(self) -> None:
        found = await self._connect()
        if isinstance(found, SmtpSession):
            self._sessions.add(found)
            self.session_free(found)
        elif self._sessions:
            # Others serve: this destination only wants no more connections now.
            failed_login = is_failed_login(found.stage, found.reply)
            self._grow_after = self._clock.monotonic() + (LOGIN_REST_SECONDS if failed_login else GROWTH_PAUSE)
        elif len(self._opening) <= 1:
            self._fail_waiting(found)

    def _fail_waiting(self, refusal: _Refusal) -> None:
        waiting, self._waiting = self._waiting, deque()
        for ticket in waiting:
            ticket.fail(refusal.stage, refusal.reply, host=refusal.host, reasons=refusal.reasons)

    async def _connect(self) -> SmtpSession | _Refusal:
        """The first host that will have us, in the resolver's order."""
        found = await self._resolver.hosts(self.route)
        reasons = list(found.reasons)
        if self._report is not None:
            for result in found.results:
                self._report(result)
        if not found.hosts:
            reply = found.failure or Reply(450, "4.4.312", f"DNS query failed: no host for {self.route.next_hop}")
            return _Refusal(Stage.RESOLVE, reply, "", tuple(reasons))
        locked: set[str] = set()
        last, failure = found.hosts[0], HostFailed(Stage.CONNECT, Reply(450, "4.4.316", "not tried"))
        untried = failure.reply
        for host in found.hosts[: self._delivery.addresses_per_destination]:
            if host.name in locked:
                reasons.append(f"{host}: not tried, since {host.name} refused the login; each further try could lock the account")
                continue
            try:
                return await self._connect_to(host, reasons)
            except HostFailed as error:
                # One that could not be reached may still be the one that protects; and of all failures a refused login is what counts.
                if not locked and (error.stage is not Stage.PROTECTION or failure.reply is untried):
                    last, failure = host, error
                if is_refused_login(error.stage, error.reply):
                    locked.add(host.name)
                reasons.append(f"{host}: {error.reply}")
        return _Refusal(failure.stage, failure.reply, str(last), tuple(reasons))

    async def _connect_to(self, host: Host, reasons: list[str]) -> SmtpSession:
        try:
            return await self._session(host, reasons, plaintext=False)
        except HostFailed as error:
            if not error.handshake or self._settings.demand.of(host.policy).required:
                raise
            reasons.append(f"{host}: {error.reply}; nothing asks for TLS (TlsSettings null), so one more connection goes without it")
        return await self._session(host, reasons, plaintext=True)

    async def _session(self, host: Host, reasons: list[str], *, plaintext: bool) -> SmtpSession:
        delivery = self._delivery
        source = delivery.source_address if (":" in delivery.source_address) == (":" in host.address) else ""
        try:
            protocol = await self._network.connect(
                lambda: SmtpSession(host, self._settings, self, self._clock, plaintext=plaintext),
                host.address,
                host.port,
                source=source,
                timeout=delivery.connect_timeout,
            )
        except OSError as error:
            raise HostFailed(Stage.CONNECT, connect_failure(host, error, delivery.connect_timeout)) from error
        assert isinstance(protocol, SmtpSession)
        try:
            await protocol.opened
        except asyncio.CancelledError:
            protocol.abort()
            raise
        finally:
            self._report_tls(host, protocol.trial)
        if protocol.failed is not None:
            # It answered EHLO and left at once: as good as a refusing greeting. Were it none, we would dial it again and again.
            raise protocol.failed
        protocol.reasons = (*reasons, *protocol.told)
        return protocol

    def _report_tls(self, host: Host, trial: TlsTrial) -> None:
        """Tell of one session for TLS reports, which are about MX hosts (RFC 8460)."""
        if self._report is not None and trial.known and not self.route.smart_hosts:
            self._report(session_result(self.route.domain, host, trial, self._delivery.source_address))


def session_result(domain: str, host: Host, trial: TlsTrial, source: str) -> SessionResult:
    """What TLS reports tell of one session to a host of `domain`."""
    policy, failure = host.policy.reported or ReportedPolicy(domain), trial.failure
    if failure is None:
        return SessionResult(policy)
    return SessionResult(policy, failure.type, host.name, host.address, source, failure.cause[:TEXT_LIMIT])


def connect_failure(host: Host, error: OSError, timeout: float) -> Reply:
    """Exchange's codes for a connection that did not come about."""
    if isinstance(error, TimeoutError):
        return Reply(450, "4.4.315", f"Connection timed out: {host} did not answer within {timeout:g} s")
    if isinstance(error, ConnectionRefusedError):
        return Reply(450, "4.4.316", f"Connection refused: nothing listens at {host}, or a firewall refuses")
    return Reply(450, "4.4.316", f"Cannot connect to {host}: {error.strerror or error}")
