"""The files of the trace: one per worker and day (UTC), `2026-11-24-worker-0.sqlite`, so that forgetting is removing a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import apsw

from mailwye.storage.sqlite.connection import open_database

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)-worker-(\d+)\.sqlite")

SCHEMA_VERSION = 2
# One row holds what was recorded of one message (or of a session without one) between two flushes: a message on the straight way out is
# one row, found by its `key` (queue id, else session id), its session and its arrival; the other columns keep searches from decoding
# what they do not want. `recipients`: "\n" before, between and after them. `events`: see trace_rows.py.
SCHEMA = """
CREATE TABLE entry(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, session TEXT NOT NULL, arrived REAL NOT NULL, message_id TEXT NOT NULL, sender TEXT NOT NULL,
  recipients TEXT NOT NULL, events BLOB NOT NULL);
CREATE INDEX entry_by_key ON entry(key);
CREATE INDEX entry_by_session ON entry(session) WHERE session <> key;
CREATE INDEX entry_by_arrival ON entry(arrived) WHERE arrived > 0;
"""


@dataclass(frozen=True, slots=True, order=True)
class TraceFile:
    """One file, by its name."""

    day: date
    worker: int
    path: Path


def day_of(at: float) -> date:
    """The day (UTC) of a Unix time; times outside of the calendar count as its first or last day."""
    try:
        return datetime.fromtimestamp(at, UTC).date()
    except (ValueError, OverflowError, OSError):
        return date.max if at > 0 else date.min


def trace_path(directory: Path, day: date, worker: int) -> Path:
    """Where the events of a day go."""
    return directory / f"{day.isoformat()}-worker-{worker}.sqlite"


def trace_files(directory: Path) -> list[TraceFile]:
    """All trace files of all workers, oldest day first."""
    found: list[TraceFile] = []
    for path in directory.iterdir() if directory.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.append(TraceFile(date.fromisoformat(match[1]), int(match[2]), path))
    return sorted(found)


def open_for_writing(path: Path) -> apsw.Connection:
    """A trace file, made where it is missing. synchronous=NORMAL: nobody was promised that a trace survives a power cut.

    :raises DatabaseError: it cannot be opened. :raises apsw.Error: it cannot be written.
    """
    connection = open_database(path, page_size=8192, synchronous="NORMAL")
    if connection.pragma("user_version") != SCHEMA_VERSION:  # a new file, or today's of an older Mailwye: what that wrote stays beside ours
        with connection:
            connection.execute(SCHEMA)
            connection.pragma("user_version", SCHEMA_VERSION)
    return connection


def remove_old(directory: Path, today: date, retention_days: int) -> int:
    """Remove the files that are more than `retention_days` older than `today`; how many. Those of all workers: some may be no more."""
    removed = 0
    for file in trace_files(directory):
        if today - file.day > timedelta(days=retention_days):
            for suffix in ("", "-wal", "-shm"):
                file.path.with_name(file.path.name + suffix).unlink(missing_ok=True)
            removed += 1
    return removed
