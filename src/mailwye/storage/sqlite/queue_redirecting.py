"""Another way for deliveries that wait: what a change of the settings, or an administrator, makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mailwye.queue.item import DeliveryState, Redirect
from mailwye.queue.transitions import redirected
from mailwye.storage.sqlite import queue_reader
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.committer import Committer, Statement
from mailwye.storage.sqlite.queue_codec import pack_delivery
from mailwye.storage.sqlite.queue_index import HELD, QUEUED
from mailwye.storage.sqlite.queue_operations import Placing
from mailwye.storage.sqlite.queue_reader import Reader
from mailwye.storage.sqlite.queue_state import QueueState

_STATES = {QUEUED: DeliveryState.QUEUED, HELD: DeliveryState.HELD}


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
            state = next((code for code in _STATES if index.is_free(number, code)), None)
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
            new = redirected(replace(stored, next_hop=hop, due=due, state=_STATES[state]), one) if stored is not None else None
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
