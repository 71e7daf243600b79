"""Opening SQLite database files, alike for queue, trace and configuration."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw

from mailwye.runtime.files import sync_directories
from mailwye.runtime.store_error import StoreError

PAGE_SIZE: Final = 8192  # of queue files. Measured: as fast as 4096 with 4 KiB messages, 1.4 times with 100 KiB ones
_WAIT: Final = 0.01  # seconds between two tries at the write-ahead log, for which SQLite does not wait itself


class DatabaseError(StoreError):
    """A database file cannot be used. The text names the file and the remedy."""


def open_database(
    path: Path,
    *,
    page_size: int = 4096,
    synchronous: str = "FULL",
    read_only: bool = False,
    busy_seconds: float = 5.0,
    vfs: str | None = None,
) -> apsw.Connection:
    """A connection to the database file `path` in write-ahead log mode; the file is made where it is missing (not with `read_only`).

    `synchronous` "FULL" makes every commit survive a power cut, "NORMAL" loses the latest commits then (reliability.md, fact 0.3):
    only for what nobody was promised. `page_size` in octets counts for new files only. `vfs`: the name of another file layer of SQLite
    (tests of disks that fail).
    :raises DatabaseError: no such file, no right to it, or no SQLite database; or ("FULL") its name would not survive a power cut.
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = None
    try:
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=100)
        if not read_only:
            connection.pragma("page_size", page_size)
            if _into_wal(connection, busy_seconds) != "wal":
                raise DatabaseError(f"{path}: the file system cannot hold a write-ahead log; put the data directory on a local disk")
            connection.pragma("synchronous", synchronous)
        connection.set_busy_timeout(int(busy_seconds * 1000))
        connection.pragma("schema_version")  # reads the file's head: is it a database at all?
    except apsw.Error as error:
        if connection is not None:
            abandon(connection)
        raise explained(path, error) from error
    if synchronous == "FULL" and not read_only and vfs is None:
        _keep_names(path, connection)
    return connection


def _into_wal(connection: apsw.Connection, busy_seconds: float) -> object:
    """Switch to the write-ahead log, as often as it takes within `busy_seconds`; the mode the file has then.

    SQLite asks its busy handler only for some of the locks that the switch needs and fails at once for the others, so of two workers
    that meet a new file one would not start. The mode stays with the file: for one that has it there is nothing to wait for.

    :raises apsw.BusyError: somebody held the file all that time.
    """
    connection.set_busy_timeout(0)
    for _ in range(int(busy_seconds / _WAIT)):
        with suppress(apsw.BusyError):
            return connection.pragma("journal_mode", "wal")
        time.sleep(_WAIT)
    return connection.pragma("journal_mode", "wal")


def _keep_names(path: Path, connection: apsw.Connection) -> None:
    """Bring the names of database and log to the disk. SQLite does that too, but goes on when it fails; then whole files could be gone
    after a power cut, with all that was acknowledged.
    """
    try:
        sync_directories((path.parent,))
    except OSError as error:
        abandon(connection)
        raise DatabaseError(f"{path.parent} cannot be synced: {error.strerror}. Check the disk and the system's log") from error


def abandon(connection: apsw.Connection) -> None:
    """Close a connection that may be in trouble: what closing reports is not news. What was not committed is rolled back."""
    with suppress(apsw.Error):
        connection.close(True)


def explained(path: Path, error: apsw.Error) -> DatabaseError:
    """`error` in words for people, with the file and what to do."""
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        return DatabaseError(
            f"{path} is damaged: {error}. Stop the service, keep a copy of the file with its -wal, "
            f"then restore it from backup or salvage it with `sqlite3 {path.name} .recover`"
        )
    if isinstance(error, apsw.FullError):
        return DatabaseError(f"{path}: no space left on the disk ({error}). Free some space")
    if isinstance(error, apsw.CantOpenError | apsw.PermissionsError | apsw.ReadOnlyError | apsw.AuthError):
        return DatabaseError(f"{path} cannot be opened: {error}. Check that the directory exists and belongs to the service's user")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return DatabaseError(f"{path} is in use by another process: {error}. Stop that process first")
    return DatabaseError(f"{path}: {error}. Check the disk and the system's log")
