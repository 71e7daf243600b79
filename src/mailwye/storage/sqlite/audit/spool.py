"""Proves of one queue file, in one read snapshot, that every accepted delivery is in exactly one place and can be read (reliability D9).

The service may run and write meanwhile: SQLite's write-ahead log keeps the snapshot as it was, and ledger and rows are of one commit. It
is a stream: of one message at a time, one chunk at a time. While a snapshot is open the log cannot be emptied and grows by what is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Self

import apsw

from mailwye.queue.audit import Finding, FindingKind, Findings, SpoolAudit, Tally
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.audit.content import check_content
from mailwye.storage.sqlite.connection import DatabaseError, abandon, explained, open_database
from mailwye.storage.sqlite.identity import SUM_MASK, mixed, unmixed
from mailwye.storage.sqlite.queue_codec import CorruptRow, unpack_delivery, unpack_message
from mailwye.storage.sqlite.queue_reader import STATES

_DELIVERIES = "SELECT id, state, due, hop, recipient, detail FROM delivery ORDER BY id"
_MESSAGES = "SELECT seq, id, staging, checksum, meta, content FROM message ORDER BY seq"
_MESSAGES_WITHOUT_CONTENT = "SELECT seq, id, staging, checksum, meta, NULL FROM message ORDER BY seq"
_ORPHANS = f"""
SELECT count(*), coalesce(min(id), 0) >> {sql.PLACE_BITS} FROM (SELECT DISTINCT id >> {sql.PLACE_BITS} << {sql.PLACE_BITS} id FROM chunk) c
WHERE NOT EXISTS (SELECT 1 FROM message WHERE staging = c.id >> {sql.PLACE_BITS})
  AND NOT EXISTS (SELECT 1 FROM staging WHERE id = c.id >> {sql.PLACE_BITS})"""  # noqa: S608 - only constants
_BY_MESSAGE_ID = "SELECT id, seq FROM message ORDER BY id"
_OF_MESSAGE = "SELECT id, state, due, hop, recipient, detail FROM delivery WHERE id >= ?1 << 20 AND id < (?1 + 1) << 20"
_PAGE_FINDINGS = 20  # of PRAGMA quick_check: one bad page causes many

_Row = tuple[int, int, float, str, str, bytes]

SALVAGE = 'see "A damaged queue file" in docs/operations.md: the next start sets the file aside and saves what can be read'
_REPORT = "keep a copy of the file and of the log, and report it: this must not happen"


class SpoolSnapshot:
    """A read snapshot of the queue file `path`, from now until `close`.

    :raises DatabaseError: it cannot be read, or is no queue; the text names file and remedy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_database(path, read_only=True)
        try:
            if self._connection.pragma("application_id") != sql.APPLICATION_ID:
                raise DatabaseError(f"{path} is not a queue of Mailwye")
            self._version = self._connection.pragma("user_version")
            if not 1 <= self._version <= sql.SCHEMA_VERSION:
                raise DatabaseError(f"{path} has schema version {self._version}: check it with the newer Mailwye")
            self._connection.execute("BEGIN")
            there = {row[1] for row in self._connection.execute("PRAGMA table_info(ledger)")}
            columns = [name for name in sql.LEDGER_COLUMNS if name in there]
            row = self._connection.execute(f"SELECT {', '.join(columns)} FROM ledger").fetchone()  # noqa: S608 - only constants
            self._ledger: dict[str, int] = dict(zip(columns, row or (0,) * len(columns), strict=True))
        except apsw.Error as error:
            abandon(self._connection)
            raise explained(path, error) from error
        except DatabaseError:
            abandon(self._connection)
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the snapshot."""
        self.close()

    def close(self) -> None:
        """Let the log go. Harmless when repeated."""
        abandon(self._connection)

    def audit(self, *, contents: bool = True) -> SpoolAudit:
        """All checks of the file. Without `contents` neither contents nor SQLite's pages are read, only who waits for what."""
        return _Audit(self.path, self._connection, self._ledger, proves_identities=self._version > 1).run(contents=contents)

    def messages(self) -> Iterator[tuple[str, int]]:
        """(message id, number) of all messages, in the order of ids.

        :raises apsw.Error: the file is damaged.
        """
        yield from self._connection.execute(_BY_MESSAGE_ID)

    def recipients(self, seq: int) -> list[str]:
        """The recipients who wait for message number `seq`, those that can be read.

        :raises apsw.Error: the file is damaged.
        """
        found: list[str] = []
        for number, state, due, hop, _, detail in self._connection.execute(_OF_MESSAGE, (seq,)):
            with suppress(CorruptRow):
                found.append(str(unpack_delivery(number, "", STATES[state], due, hop, detail).recipient))
        return found

    def raw_content(self, message_id: str) -> Iterator[bytes]:
        """What is stored as the content of a message, damaged or not, in pieces; what is gone is left out. Nothing where it is not here.

        :raises apsw.Error: the file is damaged.
        """
        for staging, content in self._connection.execute("SELECT staging, content FROM message WHERE id = ?", (message_id,)):
            if isinstance(content, bytes):
                yield content
            elif staging:
                for (data,) in self._connection.execute("SELECT data FROM chunk WHERE id >> 20 = ? ORDER BY id", (staging,)):
                    if isinstance(data, bytes):
                        yield data

    def find(self, message_id: str) -> int | None:
        """The number of a message, None where it is not here."""
        row = self._connection.execute(sql.FIND_MESSAGE, (message_id,)).fetchone()
        return row[0] if row else None


class _Audit:
    """One pass over the file."""

    def __init__(self, path: Path, connection: apsw.Connection, ledger: dict[str, int], *, proves_identities: bool) -> None:
        self._path = path
        self._connection = connection
        self._ledger = ledger
        self._proves_identities = proves_identities
        self._findings = Findings()
        self._sum = 0
        self._states = dict.fromkeys(STATES, 0)
        self._messages = 0

    def run(self, *, contents: bool) -> SpoolAudit:
        """See SpoolSnapshot.audit."""
        whole = True
        try:
            self._scan(contents=contents)
        except apsw.Error as error:
            whole = False
            self._page(str(error))
        if whole:  # of half of the rows nothing can be proved
            self._balance()
        if contents:
            self._check_pages()
        tally = self._tally()
        return SpoolAudit(self._path.name, tally, self._findings.errors, self._findings.notes, tuple(self._findings.kept))

    def _tally(self) -> Tally:
        ledger = self._ledger
        return Tally(
            accepted=ledger["accepted"],
            delivered=ledger["delivered"],
            failed=ledger["failed"],
            expired=ledger["expired"],
            quarantined=ledger.get("quarantined", 0),
            lost=ledger.get("lost", 0),
            deleted=ledger["deleted"],
            corrupt=self._states[sql.CORRUPT],
            queued=self._states[sql.QUEUED],
            held=self._states[sql.HELD],
            messages=self._messages,
        )

    def _add(self, kind: FindingKind, what: str, remedy: str, *, message: str = "", recipient: str = "", is_note: bool = False) -> None:
        self._findings.add(Finding(kind, what, remedy, message, recipient, is_note))

    # --- rows

    def _scan(self, *, contents: bool) -> None:
        """Messages and deliveries side by side, both in the order of acceptance."""
        deliveries: Iterator[_Row] = iter(self._connection.execute(_DELIVERIES))
        waiting = next(deliveries, None)
        for message in self._connection.execute(_MESSAGES if contents else _MESSAGES_WITHOUT_CONTENT):
            seq = message[0]
            while waiting is not None and waiting[0] >> sql.PLACE_BITS < seq:
                self._orphaned_delivery(waiting)
                waiting = next(deliveries, None)
            group: list[_Row] = []
            while waiting is not None and waiting[0] >> sql.PLACE_BITS == seq:
                group.append(waiting)
                waiting = next(deliveries, None)
            self._check_message(message, group, contents=contents)
        for row in chain(() if waiting is None else (waiting,), deliveries):
            self._orphaned_delivery(row)
        self._check_orphans()

    def _count(self, row: _Row) -> None:
        self._sum += mixed(row[0])
        if row[1] in self._states:
            self._states[row[1]] += 1
        else:
            self._add(FindingKind.DAMAGED, f"delivery {row[0]} has the state {row[1]}, which does not exist", SALVAGE, recipient=row[4])

    def _orphaned_delivery(self, row: _Row) -> None:
        self._count(row)
        number, recipient = row[0], row[4]
        if row[1] == sql.CORRUPT:
            what, kind = "set aside as corrupt; its message is gone", FindingKind.SET_ASIDE
            remedy = "`mailwye trace --recipient` may know who sent it; `mailwye queue corrupt delete --all` ends it"
        else:
            what, kind = f"delivery {number} waits, but its message (number {number >> sql.PLACE_BITS}) is gone", FindingKind.NO_MESSAGE
            remedy = "its next attempt sets it aside as corrupt; the trace may know who sent it: `mailwye trace --recipient`"
        self._add(kind, what, remedy, recipient=recipient)

    def _check_message(self, row: tuple[int, str, int, int, bytes, bytes | None], group: list[_Row], *, contents: bool) -> None:
        seq, message_id, staging, checksum, meta, content = row
        self._messages += 1
        aside = all(one[1] == sql.CORRUPT for one in group)
        problems: list[str] = []
        try:
            size = unpack_message(message_id, meta, seq, staging, checksum).size
        except CorruptRow as error:
            problems.append(str(error))
        else:
            if contents:
                problems += check_content(self._connection, message_id, staging, checksum, content, size)
        if not group:
            what = f"message number {seq} is here, but nobody waits for it: a delivery was lost, or its last one left it behind"
            self._add(FindingKind.NO_DELIVERY, what, _REPORT, message=message_id)
        for one in group:
            self._check_delivery(one, message_id, problems)
        if problems and not aside:
            remedy = "its next attempt sets it aside; `mailwye queue corrupt export` then saves what can be read"
            for problem in problems:
                self._add(FindingKind.DAMAGED, problem, remedy, message=message_id, recipient=", ".join(one[4] for one in group[:3]))
        if seq > self._ledger["seq"] or staging > self._ledger["staging"]:
            self._add(FindingKind.BEYOND, f"message number {seq} (content {staging}) was never given out", _REPORT, message=message_id)

    def _check_delivery(self, row: _Row, message_id: str, problems: list[str]) -> None:
        self._count(row)
        number, state, due, hop, recipient, detail = row
        if state == sql.CORRUPT:
            why = "; ".join(problems) or "it could not be read when it was due"
            remedy = f"`mailwye queue corrupt export {message_id} --to FILE` saves what can be read, `mailwye queue corrupt delete` ends it"
            self._add(FindingKind.SET_ASIDE, f"set aside as corrupt: {why}", remedy, message=message_id, recipient=recipient)
            return
        try:
            read = unpack_delivery(number, message_id, STATES.get(state, STATES[sql.QUEUED]), due, hop, detail)
        except CorruptRow as error:
            self._add(FindingKind.DAMAGED, str(error), "its next attempt sets it aside", message=message_id, recipient=recipient)
        else:
            if read.recipient.key != recipient:
                what = f"delivery {number} is for {read.recipient}, but is listed as {recipient}"
                self._add(FindingKind.DAMAGED, what, SALVAGE, message=message_id, recipient=recipient)

    def _check_orphans(self) -> None:
        count, first = self._connection.execute(_ORPHANS).fetchone() or (0, 0)
        if count:
            what = f"{count} stored contents (the first is number {first}) belong to no message"
            self._add(FindingKind.ORPHAN, what, "no mail is lost, only room; report it", is_note=True)

    # --- the ledger

    def _balance(self) -> None:
        tally, ledger = self._tally(), self._ledger
        if tally.missing:
            words = f"{tally.missing} accepted deliveries are nowhere" if tally.missing > 0 else f"{-tally.missing} deliveries are too many"
            self._add(FindingKind.UNBALANCED, f"{words}{self._named(tally.missing)}", _REPORT)
        if ledger["corrupt"] != tally.corrupt:
            what = f"the ledger counts {ledger['corrupt']} corrupt deliveries, {tally.corrupt} are here"
            self._add(FindingKind.UNBALANCED, what, _REPORT)
        self._check_lost()
        if not self._proves_identities:
            what = "the file is of schema version 1: counts are proved, identities from the next start on"
            self._add(FindingKind.OLD_SCHEMA, what, "nothing", is_note=True)
        elif self._difference() and not tally.missing:
            what = "the counts add up, but not over the same deliveries: as many are lost as ended twice"
            self._add(FindingKind.IDENTITIES, what, _REPORT)

    def _check_lost(self) -> None:
        """After a rescue. Once the damaged files are gone, a person has decided."""
        files = [file.name for file in sorted((self._path.parent / "corrupt").glob(f"{self._path.stem}-*.sqlite"))]
        if lost := self._ledger.get("lost", 0):
            place = f"corrupt/{', corrupt/'.join(files)}" if files else "files that an administrator removed"
            what = f"{lost} deliveries could not be saved from a damaged file: they are in {place}"
            remedy = "salvage them with `sqlite3 FILE .recover`, ask the senders (`mailwye trace --status Pending`), then remove the file"
            self._add(FindingKind.LOST, what, remedy, is_note=not files)

    def _difference(self) -> int:
        """Fingerprint of what is missing, less what is too much."""
        ledger = self._ledger
        ended = sum(value for name, value in ledger.items() if name.endswith("_sum") and name != "accepted_sum")
        return ledger["accepted_sum"] - ended - self._sum & SUM_MASK

    def _named(self, missing: int) -> str:
        """Which one, where it is exactly one."""
        if not self._proves_identities or abs(missing) != 1:
            return ""
        number = unmixed(self._difference() * missing & SUM_MASK)
        seq, place = number >> sql.PLACE_BITS, number & (sql.PLACES - 1)
        if seq > self._ledger["seq"]:
            return "; several are lost and several too many"
        return f": recipient {place + 1} of message number {seq} of {self._ledger['seq']}"

    # --- pages

    def _check_pages(self) -> None:
        try:
            for (text,) in self._connection.execute(f"PRAGMA quick_check({_PAGE_FINDINGS})"):
                if text != "ok":
                    self._page(text)
        except apsw.Error as error:
            self._page(str(error))

    def _page(self, text: str) -> None:
        self._add(FindingKind.PAGE, f"SQLite finds the file damaged: {text}", SALVAGE)
