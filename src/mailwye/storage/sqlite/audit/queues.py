"""The audit of all queue files of an installation, together with its trace, while the service runs or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import apsw

from mailwye.queue.audit import Finding, FindingKind, QueueAudit, SpoolAudit, Tally, TraceAudit
from mailwye.storage.sqlite.audit.spool import SALVAGE, SpoolSnapshot
from mailwye.storage.sqlite.audit.trace import Comparison, compare, look_again
from mailwye.storage.sqlite.connection import DatabaseError, explained

LOOKS = 4  # how often suspects of a running service are looked at again
LOOK_SECONDS = 0.5
_NAMED = 100  # findings about the trace that are named, of each kind

_OPEN = "the trace saw it accepted, saw no end of it, and it is in no queue"
_LAG = "the ledgers balance, so it came to its end: a crash took the trace's last moment. `mailwye trace show {}` tells the rest"
_LOST = (
    "a ledger does not balance: this may be what was lost. Keep a copy of the data directory and report it; ask the sender to send again"
)
_ENDED = "the trace saw its end, and it is queued: it will be delivered again"
_AGAIN = "nothing, or delete it where a second copy would harm: `mailwye queue delete {}`"


def audit(files: Sequence[Path], trace: Path | None, *, contents: bool, flush: Callable[[], bool]) -> QueueAudit:
    """Check the queue `files`; `contents`: see SpoolSnapshot.audit. `trace`: the folder to compare with, or None.

    `flush` makes a running service store what it knows of its trace; False where none runs.
    """
    with ExitStack() as stack:
        snapshots: list[SpoolSnapshot] = []
        unreadable: list[SpoolAudit] = []
        for file in files:
            try:
                snapshots.append(stack.enter_context(SpoolSnapshot(file)))
            except DatabaseError as error:
                unreadable.append(_unreadable(file, error))
        # All snapshots are of one moment, as near as can be; what the trace says is of a later one.
        spools = sorted([*(one.audit(contents=contents) for one in snapshots), *unreadable], key=lambda one: one.spool)
        found = None
        if trace is not None and not unreadable:
            found = _compare(files, trace, snapshots, flush, clean=all(one.is_clean for one in spools))
    return QueueAudit(tuple(spools), found)


def raw_content(file: Path, message_id: str) -> Iterator[bytes]:
    """See SpoolSnapshot.raw_content.

    :raises DatabaseError: the file cannot be read.
    """
    with SpoolSnapshot(file) as snapshot:
        try:
            yield from snapshot.raw_content(message_id)
        except apsw.Error as error:
            raise explained(file, error) from error


def _unreadable(file: Path, error: DatabaseError) -> SpoolAudit:
    finding = Finding(FindingKind.PAGE, f"the file cannot be read: {error}", SALVAGE)
    return SpoolAudit(file.name, Tally(), 1, 0, (finding,))


def _compare(
    files: Sequence[Path], trace: Path, snapshots: Sequence[SpoolSnapshot], flush: Callable[[], bool], *, clean: bool
) -> TraceAudit:
    try:
        runs = flush()
        found = compare(trace, snapshots)
        for _ in range(LOOKS if runs else 0):
            if not found.open and not found.ended:
                break
            time.sleep(LOOK_SECONDS)
            flush()
            _look_again(files, trace, found)
    except (DatabaseError, apsw.Error) as error:
        what = f"the trace could not be compared: {error}"
        return TraceAudit(findings=(Finding(FindingKind.TRACE_UNREADABLE, what, "see the text", is_note=True),))
    findings = [
        Finding(FindingKind.TRACE_OPEN, _OPEN, _LAG.format(message) if clean else _LOST, message, recipient, is_note=clean)
        for message, recipient in found.open[:_NAMED]
    ]
    findings += [
        Finding(FindingKind.TRACE_ENDED, _ENDED, _AGAIN.format(message), message, recipient, is_note=True)
        for message, recipient in found.ended[:_NAMED]
    ]
    return TraceAudit(found.compared, found.open_count, found.ended_count, found.unknown, tuple(findings))


def _look_again(files: Sequence[Path], trace: Path, found: Comparison) -> None:
    """Mail moves on while it is looked at: only what is odd in one moment after the other is odd."""
    with ExitStack() as stack:
        now = [stack.enter_context(SpoolSnapshot(file)) for file in files]
        open_now, ended_now = look_again(trace, now, found)
    found.open_count -= len(found.open) - len(open_now)
    found.ended_count -= len(found.ended) - len(ended_now)
    found.open, found.ended = open_now, ended_now
