"""The queue follows the settings: what waits when they change goes where mail for its new way waits, and is tried there at once.

The route is decided again at each attempt, so nothing here is needed for mail to go the right way in the end; it is needed for it to go at
once, among its likes. So it may be cut off at any moment and be done again: at each start it is, for what a crash left undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mailwye.config.snapshot import ActiveSnapshot, Snapshot
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.parts import Splitter
from mailwye.outbound.settling import Ended
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import DeliveryState, Lease, QueueQuery, QueueRow, Redirect, Result
from mailwye.runtime.clock import Clock
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.recorder import TraceRecorder
from mailwye.whatif.queued import dials_alike, followed, route_of

PAGE = 250
"""Deliveries that are looked at, and moved in one commit, before the event loop goes on."""


class Rerouting:
    """Moves what waits, in all queues of a worker. `clock`, `trace` and `snapshot` as the dispatcher's."""

    def __init__(self, clock: Clock, trace: TraceRecorder, snapshot: ActiveSnapshot) -> None:
        self._clock = clock
        self._trace = trace
        self._snapshot = snapshot
        self._running: asyncio.Task[int] | None = None
        self._before: Snapshot | None = None

    def begin(self, engines: Sequence[QueueEngine], before: Snapshot | None) -> asyncio.Task[int]:
        """Let everything that waits follow the settings in force, which were `before` until now. What is still under way for earlier ones
        ends, and is done with the rest: nothing that changed since the settings before those is forgotten.
        """
        if self._running is not None and not self._running.done():
            self._running.cancel()
        else:
            self._before = None
        if self._before is None:  # nothing is under way, or what nobody knows the settings before of: these are some at least
            self._before = before
        self._running = asyncio.ensure_future(self.run(engines, self._before, self._snapshot.current))
        return self._running

    def stop(self) -> None:
        """End what is under way; the next start does the rest."""
        if self._running is not None:
            self._running.cancel()

    async def run(self, engines: Iterable[QueueEngine], before: Snapshot | None, after: Snapshot) -> int:
        """Let everything that waits follow `after`; how many deliveries moved. `before`: the settings until now, None where not known."""
        return sum([await self._of_one(engine, before, after) for engine in engines])

    async def _of_one(self, engine: QueueEngine, before: Snapshot | None, after: Snapshot) -> int:
        old, new = Splitter(), Splitter()
        count = 0
        page = QueueQuery(states=frozenset({DeliveryState.QUEUED, DeliveryState.HELD}), limit=PAGE)
        while rows := await engine.inspect(page):
            now = self._clock.now()
            found: list[tuple[QueueRow, Route, Redirect]] = []
            for row in rows:
                route = new.way(after, row.message, row.delivery)
                was = old.way(before, row.message, row.delivery) if before is not None else None
                redirect = followed(row.delivery, was, route, now)
                if redirect is not None:
                    found.append((row, route, redirect))
            if found:
                moved = await engine.redirect([redirect for _, _, redirect in found])
                count += len(moved)
                for row, route, redirect in found:
                    if redirect.delivery_id in moved:
                        self._trace.record(_event(row, route, redirect, now, after.version))
            page = replace(page, after=rows[-1].delivery.id)
            await asyncio.sleep(0)
        return count


def _event(row: QueueRow, route: Route, redirect: Redirect, now: float, version: int) -> TraceEvent:
    message = row.message
    if redirect.next_hop != redirect.from_hop:
        reason = f"Re-routed from {redirect.from_hop} to {redirect.next_hop} by version {version} of the settings"
    else:
        reason = f"Version {version} of the settings changed how {redirect.next_hop} delivers: it is tried now"
    return TraceEvent(
        at=now,
        kind=EventKind.REROUTE,
        session=message.origin.session_id,
        message=message.id,
        sender=str(message.sender) if message.sender is not None else "<>",
        recipient=str(row.delivery.recipient),
        connector=route.connector,
        status="Pending",
        reasons=(reason, *route.reasons),
        config_version=version,
        data={"from": redirect.from_hop, "next_hop": redirect.next_hop},
    )


def after_change(lease: Lease, ended: Sequence[Ended], snapshot: Snapshot, now: float) -> list[Ended]:
    """Attempts that began with older settings than `snapshot`: what is to be tried again by another way is tried at once."""
    return [_after_change(lease, one, snapshot, now) for one in ended]


def _after_change(lease: Lease, ended: Ended, snapshot: Snapshot, now: float) -> Ended:
    if ended.settlement.result is not Result.DEFERRED:
        return ended
    route = route_of(snapshot, lease.message, ended.delivery)
    if route.kind is RouteKind.NONE or dials_alike(ended.route, route):
        return ended
    hop = route.next_hop
    moved = hop if hop != ended.delivery.next_hop else ""
    why = f"version {snapshot.version} of the settings gives it another way, {hop}: it is tried now"
    settlement = replace(ended.settlement, due=now, next_hop=moved)
    return replace(ended, settlement=settlement, reason=f"{ended.reason}; {why}")
