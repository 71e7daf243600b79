"""Leases of a queue: what was just accepted is leased as it came, the rest is read first; what cannot be read is set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from mailwye.message.content import Content, InlineContent
from mailwye.queue.engine import QueueError, Room
from mailwye.queue.futures import done
from mailwye.queue.item import Lease, NewMessage
from mailwye.storage.sqlite import queue_reader
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.committer import Committer, Statement
from mailwye.storage.sqlite.content_store import ContentPort, StoredContent
from mailwye.storage.sqlite.queue_index import CORRUPT
from mailwye.storage.sqlite.queue_operations import Nothing, fresh_deliveries, fresh_message
from mailwye.storage.sqlite.queue_reader import Reader, StoredMessage, Unreadable
from mailwye.storage.sqlite.queue_state import QueueState

READ_AGAIN_SECONDS = 60.0  # after the disk refused to read a message

_Taken = list[tuple[list[int], NewMessage | None]]


class Leasing:
    """The leasing half of a SqliteQueueEngine on the file `path`. `port`: where stored content is read; `alert`: as the engine's."""

    def __init__(
        self, path: Path, state: QueueState, committer: Committer, reader: Reader, port: ContentPort, alert: Callable[[str], None]
    ) -> None:
        self._path = path
        self._state = state
        self._committer = committer
        self._reader = reader
        self._port = port
        self._alert = alert
        self._damaged: dict[int, str] = {}  # staged content that broke while it was read → why

    def lease(self, now: float, limit: int, room: Room, seconds: float) -> asyncio.Future[Sequence[Lease]]:
        """See SqliteQueueEngine.lease. Nothing while nothing can be written: each result would be unknown after a crash, each mail sent
        twice. (On a disk that is merely full, results have the reserve.)
        """
        if self._committer.broken is not None:
            return done([])
        state = self._state
        for record in state.leases.end_expired(now):
            for number in record.deliveries:
                state.put_back(number)
        taken: _Taken = []
        fresh_only = True
        for numbers in state.index.take(now, limit, room):
            state.leased.update(numbers)
            new = state.fresh.take(numbers[0] >> sql.PLACE_BITS, numbers)
            fresh_only = fresh_only and new is not None
            taken.append((numbers, new))
        if fresh_only:
            return done([self._lease_fresh(numbers, new, now + seconds) for numbers, new in taken if new is not None])
        return asyncio.ensure_future(self._lease_stored(taken, now, seconds))

    def note_damage(self, staging: int, why: str) -> None:
        """See ContentPort."""
        self._damaged[staging] = why

    def _lease_fresh(self, numbers: list[int], new: NewMessage, expires_at: float) -> Lease:
        message, content = fresh_message(new)
        return self._state.leases.grant(message, fresh_deliveries(self._state, new, numbers), content, expires_at)

    async def _lease_stored(self, taken: _Taken, now: float, seconds: float) -> Sequence[Lease]:
        """As lease, where some of what was taken must be read first. The order is kept."""
        wanted = [numbers for numbers, new in taken if new is None]
        try:
            found = iter(await self._reader.run(lambda connection: [queue_reader.read_group(connection, one) for one in wanted]))
        except asyncio.CancelledError:
            for numbers, _ in taken:
                for number in numbers:
                    self._state.put_back(number)
            raise
        except QueueError as error:
            found = iter([Unreadable(tuple(numbers), str(error), damaged=False) for numbers in wanted])
        leases: list[Lease] = []
        for numbers, new in taken:
            if new is not None:
                leases.append(self._lease_fresh(numbers, new, now + seconds))
                continue
            one = next(found)
            if isinstance(one, StoredMessage) and (why := self._damaged.pop(one.staging, "")):
                one = Unreadable(tuple(numbers), f"message {one.message.id}: {why}", damaged=True)
            if isinstance(one, Unreadable):
                self._set_aside(one, now)
                continue
            if one.unreadable is not None:
                self._set_aside(one.unreadable, now)
            leases.append(self._state.leases.grant(one.message, one.deliveries, self._content(one), now + seconds))
        return leases

    def _content(self, stored: StoredMessage) -> Content:
        if stored.content is None:
            return StoredContent(self._port, stored.staging, stored.message.size)
        return InlineContent(stored.content)

    def _set_aside(self, unreadable: Unreadable, now: float) -> None:
        """What is damaged stays in the file as CORRUPT and blocks nothing; what the disk refused is read again later."""
        if not unreadable.damaged:
            for number in unreadable.numbers:
                self._state.put_back(number, now + READ_AGAIN_SECONDS)
            self._alert(f"{self._path}: a message could not be read and waits: {unreadable.why}")
            return
        rows: list[Statement] = []
        for number in unreadable.numbers:
            self._state.leased.discard(number)
            hop, due = self._state.index.hop_and_due(number)
            self._state.index.place(number, CORRUPT, due, hop)
            rows.append((sql.SET_STATE, (CORRUPT, due, number)))
        self._state.ledger.corrupt += len(unreadable.numbers)
        self._committer.add(Nothing(), rows, lasting=True)
        self._alert(
            f"{self._path}: {len(unreadable.numbers)} deliveries are damaged and were set aside as corrupt: {unreadable.why}. "
            "See `mailwye queue corrupt list`; the disk or memory of this machine may be failing"
        )
