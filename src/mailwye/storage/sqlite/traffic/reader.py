"""Reading recorded traffic, of all days and workers, while it is written."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from mailwye.storage.sqlite.connection import DatabaseError, explained, open_database
from mailwye.storage.sqlite.trace_files import TraceFile, day_of, trace_files
from mailwye.storage.sqlite.traffic import rows as sql
from mailwye.whatif.answers import Answer
from mailwye.whatif.traffic import EVERYTHING, HOUR, Answered, Part, Peer, Recorded

REMEMBERED = 65_536  # peers and answers that are kept decoded

_Row = tuple[int, int, bytes, bytes, int, int, int, float, str, "_File"]
_number = itemgetter(0)
_T = TypeVar("_T")


class TrafficReader:
    """A RecordedTraffic over `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, since: float, part: Part = EVERYTHING) -> Iterator[Recorded]:
        """See RecordedTraffic. Memory does not grow with what is read.

        :raises DatabaseError: a file is damaged or not readable for this user.
        """
        first, last = (sql.NUMBERS * part.number // part.of, sql.NUMBERS * (part.number + 1) // part.of - 1)
        with ExitStack() as stack:
            rows = heapq.merge(*(file.rows(first, last, int(since // HOUR)) for file in self._files(since, stack)), key=_number)
            for _, alike in groupby(rows, key=_number):
                yield _recorded(list(alike))

    def envelopes(self, since: float) -> int:
        """See RecordedTraffic."""
        with ExitStack() as stack:
            return sum(file.count() for file in self._files(since, stack))

    def _files(self, since: float, stack: ExitStack) -> list[_File]:
        day = day_of(since)
        return [file for one in trace_files(self._directory) if one.day >= day and (file := _open(one, stack)) is not None]


class _File:
    """One file while it is read."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self._path = path
        self._connection = connection
        self._peers: dict[int, Peer] = {}
        self._answers: dict[int, Answer] = {}

    def count(self) -> int:
        try:
            return int(self._connection.execute(sql.COUNT).get)
        except apsw.Error as error:
            raise explained(self._path, error) from error

    def rows(self, first: int, last: int, hour: int) -> Iterator[_Row]:
        try:
            for row in self._connection.execute(sql.READ, (first, last, hour)):
                yield (*row, self)
        except apsw.Error as error:
            raise explained(self._path, error) from error

    def peer(self, number: int, packed: bytes) -> Peer:
        found = self._peers.get(number)
        if found is None:
            if len(self._peers) >= REMEMBERED:
                self._peers.clear()
            found = self._peers[number] = self.decoded(sql.decode_peer, packed)
        return found

    def answer(self, number: int) -> Answer:
        found = self._answers.get(number)
        if found is None:
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            packed = self._connection.execute(sql.READ_ANSWER, (number,)).get
            found = self._answers[number] = self.decoded(sql.decode_answer, packed)
        return found

    def decoded(self, decode: Callable[[bytes], _T], packed: object) -> _T:
        """A value of this file."""
        try:
            if isinstance(packed, bytes):
                return decode(packed)
        except (msgspec.MsgspecError, ValueError):
            pass
        raise DatabaseError(f"{self._path} is damaged: a row is missing or cannot be read. Remove the file: only replays read it")


def _open(file: TraceFile, stack: ExitStack) -> _File | None:
    """None for a file that is gone or has no tables yet."""
    if not file.path.exists():
        return None
    connection = open_database(file.path, read_only=True)
    stack.callback(connection.close, True)
    return _File(file.path, connection) if connection.pragma("user_version") == sql.SCHEMA_VERSION else None


def _recorded(rows: list[_Row]) -> Recorded:
    """The rows of one envelope, hours and files put together."""
    _, peer, proved, facts, number, version, times, at, trace_id, file = rows[0]
    envelope = file.decoded(sql.decode_envelope, facts)
    if len(rows) == 1:
        return Recorded(file.peer(peer, proved), envelope, (Answered(file.answer(number), version, times, at, trace_id),))
    found: dict[tuple[int, int], Answered] = {}
    for _, _, _, _, number, version, times, at, trace_id, one in rows:
        known = found.get((number, version))
        if known is None:
            found[number, version] = Answered(one.answer(number), version, times, at, trace_id)
        else:
            later = at >= known.at
            found[number, version] = known._replace(
                times=known.times + times, at=at if later else known.at, trace_id=trace_id if later else known.trace_id
            )
    return Recorded(file.peer(peer, proved), envelope, tuple(found.values()))
