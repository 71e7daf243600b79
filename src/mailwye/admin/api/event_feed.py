"""What happens in the service, for whoever listens: numbered, the latest kept, so that a listener who was away goes on where he was."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEPT = 1_000  # events
LISTENERS = 100
LISTENERS_OF_ONE = 20


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """`number` grows, also over restarts of the service. `kind`: "version", "alert", "missed"."""

    number: int
    kind: str
    data: dict[str, Any]


class EventFeed:
    """`begin`: the first number; from the clock, so that numbers of an earlier run are below it."""

    def __init__(self, begin: int) -> None:
        self._events: deque[FeedEvent] = deque(maxlen=KEPT)
        self._next = begin
        self._changed = asyncio.Event()
        self._closed = False
        self._listening: Counter[str] = Counter()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        """Tell everybody who listens."""
        self._events.append(FeedEvent(self._next, kind, data))
        self._next += 1
        self._wake()

    @property
    def latest(self) -> int:
        """The number of the newest event."""
        return self._next - 1

    @property
    def listeners(self) -> int:
        """How many listen."""
        return self._listening.total()

    def is_full_for(self, who: str) -> bool:
        """More listeners would cost more than they are worth, and nobody takes all places."""
        return self.listeners >= LISTENERS or self._listening[who] >= LISTENERS_OF_ONE

    async def after(self, number: int, who: str = "") -> AsyncIterator[FeedEvent]:
        """For the listener `who`: what came after `number` and what comes. Begins with a "missed" where some of it is not kept any more.
        Ends with `close`.
        """
        first = self._events[0].number if self._events else self._next
        if number < first - 1:
            yield FeedEvent(first - 1, "missed", {"after": number})
            number = first - 1
        self._listening[who] += 1
        try:
            while True:
                for event in [event for event in self._events if event.number > number]:
                    number = event.number
                    yield event
                if self._closed:
                    return
                if self.latest <= number:
                    await self._changed.wait()
        finally:
            self._listening[who] -= 1
            if not self._listening[who]:
                del self._listening[who]

    def close(self) -> None:
        """Let all listeners go."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
