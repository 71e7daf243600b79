"""Content of messages: small in memory on its way in, large in chunks of the database, staged before the message is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import apsw

from mailwye.message.content import Content, InlineContent
from mailwye.queue.engine import QueueError
from mailwye.storage.sqlite.committer import Operation, Statement
from mailwye.storage.sqlite.connection import DatabaseError, explained
from mailwye.storage.sqlite.queue_codec import CorruptRow, chunk_checksum, verify_chunk
from mailwye.storage.sqlite.queue_schema import ADD_CHUNK, ADD_STAGING, END_STAGING, PLACE_BITS, PLACES, READ_CHUNK

T = TypeVar("T")
CHUNK_OCTETS = 262_144


class ContentDamaged(QueueError):
    """Stored content is not what was written, and will not be."""


class ContentPort(Protocol):
    """What content needs of its engine."""

    def next_staging(self) -> int:
        """A number that no content had before."""
        ...

    def submit(self, operation: Operation, statements: list[Statement], *, lasting: bool) -> None:
        """See Committer.add. :raises QueueError: (tentative work) nothing can be written now."""
        ...

    def note_damage(self, staging: int, why: str) -> None:
        """Content turned out to be damaged while it was read: the next attempt at its message sets that aside."""
        ...

    def read(self, job: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """Run `job` on a connection for reading, in a thread."""
        ...


class StoredContent:
    """Content that is `staging`'s chunks, `size` octets in all. `inline` is None. `writer`: who wrote it, while it is not accepted."""

    __slots__ = ("_port", "size", "staging", "writer")

    def __init__(self, port: ContentPort, staging: int, size: int, writer: SqliteContentWriter | None = None) -> None:
        self._port = port
        self.writer = writer
        self.staging = staging
        self.size = size

    @property
    def inline(self) -> None:
        """Never at hand."""
        return

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks, read one at a time in a thread.

        :raises QueueError: a chunk cannot be read, or is not what was written.
        """
        left = self.size
        place = 0
        while left > 0:
            number = self.staging << PLACE_BITS | place
            try:
                data = await self._port.read(partial(_read_chunk, number=number))
            except ContentDamaged as error:
                self._port.note_damage(self.staging, str(error))
                raise
            yield data
            left -= len(data)
            place += 1
        if left:
            why = f"content {self.staging} has {-left} octets too many"
            self._port.note_damage(self.staging, why)
            raise ContentDamaged(why)


def _read_chunk(connection: apsw.Connection, number: int) -> bytes:
    row = connection.execute(READ_CHUNK, (number,)).fetchone()
    try:
        what = f"chunk {number & (PLACES - 1)} of content {number >> PLACE_BITS}"
        return verify_chunk(row[1] if row else None, row[0] if row else 0, number, what)
    except CorruptRow as error:
        raise ContentDamaged(str(error)) from error
    except apsw.CorruptError as error:
        raise ContentDamaged(str(explained(Path(connection.filename), error))) from error
    except apsw.Error as error:
        raise QueueError(str(explained(Path(connection.filename), error))) from error


class _Staged:
    """A chunk on its way to the disk."""

    __slots__ = ("_future", "_writer")

    def __init__(self, writer: SqliteContentWriter, future: asyncio.Future[None]) -> None:
        self._writer = writer
        self._future = future

    def committed(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def failed(self, error: Exception) -> None:
        self._writer.error = error
        if not self._future.done():
            self._future.set_exception(QueueError(f"content could not be staged: {error}"))


class _Discarded:
    """Staged chunks on their way out. Nobody waits."""

    def committed(self) -> None:
        """Nothing to tell."""

    def failed(self, error: Exception) -> None:
        """The chunks go when the queue is opened the next time."""


class SqliteContentWriter:
    """A ContentWriter: keeps up to `inline_octets` in memory, writes more to the database in chunks of 256 KiB.

    Each chunk is part of a group commit; the awaitable that `write` returns is done when it is durable, so one writer holds at most
    `inline_octets` and two chunks.
    """

    __slots__ = ("_data", "_inline_octets", "_place", "_port", "_size", "_staging", "error")

    def __init__(self, port: ContentPort, inline_octets: int) -> None:
        self._port = port
        self._inline_octets = inline_octets
        self._data = bytearray()
        self._size = 0
        self._staging = 0
        self._place = 0
        self.error: Exception | None = None

    def write(self, data: bytes) -> Awaitable[None] | None:
        """See ContentWriter."""
        self._data += data
        self._size += len(data)
        if self._size <= self._inline_octets or len(self._data) < CHUNK_OCTETS:
            return None
        return self._spill()

    def finish(self) -> Content:
        """See ContentWriter.

        :raises QueueError: staging failed before.
        """
        if self._size <= self._inline_octets:
            return InlineContent(bytes(self._data))
        if self._data:
            self._spill(whole=True)
        if self.error is not None:
            raise QueueError(f"content could not be staged: {self.error}")
        return StoredContent(self._port, self._staging, self._size, self)

    def discard(self) -> None:
        """See ContentWriter. Chunks that an accepted message refers to stay (the table's trigger looks)."""
        if self._staging:
            self._port.submit(_Discarded(), [(END_STAGING, (self._staging,))], lasting=True)
            self._staging = 0
        self._data.clear()

    def accepted(self) -> None:
        """The content belongs to a durable message now: nothing is left to discard."""
        self._staging = 0

    def _spill(self, *, whole: bool = False) -> asyncio.Future[None]:
        """Send the full chunks (`whole`: everything) to the disk; the future of the last one."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if whole:  # nobody awaits it: accept fails with the batch, or meets `error`
            future.add_done_callback(lambda done: done.exception())
        statements: list[Statement] = []
        if not self._staging:
            self._staging = self._port.next_staging()
            statements.append((ADD_STAGING, (self._staging,)))
        end = len(self._data) if whole else len(self._data) // CHUNK_OCTETS * CHUNK_OCTETS
        for at in range(0, end, CHUNK_OCTETS):
            data = bytes(self._data[at : min(at + CHUNK_OCTETS, end)])
            number = self._staging << PLACE_BITS | self._place
            statements.append((ADD_CHUNK, (number, chunk_checksum(data, number), data)))
            self._place += 1
        del self._data[:end]
        operation = _Staged(self, future)
        if self._place > PLACES:
            operation.failed(QueueError("more than 256 GiB"))
            return future
        try:
            self._port.submit(operation, statements, lasting=False)
        except (QueueError, DatabaseError) as error:
            operation.failed(error)
        return future
