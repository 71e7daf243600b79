"""What the operations of a queue engine work on together: index, fresh messages, leases, ledger, and who is told of new work."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from mailwye.message.content import Content
from mailwye.queue.item import Delivery, Lease, QueuedMessage, Result
from mailwye.storage.sqlite.identity import SUM_MASK, mixed
from mailwye.storage.sqlite.queue_cache import FreshMessages
from mailwye.storage.sqlite.queue_index import QUEUED, QueueIndex
from mailwye.storage.sqlite.queue_schema import LEDGER_COLUMNS, PLACE_BITS


class Ledger:
    """Counts of deliveries since the file was made, and the numbers given out; stored with every commit.

    accepted = delivered + failed + expired + quarantined + deleted + lost + what is here (queued, held, or set aside as corrupt); `corrupt`
    are the last ones; `lost` are those that only a damaged file holds, which was set aside as a whole (rescue/). Each count but `corrupt`
    has a sum of identities beside it (identity.py), for which the same equation holds: that is the proof that each delivery is in one
    place, once (reliability D9).
    """

    __slots__ = LEDGER_COLUMNS

    accepted: int
    accepted_sum: int
    corrupt: int
    deleted: int
    deleted_sum: int
    delivered: int
    delivered_sum: int
    expired: int
    expired_sum: int
    failed: int
    failed_sum: int
    lost: int
    lost_sum: int
    quarantined: int
    quarantined_sum: int
    seq: int
    staging: int

    def __init__(self, row: tuple[int, ...]) -> None:
        for name, value in zip(LEDGER_COLUMNS, row, strict=True):
            setattr(self, name, value)

    def row(self) -> tuple[int, ...]:
        """As stored."""
        return (
            self.seq,
            self.staging,
            self.accepted,
            self.delivered,
            self.failed,
            self.expired,
            self.deleted,
            self.corrupt,
            self.quarantined,
            self.accepted_sum & SUM_MASK,
            self.delivered_sum & SUM_MASK,
            self.failed_sum & SUM_MASK,
            self.expired_sum & SUM_MASK,
            self.deleted_sum & SUM_MASK,
            self.quarantined_sum & SUM_MASK,
            self.lost,
            self.lost_sum & SUM_MASK,
        )

    def accept(self, seq: int, deliveries: int) -> None:
        """A message with so many deliveries is on its way into the file."""
        self.accepted += deliveries
        self.accepted_sum += _sum_of(seq, deliveries)

    def refuse(self, seq: int, deliveries: int) -> None:
        """It did not come in after all."""
        self.accepted -= deliveries
        self.accepted_sum -= _sum_of(seq, deliveries)

    def end(self, numbers: list[int], result: Result | None) -> None:
        """Deliveries came to their end, all with `result`."""
        if result is Result.DELIVERED:
            self.delivered += len(numbers)
            self.delivered_sum += sum(map(mixed, numbers))
        elif result is Result.FAILED:
            self.failed += len(numbers)
            self.failed_sum += sum(map(mixed, numbers))
        elif result is Result.EXPIRED:
            self.expired += len(numbers)
            self.expired_sum += sum(map(mixed, numbers))

    def delete(self, number: int, *, corrupt: bool = False) -> None:
        """An administrator deleted a delivery; `corrupt`: one that was set aside."""
        self.deleted += 1
        self.deleted_sum += mixed(number)
        self.corrupt -= corrupt


def _sum_of(seq: int, deliveries: int) -> int:
    first = seq << PLACE_BITS
    return mixed(first) if deliveries == 1 else sum(map(mixed, range(first, first + deliveries)))


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

    def holders(self) -> dict[int, LeaseRecord]:
        """Which lease each delivery is under."""
        return {number: record for record in self._records.values() for number in record.deliveries}

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
