"""The two books, and what comes of holding one against the other.

A line is written by one system call before anything goes on, so it survives whatever happens to the service; the harness itself is not
killed. The books must lie outside the file system under test. An attempt is one try of the sender to hand over a message, "m17.1": a
message without a 250 is sent again as "m17.2", so that a second copy by the sender is never taken for a second copy by the service.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

Pair = tuple[str, str]
"""(attempt, recipient): what the service answers for since its 250."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A 250 to content. `digest`: sha256 of the content as it was sent. `queue_id`: as the reply names it. `at`: monotonic seconds."""

    attempt: str
    recipients: tuple[str, ...]
    digest: str
    queue_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Received:
    """One message as a sink took it. `digest`: of the content from the sender's first header field on. `notice`: "" for mail, the
    actions of a DSN ("failed", "delayed") otherwise, where `attempt` is that of the message it returns. `at`: monotonic seconds.
    """

    sink: str
    attempt: str
    recipients: tuple[str, ...]
    digest: str
    at: float
    notice: str = ""


class Book:
    """An append-only file of records, one JSON object a line, and the same records in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _append(self, record: Acknowledged | Received) -> None:
        line = json.dumps(asdict(record), separators=(",", ":")).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(f"{self.path}: a line was written in part; the figures would be wrong")

    def sync(self) -> None:
        """Make it survive a power cut of the whole machine too."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._descriptor)


class SenderBook(Book):
    """Every 250 to content. `promised`: what the service answers for, with the digest."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.records: list[Acknowledged] = []
        self.promised: dict[Pair, Acknowledged] = {}

    def write(self, record: Acknowledged) -> None:
        """Before anything else is done about this 250."""
        self._append(record)
        self.records.append(record)
        for recipient in record.recipients:
            self.promised[record.attempt, recipient] = record


class ReceiverBook(Book):
    """Every message that a sink took. `arrivals`: of each pair, in order. `notices`: DSNs about a pair."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.records: list[Received] = []
        self.arrivals: dict[Pair, list[Received]] = {}
        self.notices: dict[Pair, list[Received]] = {}

    def write(self, record: Received) -> None:
        """Before the sink's 250."""
        self._append(record)
        self.records.append(record)
        book = self.notices if record.notice else self.arrivals
        for recipient in record.recipients:
            book.setdefault((record.attempt, recipient), []).append(record)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of everything promised. `lost`: neither arrived, nor queued, nor returned. `altered`: arrived with other content.
    `duplicates`: surplus arrivals of one pair; `first_copies`: the first arrival of each of them. `queued`: still in the queue.
    `returned`: by a DSN "failed", and did not arrive. `unpromised`: arrived though the sender saw no 250 (he sent it again).
    `fsck`: "clean", or what `mailwye queue fsck` said.
    """

    promised: int
    lost: tuple[Pair, ...]
    altered: tuple[Pair, ...]
    duplicates: tuple[Received, ...]
    queued: int
    returned: int
    unpromised: int
    fsck: str = "clean"
    first_copies: tuple[Received, ...] = ()

    @property
    def kept(self) -> bool:
        """Nothing was lost or altered, and the service's own books agree."""
        return not self.lost and not self.altered and self.fsck == "clean"


def judge(sent: SenderBook, received: ReceiverBook, queued: Iterable[Pair] = (), fsck: str = "clean") -> Verdict:
    """Hold the books against each other. `queued`: (queue id, recipient) of what the service still has."""
    waiting = set(queued)
    lost, altered, returned, still = [], [], 0, 0
    for pair, record in sent.promised.items():
        arrivals = received.arrivals.get(pair, ())
        if any(one.digest != record.digest for one in arrivals):
            altered.append(pair)
        if arrivals:
            continue
        if (record.queue_id, pair[1]) in waiting:
            still += 1
        elif any("failed" in one.notice for one in received.notices.get(pair, ())):
            returned += 1
        else:
            lost.append(pair)
    surplus = tuple(one for arrivals in received.arrivals.values() for one in arrivals[1:])
    first = tuple(arrivals[0] for arrivals in received.arrivals.values() for _ in arrivals[1:])
    unpromised = sum(pair not in sent.promised for pair in received.arrivals)
    return Verdict(len(sent.promised), tuple(lost), tuple(altered), surplus, still, returned, unpromised, fsck, first)


def outstanding(sent: SenderBook, received: ReceiverBook) -> set[Pair]:
    """What was promised and has neither arrived nor been returned."""
    return {
        pair
        for pair in sent.promised
        if pair not in received.arrivals and not any("failed" in one.notice for one in received.notices.get(pair, ()))
    }
