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


class TraceQuery(msgspec.Struct, frozen=True):
    """What to find. Empty fields do not restrict; `sender` and `recipient` may be `*@domain`. Times in Unix seconds."""

    sender: str = ""
    recipient: str = ""
    message_id: str = ""  # header Message-ID or queue id
    status: str = ""
    since: float = 0.0
    until: float = 0.0
    limit: int = 1000


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


class TraceSearch(Protocol):
    """Reads the trace."""

    def search(self, query: TraceQuery) -> Sequence[TraceRow]:
        """Rows, newest first."""
        ...

    def events(self, trace_id: str) -> Sequence[TraceEvent]:
        """All events of one queue id or session id, oldest first."""
        ...
