"""What administrators ask of the queue: list, hold, release, retry, delete; and another way for what waits, which changed settings ask too.

A query is answered by a scan in the reading thread; what it found is then checked against the index, in the event loop, because it may
have been leased or settled in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from mailwye.queue.item import DeliveryState, QueueQuery, QueueRow, Redirect
from mailwye.queue.transitions import Move, after, found_by, redirected
from mailwye.storage.sqlite import queue_reader
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.committer import Committer, Statement
from mailwye.storage.sqlite.queue_codec import pack_delivery
from mailwye.storage.sqlite.queue_index import CORRUPT, HELD, QUEUED
from mailwye.storage.sqlite.queue_operations import Change, Placing, Settling, end_deliveries
from mailwye.storage.sqlite.queue_reader import Reader
from mailwye.storage.sqlite.queue_state import QueueState

_STATE_CODES = {DeliveryState.QUEUED: QUEUED, DeliveryState.HELD: HELD, DeliveryState.CORRUPT: CORRUPT}


class Administration:
    """The administrative half of a SqliteQueueEngine. `limit` of a query bounds what is changed, too: the oldest come first."""

    def __init__(self, state: QueueState, committer: Committer, reader: Reader) -> None:
        self._state = state
        self._committer = committer
        self._reader = reader

    async def hold(self, query: QueueQuery) -> int:
        """See QueueEngine."""
        return await self._change(query, DeliveryState.QUEUED, Move.HOLD, None)

    async def release(self, query: QueueQuery) -> int:
        """See QueueEngine."""
        return await self._change(query, DeliveryState.HELD, Move.RELEASE, 0.0)

    async def retry(self, query: QueueQuery, now: float) -> int:
        """See QueueEngine."""
        return await self._change(query, DeliveryState.QUEUED, Move.RETRY, now)

    async def hurry(self, next_hop: str, now: float) -> int:
        """See QueueEngine."""
        count = 0
        with closing(self._state.index.hurry(next_hop, now)) as steps:
            for hurried in steps:
                if hurried:
                    count += hurried
                    self._state.wake()
                await asyncio.sleep(0)
        return count

    async def _change(self, query: QueueQuery, state: DeliveryState, move: Move, due: float | None) -> int:
        code = _STATE_CODES[after(state, move)]
        moves: list[tuple[int, float]] = []
        for row in await self._find(query, frozenset({state})):
            number = row.delivery.id
            if self._state.index.is_free(number, _STATE_CODES[state]):
                self._state.index.make_busy(number)
                moves.append((number, row.delivery.due if due is None else due))
        if moves:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            rows = [(sql.SET_STATE, (code, new_due, number)) for number, new_due in moves]
            self._committer.add(Change(self._state, code, moves, future), rows, lasting=True)
            await future
        return len(moves)

    async def delete(self, query: QueueQuery) -> Sequence[QueueRow]:
        """See QueueEngine."""
        gone: list[QueueRow] = []
        rows: list[Statement] = []
        for row in await self._find(query, found_by(Move.DELETE, query.states)):
            one = row.delivery
            if self._state.index.is_free(one.id, _STATE_CODES[one.state]):
                rows += end_deliveries(self._state, [one.id])
                self._state.ledger.delete(one.id, corrupt=one.state is DeliveryState.CORRUPT)
                gone.append(QueueRow(row.message, replace(one, state=after(one.state, Move.DELETE))))
        if gone:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._committer.add(Settling(self._state, [], [], future), rows, lasting=True)
            await future
        return gone

    async def inspect(self, query: QueueQuery) -> Sequence[QueueRow]:
        """See QueueEngine."""
        return await self._find(query, None)

    async def _find(self, query: QueueQuery, states: frozenset[DeliveryState] | None) -> list[QueueRow]:
        """What matches `query` and is in one of `states` (None: any)."""
        if states is not None:
            query = replace(query, states=states & query.states if query.states else states)
            if not query.states:
                return []
        leased = frozenset(self._state.leased)
        rows = await self._reader.run(lambda connection: queue_reader.find(connection, query, leased))
        return [row for row in rows if row.delivery.id in self._state.index]


_REDIRECTED = {QUEUED: DeliveryState.QUEUED, HELD: DeliveryState.HELD}


class Redirecting:
    """`redirect` of a SqliteQueueEngine. Where only the next hop changes nothing is read; nothing is lost by a crash at any moment: a
    delivery has the old way or the new one.
    """

    def __init__(self, state: QueueState, committer: Committer, reader: Reader) -> None:
        self._state = state
        self._committer = committer
        self._reader = reader

    async def redirect(self, redirects: Sequence[Redirect]) -> frozenset[int]:
        """See QueueEngine."""
        index = self._state.index
        rows, changed = self._under_lease([one for one in redirects if one.changes_detail])
        moves: list[tuple[int, int, float, str]] = []
        read: dict[int, tuple[Redirect, int]] = {}
        for one in redirects:
            number = one.delivery_id
            state = next((code for code in _REDIRECTED if index.is_free(number, code)), None)
            if state is None or number in changed or number in read:
                continue
            hop, was_due = index.hop_and_due(number)
            if hop != one.from_hop:
                continue
            index.make_busy(number)  # nobody begins an attempt on what is read now
            if one.changes_detail:
                read[number] = one, state
                continue
            due = was_due if one.due is None else one.due
            rows.append((sql.SET_HOP, (one.next_hop, due, number)))
            moves.append((number, state, due, one.next_hop))
        if read:
            await self._with_details(read, rows, moves)
        changed |= {number for number, _, _, _ in moves}
        if rows:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._committer.add(Placing(self._state, moves, future), rows, lasting=True)
            await future
        return frozenset(changed)

    def _under_lease(self, redirects: Sequence[Redirect]) -> tuple[list[Statement], set[int]]:
        """Pins of what is under way: the lease learns of it, so that its settlement keeps it; and the file, in case of a crash."""
        rows: list[Statement] = []
        changed: set[int] = set()
        holders = self._state.leases.holders() if redirects else {}
        for one in redirects:
            record = holders.get(one.delivery_id)
            new = redirected(record.deliveries[one.delivery_id], one) if record is not None else None
            if record is not None and new is not None:
                record.deliveries[new.id] = new
                rows.append((sql.SET_DETAIL, (pack_delivery(new), new.id)))
                changed.add(new.id)
        return rows, changed

    async def _with_details(
        self, read: dict[int, tuple[Redirect, int]], rows: list[Statement], moves: list[tuple[int, int, float, str]]
    ) -> None:
        """The rest of those whose stored detail changes. What cannot be read stays as it is."""
        index, numbers = self._state.index, list(read)
        try:
            found = await self._reader.run(lambda connection: queue_reader.read_details(connection, numbers))
        except BaseException:
            for number, state in (*((number, state) for number, (_, state) in read.items()), *((one[0], one[1]) for one in moves)):
                self._leave(number, state)
            raise
        for number, (one, state) in read.items():
            stored = found.get(number)
            hop, due = index.hop_and_due(number)
            new = redirected(replace(stored, next_hop=hop, due=due, state=_REDIRECTED[state]), one) if stored is not None else None
            if new is None:
                self._leave(number, state)
                continue
            self._state.fresh.forget(number >> sql.PLACE_BITS, [number])  # it is not as it came any more
            rows.append((sql.SET_DELIVERY, (state, new.due, new.next_hop, pack_delivery(new), number)))
            moves.append((number, state, new.due, new.next_hop))

    def _leave(self, number: int, state: int) -> None:
        """It is not busy any more, and as it was."""
        hop, due = self._state.index.hop_and_due(number)
        self._state.index.place(number, state, due, hop)
