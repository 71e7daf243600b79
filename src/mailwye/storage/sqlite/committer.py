"""Group commit: what many callers ask for while one commit is under way goes into the next one, all of it.

Statements run in the event loop's thread, only COMMIT (with its fsync), checkpoints and reopening run in a thread: each step of
SQLite gives the interpreter lock away and has to get it back, a commit does that once. Measured with 1 to 200 sessions: as fast as
a COMMIT in the loop, within the noise, and the loop goes on while a slow disk takes its time. The connection is never used by two
threads at a time: nothing is executed while a commit is under way.

Nobody waits at the other end for the result of an attempt, but a client waits for the reply to his content: patient operations begin no
commit of their own before PATIENCE_SECONDS are over, so that content does not stand behind a commit of results alone. Measured with 20
sessions: a third of the commits was such.

A commit that failed tells nothing about the disk (an fsync that failed once may succeed the next time without having written: D2 in
reliability.md). So its connection is closed, a new one is opened, and the write-ahead log is copied into the database and emptied before
anything is acknowledged again. Tentative work of that batch fails, lasting work (results of attempts, which exist nowhere else) is kept
and committed with the next batch. A disk that is merely full is milder: the write was refused, no fsync failed, a rollback is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import apsw

from mailwye.storage.sqlite.commit_thread import CommitRunner, CommitThread
from mailwye.storage.sqlite.connection import abandon

Row = tuple[object, ...]
Statement = tuple[str, Row]

RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 0.002  # how long patient operations wait for others; what it holds back would be sent again after a crash
PATIENT_OPERATIONS = 16  # so many of them need no others


class Operation(Protocol):
    """What a caller waits for. Exactly one of the two is called, once, in the event loop."""

    def committed(self) -> None:
        """It is durable."""
        ...

    def failed(self, error: Exception) -> None:
        """It is not, and never will be."""
        ...


class _Part:
    """Statements by SQL text, and the operations that wait for them."""

    __slots__ = ("operations", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.operations: list[Operation] = []

    def add(self, operation: Operation, statements: Sequence[Statement]) -> None:
        rows = self.rows
        for sql, row in statements:
            if (found := rows.get(sql)) is not None:
                found.append(row)
            else:
                rows[sql] = [row]
        self.operations.append(operation)

    def extend(self, other: _Part) -> None:
        for sql, rows in other.rows.items():
            self.rows.setdefault(sql, []).extend(rows)
        self.operations.extend(other.operations)


class Committer:
    """The only writer of one database.

    `connect` opens a connection; `order`: the SQL texts in the order in which a batch runs them; `closing`: a statement that ends each
    batch, or None; `failed`: told of each failed commit with what it was, before the operations are. `checkpoint_pages`: the length of
    the write-ahead log after which it is copied into the database. `runner`: where COMMIT runs.
    """

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        *,
        order: Sequence[str],
        closing: Callable[[], Statement | None],
        failed: Callable[[Exception], None],
        checkpoint_pages: Callable[[], int],
        runner: Callable[[], CommitRunner] = CommitThread,
    ) -> None:
        self._connect = connect
        self._order = order
        self._closing = closing
        self._failed = failed
        self._checkpoint_pages = checkpoint_pages
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tentative = _Part()
        self._lasting = _Part()
        self._under_way: tuple[_Part, _Part] | None = None
        self._scheduled = False
        self._urgent = False  # an operation that is not patient waits
        self._patience: asyncio.TimerHandle | None = None
        self._broken: Exception | None = None
        self._failures = 0  # commits and reopenings in a row
        self._checkpoint_first = False
        self._closed = False
        self._reusable = 0
        self._reusable_wanted = False
        self._idle: list[asyncio.Future[None]] = []
        self._connection = self._open()
        self._runner = runner()
        self.commits = 0

    @property
    def broken(self) -> Exception | None:
        """The error after which nothing can be committed until the database was opened again; None in health."""
        return self._broken

    def add(self, operation: Operation, statements: Sequence[Statement], *, lasting: bool = False, patient: bool = False) -> None:
        """Put `statements` into the next batch. Tentative ones fail with a batch that fails; `lasting` ones are kept until they
        are committed. `patient`: it may wait PATIENCE_SECONDS for others to be committed with. After `close` everything fails.
        """
        if self._closed:
            operation.failed(RuntimeError("the queue is closed"))
            return
        (self._lasting if lasting else self._tentative).add(operation, statements)
        if not patient or len(self._lasting.operations) >= PATIENT_OPERATIONS:
            self._urgent = True
        if self._under_way is None and not self._scheduled:
            self._schedule()

    def reusable_octets(self) -> int:
        """Octets of the database that hold nothing any more: mail is written there before the file grows. As of now, or of the last commit
        before the one under way.
        """
        if self._under_way is None:
            self._look_for_reusable()
        else:
            self._reusable_wanted = True
        return self._reusable

    def _look_for_reusable(self) -> None:
        self._reusable_wanted = False
        try:
            self._reusable = self._connection.pragma("freelist_count") * self._connection.pragma("page_size")
        except apsw.Error:
            self._reusable = 0  # the database cannot be read now: promise nothing

    async def close(self) -> None:
        """Commit what waits, then close. What cannot be committed at once is left out: its operations fail."""
        while self._under_way is not None or self._scheduled or self._patience is not None:
            if self._patience is not None:
                self._urgent = True
                self._schedule()
            if self._failures > 1 and self._under_way is None:
                break
            idle = self._running_loop().create_future()
            self._idle.append(idle)
            await idle
        self._closed = True
        for operation in self._tentative.operations + self._lasting.operations:
            operation.failed(self._broken or RuntimeError("the queue is closed"))
        self._tentative, self._lasting = _Part(), _Part()
        self._runner.submit(lambda: abandon(self._connection))
        await self._runner.stop()

    # --- in the event loop

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _schedule(self) -> None:
        """Nothing is under way, something waits: begin in the next turn of the loop, or when patience ends."""
        if not self._urgent:
            if self._patience is None:
                self._patience = self._running_loop().call_later(PATIENCE_SECONDS, self._begin)
            return
        self._scheduled = True
        self._running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._under_way is not None or self._closed:
            return
        if self._broken is not None:
            self._under_way = (_Part(), _Part())
            self._runner.submit(self._reopen)
            return
        if self._checkpoint_first:
            self._checkpoint_first = False
            self._under_way = (_Part(), _Part())
            self._runner.submit(self._checkpoint)
            return
        tentative, lasting = self._under_way = (self._tentative, self._lasting)
        self._tentative, self._lasting = _Part(), _Part()
        self._urgent = False
        try:
            self._run(tentative, lasting)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits for this batch must hear of it, and the next one must run
            self._finished(error)
            return
        self._runner.submit(self._commit)

    def _run(self, tentative: _Part, lasting: _Part) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        for sql in self._order:
            for part in (lasting, tentative):
                rows = part.rows.get(sql)
                if rows is not None:
                    connection.executemany(sql, rows)
        closing = self._closing()
        if closing is not None:
            connection.execute(*closing)

    def _finished(self, error: Exception | None) -> None:
        assert self._under_way is not None
        tentative, lasting = self._under_way
        self._under_way = None
        if error is None:
            self.commits += 1
            self._failures = 0
            if self._reusable_wanted:
                self._look_for_reusable()
            for part in (lasting, tentative):
                for operation in part.operations:
                    operation.committed()
            if self._written_pages() >= self._checkpoint_pages():
                self._under_way = (_Part(), _Part())
                self._runner.submit(self._checkpoint)
        else:
            self._fail(error, tentative, lasting)
        self._go_on()

    def _written_pages(self) -> int:
        """Pages that went into the log since the last checkpoint. Asked for here, where a hook would call into Python within COMMIT: the
        thread that commits would wait there for the interpreter, and the loop for the thread.
        """
        written, _ = self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        return written

    def _fail(self, error: Exception, tentative: _Part, lasting: _Part) -> None:
        if self._rolled_back(error):
            self._checkpoint_first = True  # an emptied log is written over, which needs no room
        else:
            self._broken = error
        self._failures += 1
        lasting.extend(self._lasting)
        self._lasting = lasting
        self._failed(error)
        late, self._tentative = self._tentative, _Part()
        for operation in tentative.operations + late.operations:
            operation.failed(error)

    def _rolled_back(self, error: Exception) -> bool:
        """Whether the connection is as good as before. A full disk refused a write; no fsync has failed, so nothing is in doubt."""
        if not isinstance(error, apsw.FullError):
            return False
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            return False
        return True

    def _checkpointed(self, error: Exception | None) -> None:
        self._under_way = None
        if isinstance(error, apsw.FullError):
            self._failed(error)  # the log still holds everything, and the next commit tries again
        elif error is not None:
            self._fail(error, _Part(), _Part())
        self._go_on()

    def _go_on(self) -> None:
        if self._under_way is None and not self._scheduled and not self._closed:
            waiting = self._tentative.operations or self._lasting.operations
            if self._failures and (waiting or self._broken is not None):
                self._scheduled = True
                self._running_loop().call_later(RETRY_SECONDS if self._failures > 1 else 0, self._begin)
            elif waiting and self._urgent:
                self._begin()
            elif waiting:
                self._schedule()
        if self._under_way is None or self._failures:
            idle, self._idle = self._idle, []
            for future in idle:
                if not future.done():
                    future.set_result(None)

    def _reopened(self, connection: apsw.Connection | None, error: Exception | None) -> None:
        self._under_way = None
        if connection is None:
            self._broken = error
            self._failures += 1
        else:
            self._connection = connection
            self._broken = None
        self._go_on()

    # --- in the commit thread

    def _report(self, callback: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            self._report(self._finished, error)
        else:
            self._report(self._finished, None)

    def _checkpoint(self) -> None:
        error: Exception | None = None
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as caught:
            error = caught
        self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, reset=True)
        self._report(self._checkpointed, error)

    def _reopen(self) -> None:
        """Closing rolls back what was not committed."""
        connection: apsw.Connection | None = None
        error: Exception | None = None
        try:
            abandon(self._connection)
            connection = self._open()
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the loop must hear of it and try again
            error = caught
            if connection is not None:
                abandon(connection)
                connection = None
        self._report(self._reopened, connection, error)

    def _open(self) -> apsw.Connection:
        connection = self._connect()
        connection.wal_autocheckpoint(0)
        return connection
