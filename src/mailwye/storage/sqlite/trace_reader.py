"""Searching the trace files of all workers, while they are written."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import apsw
import msgspec

from mailwye.storage.sqlite.connection import open_database
from mailwye.storage.sqlite.trace_files import SCHEMA_VERSION, TraceFile, day_of, trace_files
from mailwye.trace.event import TraceEvent
from mailwye.trace.recorder import TraceQuery, TraceRow
from mailwye.trace.summary import MessageFacts, RecipientFacts, matches, row

_ROWS = """
SELECT m.received_at, m.message, m.session, m.message_id, m.subject, m.sender, m.size, m.peer_address,
  r.recipient, r.status, r.connector, r.detail, m.id
FROM message m INDEXED BY message_by_time CROSS JOIN recipient r ON r.id = m.id
WHERE m.received_at > 0 AND m.received_at >= ?1 AND (?2 = 0 OR m.received_at < ?2)
  AND (?3 = '' OR m.message_id = ?3 OR m.message = ?3)
  AND (?4 = '' OR lower(m.sender) = ?4 OR (?4 LIKE '*@%' AND substr(lower(m.sender), 1 - length(?4)) = substr(?4, 2)))
  AND (?5 = '' OR lower(r.recipient) = ?5 OR (?5 LIKE '*@%' AND substr(lower(r.recipient), 1 - length(?5)) = substr(?5, 2)))
  AND (r.recipient <> '' OR NOT EXISTS (SELECT 1 FROM recipient o WHERE o.id = r.id AND o.recipient <> ''))
ORDER BY m.received_at DESC"""
_NEWER = "SELECT status, connector, detail FROM recipient WHERE id = ? AND recipient = ?"
_EVENTS = """
SELECT id, data FROM event WHERE message = ?1 AND message <> ''
UNION SELECT id, data FROM event WHERE session = ?1 AND session <> '' ORDER BY id"""

_UNSETTLED = ("", "Pending")

_decode = msgspec.msgpack.Decoder(TraceEvent).decode


class TraceReader:
    """A TraceSearch over `directory`. Every call opens the files that it needs, read-only, and closes them.

    :raises DatabaseError: (from its methods) a file is damaged or not readable for this user.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def search(self, query: TraceQuery) -> Sequence[TraceRow]:
        """See TraceSearch. A message that arrived on one day and left on another has one row, with its newest status."""
        files = trace_files(self._directory)
        wanted = [one for one in files if _may_hold(one, query)]
        with ExitStack() as stack:
            opened = {one.path: connection for one in files if (connection := _open(one, stack)) is not None}
            found = heapq.merge(
                *[_rows(opened[one.path], query, _newer(one, files, opened)) for one in wanted if one.path in opened],
                key=lambda one: one.received_at,
                reverse=True,
            )
            return list(islice((one for one in found if matches(query, one)), query.limit))

    def events(self, trace_id: str) -> Sequence[TraceEvent]:
        """See TraceSearch."""
        found: list[TraceEvent] = []
        for file in trace_files(self._directory):
            with ExitStack() as stack:
                connection = _open(file, stack)
                if connection is not None:
                    found += [_decode(data) for _, data in connection.execute(_EVENTS, (trace_id,))]
        return sorted(found, key=lambda one: one.at)


def _may_hold(file: TraceFile, query: TraceQuery) -> bool:
    """Whether a file can hold messages that arrived in the query's time."""
    return file.day >= day_of(query.since) and (not query.until or file.day <= day_of(query.until))


def _open(file: TraceFile, stack: ExitStack) -> apsw.Connection | None:
    """A connection until `stack` ends; None for a file that is gone or has no tables yet."""
    if not file.path.exists():
        return None
    connection = open_database(file.path, read_only=True)
    stack.callback(connection.close, True)
    return connection if connection.pragma("user_version") == SCHEMA_VERSION else None


def _newer(file: TraceFile, files: list[TraceFile], opened: dict[Path, apsw.Connection]) -> list[apsw.Connection]:
    """Where is written what happened to the messages of `file` later, newest first: in files of later days, and in those of other
    workers, since another one serves the queue when there are fewer of them.
    """
    later = [one for one in files if one.day >= file.day and one.path != file.path and one.path in opened]
    return [opened[one.path] for one in reversed(later)]


def _rows(connection: apsw.Connection, query: TraceQuery, newer: list[apsw.Connection]) -> Iterator[TraceRow]:
    values = (query.since, query.until, query.message_id, query.sender.lower(), query.recipient.lower())
    for *message, recipient, status, connector, detail, key in connection.execute(_ROWS, values):
        at, name, session, message_id, subject, sender, size, peer = message
        facts = RecipientFacts(status, connector, detail)
        told: RecipientFacts | None = None
        for later in newer if status in _UNSETTLED else ():
            found = later.execute(_NEWER, (key, recipient)).fetchone()
            if found is not None:
                told = told or RecipientFacts(found[0] or facts.status, found[1] or facts.connector, found[2] or facts.detail)
                if found[0] not in _UNSETTLED:
                    told = RecipientFacts(found[0], found[1] or facts.connector, found[2] or facts.detail)
                    break
        yield row(MessageFacts(at, name, session, message_id, subject, sender, size, peer), recipient, told or facts)
