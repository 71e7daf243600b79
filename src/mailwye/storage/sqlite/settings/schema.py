"""The tables, and older forms of them.

An object's row is valid for the versions [since, until): a save closes the rows that it changes and writes new ones, so that a version
costs what it changes, and reading any version is one condition.
"""

from __future__ import annotations

from typing import Final

import apsw

from mailwye.storage.sqlite.settings.migration import from_form_1

SCHEMA_VERSION: Final = 2
APPLICATION_ID: Final = 0x4D577965  # "MWye": another program's file is not mistaken for ours
FOREVER: Final = 2**63 - 1
"""`until` of what the current version has."""

_PASSWORDS = """
CREATE TABLE passwords (
  mailbox TEXT PRIMARY KEY,
  hash TEXT NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0  -- the version that removed the mailbox
) STRICT, WITHOUT ROWID;
"""

_VERSIONS = """
CREATE TABLE versions (
  version INTEGER PRIMARY KEY,
  parent INTEGER NOT NULL,
  author TEXT NOT NULL,
  at REAL NOT NULL,
  comment TEXT NOT NULL,
  restores INTEGER NOT NULL DEFAULT 0,
  draft TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE objects (
  kind TEXT NOT NULL,
  identity TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (kind, identity, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_since ON objects (since);
CREATE INDEX objects_until ON objects (until) WHERE until < 9223372036854775807;
CREATE TABLE drafts (
  name TEXT PRIMARY KEY,
  base INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  author TEXT NOT NULL,
  at REAL NOT NULL,
  comment TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE draft_objects (
  draft TEXT NOT NULL,
  kind TEXT NOT NULL,
  identity TEXT NOT NULL,
  value TEXT,  -- NULL: the draft removes it
  PRIMARY KEY (draft, kind, identity)
) STRICT, WITHOUT ROWID;
CREATE TABLE draft_saves (
  draft TEXT NOT NULL,      -- '' once it was activated
  version INTEGER NOT NULL, -- 0 until then
  revision INTEGER NOT NULL,
  author TEXT NOT NULL,
  at REAL NOT NULL,
  comment TEXT NOT NULL,
  PRIMARY KEY (draft, version, revision)
) STRICT, WITHOUT ROWID;
"""


def create(db: apsw.Connection) -> None:
    """Make the tables of a new file, within the caller's transaction."""
    db.execute(_VERSIONS + _PASSWORDS)
    db.pragma("application_id", APPLICATION_ID)
    db.pragma("user_version", SCHEMA_VERSION)


def upgrade(db: apsw.Connection, form: int) -> bool:
    """Bring a file of an older form to this one, within the caller's transaction; every version and password stays. False: no such form."""
    if form != 1:
        return False
    db.execute("ALTER TABLE versions RENAME TO versions_1")
    db.execute("ALTER TABLE passwords RENAME TO passwords_1")
    db.execute(_VERSIONS + _PASSWORDS)
    from_form_1(db, FOREVER)
    db.execute("DROP TABLE versions_1")
    db.execute("DROP TABLE passwords_1")
    db.pragma("user_version", SCHEMA_VERSION)
    return True
