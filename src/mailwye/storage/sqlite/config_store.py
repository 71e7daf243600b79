"""The versioned store of settings in one SQLite file, for the service and the command line at once.

WAL with synchronous=FULL: `save` returns after the fsync. Writers take turns through BEGIN IMMEDIATE and a busy timeout.
The file holds password hashes, so it is readable by its owner only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import apsw

from mailwye.config.export import from_json, in_order, to_json
from mailwye.config.schema import Organization
from mailwye.config.store import EMPTY, ConfigStoreError, NoSuchVersion, StoredVersion, VersionConflict, VersionInfo
from mailwye.storage.sqlite.connection import DatabaseError, explained, open_database

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x4D577965  # "MWye": another program's file is not mistaken for ours
BUSY_SECONDS: Final = 10.0  # that a call waits for another process's save

_T = TypeVar("_T")

_SCHEMA = """
CREATE TABLE versions (
  version INTEGER PRIMARY KEY,
  parent INTEGER NOT NULL,
  author TEXT NOT NULL,
  at REAL NOT NULL,
  comment TEXT NOT NULL,
  organization TEXT NOT NULL
) STRICT;
CREATE TABLE passwords (mailbox TEXT PRIMARY KEY, hash TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


class SqliteConfigStore:
    """Implements config.store.ConfigStore on `path`, which is made where it does not exist (its folder must exist).

    One object may be used by several threads; calls take turns. :raises ConfigStoreError: no store of ours.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._turn = Lock()
        self._cached: StoredVersion = EMPTY
        with self._errors():
            self._create_private(path)
            self._db = open_database(path, busy_seconds=busy_seconds)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def version(self) -> int:
        """See ConfigStore. One read of the index's last entry, some microseconds."""
        with self._errors():
            return self._version()

    def current(self) -> StoredVersion:
        """See ConfigStore. The last one read is kept, so asking again costs one look at the number."""
        version = self.version()
        return self._cached if version == self._cached.version else self.load(version)

    def load(self, version: int) -> StoredVersion:
        """See ConfigStore."""
        if version == EMPTY.version:
            return EMPTY
        with self._errors():
            row = self._row("SELECT version, parent, author, at, comment, organization FROM versions WHERE version = ?", (version,))
        if row is None:
            raise NoSuchVersion(version)
        *info, text = row
        try:
            stored = StoredVersion(VersionInfo(*info), from_json(text))
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise ConfigStoreError(
                f"{self._path}: version {version} cannot be understood ({reason}); was it written by a newer Mailwye?"
            ) from error
        if version > self._cached.version:
            self._cached = stored
        return stored

    def history(self, limit: int = 100) -> Sequence[VersionInfo]:
        """See ConfigStore."""
        with self._errors():
            rows = self._db.execute("SELECT version, parent, author, at, comment FROM versions ORDER BY version DESC LIMIT ?", (limit,))
            return [VersionInfo(*row) for row in rows]

    def save(self, organization: Organization, *, expected_version: int, author: str, at: float, comment: str = "") -> int:
        """See ConfigStore."""
        text, author, comment = to_json(organization), _storable(author), _storable(comment)

        def insert() -> int:
            current = self._version()
            if current != expected_version:
                raise VersionConflict(expected_version, current)
            self._db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", (current + 1, current, author, at, comment, text))
            return current + 1

        version = self._write(insert)
        self._cached = StoredVersion(VersionInfo(version, expected_version, author, at, comment), in_order(organization))
        return version

    def set_password(self, mailbox: str, password_hash: str) -> None:
        """See ConfigStore."""
        statement = "INSERT INTO passwords VALUES (?, ?) ON CONFLICT (mailbox) DO UPDATE SET hash = excluded.hash"
        self._write(lambda: self._db.execute(statement, (mailbox.lower(), password_hash)))

    def password_hash(self, mailbox: str) -> str | None:
        """See ConfigStore."""
        with self._errors():
            row = self._row("SELECT hash FROM passwords WHERE mailbox = ?", (mailbox.lower(),))
            return None if row is None else str(row[0])

    def remove_password(self, mailbox: str) -> bool:
        """See ConfigStore."""

        def delete() -> bool:
            self._db.execute("DELETE FROM passwords WHERE mailbox = ?", (mailbox.lower(),))
            return self._db.changes() > 0

        return self._write(delete)

    def close(self) -> None:
        """See ConfigStore."""
        self._db.close()

    def _version(self) -> int:
        row = self._row("SELECT max(version) FROM versions", ())
        return 0 if row is None or row[0] is None else int(row[0])

    def _row(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        rows: list[tuple[Any, ...]] = list(self._db.execute(statement, values))
        return rows[0] if rows else None

    def _write(self, work: Callable[[], _T]) -> _T:
        """Do `work` in one transaction; whatever goes wrong, nothing of it stays."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            return result

    def _prepare(self) -> None:
        """Make the tables of a new file, refuse what is not ours."""
        self._db.execute("BEGIN IMMEDIATE")  # two processes may meet a new file at the same moment
        try:
            application, schema = self._db.pragma("application_id"), self._db.pragma("user_version")
            if (application, schema) == (0, 0) and self._row("SELECT count(*) FROM sqlite_master", ()) == (0,):
                self._db.execute(_SCHEMA)
                self._db.pragma("application_id", APPLICATION_ID)
                self._db.pragma("user_version", SCHEMA_VERSION)
            elif application != APPLICATION_ID:
                raise ConfigStoreError(f"{self._path}: this is not a settings file of Mailwye; move it away or correct data_directory")
            elif schema != SCHEMA_VERSION:
                wanted = f"its form is {schema}, this Mailwye knows {SCHEMA_VERSION}"
                raise ConfigStoreError(f"{self._path}: {wanted}; use the Mailwye that wrote it, or a newer one")
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                self._db.execute("ROLLBACK")
            raise

    @staticmethod
    def _create_private(path: Path) -> None:
        """An existing file keeps its mode; SQLite gives the mode to the files that it puts beside it."""
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except DatabaseError as error:
            raise ConfigStoreError(str(error)) from error
        except apsw.ConnectionClosedError as error:
            raise ConfigStoreError(f"{self._path}: the store was closed") from error
        except apsw.Error as error:
            raise ConfigStoreError(str(explained(self._path, error))) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigStoreError(f"{self._path} cannot be opened: {reason}. Check data_directory, its owner and mode") from error


def _storable(text: str) -> str:
    """Command line arguments may hold octets that are no UTF-8 (surrogates in Python); SQLite takes none."""
    return text.encode("utf-8", "replace").decode("utf-8")
