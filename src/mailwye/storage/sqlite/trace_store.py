"""The trace of one worker on disk: events leave the reply path by a buffer and are written in batches by a thread.

Nothing here can fail the mail: what cannot be written is dropped and counted.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import date
from itertools import groupby
from pathlib import Path

import apsw

from mailwye.storage.sqlite.connection import DatabaseError, abandon
from mailwye.storage.sqlite.trace_files import day_of, open_for_writing, remove_old, trace_path
from mailwye.storage.sqlite.trace_rows import entries
from mailwye.trace.event import TraceEvent

FLUSH_SECONDS = 0.25
FLUSH_EVENTS = 2_000
_BATCH = 5_000  # events in one transaction
_OPEN_DAYS = 2  # files kept open: around midnight there are events of two days

_ADD = "INSERT INTO entry(key, session, arrived, message_id, sender, recipients, events) VALUES(?, ?, ?, ?, ?, ?, ?)"


def _no_alert(_text: str) -> None:
    """Nobody wants to know."""


class SqliteTraceRecorder:
    """A TraceRecorder that writes `directory` (made where it is missing).

    `buffer_events`: events that may wait; beyond it the oldest are dropped. `free_space_minimum` octets: below it nothing is written, the
    room belongs to the queue. `dropped` counts what was lost, `written` what was stored. `on_alert` is called in the writing thread.
    """

    def __init__(
        self,
        directory: Path,
        worker: int,
        *,
        buffer_events: int = 100_000,
        retention_days: int = 30,
        free_space_minimum: int = 67_108_864,
        on_alert: Callable[[str], None] = _no_alert,
    ) -> None:
        self._directory = directory
        self._worker = worker
        self._limit = buffer_events
        self._retention_days = retention_days
        self._free_space_minimum = free_space_minimum
        self._alert = on_alert
        self._buffer: deque[TraceEvent] = deque(maxlen=buffer_events)
        self._append = self._buffer.append
        self._open: dict[date, apsw.Connection] = {}
        self._today = date.min
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._failing = False
        self.dropped = 0
        self.written = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._work, name="trace-write", daemon=True)
        self._thread.start()

    def record(self, event: TraceEvent) -> None:
        """See TraceRecorder."""
        waiting = len(self._buffer)
        if waiting == self._limit:
            self.dropped += 1
        elif waiting == FLUSH_EVENTS:
            self._wake.set()
        self._append(event)

    async def flush(self) -> None:
        """Wait until everything recorded so far is stored (or dropped)."""
        await asyncio.get_running_loop().run_in_executor(None, self._store)

    async def close(self) -> None:
        """See TraceRecorder."""
        self._closing = True
        self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    # --- in the writing thread

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._store()
        self._store()
        for connection in self._open.values():
            connection.close()

    def _store(self) -> None:
        with self._writing:
            while self._buffer:
                batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), _BATCH))]
                for day, events in _days(batch):
                    self._store_day(day, events)

    def _store_day(self, day: date, events: list[TraceEvent]) -> None:
        try:
            found = os.statvfs(self._directory)
            if found.f_bavail * found.f_frsize < self._free_space_minimum:
                raise DatabaseError(f"{self._directory}: less free space than free_space_minimum; free some space")
            connection = self._connection(day)
            with connection:
                connection.executemany(_ADD, entries(events))
        except (apsw.Error, DatabaseError, OSError, ValueError) as error:
            self.dropped += len(events)
            self._forget(day)
            if not self._failing:
                self._alert(f"the trace cannot be written, events are lost: {error}")
            self._failing = True
        else:
            self.written += len(events)
            self._failing = False

    def _connection(self, day: date) -> apsw.Connection:
        connection = self._open.get(day)
        if connection is None:
            while len(self._open) >= _OPEN_DAYS:
                self._forget(min(self._open))
            connection = self._open[day] = open_for_writing(trace_path(self._directory, day, self._worker))
            if day > self._today:
                self._today = day
                remove_old(self._directory, day, self._retention_days)
        return connection

    def _forget(self, day: date) -> None:
        connection = self._open.pop(day, None)
        if connection is not None:
            abandon(connection)


def _days(events: list[TraceEvent]) -> Iterator[tuple[date, list[TraceEvent]]]:
    """`events` by the day of each, in their order."""
    first, times = day_of(events[0].at), [event.at for event in events]
    if first == day_of(min(times)) == day_of(max(times)):
        yield first, events
        return
    for day, some in groupby(events, key=lambda event: day_of(event.at)):
        yield day, list(some)
