"""The recorder of traffic: occurrences leave the event loop by a list and are told and written by a thread. Nothing here can fail the mail:
what cannot be written is dropped and counted.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from itertools import groupby
from pathlib import Path

import apsw

from mailwye.storage.sqlite.connection import DatabaseError, abandon, open_database
from mailwye.storage.sqlite.trace_files import day_of, remove_old, trace_files, trace_path
from mailwye.storage.sqlite.traffic import rows as sql
from mailwye.storage.sqlite.traffic.rows import Rows
from mailwye.whatif.traffic import Countable, Occurrence

WAITING_LIMIT = 50_000  # occurrences that may wait for the disk
BATCH = 2_000  # occurrences in one transaction


def _no_alert(_text: str) -> None:
    """Nobody wants to know."""


class SqliteTraffic:
    """A TrafficStore that writes `directory` (made where it is missing) for one worker.

    Files older than `retention_days` go. With more than `octets` in all files the oldest days go as well, and where today's alone has as
    many, what is new is dropped. With fewer free octets than `free_space_minimum` nothing is written: the room belongs to the queue.
    `dropped`: occurrences that were lost. `on_alert` is called in the writing thread.
    """

    def __init__(
        self,
        directory: Path,
        worker: int,
        *,
        retention_days: int = 7,
        octets: int = 1 << 30,
        free_space_minimum: int = 67_108_864,
        on_alert: Callable[[str], None] = _no_alert,
    ) -> None:
        self._directory = directory
        self._worker = worker
        self._retention_days = retention_days
        self._octets = octets
        self._free_space_minimum = free_space_minimum
        self._alert = on_alert
        self._waiting: list[Countable] = []
        self._connection: apsw.Connection | None = None
        self._day = date.min
        self._full = False
        self._failing = False
        self._faulty = False
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self.dropped = 0
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._thread = threading.Thread(target=self._work, name="traffic-write", daemon=True)
        self._thread.start()

    def add(self, seen: Sequence[Countable]) -> None:
        """See TrafficStore."""
        if len(self._waiting) + len(seen) > WAITING_LIMIT:
            self.dropped += len(seen)
            return
        self._waiting.extend(seen)
        self._wake.set()

    async def flush(self) -> None:
        """See TrafficStore."""
        await asyncio.get_running_loop().run_in_executor(None, self._store)

    async def close(self) -> None:
        """See TrafficStore."""
        self._closing = True
        self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    # --- in the writing thread

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            self._store()
        self._store()
        self._forget()

    def _store(self) -> None:
        with self._writing:
            while self._waiting:
                batch = self._waiting[:BATCH]
                del self._waiting[:BATCH]  # the event loop only appends
                occurrences = sorted(self._told(batch), key=lambda one: one.at)
                for day, of_day in groupby(occurrences, key=lambda one: day_of(one.at)):
                    self._store_day(day, list(of_day))

    def _told(self, batch: Sequence[Countable]) -> Iterator[Occurrence]:
        for one in batch:
            try:
                yield one.occurrence()
            except Exception as error:  # noqa: BLE001 - a fault of ours at one envelope must not end the recording of all others
                self.dropped += 1
                if not self._faulty:  # said once: the next batch may meet the same envelope again
                    self._alert(f"Internal error: envelopes that cannot be recorded for replays: {error!r}")
                self._faulty = True

    def _store_day(self, day: date, occurrences: list[Occurrence]) -> None:
        try:
            self._check_space()
            connection = self._open(day)
            if self._full:
                self.dropped += len(occurrences)
                return
            rows = Rows(occurrences)
            with connection:
                connection.executemany(sql.ADD_PEER, sorted(rows.peers.items()))
                connection.executemany(sql.ADD_ANSWER, sorted(rows.answers.items()))
                connection.executemany(sql.ADD_ENVELOPE, ((number, *rest) for number, rest in sorted(rows.envelopes.items())))
                connection.executemany(sql.ADD_SEEN, rows.seen)
        except (apsw.Error, DatabaseError, OSError, ValueError) as error:
            self.dropped += len(occurrences)
            self._forget()
            if not self._failing:
                self._alert(f"traffic cannot be recorded for replays: {error}")
            self._failing = True
        else:
            self._failing = False
            self._make_room()

    def _check_space(self) -> None:
        found = os.statvfs(self._directory)
        if found.f_bavail * found.f_frsize < self._free_space_minimum:
            raise DatabaseError(f"{self._directory}: less free space than free_space_minimum; free some space")

    def _open(self, day: date) -> apsw.Connection:
        if self._connection is None or day != self._day:
            self._forget()
            connection = open_database(trace_path(self._directory, day, self._worker), page_size=4096, synchronous="NORMAL")
            if connection.pragma("user_version") != sql.SCHEMA_VERSION:
                with connection:
                    connection.execute(sql.SCHEMA)
                    connection.pragma("user_version", sql.SCHEMA_VERSION)
            self._connection = connection
            if day > self._day:
                self._day, self._full = day, False
                remove_old(self._directory, day, self._retention_days - 1)
            self._day = day
        return self._connection

    def _make_room(self) -> None:
        """Keep all files together below `octets`: the oldest days go."""
        files = trace_files(self._directory)
        sizes = [_size(file.path) for file in files]
        total = sum(sizes)
        for file, size in zip(files, sizes, strict=True):
            if total <= self._octets or file.day >= self._day:
                break
            total -= size
            for suffix in ("", "-wal", "-shm"):
                file.path.with_name(file.path.name + suffix).unlink(missing_ok=True)
        if total > self._octets and not self._full:
            self._full = True
            self._alert(f"{self._directory}: today's recorded traffic alone has {total} octets: no more is recorded today (replay.octets)")

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            abandon(connection)


def _size(path: Path) -> int:
    """Octets of a file with its write-ahead log."""
    size = 0
    for suffix in ("", "-wal"):
        with suppress(OSError):
            size += path.with_name(path.name + suffix).stat().st_size
    return size
