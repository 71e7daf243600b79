"""What the operations of a queue engine work on together: index, fresh messages, leases, ledger, and who is told of new work."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from mailwye.message.content import Content
from mailwye.queue.item import Delivery, Lease, QueuedMessage, Result
from mailwye.storage.sqlite.queue_cache import FreshMessages
from mailwye.storage.sqlite.queue_index import QUEUED, QueueIndex


class Ledger:
    """Counts of deliveries since the file was made, and the numbers given out; stored with every commit.

    accepted = delivered + failed + expired + deleted + corrupt + what is queued or held (reliability D9).
    """

    __slots__ = ("accepted", "corrupt", "deleted", "delivered", "expired", "failed", "seq", "staging")

    def __init__(self, row: tuple[int, ...]) -> None:
        (self.seq, self.staging, self.accepted, self.delivered, self.failed, self.expired, self.deleted, self.corrupt) = row

    def row(self) -> tuple[int, ...]:
        """As stored."""
        return (self.seq, self.staging, self.accepted, self.delivered, self.failed, self.expired, self.deleted, self.corrupt)

    def count(self, result: Result) -> None:
        """A delivery came to its end."""
        if result is Result.DELIVERED:
            self.delivered += 1
        elif result is Result.FAILED:
            self.failed += 1
        elif result is Result.EXPIRED:
            self.expired += 1


class LeaseRecord:
    """What the engine knows of one lease: the deliveries still under it, by id, and until when."""

    __slots__ = ("deliveries", "expires_at")

    def __init__(self, deliveries: dict[int, Delivery], expires_at: float) -> None:
        self.deliveries = deliveries
        self.expires_at = expires_at


class Leases:
    """All leases by token, and when they end. `opened`: how often the file was opened, so that no token is ever used again."""

    def __init__(self, opened: int) -> None:
        self._records: dict[int, LeaseRecord] = {}
        self._ends: list[tuple[float, int]] = []
        self._token = opened << 40

    def grant(self, message: QueuedMessage, deliveries: tuple[Delivery, ...], content: Content, expires_at: float) -> Lease:
        """A new lease."""
        self._token += 1
        self._records[self._token] = LeaseRecord({one.id: one for one in deliveries}, expires_at)
        heapq.heappush(self._ends, (expires_at, self._token))
        return Lease(self._token, message, deliveries, content, expires_at)

    def get(self, token: int) -> LeaseRecord | None:
        """The record, None where the lease is gone."""
        return self._records.get(token)

    def extend(self, token: int, until: float) -> None:
        """A lease that is here ends later (or earlier)."""
        self._records[token].expires_at = until
        heapq.heappush(self._ends, (until, token))

    def end(self, token: int) -> LeaseRecord:
        """Forget a lease that is here."""
        return self._records.pop(token)

    def end_expired(self, now: float) -> list[LeaseRecord]:
        """Forget the leases whose time is up."""
        ended: list[LeaseRecord] = []
        while self._ends and self._ends[0][0] <= now:
            expires_at, token = heapq.heappop(self._ends)
            record = self._records.get(token)
            if record is not None and record.expires_at == expires_at:
                ended.append(self.end(token))
        return ended


class QueueState:
    """See the module."""

    def __init__(self, ledger: Ledger, index: QueueIndex, fresh: FreshMessages, opened: int) -> None:
        self.ledger = ledger
        self.index = index
        self.fresh = fresh
        self.leases = Leases(opened)
        self.leased: set[int] = set()  # ids under a lease, or settled by one and not yet durable
        self.callbacks: list[Callable[[], None]] = []
        self._waking = False

    def put_back(self, number: int, due: float | None = None) -> None:
        """A leased delivery was not tried: it is queued as it was, or `due` later."""
        hop, was_due = self.index.hop_and_due(number)
        self.leased.discard(number)
        self.index.place(number, QUEUED, was_due if due is None else due, hop)

    def wake(self) -> None:
        """Tell the callbacks, once for all that happens in this turn of the loop."""
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        self._waking = False
        for callback in self.callbacks:
            callback()
