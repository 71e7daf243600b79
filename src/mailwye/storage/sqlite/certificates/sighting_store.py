"""The certificates seen on connectors in one SQLite file, for all workers and the command line at once.

Nobody was promised anything: the file is synchronous=NORMAL, and calls wait for another process only a moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from threading import Lock
from typing import Any, Final

import apsw

from mailwye.storage.sqlite.connection import DatabaseError, abandon, explained, open_database
from mailwye.trace.sightings import SIGHTINGS_LIMIT, Sighting

SCHEMA_VERSION: Final = 2
BUSY_SECONDS: Final = 0.2  # that an event loop may wait for another worker's write

# Version 1 knew only what identified callers; all of it is presented again.
_SCHEMA = """
DROP TABLE IF EXISTS sightings;
CREATE TABLE sightings (
  use TEXT NOT NULL,
  name TEXT NOT NULL,
  names TEXT NOT NULL,  -- JSON
  subject TEXT NOT NULL,
  issuer TEXT NOT NULL,
  verdict TEXT NOT NULL,
  not_before REAL NOT NULL,
  not_after REAL NOT NULL,
  fingerprint TEXT NOT NULL,
  public_key TEXT NOT NULL,
  first_seen REAL NOT NULL,
  last_seen REAL NOT NULL,
  PRIMARY KEY (use, fingerprint)
) STRICT, WITHOUT ROWID;
CREATE TABLE warned (fingerprint TEXT PRIMARY KEY, step INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
_COLUMNS = [one.name for one in fields(Sighting)]
_SAW = (
    f"INSERT INTO sightings ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "  # noqa: S608 - constants of this file
    "ON CONFLICT DO UPDATE SET last_seen = max(last_seen, excluded.last_seen), name = ifnull(nullif(excluded.name, ''), name)"
)
_FORGET = (
    "DELETE FROM sightings WHERE (use, fingerprint) IN (SELECT use, fingerprint FROM sightings ORDER BY last_seen DESC LIMIT -1 OFFSET ?)"
)
_ORDER = "ORDER BY use, first_seen"


class SqliteSightings:
    """Implements trace.sightings.SightingStore on `path`, which is made where it does not exist (its folder must exist).

    :raises DatabaseError: by every call: it cannot be read or written; the text names the file and the remedy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        self._db = open_database(path, synchronous="NORMAL")
        self._db.transaction_mode = "IMMEDIATE"  # what reads first and then writes would fail beside another worker's write, unasked
        try:
            with self._errors(), self._db:
                if self._db.pragma("user_version") != SCHEMA_VERSION:
                    self._db.execute(_SCHEMA)
                    self._db.pragma("user_version", SCHEMA_VERSION)
        except DatabaseError:
            abandon(self._db)
            raise
        self._db.set_busy_timeout(int(BUSY_SECONDS * 1000))

    def of(self, use: str) -> Sequence[Sighting]:
        """See SightingStore."""
        return self._read("WHERE use = ?", (use,))

    def all(self) -> Sequence[Sighting]:
        """See SightingStore."""
        return self._read("", ())

    def _read(self, where: str, values: tuple[Any, ...]) -> list[Sighting]:
        statement = f"SELECT {', '.join(_COLUMNS)} FROM sightings {where} {_ORDER}"  # noqa: S608 - constants of this file
        with self._errors():
            rows: list[Any] = self._db.execute(statement, values).fetchall()
        return [_sighting(row) for row in rows]

    def saw(self, sighting: Sighting) -> None:
        """See SightingStore."""
        values = {**asdict(sighting), "names": json.dumps(sighting.names)}
        with self._errors(), self._db:
            self._db.execute(_SAW, values)
            self._db.execute(_FORGET, (SIGHTINGS_LIMIT,))

    def warned(self) -> Mapping[str, int]:
        """See SightingStore."""
        with self._errors():
            rows: list[Any] = self._db.execute("SELECT fingerprint, step FROM warned").fetchall()
        return dict(rows)

    def keep_warned(self, warned: Mapping[str, int]) -> None:
        """See SightingStore."""
        with self._errors(), self._db:
            self._db.execute("DELETE FROM warned")
            self._db.executemany("INSERT INTO warned VALUES (?, ?)", warned.items())

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


def _sighting(row: Sequence[Any]) -> Sighting:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Sighting(**{**values, "names": tuple(json.loads(values["names"]))})
