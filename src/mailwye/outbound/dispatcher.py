"""Due work → route → courier → outcome → settled, in one event loop without a task per message.

The dispatcher leases from the queues of its worker (its own, and those of workers that no longer exist), decides each way again with the
configuration of the moment, hands the work to a courier, and stores what became of it together with the notices that this causes.
Faults of the software end at the message at which they happened: it is tried again, and held when it keeps breaking things.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mailwye.config.installation import DeliverySettings, QueueSettings
from mailwye.config.snapshot import ActiveSnapshot, Snapshot
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.bounces import Bounces, is_owed
from mailwye.outbound.courier import Attempt, Courier, Stage, Work, way_key
from mailwye.outbound.delivery_trace import record_bounce, record_ended, record_held, record_silence
from mailwye.outbound.dispatch_state import ClockWatch, Failure, HopHealth, Poison, Traffic
from mailwye.outbound.feed import LEASE_SECONDS, Feed, error_of, future_of
from mailwye.outbound.following.lost_ways import LostWays
from mailwye.outbound.following.rerouting import Rerouting, after_change
from mailwye.outbound.parts import Splitter
from mailwye.outbound.settling import Ended, conclude, hop_failed
from mailwye.queue.engine import LeaseLost, QueueEngine
from mailwye.queue.item import DeliveryState, Lease, NewMessage, QueueQuery, Result, Settlement
from mailwye.queue.schedule import QueueScheduleSettings
from mailwye.runtime.clock import Clock
from mailwye.smtp.reply import Reply
from mailwye.trace.recorder import TraceRecorder

RENEW_EVERY = 600.0
_DELIVERED = Result.DELIVERED
SETTLE_SECONDS = 10.0  # what drain gives the last commits beyond its timeout


class _Flight:
    """One lease under way. `open`: its works that are not settled yet; `futures`: the couriers'."""

    __slots__ = ("expires_at", "feed", "futures", "hop", "lease", "open")

    def __init__(self, feed: Feed, lease: Lease) -> None:
        self.feed = feed
        self.lease = lease
        self.hop = lease.deliveries[0].next_hop
        self.expires_at = lease.expires_at
        self.open = 1
        self.futures: set[asyncio.Future[Sequence[Attempt]]] = set()


class Dispatcher:
    """The outbound side of one worker. `alert` takes sentences for the administrator (not per message, but per fault).

    `new_id` makes queue ids. Call `start` in the event loop, `drain` before the couriers and engines are closed.
    """

    def __init__(
        self,
        *,
        engines: Sequence[QueueEngine],
        couriers: Mapping[RouteKind, Courier],
        snapshot: ActiveSnapshot,
        clock: Clock,
        trace: TraceRecorder,
        queue: QueueSettings,
        delivery: DeliverySettings,
        hostname: str,
        new_id: Callable[[], str],
        alert: Callable[[str], None],
    ) -> None:
        self._couriers = couriers
        self._snapshot = snapshot
        self._clock = clock
        self._trace = trace
        self._schedule = QueueScheduleSettings(queue.retry_delays, queue.delay_notice_after, queue.expire_after)
        self._bounces = Bounces(hostname=hostname, new_id=new_id, return_octets=queue.dsn_return_octets, expire_after=queue.expire_after)
        self._alert = alert
        self._traffic = Traffic(delivery.concurrency, delivery.concurrency_per_destination)
        self._health = HopHealth()
        self._poison = Poison()
        self._splitter = Splitter()
        self._lost = LostWays()
        self._rerouting = Rerouting(clock, trace, snapshot)
        self._watch = ClockWatch(clock.now(), clock.monotonic())
        self._flights: set[_Flight] = set()
        self._background: set[asyncio.Future[Any]] = set()
        self._renewal: asyncio.TimerHandle | None = None
        self._stopping = True
        self._landed = asyncio.Event()
        self._feeds = [self._feed(engine) for engine in engines]

    def start(self) -> None:
        """Begin. Harmless when repeated."""
        if not self._stopping:
            return
        self._stopping = False
        self._renewal = asyncio.get_running_loop().call_later(RENEW_EVERY, self._renew)
        for feed in self._feeds:
            feed.start()
            self._in_background(self._try_what_is_due_too_late(feed.engine))
        self.settings_changed(None)  # what a crash left undone

    def adopt(self, engine: QueueEngine) -> None:
        """Serve one more queue: that of a worker that no longer exists."""
        feed = self._feed(engine)
        self._feeds.append(feed)
        if not self._stopping:
            feed.start()

    def _feed(self, engine: QueueEngine) -> Feed:
        return Feed(engine, traffic=self._traffic, now=self._now, begin=self._begin, alert=self._alert, quiet=self._landed.set)

    @property
    def under_way(self) -> int:
        """Leases that are not settled yet."""
        return self._traffic.under_way

    def end_rests(self) -> None:
        """Somebody asks for an attempt now: hops that failed a moment ago are really tried, not passed over."""
        self._health.end_rests()

    def settings_changed(self, before: Snapshot | None) -> None:
        """The snapshot in force is another one than `before`: what waits follows it, in the background."""
        if not self._stopping:
            self._health.end_rests()
            self._in_background(self._rerouting.begin([feed.engine for feed in self._feeds], before))

    async def drain(self, timeout: float) -> None:
        """Lease nothing more; give what is under way `timeout` seconds, then give it back to the queue (Result.RELEASED)."""
        self._stopping = True
        if self._renewal is not None:
            self._renewal.cancel()
        for feed in self._feeds:
            feed.stop()
        self._rerouting.stop()
        await self._until_landed(timeout)
        for flight in self._flights:
            for future in tuple(flight.futures):
                future.cancel()
        await self._until_landed(SETTLE_SECONDS)

    async def _until_landed(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                while self._flights or self._background or any(feed.asking for feed in self._feeds):
                    self._landed.clear()
                    await self._landed.wait()
        except TimeoutError:
            return

    # --- carrying it

    def _now(self) -> float:
        now = self._clock.now()
        self._watch.look(now, self._clock.monotonic(), self._clock_jumped)
        return now

    def _begin(self, feed: Feed, lease: Lease) -> None:
        flight = _Flight(feed, lease)
        self._flights.add(flight)
        self._traffic.begin(flight.hop)
        stepped_at = self._watch.stepped_at
        if stepped_at is not None and lease.expires_at < stepped_at + LEASE_SECONDS / 2:
            self._renew_flight(flight, stepped_at)  # the clock jumped while the queue read it: by the new time its lease is over
        if self._stopping:
            self._give_back(flight, lease)
            return
        snapshot = self._snapshot.current  # one for the whole attempt
        try:
            parts = self._splitter.split(snapshot, lease)
        except Exception as error:  # noqa: BLE001 - D11: a fault of ours must not stop the loop, nor lose the message
            self._crashed(flight, lease, error)
            return
        flight.open = len(parts.works) + len(parts.without_way)
        for delivery, route in parts.without_way:
            if told := self._lost.alert(delivery, route, snapshot.version):
                self._alert(told)
            attempts = [Attempt(delivery, Stage.RESOLVE, self._lost.reply(delivery, route))]
            self._attempted(flight, replace(lease, deliveries=(delivery,)), route, snapshot.version, attempts)
        for work in parts.works:
            self._carry(flight, work, snapshot.version)

    def _carry(self, flight: _Flight, work: Work, version: int) -> None:
        failure = self._health.resting(work.way, self._clock.now()) if self._health.failing else None
        if failure is not None and failure.holds_for(work.route):
            self._attempted(flight, work.lease, work.route, version, _not_tried(work, failure))
            return
        try:
            future = future_of(self._couriers[work.route.kind].deliver(work))
        except Exception as error:  # noqa: BLE001 - D11
            self._crashed(flight, work.lease, error)
            return
        flight.futures.add(future)
        future.add_done_callback(partial(self._carried, flight, work, version))

    def _carried(self, flight: _Flight, work: Work, version: int, future: asyncio.Future[Sequence[Attempt]]) -> None:
        flight.futures.discard(future)
        if future.cancelled():
            if self._stopping:
                self._give_back(flight, work.lease)
            else:
                self._crashed(flight, work.lease, asyncio.CancelledError())
            return
        error = future.exception()
        if error is not None:
            self._crashed(flight, work.lease, error)
            return
        attempts = future.result()
        if len(attempts) != len(work.lease.deliveries):
            self._crashed(flight, work.lease, ValueError(f"{len(attempts)} attempts at {len(work.lease.deliveries)} deliveries"))
            return
        failed = hop_failed(attempts)
        if failed is not None:
            self._health.failed(work.way, failed, self._clock.now(), work.route)
        self._attempted(flight, work.lease, work.route, version, attempts)

    def _attempted(self, flight: _Flight, lease: Lease, route: Route, version: int, attempts: Sequence[Attempt]) -> None:
        """Attempts ended: judge them, and let the queue store it. `lease`: with the deliveries of this work."""
        message = lease.message
        try:
            now, watch = self._now(), self._watch
            over = watch.jumped_over(message.received_at) if watch.stepped_at is not None else 0.0
            ended = conclude(message, route, attempts, now, self._schedule, clock_stepped_at=watch.stepped_at, jumped_over=over)
            if self._snapshot.current.version != version:
                ended = after_change(lease, ended, self._snapshot.current, now)
        except Exception as error:  # noqa: BLE001 - D11
            self._crashed(flight, lease, error)
            return
        if is_owed(message, ended):
            self._in_background(self._settle_with_notice(flight, lease, ended, version))
        else:
            self._settle(flight, lease, ended, version)

    async def _settle_with_notice(self, flight: _Flight, lease: Lease, ended: list[Ended], version: int) -> None:
        """The notice needs the start of the content, which may have to be read."""
        try:
            bounce = await self._bounces.build(lease.message, lease.content, ended, self._clock.now(), self._snapshot.current)
        except Exception as error:  # noqa: BLE001 - D11
            self._without_notice(flight, lease, ended, version, error)
            return
        if bounce is None:
            record_silence(self._trace, lease.message, self._clock.now(), version)
        self._settle(flight, lease, ended, version, bounce)

    def _without_notice(self, flight: _Flight, lease: Lease, ended: list[Ended], version: int, error: Exception) -> None:
        """No notice could be written. What was delivered is not delivered again for that; what failed does not end in silence."""
        delivered = [one for one in ended if one.settlement.result is Result.DELIVERED]
        failed = tuple(one.delivery for one in ended if one.settlement.result is not Result.DELIVERED)
        flight.open += bool(delivered) + bool(failed) - 1
        if delivered:
            self._alert(f"Internal error at the notice about {lease.message.id}: {error!r}")
            self._settle(flight, lease, delivered, version)
        if failed:
            self._crashed(flight, replace(lease, deliveries=failed), error)

    # --- storing what became of it

    def _settle(self, flight: _Flight, lease: Lease, ended: list[Ended], version: int, bounce: NewMessage | None = None) -> None:
        settlements = [one.settlement for one in ended]
        stored = future_of(flight.feed.engine.settle(flight.lease, settlements, (bounce,) if bounce is not None else ()))
        stored.add_done_callback(partial(self._settled, flight, lease, ended, version, bounce))

    def _settled(
        self, flight: _Flight, lease: Lease, ended: list[Ended], version: int, bounce: NewMessage | None, stored: asyncio.Future[None]
    ) -> None:
        try:
            error = None if not stored.cancelled() and stored.exception() is None else self._check_stored(lease, stored)
            record_ended(self._trace, lease.message, ended, version, error)
            if bounce is not None and error is None:
                record_bounce(self._trace, lease.message, bounce)
            hop, attempts = "", 0
            for one in ended:
                if one.settlement.result is _DELIVERED:
                    hop, attempts = one.hop, attempts + one.attempt.delivery.attempts
            if hop and self._health.reached(way_key(hop, lease.message.tls), waited=attempts > 0):
                self._release_waiting(hop)
        finally:
            self._land(flight)  # whatever happens, its place is free again

    def _check_stored(self, lease: Lease, stored: asyncio.Future[None]) -> BaseException | None:
        """The error of a settlement that failed, told to the administrator. Nothing is lost by it: the lease will be given out again."""
        error = error_of(stored)
        if isinstance(error, LeaseLost):
            self._alert(f"{lease.message.id}: its lease was gone when the attempt ended, so it may be delivered twice")
        elif error is not None:
            self._alert(f"{lease.message.id}: what became of it could not be stored, so it may be delivered twice: {error!r}")
        return error

    def _give_back(self, flight: _Flight, lease: Lease) -> None:
        """Nothing was tried, or not to its end."""
        settlements = [Settlement(one.id, Result.RELEASED, due=one.due) for one in lease.deliveries]
        stored = asyncio.ensure_future(flight.feed.engine.settle(flight.lease, settlements))
        stored.add_done_callback(partial(self._given_back, flight, lease))

    def _given_back(self, flight: _Flight, lease: Lease, stored: asyncio.Future[None]) -> None:
        self._check_stored(lease, stored)
        self._land(flight)

    def _crashed(self, flight: _Flight, lease: Lease, error: BaseException) -> None:
        """The software failed at this message: try again later; hold it when it does so every time (D11)."""
        message = lease.message
        hold = self._poison.crashed(message.id)
        what = f"Internal error at message {message.id}: {error!r}"
        self._alert(f"{what}; it is held: look at it, then release or delete it" if hold else f"{what}; it will be tried again")
        reply = Reply(451, "4.3.0", f"Internal error: {type(error).__name__}")
        now = self._clock.now()
        delays = self._schedule.retry_delays
        due = now + (delays[-1] if hold else delays[0])
        settlements = [Settlement(one.id, Result.DEFERRED, due=due, error=str(reply), attempted_at=now) for one in lease.deliveries]
        stored = asyncio.ensure_future(flight.feed.engine.settle(flight.lease, settlements))
        stored.add_done_callback(partial(self._set_aside, flight, lease, hold))

    def _set_aside(self, flight: _Flight, lease: Lease, hold: bool, stored: asyncio.Future[None]) -> None:
        self._check_stored(lease, stored)
        if hold:
            query = QueueQuery(message_id=lease.message.id, states=frozenset({DeliveryState.QUEUED}))
            self._in_background(flight.feed.engine.hold(query))
            record_held(self._trace, lease, self._clock.now(), self._snapshot.current.version)
        self._land(flight)

    def _land(self, flight: _Flight) -> None:
        """One work of the lease is settled; after the last one there is room for another."""
        flight.open -= 1
        if flight.open > 0:
            return
        self._flights.discard(flight)
        was_saturated = self._traffic.end(flight.hop)
        if not self._flights:
            self._landed.set()
        for feed in self._feeds:
            if was_saturated or feed.wants_more:
                feed.look_soon()

    def _release_waiting(self, hop: str) -> None:
        """The hop is back: what waits for it goes now, in the order of arrival."""
        now = self._clock.now()
        for feed in self._feeds:
            self._in_background(feed.engine.hurry(hop, now))

    # --- keeping leases

    def _renew(self) -> None:
        now = self._now()
        for flight in tuple(self._flights):
            if flight.expires_at - now < LEASE_SECONDS / 2:
                self._renew_flight(flight, now)
        self._renewal = asyncio.get_running_loop().call_later(RENEW_EVERY, self._renew)

    def _clock_jumped(self, now: float, step: float) -> None:
        """Leases end by the clock, so they are counted from the new time. Back: what is due in the future of the old time would wait for
        as long as the clock went back; it is tried now instead.
        """
        for flight in tuple(self._flights):
            self._renew_flight(flight, now)
        if step < 0:
            for feed in self._feeds:
                self._in_background(feed.engine.hurry("", now))

    async def _try_what_is_due_too_late(self, engine: QueueEngine) -> None:
        """Nothing is ever made due later than the longest delay: a queue that is was left by a clock that was ahead of this one."""
        now, due = self._clock.now(), await engine.next_due()
        if due is not None and due - now > max(self._schedule.retry_delays) + ClockWatch.JUMP_SECONDS:
            await engine.hurry("", now)

    def _renew_flight(self, flight: _Flight, now: float) -> None:
        flight.expires_at = now + LEASE_SECONDS
        self._in_background(flight.feed.engine.renew(flight.lease, flight.expires_at))

    def _in_background(self, waiting: Any) -> None:
        future = asyncio.ensure_future(waiting)
        self._background.add(future)
        future.add_done_callback(self._background_done)

    def _background_done(self, future: asyncio.Future[Any]) -> None:
        self._background.discard(future)
        self._landed.set()
        error = error_of(future)
        # A lease that ended while it was to be renewed tells so when it is settled.
        if error is not None and not isinstance(error, LeaseLost | asyncio.CancelledError):
            self._alert(f"The queue failed: {error!r}")


def _not_tried(work: Work, failure: Failure) -> list[Attempt]:
    """The next hop failed a moment ago: the same failure counts for this work."""
    known = failure.attempt
    reason = f"{work.route.next_hop} could not be reached a moment ago, so it was not tried for this message"
    if failure.refusals:
        rest = f"it is left alone for {failure.rests_until - failure.at:.0f} s, so that the account is not locked"
        reason = (
            f"The login at {work.route.next_hop} failed ({failure.refusals} in succession): {rest}; `mailwye queue retry` tries at once"
        )
    return [
        Attempt(one, known.stage, known.reply, known.host, known.tls, (*known.reasons, reason), known.offers_dsn)
        for one in work.lease.deliveries
    ]
