"""Which deliveries are where, in memory: what `lease` looks at instead of the database.

About 200 octets per delivery, filled from one scan of the delivery table at start (0.2 s for 100,000). Heaps are cleaned when
they are read: an entry of a heap counts only while it says the same as the delivery's own entry. No call goes over more than a few
thousand deliveries, whatever their number: the event loop waits for each.
"""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from itertools import groupby, islice

import msgspec

from mailwye.queue.engine import Room
from mailwye.storage.sqlite.queue_schema import PLACE_BITS

QUEUED, HELD, CORRUPT, LEASED = 0, 1, 2, 3  # the first three as in the database
BUSY = 8  # added to a state while a change of it waits for its commit

_NAMES = {QUEUED: "queued", HELD: "held", CORRUPT: "corrupt", LEASED: "leased"}
HOPS_KEPT = 10_000  # next hops that are counted before those that have nothing any more are forgotten
AT_ONCE = 5_000  # deliveries that one call goes over
_NEVER = float("inf")


class _Entry(msgspec.Struct, gc=False):
    hop: str
    due: float
    state: int


class QueueIndex:
    """All deliveries that are not final, by next hop and due time. Times in Unix seconds."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._ready: dict[str, list[int]] = {}  # next hop → heap of ids; a hop is here exactly while it is in _turns
        self._turns: deque[str] = deque()  # next hops with ready work, the one served longest ago first
        self._waiting: dict[str, list[tuple[float, int]]] = {}  # next hop → heap of (due, id) of what is due later
        self._first: dict[str, float] = {}  # next hop → the due with which it stands in _dues, for all in _waiting
        self._dues: list[tuple[float, str]] = []  # heap of (first due, next hop)
        self._counts: dict[str, list[int]] = {}
        self._counts_kept = HOPS_KEPT
        self._siblings: dict[int, int] = {}  # seq → deliveries left, of messages that came with several
        self._now = 0.0
        self.messages = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    # --- changes

    def add_message(self, seq: int, deliveries: int) -> None:
        """A message with so many deliveries that are not final; `add` them too."""
        self.messages += 1
        if deliveries > 1:
            self._siblings[seq] = deliveries

    def add_new(self, seq: int, hops: Sequence[str], due: float) -> None:
        """A message that was just accepted, with one delivery for each of `hops`, due at `due`. As `add_message` and `add`, in one go."""
        self.add_message(seq, len(hops))
        number = seq << PLACE_BITS
        for hop, alike in groupby(hops):
            counts, kept = self._counts_of(hop), sys.intern(hop)
            for _ in alike:
                counts[QUEUED] += 1
                self._entries[number] = _Entry(kept, due, QUEUED)
                self._queue(number, kept, due)
                number += 1

    def add(self, number: int, hop: str, due: float, state: int = QUEUED) -> None:
        """A delivery of a message that was added."""
        self._counts_of(hop)[state] += 1
        hop = sys.intern(hop)  # one text for all that wait for it: as many octets as all the rest of an entry
        self._entries[number] = _Entry(hop, due, state)
        if state == QUEUED:
            self._queue(number, hop, due)

    def place(self, number: int, state: int, due: float, hop: str) -> None:
        """The delivery has this state from now on, its change is durable (or needs not be)."""
        entry = self._entries[number]
        self._counts[entry.hop][entry.state & ~BUSY] -= 1
        self._counts_of(hop)[state] += 1
        hop = sys.intern(hop)
        entry.hop, entry.due, entry.state = hop, due, state
        if state == QUEUED:
            self._queue(number, hop, due)

    def _counts_of(self, hop: str) -> list[int]:
        counts = self._counts.get(hop)
        if counts is None:
            if len(self._counts) >= self._counts_kept:
                self._counts = {name: one for name, one in self._counts.items() if any(one)}
                self._counts_kept = max(HOPS_KEPT, 2 * len(self._counts))
            counts = self._counts[hop] = [0, 0, 0, 0]
        return counts

    def make_busy(self, number: int) -> None:
        """A change of the delivery waits for its commit: nothing else may begin."""
        self._entries[number].state |= BUSY

    def remove(self, numbers: list[int]) -> bool:
        """Deliveries of one message are final. True where they were its last ones."""
        pop, counts = self._entries.pop, self._counts
        for number in numbers:
            entry = pop(number)
            counts[entry.hop][entry.state & ~BUSY] -= 1
        seq = numbers[0] >> PLACE_BITS
        left = self._siblings.get(seq, 1) - len(numbers)
        if left:
            self._siblings[seq] = left
            return False
        self._siblings.pop(seq, None)
        self.messages -= 1
        return True

    # --- questions

    def shown_state(self, number: int) -> int | None:
        """The state without regard to waiting changes; None for a delivery that is gone."""
        entry = self._entries.get(number)
        return None if entry is None else entry.state & ~BUSY

    def is_free(self, number: int, state: int) -> bool:
        """Whether the delivery is in `state` and no change of it waits."""
        entry = self._entries.get(number)
        return entry is not None and entry.state == state

    def hop_and_due(self, number: int) -> tuple[str, float]:
        """Of a delivery that is here."""
        entry = self._entries[number]
        return entry.hop, entry.due

    def counts(self) -> dict[str, dict[str, int]]:
        """Deliveries per next hop and state, without zeros."""
        found = {hop: {_NAMES[state]: n for state, n in enumerate(counts) if n} for hop, counts in self._counts.items()}
        return {hop: counts for hop, counts in found.items() if counts}

    def next_due(self, exclude: frozenset[str]) -> float | None:
        """When the first queued delivery is due; the past means now."""
        for hop in list(self._turns):
            if hop not in exclude:
                number = self._oldest(hop)
                if number is not None:
                    return self._entries[number].due
        first = self._first_waiting()
        return None if first is None else first[0]

    # --- leasing

    def take(self, now: float, limit: int, room: Room) -> Iterator[list[int]]:
        """Up to `limit` groups of due deliveries, each of one message and one next hop; they are LEASED from now on.

        Next hops take turns, each gives its oldest message, until it has no `room`.
        """
        self._now = now
        self._promote(now)
        skipped = 0
        left: dict[str, int] = {}
        while limit > 0 and skipped < len(self._turns):
            hop = self._turns[0]
            self._turns.rotate(-1)
            if hop not in left:
                left[hop] = room(hop)
            if left[hop] <= 0:
                skipped += 1
                continue
            group = self._take_oldest(hop)
            if group:
                limit -= 1
                left[hop] -= 1
                skipped = 0
                yield group

    def _take_oldest(self, hop: str) -> list[int]:
        group: list[int] = []
        while (number := self._oldest(hop)) is not None:
            if group and number >> PLACE_BITS != group[0] >> PLACE_BITS:
                break
            heapq.heappop(self._ready[hop])
            self._entries[number].state = LEASED
            group.append(number)
        if group:
            counts = self._counts[hop]
            counts[QUEUED] -= len(group)
            counts[LEASED] += len(group)
        return group

    def _oldest(self, hop: str) -> int | None:
        """The id at the head of a next hop's heap that may be leased; forgets what no longer belongs there."""
        heap = self._ready.get(hop)
        while heap:
            number = heap[0]
            entry = self._entries.get(number)
            if entry is not None and entry.state == QUEUED and entry.hop == hop:
                if entry.due <= self._now:
                    return number
                self._wait(number, hop, entry.due)  # the clock went back
            heapq.heappop(heap)
        if heap is not None:
            del self._ready[hop]
            if self._turns[-1] == hop:  # whose turn it was just now: with very many hops a search would cost more than all the rest
                self._turns.pop()
            else:
                self._turns.remove(hop)
        return None

    def hurry(self, hop: str, now: float) -> Generator[int, None, None]:
        """Make what waits for the next hop `hop` ("": for any) due at `now`, in the order of acceptance. Yields now and then, with how many
        became due since: the loop may go on meanwhile. Close it where it is not run to its end; what it did not come to waits on.
        """
        self._now = now
        for name in [hop] if hop else list(self._waiting):
            waiting = self._waiting.pop(name, None)
            if waiting is not None:
                del self._first[name]
                yield from self._hurry(name, waiting)

    def _hurry(self, hop: str, waiting: list[tuple[float, int]]) -> Generator[int, None, None]:
        """As hurry, for the heap of one next hop, which nobody else knows any more."""
        numbers: Iterator[int] = iter(())
        try:
            runs: list[list[int]] = []
            for start in range(0, len(waiting), AT_ONCE):
                runs.append(sorted([number for _, number in waiting[start : start + AT_ONCE]]))
                yield 0
            numbers = heapq.merge(*runs)
            while some := list(islice(numbers, AT_ONCE)):
                yield sum(self._make_due(number, hop) for number in some)
            waiting = []
        finally:
            for due, number in waiting:  # only where it was broken off
                if self._waits(number, hop, due):
                    self._wait(number, hop, due)

    def _make_due(self, number: int, hop: str) -> bool:
        entry = self._entries.get(number)
        if entry is None or entry.state != QUEUED or entry.hop != hop:
            return False
        entry.due = min(entry.due, self._now)
        self._queue(number, hop, entry.due)
        return True

    # --- what is due later

    def _wait(self, number: int, hop: str, due: float) -> None:
        heap = self._waiting.get(hop)
        if heap is None:
            self._waiting[hop] = [(due, number)]
        else:
            heapq.heappush(heap, (due, number))
        if due < self._first.get(hop, _NEVER):
            self._announce(hop, due)

    def _announce(self, hop: str, due: float) -> None:
        self._first[hop] = due
        heapq.heappush(self._dues, (due, hop))

    def _waits(self, number: int, hop: str, due: float) -> bool:
        entry = self._entries.get(number)
        return entry is not None and entry.state == QUEUED and entry.due == due and entry.hop == hop

    def _first_waiting(self) -> tuple[float, str] | None:
        """(due, next hop) of what is due first. With very many entries that no longer count before it: of one of them, which is earlier."""
        dues = self._dues
        looked_at = 0
        while dues:
            due, hop = dues[0]
            heap = self._waiting.get(hop)
            if heap is None or self._first[hop] != due:
                heapq.heappop(dues)
                continue
            while heap and not self._waits(heap[0][1], hop, heap[0][0]):
                if looked_at == AT_ONCE:
                    return due, hop
                looked_at += 1
                heapq.heappop(heap)
            if heap and heap[0][0] == due:
                return due, hop
            heapq.heappop(dues)
            self._head_changed(hop, heap)
        return None

    def _head_changed(self, hop: str, heap: list[tuple[float, int]]) -> None:
        if heap:
            self._announce(hop, heap[0][0])
        else:
            del self._waiting[hop], self._first[hop]

    def _promote(self, now: float) -> None:
        left = AT_ONCE
        while left > 0 and (first := self._first_waiting()) is not None and first[0] <= now:
            hop = first[1]
            heap = self._waiting[hop]
            while heap and heap[0][0] <= now and left > 0:
                due, number = heapq.heappop(heap)
                left -= 1
                if self._waits(number, hop, due):
                    self._queue(number, hop, due)
            self._head_changed(hop, heap)

    def _queue(self, number: int, hop: str, due: float) -> None:
        if due > self._now:
            self._wait(number, hop, due)
            return
        heap = self._ready.get(hop)
        if heap is None:
            self._ready[hop] = [number]
            self._turns.append(hop)
        else:
            heapq.heappush(heap, number)
