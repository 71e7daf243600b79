"""The SQLite engine beside the specification in memory: whatever is asked of both, both answer alike."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from mailwye.queue.engine import LeaseLost, QueueEngine
from mailwye.queue.item import DeliveryState, Lease, QueueQuery, QueueRow, Redirect, Result, Settlement
from mailwye.queue.memory import MemoryQueueEngine
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from tests.conformance.queue_samples import new_message, octets

T = TypeVar("T")

HOPS = ("mx:a.example", "mx:b.example", "mailbox")
RECIPIENTS = ("a@a.example", "b@b.example", "B@b.example", "c@contoso.com")
START = 1_000.0

hops = st.sampled_from(HOPS)
queries = st.builds(
    QueueQuery,
    sender=st.sampled_from(["", "*@contoso.com", "<>"]),
    recipient=st.sampled_from(["", "", "*@b.example", "b@B.example"]),
    next_hop=st.sampled_from(["", "", *HOPS]),
    states=st.sampled_from([frozenset(), frozenset({DeliveryState.QUEUED}), frozenset({DeliveryState.HELD, DeliveryState.LEASED})]),
    limit=st.sampled_from([2, 1000]),
)


def comparable(row: QueueRow) -> tuple[object, ...]:
    """A row without the id, which each engine gives as it likes."""
    one = row.delivery
    return (
        row.message,
        one.message_id,
        one.recipient,
        one.next_hop,
        one.state,
        one.due,
        one.attempts,
        one.last_error,
        one.delay_notice_sent,
        one.pinned,
        one.rule_connector,
    )


class Engines(RuleBasedStateMachine):
    """Runs both; a lease of the bundle is a pair of leases on the same deliveries."""

    leases: Bundle[tuple[Lease, Lease]] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "worker-0.sqlite"
        self.now = START
        self.names = 0
        self.memory = MemoryQueueEngine(inline_octets=100)
        self.sqlite = self.open()

    def open(self) -> SqliteQueueEngine:
        return SqliteQueueEngine(self.path, inline_octets=100, memory_octets=4_000, free_space_minimum=0, ballast_octets=4096)

    def run(self, call: Callable[..., Awaitable[T]], *arguments: object, **named: object) -> T:
        async def wait() -> T:
            return await call(*arguments, **named)

        return self.loop.run_until_complete(wait())

    async def both(self, method: str, *arguments: object) -> tuple[object, object]:
        """The answers, or the kinds of the errors, of both engines."""

        async def one(engine: QueueEngine) -> object:
            try:
                return await getattr(engine, method)(*arguments)
            except LeaseLost:
                return LeaseLost

        return await one(self.memory), await one(self.sqlite)

    @rule(
        recipients=st.lists(st.tuples(st.sampled_from(RECIPIENTS), hops), min_size=1, max_size=4),
        later=st.sampled_from([None, None, 0, 50]),
        null=st.booleans(),
        large=st.booleans(),
    )
    def accept(self, recipients: list[tuple[str, str]], later: float | None, null: bool, large: bool) -> None:
        self.names += 1
        name = f"m{self.names}"

        async def accept_by(engine: QueueEngine) -> None:
            writer = engine.content_writer()
            waiting = writer.write(name.encode() * (100 if large else 1))
            if waiting is not None:
                await waiting
            message = new_message(
                name,
                *[recipient for recipient, _ in recipients],
                hops=[hop for _, hop in recipients],
                sender=None if null else "john@contoso.com",
                content=writer.finish(),
                first_attempt_at=None if later is None else self.now + later,
            )
            assert (await engine.accept(message)).message_id == name

        self.run(accept_by, self.memory)
        self.run(accept_by, self.sqlite)

    @rule(target=leases, hop=hops, limit=st.integers(1, 3), seconds=st.sampled_from([5, 3600]))
    def lease_of_one_hop(self, hop: str, limit: int, seconds: float) -> MultipleResults[tuple[Lease, Lease]]:
        return self._lease({hop: limit}, 10_000, seconds)

    @rule(target=leases)
    def lease_everything(self) -> MultipleResults[tuple[Lease, Lease]]:
        return self._lease(dict.fromkeys(HOPS, 10_000), 10_000, 3600)

    def _lease(self, room: dict[str, int], limit: int, seconds: float) -> MultipleResults[tuple[Lease, Lease]]:
        found: list[Sequence[Lease]] = []
        for engine in (self.memory, self.sqlite):
            leases = self.run(engine.lease, self.now, limit=limit, room=lambda hop: room.get(hop, 0), seconds=seconds)
            found.append(sorted(leases, key=lambda one: one.deliveries[0].next_hop))  # stable: keeps the order within a hop
        assert len(found[0]) == len(found[1])
        for one, other in zip(*found, strict=True):
            assert [comparable(QueueRow(one.message, delivery)) for delivery in one.deliveries] == [
                comparable(QueueRow(other.message, delivery)) for delivery in other.deliveries
            ]
            assert self.run(octets, one.content) == self.run(octets, other.content)
        return multiple(*zip(*found, strict=True))

    @rule(
        pair=leases,
        result=st.sampled_from(list(Result)),
        part=st.integers(1, 4),
        delay=st.sampled_from([0, 10, 100]),
        hop=st.sampled_from(["", *HOPS]),
        bounce=st.booleans(),
    )
    def settle(self, pair: tuple[Lease, Lease], result: Result, part: int, delay: float, hop: str, bounce: bool) -> None:
        self.names += 1
        bounces = [new_message(f"d{self.names}", hop=HOPS[0], sender=None)] if bounce else []

        async def settle_by(engine: QueueEngine, lease: Lease) -> object:
            settlements = [
                Settlement(one.id, result, self.now + delay, "451 no", hop, delay > 10, self.now) for one in lease.deliveries[:part]
            ]
            try:
                await engine.settle(lease, settlements, bounces)
            except LeaseLost:
                return LeaseLost
            return None

        assert self.run(settle_by, self.memory, pair[0]) == self.run(settle_by, self.sqlite, pair[1])

    @rule(pair=leases, seconds=st.integers(1, 50))
    def renew(self, pair: tuple[Lease, Lease], seconds: float) -> None:
        async def renew_by(engine: QueueEngine, lease: Lease) -> object:
            try:
                await engine.renew(lease, self.now + seconds)
            except LeaseLost:
                return LeaseLost
            return None

        assert self.run(renew_by, self.memory, pair[0]) == self.run(renew_by, self.sqlite, pair[1])

    @rule(method=st.sampled_from(["hold", "release"]), query=queries)
    def hold_or_release(self, method: str, query: QueueQuery) -> None:
        first, second = self.run(self.both, method, query)
        assert first == second

    @rule(query=queries)
    def retry(self, query: QueueQuery) -> None:
        first, second = self.run(self.both, "retry", query, self.now)
        assert first == second

    @rule(query=queries)
    def delete(self, query: QueueQuery) -> None:
        first, second = self.run(self.memory.delete, query), self.run(self.sqlite.delete, query)
        assert [comparable(row) for row in first] == [comparable(row) for row in second]

    @rule(
        query=queries,
        hop=hops,
        due=st.sampled_from([None, 0, 50]),
        pinned=st.sampled_from([None, None, "", "mx"]),
        ruled=st.sampled_from([None, "", "Rule"]),
    )
    def redirect(self, query: QueueQuery, hop: str, due: float | None, pinned: str | None, ruled: str | None) -> None:
        async def redirect_by(engine: QueueEngine) -> list[tuple[object, ...]]:
            rows = await engine.inspect(query)
            at = None if due is None else self.now + due
            changed = await engine.redirect([Redirect(row.delivery.id, row.delivery.next_hop, hop, at, pinned, ruled) for row in rows])
            return [comparable(row) for row in rows if row.delivery.id in changed]

        assert self.run(redirect_by, self.memory) == self.run(redirect_by, self.sqlite)

    @rule(query=queries)
    def inspect(self, query: QueueQuery) -> None:
        first, second = self.run(self.memory.inspect, query), self.run(self.sqlite.inspect, query)
        assert [comparable(row) for row in first] == [comparable(row) for row in second]

    @rule(seconds=st.sampled_from([1, 10, 4000, -30]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        """SQLite is closed and opened; in memory the leases end, which comes to the same."""
        self.run(self.sqlite.close)
        self.sqlite = self.open()
        self.run(self.memory.lease, float("inf"), limit=0)

    @invariant()
    def the_same_is_queued(self) -> None:
        assert self.run(self.memory.counts) == self.run(self.sqlite.counts)
        first, second = self.run(self.memory.next_due), self.run(self.sqlite.next_due)
        assert first == second or (first is not None and second is not None and first <= second <= max(self.now, second))

    def teardown(self) -> None:
        rows = self.run(self.memory.inspect, QueueQuery())
        assert [comparable(row) for row in rows] == [comparable(row) for row in self.run(self.sqlite.inspect, QueueQuery())]
        self.run(self.sqlite.close)
        self.loop.close()
        self.folder.cleanup()


def test_the_engines_agree() -> None:
    run_state_machine_as_test(
        Engines,
        settings=settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)),
    )
