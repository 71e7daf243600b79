"""What administrators ask of the queue: list, hold, release, retry, delete.

A query is answered by a scan in the reading thread; what it found is then checked against the index, in the event loop, because it may
have been leased or settled in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from mailwye.queue.item import DeliveryState, QueueQuery, QueueRow
from mailwye.queue.transitions import Move, after, found_by
from mailwye.storage.sqlite import queue_reader
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.committer import Committer, Statement
from mailwye.storage.sqlite.queue_index import CORRUPT, HELD, QUEUED
from mailwye.storage.sqlite.queue_operations import Change, Settling, end_deliveries
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
