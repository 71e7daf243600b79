"""The SQLite file transport.sqlite, shared by all workers: MTA-STS policies, results of sessions for TLS reports.

Its commits are not synced one by one (synchronous=NORMAL): a power cut may take back the latest ones, whose policies are fetched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from mailwye.storage.sqlite.connection import DatabaseError, abandon, explained, open_database

APPLICATION_ID: Final = 0x4D577974  # "MWyt"
SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 2.0  # that a write waits for another worker's

_SCHEMA = """
CREATE TABLE policies (
  domain TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  fetched_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE results (
  day TEXT NOT NULL,
  domain TEXT NOT NULL,
  policy TEXT NOT NULL,
  failure TEXT NOT NULL,
  detail TEXT NOT NULL,
  count INTEGER NOT NULL,
  UNIQUE (day, domain, policy, failure, detail)
) STRICT;
CREATE TABLE reports (day TEXT, domain TEXT, address TEXT, PRIMARY KEY (day, domain, address)) STRICT, WITHOUT ROWID;
CREATE INDEX policies_fetched ON policies(fetched_at);
CREATE INDEX policies_expires ON policies(expires_at);
"""


class TransportFile:
    """An open transport.sqlite. :raises DatabaseError: damaged, not ours, or no right to it; says what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = open_database(path, synchronous="NORMAL", busy_seconds=BUSY_SECONDS)
        try:
            self._prepare()
        except apsw.Error as error:
            abandon(self.connection)
            raise explained(path, error) from error
        except BaseException:
            abandon(self.connection)
            raise

    @contextmanager
    def errors(self, kind: Callable[[str], Exception]) -> Iterator[apsw.Connection]:
        """The connection; what SQLite reports becomes an error of `kind` in words."""
        try:
            yield self.connection
        except apsw.Error as error:
            raise kind(str(explained(self.path, error))) from error

    def close(self) -> None:
        """Harmless when repeated."""
        abandon(self.connection)

    def _prepare(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")  # two workers may meet a new file at the same moment
        try:
            application = self.connection.pragma("application_id")
            schema = self.connection.pragma("user_version")
            if (application, schema) == (0, 0):
                self.connection.execute(_SCHEMA)
                self.connection.pragma("application_id", APPLICATION_ID)
                self.connection.pragma("user_version", SCHEMA_VERSION)
            elif application != APPLICATION_ID or schema != SCHEMA_VERSION:
                raise DatabaseError(
                    f"{self.path} is no file of this Mailwye (form {schema}, expected {SCHEMA_VERSION}). "
                    "Move it away: what it holds is fetched again"
                )
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
