"""Holds a log of system calls against two promises: a 250 to content is sent only when the message would survive a power cut, and a
message leaves the queue only after its next hop took it.

At the beginning of each 250 the folder is replayed as a power cut at that moment would leave it (disk_replay) and opened with SQLite: the
message must be in it, with every recipient and every octet. Nothing is assumed about how the queue is written, so it is as true of a
log of our own as of SQLite's. The mirror looks at what each commit writes: whoever is gone must have been taken before, by a 250 that was
read before the commit's first write.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from torture.disk_replay import DiskReplay
from torture.ledger import Acknowledged
from torture.receiver import ATTEMPT_HEADER
from torture.strace_log import READS, SYNCS, WRITES, Call

_QUEUED = re.compile(rb"^250 2\.0\.0 Ok: queued as (\S+)\r$", re.MULTILINE)
_TAKEN = re.compile(rb"^250 2\.0\.0 Ok: taken (\S+) for (\S+)\r$", re.MULTILINE)
_PLACE_BITS = 20  # of storage/sqlite/queue_schema

Stored = dict[str, frozenset[str]]
"""Queue id → recipients that are not settled."""


@dataclass(slots=True)
class Findings:
    """`acknowledged`: replies 250 to content. `early`: those whose message would not have survived, with why. `settled`: (attempt,
    recipient) pairs that left the queue. `forgotten`: those that left before they were taken. `syncs`, `failed_syncs`: of queue files.
    `states`: how many states of the disk were opened. `unanswered`: connections whose last reply was 354.
    """

    acknowledged: int = 0
    early: list[str] = field(default_factory=list)
    settled: int = 0
    forgotten: list[str] = field(default_factory=list)
    syncs: int = 0
    failed_syncs: int = 0
    states: int = 0
    unanswered: int = 0

    @property
    def good(self) -> bool:
        """No promise was broken."""
        return not self.early and not self.forgotten


class OrderAudit:
    """Of one run of one worker, from its start with an empty queue folder. `listener`: where it takes mail, "127.0.0.1:25"; `book`: what
    the sender noted, by queue id. `mirror`: look at settlements too (not where commits fail: what was refused is taken
    back, which looks alike).
    """

    def __init__(self, folder: Path, listener: str, book: Mapping[str, Acknowledged], *, mirror: bool = True) -> None:
        self.disk = DiskReplay(folder)
        self.findings = Findings()
        self._listener = listener
        self._book = book
        self._mirror = mirror
        self._promised: set[str] = set()
        self._taken: dict[tuple[str, str], int] = {}  # (attempt, recipient) → line
        self._attempts: dict[str, str] = {}  # queue id → attempt
        self._whole: set[str] = set()  # queue ids whose content was found as sent
        self._present: Stored = {}
        self._durable: tuple[int, Stored] = (-1, {})
        self._commit_began: int | None = None
        self._last_reply: dict[str, bytes] = {}  # by connection

    def replay(self, calls: Iterable[Call]) -> Findings:
        """Go through a whole log."""
        steps: list[tuple[int, int, Call]] = []
        for call in calls:
            steps += [(call.began, 0, call), (call.ended, 1, call)]
        for _, end, call in sorted(steps, key=lambda step: step[:2]):
            if end:
                self._ended(call)
            else:
                self._began(call)
        self.findings.unanswered = sum(reply.startswith(b"354") for reply in self._last_reply.values())
        self.findings.syncs, self.findings.failed_syncs = self.disk.syncs, self.disk.failed_syncs
        return self.findings

    def survivors(self) -> Stored:
        """What a power cut now would leave: after `replay`, at the end of the log."""
        return self._open(self.disk.survivors)

    def missing(self) -> list[str]:
        """Queue ids that the sender's book or the log calls acknowledged, not taken by everybody, and not among the survivors."""
        stored = self.survivors()
        found = []
        for queue_id in self._promised | set(self._book):
            why = self._complaint(queue_id, stored, None)
            if why:
                found.append(why)
        return found

    # --- steps

    def _began(self, call: Call) -> None:
        if call.name in WRITES and (ends := call.ends) is not None and ends[0] == self._listener:
            said = b"".join(call.strings)
            self._last_reply[call.descriptor] = said.rstrip(b"\r\n").rpartition(b"\n")[2]
            for queue_id in _QUEUED.findall(said):
                self._acknowledged(queue_id.decode(), call.began)
        elif self.disk.concerns(call):
            if call.name in SYNCS and call.descriptor.endswith("-wal"):
                self._committing()
            elif call.name in WRITES and call.descriptor.endswith("-wal") and self._commit_began is None:
                self._commit_began = call.began

    def _ended(self, call: Call) -> None:
        if self.disk.concerns(call):
            self.disk.apply(call)
        elif call.name in READS and (ends := call.ends) is not None and ends[0] != self._listener:
            for attempt, recipients in _TAKEN.findall(call.data):
                for recipient in recipients.decode().split(","):
                    self._taken.setdefault((attempt.decode(), recipient), call.ended)

    def _acknowledged(self, queue_id: str, line: int) -> None:
        self.findings.acknowledged += 1
        self._promised.add(queue_id)
        if self._durable[0] != self.disk.version:
            self._durable = (self.disk.version, self._open(self.disk.survivors))
        why = self._complaint(queue_id, self._durable[1], line)
        if why:
            self.findings.early.append(why)

    def _complaint(self, queue_id: str, stored: Stored, line: int | None) -> str:
        """Why the promise of a 250 (sent from `line` on) is not kept by what is `stored` and was taken; "" where it is."""
        record = self._book.get(queue_id)
        attempt = record.attempt if record is not None else self._attempts.get(queue_id, "")
        left = stored.get(queue_id)
        where = f"{queue_id} ({attempt or 'attempt unknown'})" + (f", line {line + 1}" if line is not None else "")
        if left is None and record is None:
            taken = any(one == attempt for one, _ in self._taken)
            return "" if taken else f"{where}: not on the disk"
        gone = frozenset(record.recipients) - (left or frozenset()) if record is not None else frozenset()
        not_taken = sorted(one for one in gone if (attempt, one) not in self._taken)
        if not_taken:
            return f"{where}: not on the disk for {', '.join(not_taken)}"
        if left and queue_id not in self._whole:
            return f"{where}: on the disk, but not as it was sent"
        return ""

    def _committing(self) -> None:
        if self._commit_began is None or not self._mirror:
            return
        began, self._commit_began = self._commit_began, None
        now = self._open(self.disk.everything)
        for queue_id, recipients in self._present.items():
            attempt = self._attempts.get(queue_id, "")
            for recipient in recipients - now.get(queue_id, frozenset()):
                self.findings.settled += 1
                taken = self._taken.get((attempt, recipient))
                if taken is None or taken > began:
                    self.findings.forgotten.append(f"{queue_id} ({attempt}) for {recipient}, line {began + 1}")
        self._present = now

    # --- opening what is left

    def _open(self, leave: Callable[[Path], None]) -> Stored:
        self.findings.states += 1
        with tempfile.TemporaryDirectory(prefix="mailwye-audit-") as name:
            place = Path(name)
            leave(place)
            path = place / "worker-0.sqlite"
            if not path.exists() or not path.stat().st_size:
                return {}
            connection = apsw.Connection(str(path))
            try:
                return self._read(connection)
            finally:
                connection.close()

    def _read(self, connection: apsw.Connection) -> Stored:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
            return {}
        recipients: dict[int, set[str]] = {}
        for number, recipient in connection.execute("SELECT id, recipient FROM delivery"):
            recipients.setdefault(number >> _PLACE_BITS, set()).add(recipient)
        stored: Stored = {}
        for seq, queue_id in connection.execute("SELECT seq, id FROM message"):
            stored[queue_id] = frozenset(recipients.get(seq, ()))
            if queue_id not in self._whole:
                self._compare(connection, seq, queue_id)
        return stored

    def _compare(self, connection: apsw.Connection, seq: int, queue_id: str) -> None:
        """Is the stored content what was sent? Fields that the service put before it are left out."""
        row: tuple[Any, ...] = connection.execute("SELECT staging, content FROM message WHERE seq = ?", (seq,)).fetchall()[0]
        staging, content = row
        if content is None:
            chunks = connection.execute("SELECT data FROM chunk WHERE id >= ?1 << 20 AND id < (?1 + 1) << 20 ORDER BY id", (staging,))
            content = b"".join(bytes(one[0]) for one in chunks)
        start = content.find(ATTEMPT_HEADER)
        if start < 0:
            return
        self._attempts[queue_id] = content[start + len(ATTEMPT_HEADER) : content.find(b"\r\n", start)].decode()
        record = self._book.get(queue_id)
        if record is None or hashlib.sha256(content[start:]).hexdigest() == record.digest:
            self._whole.add(queue_id)
