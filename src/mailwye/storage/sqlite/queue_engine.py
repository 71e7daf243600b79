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
from mailwye.queue.engine import LeaseLost, QueueError, QueueFull
from mailwye.queue.futures import done, failed
from mailwye.queue.item import Lease, NewMessage, QueueQuery, QueueRow, Receipt, Settlement
from mailwye.storage.sqlite import queue_reader
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.commit_thread import CommitRunner, CommitThread
from mailwye.storage.sqlite.committer import Committer, Operation, Statement
from mailwye.storage.sqlite.connection import DatabaseError, explained, open_database
from mailwye.storage.sqlite.content_store import CHUNK_OCTETS, SqliteContentWriter, StoredContent
from mailwye.storage.sqlite.disk_space import DiskSpace
from mailwye.storage.sqlite.file_lock import FileLock
from mailwye.storage.sqlite.queue_administration import Administration
from mailwye.storage.sqlite.queue_cache import FreshMessages
from mailwye.storage.sqlite.queue_index import CORRUPT, QueueIndex
from mailwye.storage.sqlite.queue_operations import (
    Acceptance,
    Nothing,
    Settling,
    commit_error,
    fresh_deliveries,
    fresh_message,
    message_rows,
    settlement_rows,
)
from mailwye.storage.sqlite.queue_reader import Reader, StoredMessage, Unreadable
from mailwye.storage.sqlite.queue_state import Ledger, QueueState

T = TypeVar("T")

PAGE_SIZE = 8192  # measured: as fast as 4096 with 4 KiB messages, 1.4 times with 100 KiB ones
CHECKPOINT_PAGES = 1000  # a log of 8 MiB: half the reserve, so that it can be emptied when the disk is full
READ_AGAIN_SECONDS = 60.0  # after the disk refused to read a message


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
        )
        try:
            self._lock = FileLock(path.with_suffix(".lock"))
        except DatabaseError as error:
            raise QueueError(str(error)) from error
        try:
            self._state = self._load(memory_octets)
            self._committer = Committer(
                self._connect,
                order=sql.ORDER,
                closing=lambda: (sql.SET_LEDGER, self._state.ledger.row()),
                failed=self._commit_failed,
                checkpoint_pages=CHECKPOINT_PAGES,
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
        self._administration = Administration(self._state, self._committer, self._searcher)

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

    def lease(
        self, now: float, *, limit: int, exclude: frozenset[str] = frozenset(), seconds: float = 3600
    ) -> asyncio.Future[Sequence[Lease]]:
        """See QueueEngine. Next hops take turns; within one the order is that of acceptance."""
        state = self._state
        for record in state.leases.end_expired(now):
            for number in record.deliveries:
                state.put_back(number)
        taken: list[tuple[list[int], NewMessage | None]] = []
        fresh_only = True
        for numbers in state.index.take(now, limit, exclude):
            state.leased.update(numbers)
            new = state.fresh.take(numbers[0] >> sql.PLACE_BITS, numbers)
            fresh_only = fresh_only and new is not None
            taken.append((numbers, new))
        if fresh_only:
            return done([self._lease_fresh(numbers, new, now + seconds) for numbers, new in taken if new is not None])
        return asyncio.ensure_future(self._lease_stored(taken, now, seconds))

    def _lease_fresh(self, numbers: list[int], new: NewMessage, expires_at: float) -> Lease:
        message, content = fresh_message(new)
        return self._state.leases.grant(message, fresh_deliveries(self._state, new, numbers), content, expires_at)

    async def _lease_stored(self, taken: list[tuple[list[int], NewMessage | None]], now: float, seconds: float) -> Sequence[Lease]:
        """As lease, where some of what was taken must be read first. The order is kept."""
        wanted = [numbers for numbers, new in taken if new is None]
        try:
            found = iter(await self._reader.run(lambda connection: [queue_reader.read_group(connection, one) for one in wanted]))
        except asyncio.CancelledError:
            for numbers, _ in taken:
                for number in numbers:
                    self._state.put_back(number)
            raise
        except QueueError as error:
            found = iter([Unreadable(tuple(numbers), str(error), damaged=False) for numbers in wanted])
        leases: list[Lease] = []
        for numbers, new in taken:
            if new is not None:
                leases.append(self._lease_fresh(numbers, new, now + seconds))
                continue
            one = next(found)
            if isinstance(one, Unreadable):
                self._set_aside(one, now)
            else:
                leases.append(self._state.leases.grant(one.message, one.deliveries, self._content(one), now + seconds))
        return leases

    def _content(self, stored: StoredMessage) -> Content:
        if stored.content is None:
            return StoredContent(self, stored.staging, stored.message.size)
        return InlineContent(stored.content)

    def _set_aside(self, unreadable: Unreadable, now: float) -> None:
        """What is damaged stays in the file as CORRUPT and blocks nothing; what the disk refused is read again later."""
        if not unreadable.damaged:
            for number in unreadable.numbers:
                self._state.put_back(number, now + READ_AGAIN_SECONDS)
            self._alert(f"{self._path}: a message could not be read and waits: {unreadable.why}")
            return
        rows: list[Statement] = []
        for number in unreadable.numbers:
            self._state.leased.discard(number)
            hop, due = self._state.index.hop_and_due(number)
            self._state.index.place(number, CORRUPT, due, hop)
            self._state.ledger.corrupt += 1
            rows.append((sql.SET_STATE, (CORRUPT, due, number)))
        self._committer.add(Nothing(), rows, lasting=True)
        self._alert(f"{self._path}: a message is damaged and was set aside (state corrupt): {unreadable.why}")

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
        self._committer.add(Settling(state, waiting, numbered, future), rows + ended, lasting=True)
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

    def _load(self, memory_octets: int) -> QueueState:
        connection = self._connect()
        try:
            sql.prepare(connection)
            ledger = Ledger(tuple(connection.execute(sql.LOAD_LEDGER).fetchone() or (0,) * len(sql.LEDGER_COLUMNS)))
            opened = connection.execute(sql.COUNT_OPENING).get
            index = QueueIndex()
            seq, siblings = -1, 0
            for number, state, due, hop in connection.execute(sql.LOAD_INDEX):
                if number >> sql.PLACE_BITS != seq:
                    if siblings:
                        index.add_message(seq, siblings)
                    seq, siblings = number >> sql.PLACE_BITS, 0
                siblings += 1
                index.add(number, hop, due, state)
            if siblings:
                index.add_message(seq, siblings)
            ledger.seq = max(ledger.seq, seq)
        finally:
            connection.close()
        return QueueState(ledger, index, FreshMessages(memory_octets), opened)

    def _connect(self) -> apsw.Connection:
        return open_database(self._path, page_size=PAGE_SIZE, synchronous="FULL", vfs=self._vfs)

    def _commit_failed(self, error: Exception) -> None:
        freed = isinstance(error, apsw.FullError) and self._disk.give_up_ballast()
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

    def read(self, job: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """See ContentPort."""
        return self._reader.run(job)
