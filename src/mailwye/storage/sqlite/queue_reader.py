"""What the queue reads back from its file: in a thread of its own, on a connection of its own, beside the commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import apsw

from mailwye.message.envelope import BodyType, Notify
from mailwye.queue.engine import QueueError
from mailwye.queue.item import Delivery, DeliveryState, Origin, QueuedMessage, QueueQuery, QueueRow
from mailwye.queue.select import matches, pattern_key
from mailwye.smtp.address import Address
from mailwye.storage.sqlite.connection import DatabaseError, explained, open_database
from mailwye.storage.sqlite.queue_codec import CorruptRow, unpack_delivery, unpack_message, verify
from mailwye.storage.sqlite.queue_schema import CORRUPT, FIND_MESSAGE, HELD, PLACE_BITS, QUEUED, READ_DELIVERY, READ_MESSAGE

T = TypeVar("T")

LEASED = DeliveryState.LEASED
ROWS_PER_PAGE = 5_000
STATES = {QUEUED: DeliveryState.QUEUED, HELD: DeliveryState.HELD, CORRUPT: DeliveryState.CORRUPT}


class Reader:
    """One thread, one connection for reading. Jobs run one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue-read")
        self._connection: apsw.Connection | None = None

    def run(self, job: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """The result of `job`. :raises QueueError: SQLite cannot read; the text names file and remedy."""
        return asyncio.get_running_loop().run_in_executor(self._thread, self._run, job)

    def _run(self, job: Callable[[apsw.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = open_database(self._path, read_only=True)
            return job(self._connection)
        except apsw.Error as error:
            raise QueueError(str(explained(self._path, error))) from error
        except DatabaseError as error:
            raise QueueError(str(error)) from error

    async def close(self) -> None:
        """Finish the jobs, close the connection."""
        connection = self._connection
        if connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, connection.close)
        self._thread.shutdown()


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as read for an attempt. `content` None: large, it is under `staging`. `unreadable`: deliveries that could not be read."""

    message: QueuedMessage
    deliveries: tuple[Delivery, ...]
    content: bytes | None
    staging: int
    unreadable: Unreadable | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Deliveries that cannot be read, and why. `damaged`: by what is stored; else the disk refused this time."""

    numbers: tuple[int, ...]
    why: str
    damaged: bool


def read_group(connection: apsw.Connection, numbers: Sequence[int]) -> StoredMessage | Unreadable:
    """One message with the deliveries `numbers` of it, as leased."""
    seq = numbers[0] >> PLACE_BITS
    try:
        row = connection.execute(READ_MESSAGE, (seq,)).fetchone()
        if row is None:
            raise CorruptRow(f"the message number {seq} of {len(numbers)} deliveries is gone")
        message_id, staging, checksum, meta, content = row
        message = unpack_message(message_id, meta, seq, staging, checksum)
        data = None if staging else verify(content, checksum, f"the content of message {message_id}")
        return _with_deliveries(connection, message, numbers, data, staging)
    except (CorruptRow, UnicodeDecodeError, apsw.CorruptError) as error:
        return Unreadable(tuple(numbers), f"message number {seq}: {error}", damaged=True)
    except apsw.Error as error:
        return Unreadable(tuple(numbers), f"message number {seq}: {error}", damaged=False)


def _with_deliveries(
    connection: apsw.Connection, message: QueuedMessage, numbers: Sequence[int], data: bytes | None, staging: int
) -> StoredMessage | Unreadable:
    """One recipient's damaged row is no reason to keep the message from the others."""
    deliveries: list[Delivery] = []
    bad: list[int] = []
    why = ""
    for number in numbers:
        try:
            deliveries.append(_read_delivery(connection, number, message.id))
        except (CorruptRow, UnicodeDecodeError) as error:
            bad.append(number)
            why = f"message {message.id}: {error}"
    unreadable = Unreadable(tuple(bad), why, damaged=True) if bad else None
    if not deliveries and unreadable is not None:
        return unreadable
    return StoredMessage(message, tuple(deliveries), data, staging, unreadable)


def _read_delivery(connection: apsw.Connection, number: int, message_id: str) -> Delivery:
    row = connection.execute(READ_DELIVERY, (number,)).fetchone()
    if row is None:
        raise CorruptRow(f"delivery {number} of message {message_id} is gone")
    return unpack_delivery(number, message_id, DeliveryState.LEASED, row[1], row[2], row[3])


def read_details(connection: apsw.Connection, numbers: Sequence[int]) -> dict[int, Delivery]:
    """Deliveries as they are stored, as far as they can be read. `message_id` is not filled in, and who is due now may be stored as due
    later (see QueueEngine.hurry).
    """
    found: dict[int, Delivery] = {}
    for number in numbers:
        with suppress(CorruptRow, UnicodeDecodeError):
            found[number] = _read_delivery(connection, number, "")
    return found


def read_content(connection: apsw.Connection, message_id: str) -> tuple[bytes | None, int, int] | None:
    """(content or None, staging, size) of a message; None where it is gone.

    :raises QueueError: it is damaged.
    """
    found = connection.execute(FIND_MESSAGE, (message_id,)).fetchone()
    row = connection.execute(READ_MESSAGE, found).fetchone() if found else None
    if found is None or row is None:
        return None
    _, staging, checksum, meta, content = row
    try:
        size = unpack_message(message_id, meta, found[0], staging, checksum).size
        return (None if staging else verify(content, checksum, f"the content of message {message_id}")), staging, size
    except CorruptRow as error:
        raise QueueError(str(error)) from error


def all_rows(path: Path) -> Iterator[QueueRow]:
    """Everything in a queue file, page by page, so that nobody's log grows while it is looked at; leases are not seen.

    :raises DatabaseError: it cannot be read.
    """
    page = QueueQuery(limit=ROWS_PER_PAGE)
    try:
        with closing(open_database(path, read_only=True)) as connection:
            while rows := find(connection, page, frozenset()):
                yield from rows
                page = replace(page, after=rows[-1].delivery.id)
    except apsw.Error as error:
        raise explained(path, error) from error


def find(connection: apsw.Connection, query: QueueQuery, leased: frozenset[int]) -> list[QueueRow]:
    """The rows that `query` means, oldest first, given which deliveries are leased. A scan, unless the query names a message id."""
    rows: list[QueueRow] = []
    seq, message_id, message = -1, "", _unreadable_message("", "")
    for number, state, due, hop, detail, raw_id, meta, staging, checksum in connection.execute(*_statement(query)):
        if number >> PLACE_BITS != seq:
            seq = number >> PLACE_BITS
            # One damaged id, or message that is gone, must not hide all the others.
            message_id = "" if raw_id is None else raw_id.decode("utf-8", "backslashreplace")
            message = _message(message_id, meta, seq, staging, checksum)
        shown = DeliveryState.LEASED if number in leased else STATES[state]
        row = QueueRow(message, _delivery(number, message_id, shown, due, hop, detail))
        if matches(query, message, row.delivery):
            rows.append(row)
            if len(rows) >= query.limit:
                break
    return rows


def _statement(query: QueueQuery) -> tuple[str, list[str]]:
    """The rows that may match: what SQL can narrow is narrowed, `matches` decides. Texts are bound, never part of the statement."""
    tables = f"delivery d LEFT JOIN message m ON m.seq = d.id >> {PLACE_BITS}"
    conditions: list[str] = ["1"]
    values: list[str] = []
    if query.after >= 0:
        conditions.append(f"d.id > {query.after:d}")
    if stored := {code for code, state in STATES.items() if state in query.states or (code == QUEUED and LEASED in query.states)}:
        conditions.append(f"d.state IN ({', '.join(map(str, stored))})")  # leases are not stored
    if query.message_id:
        tables = f"message m CROSS JOIN delivery d ON d.id >= m.seq << {PLACE_BITS} AND d.id < (m.seq + 1) << {PLACE_BITS}"
        conditions.append("m.id = ?")
        values.append(query.message_id)
    if query.next_hop:
        conditions.append("d.hop = ?")
        values.append(query.next_hop)
    for column, pattern in (("m.sender", query.sender), ("d.recipient", query.recipient)):
        key = pattern_key(pattern)
        if key.startswith("*@"):
            conditions.append(f"substr({column}, -length(?)) = ?")
            values += [key[1:], key[1:]]
        elif "@" in key:
            conditions.append(f"{column} = ?")
            values.append(key)
    columns = "d.id, d.state, d.due, d.hop, d.detail, CAST(m.id AS BLOB), m.meta, m.staging, m.checksum"
    return f"SELECT {columns} FROM {tables} WHERE {' AND '.join(conditions)} ORDER BY d.id", values  # noqa: S608 - only constants


def _message(message_id: str, meta: bytes, seq: int, staging: int, checksum: int) -> QueuedMessage:
    try:
        return unpack_message(message_id, meta, seq, staging, checksum)
    except CorruptRow as error:
        return _unreadable_message(message_id, str(error))


def _unreadable_message(message_id: str, why: str) -> QueuedMessage:
    origin = Origin("", "internal")
    return QueuedMessage(message_id, 0.0, None, 0, origin, 0, BodyType.SEVEN_BIT, False, "", "", "", why, True, False)


def _delivery(number: int, message_id: str, state: DeliveryState, due: float, hop: str, detail: bytes) -> Delivery:
    try:
        return unpack_delivery(number, message_id, state, due, hop, detail)
    except CorruptRow as error:
        nobody = Address("unreadable", "invalid")
        return Delivery(number, message_id, nobody, nobody, hop, Notify.NEVER, "", state, due, last_error=str(error))
