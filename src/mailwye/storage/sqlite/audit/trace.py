"""Compares the trace with the queue files: whom the trace saw accepted and never saw end must still be queued.

The trace is a witness, not the ledger: it is written a moment later and loses that moment at a crash, so a difference proves nothing by
itself; where the ledger does not balance, it names whom to look for. Everything streams in the order of message ids; memory holds one
message, and the suspects up to a limit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import apsw

from mailwye.storage.sqlite.audit.spool import SpoolSnapshot
from mailwye.storage.sqlite.connection import open_database
from mailwye.storage.sqlite.trace_files import SCHEMA_VERSION, trace_files
from mailwye.storage.sqlite.trace_rows import folded

SUSPECTS_KEPT = 10_000

_KNOWN = frozenset({"Pending", "Delivered", "Failed", "Deleted"})
_ALL = "SELECT key, events FROM entry ORDER BY key, id"
_ONE = "SELECT key, events FROM entry WHERE key = ? ORDER BY id"
_OPEN = "Pending"


@dataclass(slots=True)
class Comparison:
    """What a comparison found. `open` and `ended`: (message id, recipient), the first ones; the counts count all of them."""

    compared: int = 0
    unknown: int = 0
    open_count: int = 0
    ended_count: int = 0
    open: list[tuple[str, str]] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)


def compare(directory: Path, snapshots: Sequence[SpoolSnapshot]) -> Comparison:
    """Every recipient that the trace files in `directory` know against `snapshots`, those of all queue files.

    :raises DatabaseError, apsw.Error: a file cannot be read.
    """
    found = Comparison()
    with ExitStack() as stack:
        told = groupby(heapq.merge(*(_statuses(one.execute(_ALL)) for one in _open_all(directory, stack))), key=lambda row: row[0])
        queued = heapq.merge(*(_numbered(place, one) for place, one in enumerate(snapshots)))
        waiting = next(queued, None)
        for message, rows in told:
            while waiting is not None and waiting[0] < message:
                found.unknown += 1
                waiting = next(queued, None)
            here: set[str] = set()
            while waiting is not None and waiting[0] == message:
                here.update(snapshots[waiting[1]].recipients(waiting[2]))
                waiting = next(queued, None)
            _compare_message(found, message, _ends(rows), here)
        found.unknown += (waiting is not None) + sum(1 for _ in queued)
    return found


def look_again(
    directory: Path, snapshots: Sequence[SpoolSnapshot], found: Comparison
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Which of the suspects of `found`, (open, ended), still are ones by newer snapshots: mail moved on meanwhile.

    :raises DatabaseError, apsw.Error: a file cannot be read.
    """
    with ExitStack() as stack:
        connections = _open_all(directory, stack)

        def state(message: str, recipient: str) -> tuple[bool, bool]:
            rows = [row for one in connections for row in _statuses(one.execute(_ONE, (message,))) if row[1] == recipient]
            numbers = [(one, one.find(message)) for one in snapshots]
            here = any(number is not None and recipient in one.recipients(number) for one, number in numbers)
            return _ends(rows).get(recipient, False), here

        return (
            [one for one in found.open if state(*one) == (False, False)],
            [one for one in found.ended if state(*one) == (True, True)],
        )


def _statuses(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str, str]]:
    """(key, recipient, status) of `rows`, which are in the order of their keys: the newest status of each, sorted."""
    for key, some in groupby(rows, key=lambda row: row[0]):
        summary = folded(packed for _, packed in some)
        yield from sorted((key, recipient, one.status) for (_, recipient), one in summary.recipients.items() if one.status in _KNOWN)


def _numbered(place: int, snapshot: SpoolSnapshot) -> Iterator[tuple[str, int, int]]:
    for message, seq in snapshot.messages():
        yield message, place, seq


def _ends(rows: Iterator[tuple[str, str, str]] | Sequence[tuple[str, str, str]]) -> dict[str, bool]:
    """Recipient → whether the trace saw an end, by what all files say."""
    ends: dict[str, bool] = {}
    for _, recipient, status in rows:
        ends[recipient] = ends.get(recipient, False) or status != _OPEN
    return ends


def _compare_message(found: Comparison, message: str, ends: Mapping[str, bool], here: set[str]) -> None:
    found.compared += len(ends)
    for recipient, ended in ends.items():
        if ended and recipient in here:
            found.ended_count += 1
            if len(found.ended) < SUSPECTS_KEPT:
                found.ended.append((message, recipient))
        elif not ended and recipient not in here:
            found.open_count += 1
            if len(found.open) < SUSPECTS_KEPT:
                found.open.append((message, recipient))


def _open_all(directory: Path, stack: ExitStack) -> list[apsw.Connection]:
    """A connection for each trace file, until `stack` ends. Files that are being made have no tables yet."""
    connections: list[apsw.Connection] = []
    for file in trace_files(directory):
        connection = open_database(file.path, read_only=True)
        stack.callback(connection.close, True)
        if connection.pragma("user_version") == SCHEMA_VERSION:
            connections.append(connection)
    return connections
