"""The audit log in audit.sqlite. The file itself refuses to alter or delete a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mailwye.access.audit import BEGINNING, AuditError, Entry, Event, broken_at, digest_of, shortened
from mailwye.storage.sqlite.access.file import AccessFile
from mailwye.storage.sqlite.connection import DatabaseError

_SCHEMA = """
CREATE TABLE entries (
  number INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
  result TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE TRIGGER no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
"""
_ROW = "SELECT number, at, who, origin, action, target, result, digest FROM entries"
_PAGE = 1_000  # entries that `verify` holds at once


class SqliteAuditLog:
    """Implements access.audit.AuditLog."""

    def __init__(self, path: Path) -> None:
        """:raises AuditError: the file cannot be used; says what to do."""
        with _errors():
            self._file = AccessFile(path, (_SCHEMA,))

    def record(self, event: Event) -> Entry:
        """See AuditLog."""
        event = shortened(event)
        with _errors(), self._file.transaction() as db:
            last: Any = db.execute("SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1").fetchone()
            number, before = last or (0, BEGINNING)
            entry = Entry(number + 1, event, digest_of(before, event))
            values = (entry.number, event.at, event.who, event.origin, event.action, event.target, event.result, entry.digest)
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return entry

    def entries(self, *, before: int = 0, limit: int = 100, who: str = "", action: str = "") -> Sequence[Entry]:
        """See AuditLog."""
        where = "(?1 = 0 OR number < ?1) AND (?2 = '' OR who = ?2 OR substr(who, 1, length(?2) + 2) = ?2 || ' (')"
        where += " AND (?3 = '' OR action = ?3 OR substr(action, 1, length(?3) + 1) = ?3 || '.')"
        with _errors(), self._file.reading() as db:
            return [_entry(row) for row in db.execute(f"{_ROW} WHERE {where} ORDER BY number DESC LIMIT ?4", (before, who, action, limit))]

    def verify(self) -> int:
        """See AuditLog."""
        before, after = BEGINNING, 0
        while True:
            with _errors(), self._file.reading() as db:
                page = [_entry(row) for row in db.execute(f"{_ROW} WHERE number > ? ORDER BY number LIMIT ?", (after, _PAGE))]
            if not page:
                return 0
            if broken := broken_at(page, before, after):
                return broken
            before, after = page[-1].digest, page[-1].number

    def close(self) -> None:
        """See AuditLog."""
        self._file.close()


def _entry(row: Any) -> Entry:
    return Entry(row[0], Event(*row[1:7]), row[7])


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (DatabaseError, OSError) as error:
        raise AuditError(str(error)) from error
