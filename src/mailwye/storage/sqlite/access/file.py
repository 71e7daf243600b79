"""A small database file of its own, readable by its owner only, used from several threads and processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from mailwye.storage.sqlite.connection import DatabaseError, abandon, explained, open_database

FILE_MODE = 0o600


class AccessFile:
    """`forms`: what makes the first form of the file, then each later one out of the one before; the number is kept in user_version.

    :raises DatabaseError: damaged, no right to it, or of a later form than is known here.
    """

    def __init__(self, path: Path, forms: Sequence[str]) -> None:
        self._path = path
        self._lock = threading.Lock()
        with suppress(FileExistsError):  # made before SQLite does it, so that nobody else can read it at any moment
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        self._db = open_database(path)
        try:
            with self.transaction() as db:
                form: Any = db.pragma("user_version")
                if form > len(forms):
                    raise DatabaseError(f"{path} was written by a newer Mailwye: use that one")
                for script in forms[form:]:
                    db.execute(script)
                if form < len(forms):
                    db.pragma("user_version", len(forms))
        except DatabaseError:
            abandon(self._db)
            raise

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """One thread at a time; all or nothing. :raises DatabaseError: nothing was changed."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except apsw.Error as error:
                if self._db.in_transaction:
                    with suppress(apsw.Error):
                        self._db.execute("ROLLBACK")
                raise explained(self._path, error) from error

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """For statements that change nothing. :raises DatabaseError:"""
        with self._lock:
            try:
                yield self._db
            except apsw.Error as error:
                raise explained(self._path, error) from error

    def close(self) -> None:
        """Harmless when repeated."""
        with self._lock:
            abandon(self._db)
