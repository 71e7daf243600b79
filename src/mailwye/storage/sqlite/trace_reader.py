"""Searching the trace files of all workers, while they are written."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import apsw

from mailwye.storage.sqlite.connection import open_database
from mailwye.storage.sqlite.trace_files import SCHEMA_VERSION, TraceFile, day_of, trace_files
from mailwye.storage.sqlite.trace_rows import events_of, folded
from mailwye.trace.event import TraceEvent
from mailwye.trace.recorder import TraceQuery, TraceRow, place_of
from mailwye.trace.summary import RecipientFacts, Summary, matches, row

# Which messages may be meant: a message that has several rows is looked at whole before it is told.
_CANDIDATES = """
SELECT e.id, e.key FROM entry e INDEXED BY entry_by_arrival
WHERE e.arrived > 0 AND e.arrived >= ?1 AND e.arrived <= ?6 AND (?2 = 0 OR e.arrived < ?2)
  AND (?3 = '' OR e.message_id = ?3 OR e.key = ?3 OR EXISTS (SELECT 1 FROM entry o WHERE o.key = e.key AND o.message_id = ?3))
  AND (?4 = '' OR e.sender = '' OR e.sender = ?4 OR (?4 LIKE '*@%' AND substr(e.sender, 1 - length(?4)) = substr(?4, 2)))
  AND (?5 = '' OR EXISTS (SELECT 1 FROM entry o WHERE o.key = e.key AND instr(o.recipients, ?5)))
ORDER BY e.arrived DESC, e.key"""
_FIRST = "SELECT min(id) FROM entry WHERE key = ? AND arrived > 0"
_OF_KEY = "SELECT events FROM entry WHERE key = ? ORDER BY id"
_EVENTS = """
SELECT id, events FROM entry WHERE key = ?1 AND key <> ''
UNION SELECT id, events FROM entry WHERE session = ?1 AND session <> key ORDER BY id"""

_UNSETTLED = ("", "Pending")


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
                key=lambda one: place_of(one).order,
            )
            return list(islice((one for one in found if matches(query, one)), query.limit))

    def events(self, trace_id: str) -> Sequence[TraceEvent]:
        """See TraceSearch."""
        found: list[TraceEvent] = []
        for file in trace_files(self._directory):
            with ExitStack() as stack:
                connection = _open(file, stack)
                if connection is not None:
                    for _, packed in connection.execute(_EVENTS, (trace_id,)):
                        found += events_of(packed)
        return sorted(found, key=lambda one: one.at)


def _may_hold(file: TraceFile, query: TraceQuery) -> bool:
    """Whether a file can hold messages that arrived in the query's time."""
    if query.after is not None and file.day > day_of(query.after.received_at):
        return False
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
    recipient = query.recipient.lower()
    wanted = f"{recipient[1:]}\n" if recipient.startswith("*@") else recipient and f"\n{recipient}\n"
    latest = query.after.received_at if query.after is not None else math.inf
    values = (query.since, query.until, query.message_id, query.sender.lower(), wanted, latest)
    for number, key in connection.execute(_CANDIDATES, values):
        if connection.execute(_FIRST, (key,)).get == number:  # else it is told by the row of its first arrival
            yield from _told(key, _folded(connection, key), newer)


def _told(key: str, summary: Summary, newer: list[apsw.Connection]) -> Iterator[TraceRow]:
    """The rows of one message, with what newer files say of whom this one saw no end."""
    message = summary.messages[key]
    recipients = {recipient: facts for (_, recipient), facts in summary.recipients.items()} or {
        "": summary.whole.get(key, RecipientFacts())
    }
    later: list[Summary] | None = None
    for recipient, facts in sorted(recipients.items()):
        if facts.status in _UNSETTLED:
            if later is None:
                later = [_folded(one, key) for one in newer]
            yield row(message, recipient, _newest(key, recipient, facts, later))
        else:
            yield row(message, recipient, facts)


def _folded(connection: apsw.Connection, key: str) -> Summary:
    return folded(packed for (packed,) in connection.execute(_OF_KEY, (key,)))


def _newest(key: str, recipient: str, facts: RecipientFacts, later: list[Summary]) -> RecipientFacts:
    """`facts` with what `later`, the newest first, says: an end counts more than what is only newer."""
    told: RecipientFacts | None = None
    for summary in later:
        found = summary.recipients.get((key, recipient)) if recipient else summary.whole.get(key)
        if found is None:
            continue
        if told is None or found.status not in _UNSETTLED:
            told = RecipientFacts(found.status or facts.status, found.connector or facts.connector, found.detail or facts.detail)
        if found.status not in _UNSETTLED:
            break
    return told or facts
