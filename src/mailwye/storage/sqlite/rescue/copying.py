"""Which rows of a damaged queue file are good, and how the new file's ledger accounts for the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from mailwye.queue.item import DeliveryState
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.audit.content import check_content
from mailwye.storage.sqlite.identity import SUM_MASK, mixed
from mailwye.storage.sqlite.queue_codec import CorruptRow, unpack_delivery, unpack_message, verify_chunk
from mailwye.storage.sqlite.rescue.pages import PageImage
from mailwye.storage.sqlite.rescue.records import Value, rows

_MESSAGE, _DELIVERY, _CHUNK, _LEDGER = 7, 6, 3, range(10, 40)  # by the number of columns
_PUT = {
    _MESSAGE: "INSERT OR IGNORE INTO message VALUES(?, ?, ?, ?, ?, ?, ?)",
    _DELIVERY: "INSERT OR IGNORE INTO delivery VALUES(?, ?, ?, ?, ?, ?)",
    _CHUNK: "INSERT OR IGNORE INTO chunk VALUES(?, ?, ?)",
}
_ENDS = ("delivered", "failed", "expired", "quarantined", "deleted")
_MARK_ORPHANS = f"UPDATE delivery SET state = {sql.CORRUPT} WHERE NOT EXISTS (SELECT 1 FROM message WHERE seq = delivery.id >> 20)"  # noqa: S608 - only constants
_MARK = f"UPDATE delivery SET state = {sql.CORRUPT} WHERE id >= ?1 << 20 AND id < (?1 + 1) << 20"  # noqa: S608 - only constants
_DROP_UNWANTED = "DELETE FROM message WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE id >= seq << 20 AND id < (seq + 1) << 20)"
_DROP_CHUNKS = "DELETE FROM chunk WHERE NOT EXISTS (SELECT 1 FROM message WHERE staging = chunk.id >> 20)"


@dataclass(frozen=True, slots=True)
class Saved:
    """What a rescue saved; `corrupt`: deliveries that are there and cannot be delivered; `lost`: those that are not there."""

    messages: int
    deliveries: int
    corrupt: int
    lost: int


def copy_rows(image: PageImage, target: apsw.Connection) -> Saved:
    """Copy what can be read of `image` into the new queue file behind `target`, which is prepared and empty.

    Rows that are as they were written come first; then those that are not, as corrupt, so that a person may look at them.
    """
    roots = [row[0] for row in target.execute("SELECT rootpage FROM sqlite_schema WHERE type = 'table'")]
    ledger: dict[str, int] = {}
    target.execute("BEGIN IMMEDIATE")
    for good in (True, False):
        for number, columns in rows(image, roots):
            count = len(columns)
            if count in _PUT:
                if (row := _checked(number, columns, good=good)) is not None:
                    target.execute(_PUT[count], row)
            elif count in _LEDGER and good:
                ledger = _ledger(columns) or ledger
    target.execute(_MARK_ORPHANS)
    for seq in list(_bad_messages(target)):
        target.execute(_MARK, (seq,))
    target.execute(_DROP_UNWANTED)
    target.execute(_DROP_CHUNKS)
    saved = _account(target, ledger)
    target.execute("COMMIT")
    return saved


def _checked(number: int, columns: tuple[Value, ...], *, good: bool) -> tuple[Value, ...] | None:
    """The row to write: one that is as it was written (`good`), or one that only looks like a row; None for the others."""
    if number < 0:
        return None
    match columns:
        case (None, str(), int(), str() | None, int(), bytes(), bytes() | None):
            row = (number, *columns[1:])
            is_good = _message_is_good(row)
        case (None, int() as state, float() | int() as due, str(), str(), bytes()):
            is_good = state in sql.STATES and due < 1e11 and _delivery_is_good(number, columns)
            row = (number, *((state, float(due)) if is_good else (sql.CORRUPT, 0.0)), *columns[3:])
        case (None, int(), bytes()):
            row = (number, *columns[1:])
            is_good = _chunk_is_good(row)
        case _:
            return None
    return row if is_good == good else None


def _message_is_good(row: tuple[Value, ...]) -> bool:
    seq, message_id, staging, _, checksum, meta, _ = row
    try:
        unpack_message(message_id, meta, seq, staging, checksum)  # type: ignore[arg-type]  # _checked has looked at the types
    except CorruptRow:
        return False
    return True


def _delivery_is_good(number: int, columns: tuple[Value, ...]) -> bool:
    try:
        return unpack_delivery(number, "", DeliveryState.QUEUED, 0.0, "", columns[5]).recipient.key == columns[4]  # type: ignore[arg-type]  # as above
    except CorruptRow:
        return False


def _chunk_is_good(row: tuple[Value, ...]) -> bool:
    number, checksum, data = row
    try:
        verify_chunk(data, checksum, number, "")  # type: ignore[arg-type]  # as above
    except CorruptRow:
        return False
    return True


def _ledger(columns: tuple[Value, ...]) -> dict[str, int]:
    """Count by name; empty where the row is no ledger."""
    values = columns[2:]  # without `one` and `opened`
    if columns[0] is not None or not all(isinstance(value, int) and value >= 0 for value in values):
        return {}
    return {name: value for name, value in zip(sql.LEDGER_COLUMNS, values, strict=False) if isinstance(value, int)}


def _bad_messages(target: apsw.Connection) -> Iterator[int]:
    for seq, message_id, staging, checksum, meta, content in target.execute(
        "SELECT seq, id, staging, checksum, meta, content FROM message ORDER BY seq"
    ):
        try:
            size = unpack_message(message_id, meta, seq, staging, checksum).size
        except CorruptRow:
            yield seq
            continue
        if check_content(target, message_id, staging, checksum, content, size):
            yield seq


def _account(target: apsw.Connection, ledger: dict[str, int]) -> Saved:
    """Write the ledger: what the old one counts and is not here was lost with the old file."""
    here = here_sum = corrupt = highest = 0
    for number, state in target.execute("SELECT id, state FROM delivery"):
        here += 1
        here_sum += mixed(number)
        corrupt += state == sql.CORRUPT
        highest = max(highest, number >> sql.PLACE_BITS)
    messages, last, staging = target.execute(
        "SELECT count(*), coalesce(max(seq), 0), coalesce(max(staging), 0) FROM message"
    ).fetchone() or (0, 0, 0)
    new = dict.fromkeys(sql.LEDGER_COLUMNS, 0) | ledger
    new["seq"], new["staging"] = max(new["seq"], highest, last), max(new["staging"], staging)
    new["corrupt"] = corrupt
    ended = sum(new[name] for name in _ENDS)
    ended_sum = sum(new[f"{name}_sum"] for name in _ENDS)
    new["lost"] = new["accepted"] - ended - here
    if new["lost"] < 0:  # the old ledger is damaged, or rows of the past came back: what is here decides
        new["accepted"], new["lost"] = ended + here, 0
        new["accepted_sum"], new["lost_sum"] = ended_sum + here_sum & SUM_MASK, 0
    else:
        new["lost_sum"] = new["accepted_sum"] - ended_sum - here_sum & SUM_MASK
    target.execute(sql.SET_LEDGER, tuple(new[name] for name in sql.LEDGER_COLUMNS))
    return Saved(messages, here, corrupt, new["lost"])
