"""The start of a queue: its file checked, rescued where it is damaged, and its index read into memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import apsw

from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.connection import PAGE_SIZE, DatabaseError
from mailwye.storage.sqlite.queue_cache import FreshMessages
from mailwye.storage.sqlite.queue_index import QueueIndex
from mailwye.storage.sqlite.queue_state import Ledger, QueueState
from mailwye.storage.sqlite.rescue.pages import log_is_damaged
from mailwye.storage.sqlite.rescue.spool import finish_rescue, rescue

CHECKED_OCTETS = 64 << 20
"""A file up to this is looked through at the start, in some tenths of a second: most are, since mail that is delivered leaves its room to
the next. A larger one is not, as the start would wait for it; `mailwye queue fsck` looks at any.
"""

_NEWER_VERSIONS = 1_000  # up to here a version that is not known is a later one, above it a damaged number
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)


class QueueDamaged(Exception):
    """The file is damaged so that it cannot be used as it is; the text says how that shows."""


def open_queue_file(path: Path, connect: Callable[[], apsw.Connection], memory_octets: int, alert: Callable[[str], None]) -> QueueState:
    """What an engine works on, from the file `path`, which `connect` opens. It is made where it is missing, and prepared where it is of
    an older version. A damaged one is set aside, and what can be read of it saved into a new one: `alert` hears of it.

    :raises DatabaseError, apsw.Error: SQLite cannot. :raises ValueError: the file is something else.
    """
    finish_rescue(path)
    log, kept = path.with_name(path.name + "-wal"), path.with_suffix(".log")
    _keep_log(log, kept)
    try:
        _check_before(path)
        with closing(connect()) as connection:
            _check_log(path, connection)
            _check_pages(path, connection)
            state = _load(connection, memory_octets)
        kept.unlink(missing_ok=True)
        return state
    except (QueueDamaged, DatabaseError, apsw.Error) as error:
        if not _is_damage(error):
            raise
        if kept.exists():
            kept.replace(log)
        # What is to be done by hand, as a DatabaseError says, is done here: only what SQLite said is of interest.
        alert(rescue(path, str(error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ else error)))
    with closing(connect()) as connection:
        return _load(connection, memory_octets)


def _keep_log(log: Path, kept: Path) -> None:
    """Closing a connection removes the write-ahead log with all that SQLite does not see in it: give it a second name until it is looked
    through.
    """
    if kept.exists() and not log.exists():
        kept.replace(log)  # the power went just after such a closing
    kept.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or a file system without second names
        os.link(log, kept)


def note_damage(path: Path, why: str) -> None:
    """SQLite found the file damaged while it was in use: the next start rescues what can be read."""
    with suppress(OSError):
        _note(path).write_text(f"{why}\n")


def _note(path: Path) -> Path:
    return path.with_suffix(".damaged")


def _is_damage(error: Exception) -> bool:
    return isinstance(error, (QueueDamaged, *_DAMAGE)) or isinstance(error.__cause__, _DAMAGE)


def _check_before(path: Path) -> None:
    """What must be seen before SQLite opens the file."""
    note = _note(path)
    with suppress(OSError):
        why = note.read_text().strip()
        note.unlink()
        raise QueueDamaged(f"it was found damaged while it was in use ({why})")
    with suppress(OSError):
        log = path.with_name(path.name + "-wal")
        if path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0:
            raise QueueDamaged("it is empty, but its write-ahead log is not")


def _check_log(path: Path, connection: apsw.Connection) -> None:
    """What SQLite passes over in silence: commits behind a damaged frame, and the end of a file that was cut off.

    :raises QueueDamaged: there is such a thing.
    """
    frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    if log_is_damaged(path.with_name(path.name + "-wal"), max(frames, 0)):
        raise QueueDamaged("its write-ahead log is damaged")
    size = path.stat().st_size
    expected = connection.pragma("page_count") * connection.pragma("page_size")
    if size < expected:
        raise QueueDamaged(f"it has {size} octets of {expected}")


def _check_pages(path: Path, connection: apsw.Connection) -> None:
    """What SQLite would not see before it has written over neighbours: a damaged list of the room within a page.

    :raises QueueDamaged: there is such a thing.
    """
    if path.stat().st_size > CHECKED_OCTETS:
        return
    found = connection.execute("PRAGMA quick_check(1)").get
    if found != "ok":
        raise QueueDamaged(str(found).replace("\n", " "))


def _load(connection: apsw.Connection, memory_octets: int) -> QueueState:
    version = connection.pragma("user_version")
    if not 0 <= version <= _NEWER_VERSIONS:
        raise QueueDamaged(f"its version is {version}")
    if version == 0 and connection.pragma("application_id") == sql.APPLICATION_ID:
        raise QueueDamaged("its version is 0")
    if version and connection.pragma("page_size") != PAGE_SIZE and connection.pragma("application_id") == sql.APPLICATION_ID:
        raise QueueDamaged("its page size is not ours")
    sql.prepare(connection)
    row = connection.execute(sql.LOAD_LEDGER).fetchone()
    if row is None or not all(type(value) is int and value >= 0 for value in row):
        raise QueueDamaged("its ledger is damaged")
    ledger = Ledger(row)
    opened = connection.execute(sql.COUNT_OPENING).get
    index = QueueIndex()
    try:
        last = _fill(index, connection)
    except (UnicodeDecodeError, TypeError) as error:
        raise QueueDamaged(f"a delivery cannot be read: {error}") from error
    ledger.seq = max(ledger.seq, last)
    return QueueState(ledger, index, FreshMessages(memory_octets), opened)


def _fill(index: QueueIndex, connection: apsw.Connection) -> int:
    """The highest number of a message that is waited for, -1 without one."""
    seq, siblings = -1, 0
    for number, state, due, hop in connection.execute(sql.LOAD_INDEX):
        if state not in sql.STATES or type(due) is not float or type(hop) is not str:
            raise QueueDamaged(f"delivery {number} has the state {state!r}, the due time {due!r} and the next hop {hop!r}")
        if number >> sql.PLACE_BITS != seq:
            if siblings:
                index.add_message(seq, siblings)
            seq, siblings = number >> sql.PLACE_BITS, 0
        siblings += 1
        index.add(number, hop, due, state)
    if siblings:
        index.add_message(seq, siblings)
    return seq
