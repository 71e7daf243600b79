"""The certificates seen on connectors in one SQLite file, for all workers and the command line at once.

Nobody was promised anything: the file is synchronous=NORMAL, and calls wait for another process only a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import apsw

from mailwye.storage.sqlite.connection import DatabaseError, abandon, explained, open_database
from mailwye.trace.sightings import SIGHTINGS_LIMIT, Sighting

SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 0.2  # that an event loop may wait for another worker's write

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sightings (
  connector TEXT NOT NULL,
  name TEXT NOT NULL,
  subject TEXT NOT NULL,
  issuer TEXT NOT NULL,
  authority TEXT NOT NULL,
  not_before REAL NOT NULL,
  not_after REAL NOT NULL,
  fingerprint TEXT NOT NULL,
  public_key TEXT NOT NULL,
  first_seen REAL NOT NULL,
  last_seen REAL NOT NULL,
  PRIMARY KEY (connector, fingerprint)
) STRICT, WITHOUT ROWID;
"""
_COLUMNS = "connector, name, subject, issuer, authority, not_before, not_after, fingerprint, public_key, first_seen, last_seen"
_SAW = (
    f"INSERT INTO sightings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants of this file
    "ON CONFLICT DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)"
)
_FORGET = (
    "DELETE FROM sightings WHERE (connector, fingerprint) IN "
    "(SELECT connector, fingerprint FROM sightings ORDER BY last_seen DESC LIMIT -1 OFFSET ?)"
)
_ORDER = "ORDER BY connector, name, first_seen"


class SqliteSightings:
    """Implements trace.sightings.SightingStore on `path`, which is made where it does not exist (its folder must exist).

    :raises DatabaseError: by every call: it cannot be read or written; the text names the file and the remedy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        self._db = open_database(path, synchronous="NORMAL", busy_seconds=BUSY_SECONDS)
        try:
            with self._errors(), self._db:
                if self._db.pragma("user_version") != SCHEMA_VERSION:
                    self._db.execute(_SCHEMA)
                    self._db.pragma("user_version", SCHEMA_VERSION)
        except DatabaseError:
            abandon(self._db)
            raise

    def of(self, connector: str) -> Sequence[Sighting]:
        """See SightingStore."""
        return self._read("WHERE connector = ?", (connector,))

    def all(self) -> Sequence[Sighting]:
        """See SightingStore."""
        return self._read("", ())

    def _read(self, where: str, values: tuple[Any, ...]) -> list[Sighting]:
        statement = f"SELECT {_COLUMNS} FROM sightings {where} {_ORDER}"  # noqa: S608 - constants of this file
        with self._errors():
            return [Sighting(*row) for row in self._db.execute(statement, values)]

    def saw(self, sighting: Sighting) -> None:
        """See SightingStore."""
        values = tuple(getattr(sighting, name.strip()) for name in _COLUMNS.split(","))
        with self._errors(), self._db:
            self._db.execute(_SAW, values)
            self._db.execute(_FORGET, (SIGHTINGS_LIMIT,))

    def close(self) -> None:
        """See SightingStore."""
        with self._errors():
            self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except apsw.ConnectionClosedError as error:
            raise DatabaseError(f"{self._path}: the store was closed") from error
        except apsw.Error as error:
            raise explained(self._path, error) from error
