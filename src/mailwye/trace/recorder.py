"""The ports of the trace: record (never waits, never fails the mail), and search."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec

from mailwye.trace.event import TraceEvent


class TraceRecorder(Protocol):
    """Takes events off the reply path and stores them in batches."""

    def record(self, event: TraceEvent) -> None:
        """Take one event. Returns at once. When the buffer's named limit is reached, the oldest are dropped and counted."""
        ...

    def close(self) -> Awaitable[None]:
        """Store what waits, then close."""
        ...


class TracePlace(msgspec.Struct, frozen=True):
    """Where a row stands among all rows: newest first; of one moment in the order of messages (or sessions), then of recipients."""

    received_at: float
    trace_id: str
    recipient: str

    @property
    def order(self) -> tuple[float, str, str]:
        """For sorting."""
        return -self.received_at, self.trace_id, self.recipient


class TraceQuery(msgspec.Struct, frozen=True):
    """What to find. Empty fields do not restrict; `sender` and `recipient` may be `*@domain`. Times in Unix seconds. `after`: only rows
    behind that place, which is how to go on after a page; rows that come meanwhile move none.
    """

    sender: str = ""
    recipient: str = ""
    message_id: str = ""  # header Message-ID or queue id
    status: str = ""
    since: float = 0.0
    until: float = 0.0
    limit: int = 1000
    after: TracePlace | None = None


class TraceRow(msgspec.Struct, frozen=True):
    """One row per recipient: the newest status of one message for one recipient."""

    received_at: float
    message: str
    session: str
    message_id: str
    subject: str
    sender: str
    recipient: str
    status: str
    connector: str
    detail: str
    size: int
    peer_address: str


def place_of(row: TraceRow) -> TracePlace:
    """Where `row` stands."""
    return TracePlace(row.received_at, row.message or row.session, row.recipient)


class TraceSearch(Protocol):
    """Reads the trace."""

    def search(self, query: TraceQuery) -> Sequence[TraceRow]:
        """Rows in the order of their places, newest first."""
        ...

    def events(self, trace_id: str) -> Sequence[TraceEvent]:
        """All events of one queue id or session id, oldest first."""
        ...
