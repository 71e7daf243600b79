"""When to ask one queue for work: after it called, when something becomes due, and when there is room again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from mailwye.outbound.dispatch_state import Traffic
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import Lease

LEASE_SECONDS = 3_600.0
LEASE_BATCH = 100  # leases taken in one call
LOOK_AT_LEAST_EVERY = 60.0  # seconds, because the wall clock by which work is due may jump
LOOK_AT_MOST_EVERY = 0.05
AFTER_ERROR = 1.0

T = TypeVar("T")


class Feed:
    """One engine and where leasing from it stands. `begin(feed, lease)` takes each lease; `now()` gives Unix seconds; `alert` takes
    sentences for the administrator; `quiet()` is called whenever the engine is not being asked any more.
    """

    def __init__(
        self,
        engine: QueueEngine,
        *,
        traffic: Traffic,
        now: Callable[[], float],
        begin: Callable[[Feed, Lease], None],
        alert: Callable[[str], None],
        quiet: Callable[[], None],
    ) -> None:
        self.engine = engine
        self._traffic = traffic
        self._now = now
        self._begin = begin
        self._alert = alert
        self._quiet = quiet
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._stopped = True
        self._attached = False
        self.asking = False  # the engine is asked right now
        self.wants_more = False  # there may be more than was leased

    def start(self) -> None:
        """Begin to lease."""
        self._stopped = False
        if not self._attached:
            self._attached = True
            self.engine.on_work(self.look_soon)
        self.look_soon()

    def stop(self) -> None:
        """Lease no more. What was asked for may still come to `begin`."""
        self._stopped = True
        self._cancel_timer()

    def look_soon(self) -> None:
        """Many reasons to look in one turn of the loop make one look."""
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        traffic = self._traffic
        room = traffic.room
        if self.asking or room <= 0:
            self.wants_more = True
            return
        self.wants_more = False
        limit = min(LEASE_BATCH, room)
        leases = future_of(self.engine.lease(self._now(), limit=limit, room=traffic.room_of, seconds=LEASE_SECONDS))
        if leases.done():
            self._leased(limit, leases)
        else:
            self.asking = True
            leases.add_done_callback(partial(self._leased, limit))

    def _leased(self, limit: int, leases: asyncio.Future[Sequence[Lease]]) -> None:
        self.asking = False
        self._quiet()
        if (error := error_of(leases)) is not None:
            self._alert(f"The queue gave no work: {error!r}")
            self._look_in(AFTER_ERROR)
            return
        found = leases.result()
        for lease in found:
            self._begin(self, lease)
        if len(found) == limit or self.wants_more:
            self.look_soon()
            return
        due = future_of(self.engine.next_due(exclude=self._traffic.saturated))
        if due.done():
            self._plan(due)
        else:
            due.add_done_callback(self._plan)

    def _plan(self, due: asyncio.Future[float | None]) -> None:
        """Look again when the next delivery is due."""
        if (error := error_of(due)) is not None:
            self._alert(f"The queue did not say when the next message is due: {error!r}")
            self._look_in(AFTER_ERROR)
        else:
            # With nothing queued a look now and then still finds the leases that ended unsettled.
            at = due.result()
            self._look_in(LOOK_AT_LEAST_EVERY if at is None else at - self._now())

    def _look_in(self, seconds: float) -> None:
        self._cancel_timer()
        if not self._stopped:
            pause = max(LOOK_AT_MOST_EVERY, min(seconds, LOOK_AT_LEAST_EVERY))
            self._timer = asyncio.get_running_loop().call_later(pause, self.look_soon)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def future_of(waiting: Awaitable[T]) -> asyncio.Future[T]:
    """`waiting` where it is a Future already, as those of live engines and couriers are; else a task that runs it."""
    return waiting if isinstance(waiting, asyncio.Future) else asyncio.ensure_future(waiting)


def error_of(future: asyncio.Future[Any]) -> BaseException | None:
    """What a done future failed with, cancellation included."""
    return asyncio.CancelledError() if future.cancelled() else future.exception()
