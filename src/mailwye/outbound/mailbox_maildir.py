"""Mailbox delivery into Maildirs: ROOT/domain/local-part/{tmp,new,cur}, as Dovecot reads with `mail_location = maildir:ROOT/%d/%n`.

On disk lines end with LF, as every delivery agent writes Maildirs and every reader expects; readers serve CRLF again, so the message has
at the far end the octets that came in, behind two prepended fields: Return-Path (RFC 5321 section 4.4) and Delivered-To. A message is
reported as delivered when its octets and its name are on the disk; a crash before it is settled in the queue repeats it, never loses it.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from mailwye.message.content import Content
from mailwye.outbound.courier import Attempt, Stage, Work
from mailwye.queue.engine import QueueError
from mailwye.queue.item import Delivery, QueuedMessage
from mailwye.runtime import files
from mailwye.runtime.clock import Clock
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply

T = TypeVar("T")

THREADS = 2
KNOWN_LIMIT = 100_000  # Maildirs that are known to exist
BATCH = 64  # files that one thread brings to the disk together, so that each directory is synced once for all of them

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-+=!#$&'*^`{|}~@")
_TAKEN = Reply(250, "2.1.5", "Delivered to the mailbox")


class MaildirCourier:
    """The Courier for RouteKind.MAILBOX. `executor`: where the blocking work is done; by default two threads of its own."""

    def __init__(self, root: Path, *, hostname: str, clock: Clock, executor: Executor | None = None) -> None:
        self._root = root
        self._clock = clock
        self._host = hostname.replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")  # as the Maildir format asks
        self._counter = itertools.count(1)
        self._executor = executor or ThreadPoolExecutor(THREADS, thread_name_prefix="maildir")
        self._owns_executor = executor is None
        self._waiting: list[_Job] = []
        self._busy = 0
        self._known: set[Path] = set()
        self._under_way = 0
        self._idle = asyncio.Event()

    def deliver(self, work: Work) -> Awaitable[Sequence[Attempt]]:
        """See Courier."""
        inline = work.lease.content.inline
        if inline is None or len(work.lease.deliveries) != 1:
            return self._deliver_each(work, inline)
        # The usual message: no task, a job and a future.
        delivery = work.lease.deliveries[0]
        job = self._job(work.lease.message, delivery, work.envelope_recipients[0])
        job.data = job.head + inline.replace(b"\r\n", b"\n")
        result: asyncio.Future[Sequence[Attempt]] = asyncio.get_running_loop().create_future()
        job.done = lambda attempt: _answer(result, (attempt,))
        self._submit(job)
        return result

    async def close(self) -> None:
        """See Courier."""
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()
        if self._owns_executor:
            self._executor.shutdown(wait=False)

    async def _deliver_each(self, work: Work, inline: bytes | None) -> Sequence[Attempt]:
        """Several recipients, or content that is not in memory: all files are under way before the first is waited for."""
        loop = asyncio.get_running_loop()
        results: list[asyncio.Future[Attempt]] = []
        for delivery, recipient in zip(work.lease.deliveries, work.envelope_recipients, strict=True):
            job = self._job(work.lease.message, delivery, recipient)
            result: asyncio.Future[Attempt] = loop.create_future()
            results.append(result)
            job.done = partial(_answer, result)
            if inline is not None:
                job.data = job.head + inline.replace(b"\r\n", b"\n")
            elif (refusal := await self._spool(job, work.lease.content)) is not None:
                result.set_result(refusal)
                continue
            self._submit(job)
        return [await result for result in results]

    async def _spool(self, job: _Job, content: Content) -> Attempt | None:
        """Large content goes to tmp/ piece by piece, so that it is never all in memory. The Attempt of a failure, else None."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, job.open, self._known)
            carried = b""
            async for piece in content.chunks():
                data = carried + piece
                carried = b"\r" if data.endswith(b"\r") else b""  # its LF may be in the next piece
                data = data[: len(data) - len(carried)].replace(b"\r\n", b"\n")
                await loop.run_in_executor(self._executor, job.write, data)
            await loop.run_in_executor(self._executor, job.write, carried)
        except OSError as error:
            job.abandon()
            return job.failure(error)
        except QueueError as error:
            job.abandon()
            return Attempt(job.delivery, Stage.MAILBOX, Reply(451, "4.3.0", f"The stored content cannot be read: {error}"))
        except BaseException:
            job.abandon()
            raise
        return None

    def _job(self, message: QueuedMessage, delivery: Delivery, recipient: Address) -> _Job:
        now = self._clock.now()
        seconds = int(now)
        name = f"{seconds}.M{int((now - seconds) * 1_000_000):06d}P{os.getpid()}Q{next(self._counter)}.{self._host}"
        head = f"Return-Path: <{message.sender or ''}>\nDelivered-To: {recipient}\n".encode()
        return _Job(delivery, recipient, mailbox_path(self._root, recipient), name, head)

    # --- batches: while the threads are busy jobs collect, and go to the disk together

    def _submit(self, job: _Job) -> None:
        self._under_way += 1
        self._waiting.append(job)
        if self._busy < THREADS:
            self._start_batch()

    def _start_batch(self) -> None:
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._busy += 1
        running = asyncio.get_running_loop().run_in_executor(self._executor, _store, batch, self._known)
        running.add_done_callback(lambda future: self._stored(batch, future))

    def _stored(self, batch: list[_Job], future: asyncio.Future[list[Attempt]]) -> None:
        self._busy -= 1
        self._under_way -= len(batch)
        if future.cancelled() or future.exception() is not None:
            error = OSError(errno.EIO, "the delivery was interrupted" if future.cancelled() else repr(future.exception()))
            attempts = [job.failure(error) for job in batch]
        else:
            attempts = future.result()
        if self._waiting and self._busy < THREADS:
            self._start_batch()
        for job, attempt in zip(batch, attempts, strict=True):
            job.done(attempt)
        if not self._under_way:
            self._idle.set()


@dataclass(slots=True)
class _Job:
    """One file. `head`: the prepended fields; `data`: all of it, where it is in memory; else `descriptor` of the file in tmp/."""

    delivery: Delivery
    recipient: Address
    maildir: Path
    name: str
    head: bytes
    data: bytes = b""
    descriptor: int = -1
    size: int = 0
    done: Callable[[Attempt], None] = lambda _attempt: None

    @property
    def temporary(self) -> Path:
        """In tmp/."""
        return self.maildir / "tmp" / self.name

    def open(self, known: set[Path]) -> None:
        """Make the Maildir where it is missing, and the file with its prepended fields."""
        if self.maildir not in known:
            for part in ("tmp", "new", "cur"):
                files.make_directories(self.maildir / part)
            if len(known) >= KNOWN_LIMIT:
                known.clear()
            known.add(self.maildir)
        try:
            self.descriptor = files.create(self.temporary)
        except FileNotFoundError:  # somebody removed the Maildir meanwhile
            known.discard(self.maildir)
            raise
        self.write(self.data or self.head)
        self.data = b""

    def write(self, data: bytes) -> None:
        """Append."""
        files.write_all(self.descriptor, data)
        self.size += len(data)

    def publish(self) -> Path:
        """The octets to the disk, then the name from tmp/ to new/. Returns the directory that must be synced next."""
        descriptor, self.descriptor = self.descriptor, -1
        files.sync_and_close(descriptor)
        new = self.maildir / "new"
        self.temporary.rename(new / f"{self.name},S={self.size}")
        return new

    def abandon(self) -> None:
        """Leave nothing behind that can be left out."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        try:
            self.temporary.unlink(missing_ok=True)
        except OSError:
            return

    def taken(self) -> Attempt:
        """It is on the disk."""
        return Attempt(self.delivery, Stage.MAILBOX, _TAKEN, reasons=(f"Stored in {self.maildir}",))

    def failure(self, error: OSError) -> Attempt:
        """A disk that cannot take it now: the message waits. The path is for the trace; the reply may reach the sender."""
        what = error.strerror or str(error)
        code, enhanced = (
            (452, "4.2.2") if error.errno == errno.EDQUOT else (452, "4.3.1") if error.errno == errno.ENOSPC else (451, "4.3.0")
        )
        reply = Reply(code, enhanced, f"The mailbox of {self.recipient} cannot be written: {what}")
        return Attempt(self.delivery, Stage.MAILBOX, reply, reasons=(f"{self.maildir}: {what}. {_remedy(error)}",))


def _answer(result: asyncio.Future[T], value: T) -> None:
    """Unless nobody waits any more."""
    if not result.done():
        result.set_result(value)


def _store(batch: list[_Job], known: set[Path]) -> list[Attempt]:
    """In a thread: all files of a batch to the disk, then each directory once. One Attempt per job, in order."""
    attempts: dict[int, Attempt] = {}
    published: dict[Path, list[int]] = {}
    for index, job in enumerate(batch):
        try:
            if job.descriptor < 0:
                job.open(known)
            published.setdefault(job.publish(), []).append(index)
        except OSError as error:
            job.abandon()
            attempts[index] = job.failure(error)
    for directory, indexes in published.items():
        try:
            files.sync_directories((directory,))
        except OSError as error:
            # The names may not survive: deferred, so perhaps delivered twice, but never lost.
            attempts |= {index: batch[index].failure(error) for index in indexes}
        else:
            attempts |= {index: batch[index].taken() for index in indexes}
    return [attempts[index] for index in range(len(batch))]


def mailbox_path(root: Path, recipient: Address) -> Path:
    """ROOT/domain/local-part: the local part in lower case and without quotes, as mailboxes compare (Address.key).

    What could leave the directory or surprise a file system is written as %XX: "/", a leading ".", "%", controls, blanks, non-ASCII.
    """
    local, _, domain = recipient.key.rpartition("@")
    return root / _safe(domain) / _safe(local)


def _safe(name: str) -> str:
    encoded = "".join(c if c in _SAFE else "".join(f"%{octet:02X}" for octet in c.encode()) for c in name)
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "Free some space there; delivery is tried again on its own"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "Let the user that runs mailwye write there; delivery is tried again on its own"
        case _:
            return "Look at the disk and the system's log; delivery is tried again on its own"
