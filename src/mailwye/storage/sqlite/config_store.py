"""The versioned store of settings in one SQLite file, for the service and the command line at once.

WAL with synchronous=FULL: `commit` returns after the fsync. Writers take turns through BEGIN IMMEDIATE and a busy timeout.
The file holds password hashes, so it is readable by its owner only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

import apsw

from mailwye.config.store import (
    EMPTY,
    ConfigStoreError,
    DraftExists,
    NoSuchVersion,
    StoredVersion,
    VersionConflict,
    VersionInfo,
)
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.config.versions.drafts import DraftInfo, DraftSave, StoredDraft
from mailwye.runtime.garbage import collection_paused
from mailwye.storage.sqlite.connection import DatabaseError, explained, open_database
from mailwye.storage.sqlite.settings import rows
from mailwye.storage.sqlite.settings.schema import APPLICATION_ID, FOREVER, SCHEMA_VERSION, create, upgrade

BUSY_SECONDS: Final = 10.0  # that a call waits for another process's save

_INFO = "SELECT version, parent, author, at, comment, restores, draft FROM versions"
_HISTORY = f"{_INFO} WHERE version < ? ORDER BY version DESC LIMIT ?"

_T = TypeVar("_T")


class SqliteConfigStore:
    """Implements config.store.ConfigStore on `path`, which is made where it does not exist (its folder must exist).

    One object may be used by several threads; calls take turns. :raises ConfigStoreError: no store of ours.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._turn = RLock()
        self._cached: StoredVersion = EMPTY  # the last one read or saved: others are made from it by what differs
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
        return self.load(self.version())

    def load(self, version: int) -> StoredVersion:
        """See ConfigStore. From the version that was read last, by the rows that differ; the first one from all its rows."""
        if version == EMPTY.version:
            return EMPTY
        with self._errors():
            cached = self._cached
            if version == cached.version:
                return cached
            info = self._info(version)
            with self._understood(version), self._reading(), collection_paused():
                if cached is EMPTY:
                    organization = rows.whole(self._db, version)
                else:
                    organization = rows.between(self._db, cached.version, version).applied_to(cached.organization)
            stored = StoredVersion(info, organization)
            if version > cached.version:
                self._cached = stored
            return stored

    def history(self, limit: int = 100, *, before: int | None = None) -> Sequence[VersionInfo]:
        """See ConfigStore."""
        with self._errors():
            return [VersionInfo(*row) for row in self._db.execute(_HISTORY, (math.inf if before is None else before, limit))]

    def changes(self, old: int, new: int) -> ChangeSet:
        """See ConfigStore."""
        with self._errors():
            for version in (old, new):
                if version != EMPTY.version:
                    self._info(version)
            with self._understood(max(old, new)):
                return rows.between(self._db, old, new)

    def commit(
        self,
        changes: ChangeSet,
        *,
        expected_version: int,
        author: str,
        at: float,
        comment: str = "",
        restores: int = 0,
        draft: DraftInfo | None = None,
    ) -> int:
        """See ConfigStore."""
        author, comment = _storable(author), _storable(comment)
        name = draft.name if draft is not None else ""

        def insert() -> VersionInfo:
            current = self._version()
            if current != expected_version:
                raise VersionConflict(expected_version, current)
            info = VersionInfo(current + 1, current, author, at, comment, restores, name)
            values = (info.version, info.parent, info.author, info.at, info.comment, info.restores, info.draft)
            self._db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            rows.write_version(self._db, info.version, changes)
            rows.keep_passwords(self._db, changes, info.version, restores)
            if draft is not None:
                rows.expect_revision(self._db, name, draft.revision)
                rows.forget_draft(self._db, name, info.version)
            return info

        info = self._write(insert)
        cached = self._cached
        if cached.version == expected_version:
            self._cached = StoredVersion(info, changes.applied_to(cached.organization))
        return info.version

    def saves(self, version: int) -> Sequence[DraftSave]:
        """See ConfigStore."""
        with self._errors():
            return rows.draft_saves(self._db, "", version)

    def drafts(self) -> Sequence[DraftInfo]:
        """See ConfigStore."""
        with self._errors():
            found = self._db.execute("SELECT name, base, revision, author, at, comment FROM drafts ORDER BY name")
            return [DraftInfo(*row) for row in found]

    def draft(self, name: str) -> StoredDraft:
        """See ConfigStore."""
        with self._errors():
            name = _storable(name)
            with self._reading():
                info = rows.draft_info(self._db, name)
                saves = rows.draft_saves(self._db, name, 0)
                with self._understood(info.base):
                    wanted = rows.draft_objects(self._db, name)
            base = rows.find(self.load(info.base).organization, ((kind, identity) for kind, identity, _ in wanted))
            changes = (ObjectChange(kind, identity, base.get((kind, identity)), after) for kind, identity, after in wanted)
            return StoredDraft(info, ChangeSet.of(changes), saves)

    def new_draft(self, name: str, *, base: int, author: str, at: float, comment: str = "") -> DraftInfo:
        """See ConfigStore."""
        info = DraftInfo(_storable(name), base, 0, _storable(author), at, _storable(comment))

        def insert() -> DraftInfo:
            if base != EMPTY.version:
                self._info(base)
            if list(self._db.execute("SELECT name FROM drafts WHERE name = ?", (info.name,))):
                raise DraftExists(info.name)
            values = (info.name, info.base, info.revision, info.author, info.at, info.comment)
            self._db.execute("INSERT INTO drafts VALUES (?, ?, ?, ?, ?, ?)", values)
            return info

        return self._write(insert)

    def save_draft(self, name: str, changes: ChangeSet, *, expected_revision: int, author: str, at: float, comment: str = "") -> DraftInfo:
        """See ConfigStore."""
        name, author, comment = _storable(name), _storable(author), _storable(comment)

        def write() -> DraftInfo:
            rows.expect_revision(self._db, name, expected_revision)
            revision = expected_revision + 1
            self._db.execute("UPDATE drafts SET revision = ? WHERE name = ?", (revision, name))
            self._db.execute("INSERT INTO draft_saves VALUES (?, 0, ?, ?, ?, ?)", (name, revision, author, at, comment))
            rows.write_draft(self._db, name, changes)
            return rows.draft_info(self._db, name)

        return self._write(write)

    def discard_draft(self, name: str) -> bool:
        """See ConfigStore."""

        def delete() -> bool:
            found = bool(list(self._db.execute("SELECT name FROM drafts WHERE name = ?", (_storable(name),))))
            rows.forget_draft(self._db, _storable(name), 0)
            return found

        return self._write(delete)

    def set_password(self, mailbox: str, password_hash: str) -> None:
        """See ConfigStore."""
        statement = "INSERT INTO passwords VALUES (?, ?, 0) ON CONFLICT (mailbox) DO UPDATE SET hash = excluded.hash, removed = 0"
        self._write(lambda: self._db.execute(statement, (mailbox.lower(), password_hash)))

    def password_hash(self, mailbox: str) -> str | None:
        """See ConfigStore."""
        with self._errors():
            row = self._row("SELECT hash FROM passwords WHERE mailbox = ? AND removed = 0", (mailbox.lower(),))
            return None if row is None else str(row[0])

    def remove_password(self, mailbox: str) -> bool:
        """See ConfigStore."""

        def delete() -> bool:
            found = self._row("SELECT removed FROM passwords WHERE mailbox = ?", (mailbox.lower(),))
            self._db.execute("DELETE FROM passwords WHERE mailbox = ?", (mailbox.lower(),))
            return found == (0,)

        return self._write(delete)

    def close(self) -> None:
        """See ConfigStore."""
        self._db.close()

    def _version(self) -> int:
        row = self._row("SELECT max(version) FROM versions", ())
        return 0 if row is None or row[0] is None else int(row[0])

    def _info(self, version: int) -> VersionInfo:
        known = 0 < version < FOREVER  # what SQLite's integers hold
        row = self._row(f"{_INFO} WHERE version = ?", (version,)) if known else None
        if row is None:
            raise NoSuchVersion(version)
        return VersionInfo(*row)

    def _row(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        found: list[tuple[Any, ...]] = list(self._db.execute(statement, values))
        return found[0] if found else None

    def _write(self, work: Callable[[], _T]) -> _T:
        """Do `work` in one transaction; whatever goes wrong, nothing of it stays."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                    self._db.execute("ROLLBACK")
                raise
            return result

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Several reads see one state of the file."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _prepare(self) -> None:
        """Make the tables of a new file, bring an older one to today's form, refuse what is not ours."""
        self._write(self._prepare_tables)  # two processes may meet a new file at the same moment

    def _prepare_tables(self) -> None:
        application, form = self._db.pragma("application_id"), self._db.pragma("user_version")
        if (application, form) == (0, 0) and self._row("SELECT count(*) FROM sqlite_master", ()) == (0,):
            create(self._db)
        elif application != APPLICATION_ID:
            raise ConfigStoreError(f"{self._path}: this is not a settings file of Mailwye; move it away or correct data_directory")
        elif form != SCHEMA_VERSION and not upgrade(self._db, int(form)):
            wanted = f"its form is {form}, this Mailwye knows {SCHEMA_VERSION}"
            raise ConfigStoreError(f"{self._path}: {wanted}; use the Mailwye that wrote it, or a newer one")

    @staticmethod
    def _create_private(path: Path) -> None:
        """An existing file keeps its mode; SQLite gives the mode to the files that it puts beside it."""
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    @contextmanager
    def _understood(self, version: int) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise ConfigStoreError(
                f"{self._path}: version {version} cannot be understood ({reason}); was it written by a newer Mailwye?"
            ) from error

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
