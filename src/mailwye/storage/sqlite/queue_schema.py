"""The tables of a queue file and every statement on them.

A message has a serial number `seq`, which grows with acceptance. The id of a delivery is `seq << 20 | place`, so the deliveries of one
message are neighbours in their table and in age, and no further index is needed to find them: accepting a message only appends.
Small content is a column of its message; large content is `chunk` rows under a `staging` number, numbered the same way.
"""

from __future__ import annotations

import apsw

from mailwye.storage.sqlite.identity import SUM_MASK, mixed

PLACE_BITS = 20  # spelled out in the statements below
PLACES = 1 << PLACE_BITS  # deliveries per message, chunks per content
SCHEMA_VERSION = 3
APPLICATION_ID = 0x4D775175  # "MwQu"

QUEUED, HELD, CORRUPT = 0, 1, 2  # delivery.state; leases are not stored
STATES = frozenset({QUEUED, HELD, CORRUPT})

LEDGER_COUNTS = ("seq", "staging", "accepted", "delivered", "failed", "expired", "deleted", "corrupt")  # all that version 1 had
LEDGER_ADDED = (
    "quarantined",
    "accepted_sum",
    "delivered_sum",
    "failed_sum",
    "expired_sum",
    "deleted_sum",
    "quarantined_sum",
    "lost",
    "lost_sum",
)
LEDGER_COLUMNS = LEDGER_COUNTS + LEDGER_ADDED

SCHEMA = """
CREATE TABLE message(
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL, staging INTEGER NOT NULL, sender TEXT, checksum INTEGER NOT NULL,
  meta BLOB NOT NULL, content BLOB);
CREATE INDEX message_by_id ON message(id);
CREATE TABLE delivery(
  id INTEGER PRIMARY KEY, state INTEGER NOT NULL, due REAL NOT NULL, hop TEXT NOT NULL, recipient TEXT NOT NULL, detail BLOB NOT NULL);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE staging(id INTEGER PRIMARY KEY);
CREATE TABLE ledger(
  one INTEGER PRIMARY KEY CHECK(one = 1), opened INTEGER NOT NULL, seq INTEGER NOT NULL, staging INTEGER NOT NULL,
  accepted INTEGER NOT NULL,
  delivered INTEGER NOT NULL, failed INTEGER NOT NULL, expired INTEGER NOT NULL, deleted INTEGER NOT NULL, corrupt INTEGER NOT NULL,
  quarantined INTEGER NOT NULL DEFAULT 0,
  accepted_sum INTEGER NOT NULL DEFAULT 0, delivered_sum INTEGER NOT NULL DEFAULT 0, failed_sum INTEGER NOT NULL DEFAULT 0,
  expired_sum INTEGER NOT NULL DEFAULT 0, deleted_sum INTEGER NOT NULL DEFAULT 0, quarantined_sum INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0, lost_sum INTEGER NOT NULL DEFAULT 0);
INSERT INTO ledger(one, opened, seq, staging, accepted, delivered, failed, expired, deleted, corrupt) VALUES(1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
CREATE TRIGGER content_goes_with_its_message AFTER DELETE ON message WHEN old.staging > 0 BEGIN
  DELETE FROM chunk WHERE id >= old.staging << 20 AND id < (old.staging + 1) << 20;
END;
CREATE TRIGGER content_goes_with_its_staging AFTER DELETE ON staging
WHEN NOT EXISTS (SELECT 1 FROM message WHERE staging = old.id) BEGIN
  DELETE FROM chunk WHERE id >= old.id << 20 AND id < (old.id + 1) << 20;
END;
CREATE INDEX message_by_staging ON message(staging) WHERE staging > 0;
"""

# Writing. A batch runs its statements in this order: what is referred to comes first. All of them may be repeated on a new connection
# after a failed commit of unknown outcome, so they are absolute (OR REPLACE, no increments).
ADD_STAGING = "INSERT OR REPLACE INTO staging VALUES(?)"
ADD_CHUNK = "INSERT OR REPLACE INTO chunk VALUES(?, ?, ?)"
ADD_MESSAGE = "INSERT OR REPLACE INTO message VALUES(?, ?, ?, ?, ?, ?, ?)"
ADD_DELIVERY = "INSERT OR REPLACE INTO delivery VALUES(?, ?, ?, ?, ?, ?)"
SET_DELIVERY = "UPDATE delivery SET state = ?, due = ?, hop = ?, detail = ? WHERE id = ?"
SET_DETAIL = "UPDATE delivery SET detail = ? WHERE id = ?"  # of one under a lease: before whatever ends that in the same batch
SET_HOP = "UPDATE delivery SET hop = ?, due = ? WHERE id = ?"
SET_STATE = "UPDATE delivery SET state = ?, due = ? WHERE id = ?"
END_DELIVERIES = "DELETE FROM delivery WHERE id BETWEEN ? AND ?"
END_MESSAGE = "DELETE FROM message WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE id >= ?1 << 20 AND id < (?1 + 1) << 20)"
UNDO_DELIVERIES = "DELETE FROM delivery WHERE id >= ?1 << 20 AND id < (?1 + 1) << 20"
END_STAGING = "DELETE FROM staging WHERE id = ?"
SET_LEDGER = f"UPDATE ledger SET {', '.join(f'{name}=?' for name in LEDGER_COLUMNS)} WHERE one = 1"  # noqa: S608 - only constants
ORDER = (
    UNDO_DELIVERIES,
    ADD_STAGING,
    ADD_CHUNK,
    ADD_MESSAGE,
    ADD_DELIVERY,
    SET_DETAIL,
    SET_DELIVERY,
    SET_HOP,
    SET_STATE,
    END_DELIVERIES,
    END_MESSAGE,
    END_STAGING,
)

# Reading.
LOAD_INDEX = "SELECT id, state, due, hop FROM delivery ORDER BY id"
COUNT_OPENING = "UPDATE ledger SET opened = opened + 1 RETURNING opened"
LOAD_LEDGER = f"SELECT {', '.join(LEDGER_COLUMNS)} FROM ledger"  # noqa: S608 - only constants
READ_MESSAGE = "SELECT id, staging, checksum, meta, content FROM message WHERE seq = ?"
READ_DELIVERY = "SELECT id, due, hop, detail FROM delivery WHERE id = ?"
READ_CHUNK = "SELECT checksum, data FROM chunk WHERE id = ?"
FIND_MESSAGE = "SELECT seq FROM message WHERE id = ?"


def prepare(connection: apsw.Connection) -> None:
    """Make the tables in a new file; purge content that was staged for messages that were never accepted.

    :raises ValueError: the file is something else, or of a later version of Mailwye.
    :raises apsw.Error: SQLite cannot.
    """
    version = connection.pragma("user_version")
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        with connection:
            connection.execute(SCHEMA)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", SCHEMA_VERSION)
        return
    if connection.pragma("application_id") != APPLICATION_ID:
        raise ValueError("is not a queue of Mailwye")
    if version in (1, 2):
        _migrate(connection, version)
    elif version != SCHEMA_VERSION:
        raise ValueError(f"has schema version {version}, this program knows version {SCHEMA_VERSION}: run the newer Mailwye")
    connection.execute("DELETE FROM staging")


def _migrate(connection: apsw.Connection, version: int) -> None:
    """Version 2 keeps a sum of identities beside each count. What ended before has none, so the sums begin with what is still here.
    Version 3 counts what a damaged file lost.
    """
    with connection:
        there = {row[1] for row in connection.execute("PRAGMA table_info(ledger)")}
        for name in LEDGER_ADDED:
            if name not in there:
                connection.execute(f"ALTER TABLE ledger ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")
        if version == 1:
            here = sum(mixed(number) for (number,) in connection.execute("SELECT id FROM delivery"))
            connection.execute("UPDATE ledger SET accepted_sum = ?", (here & SUM_MASK,))
        connection.pragma("user_version", SCHEMA_VERSION)
