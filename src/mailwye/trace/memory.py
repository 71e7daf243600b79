"""The trace in memory: recorder and search in one, for tests and simulations; the specification of storage/sqlite's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

from mailwye.trace.event import TraceEvent, each
from mailwye.trace.recorder import TraceQuery, TraceRow, place_of
from mailwye.trace.summary import RecipientFacts, Summary, matches, row


class MemoryTrace:
    """Keeps the newest `limit` events. `dropped`: how many went."""

    def __init__(self, limit: int = 100_000) -> None:
        self.recorded: deque[TraceEvent] = deque(maxlen=limit)
        self.dropped = 0

    def record(self, event: TraceEvent) -> None:
        """See TraceRecorder."""
        for one in each(event):
            if len(self.recorded) == self.recorded.maxlen:
                self.dropped += 1
            self.recorded.append(one)

    def close(self) -> Awaitable[None]:
        """Nothing waits."""
        return asyncio.sleep(0)

    def search(self, query: TraceQuery) -> Sequence[TraceRow]:
        """See TraceSearch."""
        summary = Summary()
        for event in self.recorded:
            summary.apply(event)
        keys: dict[tuple[str, str], RecipientFacts] = dict(summary.recipients)
        owners = {trace_id for trace_id, _ in keys}
        keys |= {(trace_id, ""): facts for trace_id, facts in summary.whole.items() if trace_id not in owners}
        rows = [row(summary.messages[trace_id], recipient, facts) for (trace_id, recipient), facts in keys.items()]
        found = [one for one in rows if one.received_at and matches(query, one)]
        found.sort(key=lambda one: place_of(one).order)
        return found[: query.limit]

    def events(self, trace_id: str) -> Sequence[TraceEvent]:
        """See TraceSearch."""
        found = [one for one in self.recorded if trace_id and trace_id in (one.message, one.session)]
        return sorted(found, key=lambda one: one.at)
