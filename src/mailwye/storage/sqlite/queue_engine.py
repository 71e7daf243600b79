"""The durable queue of one worker: one SQLite file, written by group commits, looked up in memory.

Who does what: `Committer` makes things durable, many at once; `QueueIndex` knows which delivery is where; `FreshMessages` keeps what was
just accepted, so that a message on the straight way out is written twice and never read; `Reader` reads the rest in a thread.

Leases are not stored. The file belongs to one process (a lock says so), so a lease that outlives the process is nobody's: at the next
start everything that was not settled is queued again, which is at-least-once delivery. A lease is a token in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import apsw

from mailwye.message.content import Content, InlineContent
from mailwye.queue.engine import LeaseLost, QueueError, QueueFull, Room, unlimited
from mailwye.queue.futures import done, failed
from mailwye.queue.item import Lease, NewMessage, QueueQuery, QueueRow, Receipt, Redirect, Settlement
from mailwye.storage.sqlite import queue_reader
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.commit_thread import CommitRunner, CommitThread
from mailwye.storage.sqlite.committer import Committer, Operation, Statement
from mailwye.storage.sqlite.connection import PAGE_SIZE, DatabaseError, explained, open_database
from mailwye.storage.sqlite.content_store import CHUNK_OCTETS, SqliteContentWriter, StoredContent
from mailwye.storage.sqlite.disk_space import DiskSpace
from mailwye.storage.sqlite.file_lock import FileLock
from mailwye.storage.sqlite.queue_administration import Administration, Redirecting
from mailwye.storage.sqlite.queue_leasing import Leasing
from mailwye.storage.sqlite.queue_loading import note_damage, open_queue_file
from mailwye.storage.sqlite.queue_operations import (
    Acceptance,
    Nothing,
    Settling,
    commit_error,
    message_rows,
    settlement_rows,
)
from mailwye.storage.sqlite.queue_reader import Reader

T = TypeVar("T")

CHECKPOINT_PAGES = 1000  # a log of 8 MiB: half the reserve, so that it can be emptied when the disk is full
CHECKPOINT_PAGES_IN_PLENTY = 4000  # rooms of mail that left are used again before a checkpoint writes them: 100 KiB, a tenth more messages


def _no_alert(_text: str) -> None:
    """Nobody wants to know."""


class SqliteQueueEngine:
    """A QueueEngine on the file `path` (its directory must exist; one file per worker).

    Octets: `inline_octets` content up to this is kept with its message, larger is staged in chunks; `memory_octets` all content that
    waits in memory for its first attempt; `ballast_octets` the reserve that lets the queue shrink on a full disk. With fewer free octets
    than `free_space_minimum` or free files than `free_inodes_minimum` no mail is accepted. `messages`: the limit of the queue. `on_alert`
    is told, in the event loop, what an administrator must know.
    `vfs`: see open_database; `runner`: where commits run.
    Opening reads the index of all deliveries: 0.2 s for each 100,000 (measured).
    :raises QueueError: the file is damaged, of another kind, or used by another process; the text says what to do.
    """

    def __init__(
        self,
        path: Path,
        *,
        inline_octets: int = 262_144,
        memory_octets: int = 268_435_456,
        free_space_minimum: int = 67_108_864,
        free_inodes_minimum: int = 1_000,
        messages: int = 5_000_000,
        ballast_octets: int = 16_777_216,
        on_alert: Callable[[str], None] = _no_alert,
        vfs: str | None = None,
        runner: Callable[[], CommitRunner] = CommitThread,
    ) -> None:
        self._path = path
        self._inline_octets = inline_octets
        self._limit = messages
        self._alert = on_alert
        self._vfs = vfs
        self._closed = False
        self._disk = DiskSpace(
            path.with_suffix(".ballast"),
            ballast_octets=ballast_octets,
            minimum=free_space_minimum,
            inodes=free_inodes_minimum,
            tell=on_alert,
            reusable=self._reusable_octets,
        )
        try:
            self._lock = FileLock(path.with_suffix(".lock"))
        except DatabaseError as error:
            raise QueueError(str(error)) from error
        try:
            self._state = open_queue_file(path, self._connect, memory_octets, on_alert)
            self._committer = Committer(
                self._connect,
                order=sql.ORDER,
                closing=lambda: (sql.SET_LEDGER, self._state.ledger.row()),
                failed=self._commit_failed,
                checkpoint_pages=lambda: CHECKPOINT_PAGES_IN_PLENTY if self._disk.plenty else CHECKPOINT_PAGES,
                runner=runner,
            )
        except apsw.Error as error:
            self._lock.release()
            raise QueueError(str(explained(path, error))) from error
        except (DatabaseError, ValueError) as error:
            self._lock.release()
            raise QueueError(str(error) if isinstance(error, DatabaseError) else f"{path} {error}") from error
        self._reader = Reader(path)
        self._searcher = Reader(path)  # of its own: no delivery waits for a search through the whole queue
        self._leasing = Leasing(path, self._state, self._committer, self._reader, self, on_alert)
        self._administration = Administration(self._state, self._committer, self._searcher)
        self._redirecting = Redirecting(self._state, self._committer, self._searcher)

    # --- in

    def content_writer(self) -> SqliteContentWriter:
        """See QueueEngine."""
        return SqliteContentWriter(self, self._inline_octets)

    def accept(self, message: NewMessage) -> asyncio.Future[Receipt]:
        """See QueueEngine."""
        content = message.content
        if content.inline is None and not isinstance(content, StoredContent):
            return asyncio.ensure_future(self._copy_and_accept(message))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        try:
            self._check_room(loop.time(), content.size)
            if isinstance(content, StoredContent) and content.writer is not None and content.writer.error is not None:
                raise QueueError(f"content could not be staged: {content.writer.error}")
            self._add_message(message, future)
        except QueueError as error:
            future.set_exception(error)
        return future

    def _add_message(self, message: NewMessage, future: asyncio.Future[Receipt]) -> None:
        ledger = self._state.ledger
        rows = message_rows(ledger.seq + 1, message)
        ledger.seq += 1
        ledger.accept(ledger.seq, len(message.deliveries))
        self._committer.add(Acceptance(self._state, ledger.seq, message, future, self._undo), rows)

    def _undo(self, seq: int, message: NewMessage, error: Exception) -> None:
        """A commit that failed may have left its rows in the log: nothing of a message that was refused may come back."""
        self._state.ledger.refuse(seq, len(message.deliveries))
        if not isinstance(error, apsw.FullError):
            self._committer.add(Nothing(), [(sql.UNDO_DELIVERIES, (seq,)), (sql.END_MESSAGE, (seq,))], lasting=True)

    def _check_room(self, now: float, octets: int) -> None:
        """`octets` are about to be written. :raises QueueError: they cannot be."""
        if self._closed:
            raise QueueError("the queue is closed")
        if self._committer.broken is not None:
            raise commit_error(self._committer.broken)
        if self._state.index.messages >= self._limit:
            raise QueueFull(self._too_many())
        if not self._disk.has_room(now):
            raise QueueFull(self._disk.reason(0))
        self._disk.taken(octets)

    def why_no_room(self, octets: int) -> str:
        """See QueueEngine."""
        if self._state.index.messages >= self._limit:
            return self._too_many()
        return "" if self._disk.has_room(asyncio.get_running_loop().time(), octets) else self._disk.reason(octets)

    def _too_many(self) -> str:
        return f"the queue holds its limit of {self._limit} messages"

    async def _copy_and_accept(self, message: NewMessage) -> Receipt:
        return await self.accept(replace(message, content=await self._copied(message.content)))

    async def _copied(self, content: Content) -> Content:
        """`content` of another store, in this one."""
        writer = self.content_writer()
        async for piece in content.chunks():
            waiting = writer.write(piece)
            if waiting is not None:
                await waiting
        return writer.finish()

    # --- out

    def lease(self, now: float, *, limit: int, room: Room = unlimited, seconds: float = 3600) -> asyncio.Future[Sequence[Lease]]:
        """See QueueEngine. Next hops take turns; within one the order is that of acceptance."""
        return self._leasing.lease(now, limit, room, seconds)

    def renew(self, lease: Lease, until: float) -> asyncio.Future[None]:
        """See QueueEngine."""
        if self._state.leases.get(lease.token) is None:
            return failed(LeaseLost(f"lease {lease.token} on {lease.message.id} is gone"))
        self._state.leases.extend(lease.token, until)
        return done(None)

    def settle(self, lease: Lease, settlements: Sequence[Settlement], bounces: Sequence[NewMessage] = ()) -> asyncio.Future[None]:
        """See QueueEngine. Done when it is durable: on a disk that fails that may take until it recovers, but it is not forgotten."""
        record = self._state.leases.get(lease.token)
        if record is None or not record.deliveries.keys() >= {one.delivery_id for one in settlements}:
            return failed(LeaseLost(f"lease {lease.token} on {lease.message.id} is gone, or these deliveries are settled already"))
        if any(one.content.inline is None and not isinstance(one.content, StoredContent) for one in bounces):
            return asyncio.ensure_future(self._copy_and_settle(lease, settlements, bounces))
        state = self._state
        rows: list[Statement] = []
        numbered: list[tuple[int, NewMessage]] = []
        try:
            for bounce in bounces:
                rows += message_rows(state.ledger.seq + len(numbered) + 1, bounce)
                numbered.append((state.ledger.seq + len(numbered) + 1, bounce))
        except QueueError as error:
            return failed(error)
        state.ledger.seq += len(numbered)
        for seq, bounce in numbered:
            state.ledger.accept(seq, len(bounce.deliveries))
        ended, waiting = settlement_rows(state, record, settlements)
        if not record.deliveries:
            state.leases.end(lease.token)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committer.add(Settling(state, waiting, numbered, future), rows + ended, lasting=True, patient=not bounces)
        return future

    async def _copy_and_settle(self, lease: Lease, settlements: Sequence[Settlement], bounces: Sequence[NewMessage]) -> None:
        await self.settle(lease, settlements, [replace(one, content=await self._copied(one.content)) for one in bounces])

    # --- administration

    def hold(self, query: QueueQuery) -> Awaitable[int]:
        """See QueueEngine."""
        return self._administration.hold(query)

    def release(self, query: QueueQuery) -> Awaitable[int]:
        """See QueueEngine."""
        return self._administration.release(query)

    def retry(self, query: QueueQuery, now: float) -> Awaitable[int]:
        """See QueueEngine."""
        return self._administration.retry(query, now)

    def hurry(self, next_hop: str, now: float) -> Awaitable[int]:
        """See QueueEngine. In the index only."""
        return self._administration.hurry(next_hop, now)

    def redirect(self, redirects: Sequence[Redirect]) -> Awaitable[frozenset[int]]:
        """See QueueEngine."""
        return self._redirecting.redirect(redirects)

    def delete(self, query: QueueQuery) -> Awaitable[Sequence[QueueRow]]:
        """See QueueEngine."""
        return self._administration.delete(query)

    def inspect(self, query: QueueQuery) -> Awaitable[Sequence[QueueRow]]:
        """See QueueEngine."""
        return self._administration.inspect(query)

    async def read_content(self, message_id: str) -> Content | None:
        """See QueueEngine."""
        found = await self._reader.run(lambda connection: queue_reader.read_content(connection, message_id))
        if found is None:
            return None
        data, staging, size = found
        return StoredContent(self, staging, size) if data is None else InlineContent(data)

    def counts(self) -> asyncio.Future[dict[str, dict[str, int]]]:
        """See QueueEngine."""
        return done(self._state.index.counts())

    def next_due(self, *, exclude: frozenset[str] = frozenset()) -> asyncio.Future[float | None]:
        """See QueueEngine."""
        return done(self._state.index.next_due(exclude))

    # --- life

    @property
    def commits(self) -> int:
        """Commits since the file was opened: each is one fsync."""
        return self._committer.commits

    def on_work(self, callback: Callable[[], None]) -> None:
        """See QueueEngine."""
        self._state.callbacks.append(callback)

    async def close(self) -> None:
        """See QueueEngine. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        await self._committer.close()
        await self._reader.close()
        await self._searcher.close()
        self._lock.release()

    def _connect(self) -> apsw.Connection:
        return open_database(self._path, page_size=PAGE_SIZE, synchronous="FULL", vfs=self._vfs)

    def _reusable_octets(self) -> int:
        return self._committer.reusable_octets()  # which is made after the disk was looked at

    def _commit_failed(self, error: Exception) -> None:
        freed = isinstance(error, apsw.FullError) and self._disk.give_up_ballast()
        if isinstance(error, apsw.CorruptError | apsw.NotADBError):
            note_damage(self._path, str(error))
            self._alert(
                f"{self._path} is damaged: {error}. Restart the service: the next start sets the file aside and saves what can be read"
            )
            return
        self._alert(f"{explained(self._path, error) if isinstance(error, apsw.Error) else error}" + (" (reserve freed)" if freed else ""))

    # --- for content

    def next_staging(self) -> int:
        """A number for staged content, never given out before."""
        self._state.ledger.staging += 1
        return self._state.ledger.staging

    def submit(self, operation: Operation, statements: list[Statement], *, lasting: bool) -> None:
        """See ContentPort."""
        if not lasting:
            self._check_room(asyncio.get_running_loop().time(), CHUNK_OCTETS)
        self._committer.add(operation, statements, lasting=lasting)

    def note_damage(self, staging: int, why: str) -> None:
        """See ContentPort."""
        self._leasing.note_damage(staging, why)

    def read(self, job: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """See ContentPort."""
        return self._reader.run(job)
