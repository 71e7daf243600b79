"""What is damaged is set aside, named, and can be taken out or deleted; the rest goes its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from mailwye.message.content import InlineContent
from mailwye.queue.audit import FindingKind, SpoolAudit
from mailwye.queue.engine import QueueError
from mailwye.queue.item import DeliveryState, QueueQuery, Result, Settlement
from mailwye.storage.sqlite import queue_loading
from mailwye.storage.sqlite.audit.queues import raw_content
from mailwye.storage.sqlite.audit.spool import SpoolSnapshot
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from tests.conformance.queue_samples import BODY, all_settled, new_message, octets

NOW = 2000.0
CORRUPT = QueueQuery(states=frozenset({DeliveryState.CORRUPT}))


def open_engine(directory: Path, tell: Callable[[str], None] = print) -> SqliteQueueEngine:
    path = directory / "worker-0.sqlite"
    return SqliteQueueEngine(path, free_space_minimum=0, ballast_octets=4096, inline_octets=1000, on_alert=tell)


def edit(directory: Path, *statements: str) -> None:
    connection = apsw.Connection(str(directory / "worker-0.sqlite"))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def audited(directory: Path) -> SpoolAudit:
    with SpoolSnapshot(directory / "worker-0.sqlite") as snapshot:
        return snapshot.audit()


async def fill(directory: Path, messages: int = 3) -> None:
    engine = open_engine(directory)
    for number in range(messages):
        await engine.accept(new_message(f"M{number}", "a@x.org", "b@x.org"))
    await engine.close()


async def deliver(engine: SqliteQueueEngine, now: float = NOW) -> list[tuple[str, str]]:
    """(message, recipient) of what goes out, unaltered."""
    sent: list[tuple[str, str]] = []
    for lease in await engine.lease(now, limit=100):
        try:
            assert await octets(lease.content)
        except QueueError:
            await engine.settle(lease, [Settlement(one.id, Result.DEFERRED, due=now + 1) for one in lease.deliveries])
            continue
        sent += [(lease.message.id, str(one.recipient)) for one in lease.deliveries]
        await engine.settle(lease, all_settled(lease, Result.DELIVERED))
    return sent


async def test_a_corrupt_message_is_named_exported_and_deleted(tmp_path: Path) -> None:
    await fill(tmp_path)
    edit(tmp_path, "UPDATE message SET content = cast(replace(content, 'Hello', 'Hallo') AS BLOB) WHERE seq = 2")
    alerts: list[str] = []
    engine = open_engine(tmp_path, alerts.append)
    assert {message for message, _ in await deliver(engine)} == {"M0", "M2"}
    assert len(alerts) == 1
    assert "M1" in alerts[0]
    assert "mailwye queue corrupt list" in alerts[0]
    assert (await engine.counts()) == {"connector:Out": {"corrupt": 2}}
    assert not await engine.delete(QueueQuery()), "only what is queued or held, unless the query says so"
    assert [one.kind for one in audited(tmp_path).findings] == [FindingKind.SET_ASIDE] * 2
    raw = b"".join(raw_content(tmp_path / "worker-0.sqlite", "M1"))
    assert raw == BODY.replace(b"Hello", b"Hallo")
    assert [row.delivery.state for row in await engine.delete(CORRUPT)] == [DeliveryState.DELETED] * 2
    await engine.close()
    found = audited(tmp_path)
    assert found.is_clean, found.findings
    assert (found.tally.deleted, found.tally.corrupt, found.tally.messages) == (2, 0, 0)


async def test_one_damaged_recipient_does_not_hold_up_the_others(tmp_path: Path) -> None:
    await fill(tmp_path, 1)
    edit(tmp_path, "UPDATE delivery SET detail = zeroblob(20) WHERE id = 1 << 20")
    engine = open_engine(tmp_path)
    assert await deliver(engine) == [("M0", "b@x.org")]
    assert len(await engine.delete(CORRUPT)) == 1
    await engine.close()
    assert audited(tmp_path).is_clean


async def test_a_message_that_is_gone_leaves_something_to_list_and_delete(tmp_path: Path) -> None:
    await fill(tmp_path, 2)
    edit(tmp_path, "DELETE FROM message WHERE seq = 1")
    engine = open_engine(tmp_path)
    assert {message for message, _ in await deliver(engine)} == {"M1"}
    assert len(await engine.inspect(CORRUPT)) == 2
    assert len(await engine.delete(CORRUPT)) == 2
    await engine.close()
    assert audited(tmp_path).is_clean


async def test_large_content_that_breaks_while_it_is_sent_is_set_aside(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    writer = engine.content_writer()
    await (writer.write(bytes(600_000)) or pytest.fail("it is large"))
    await engine.accept(new_message("LARGE", content=writer.finish()))
    await engine.close()
    edit(tmp_path, "UPDATE chunk SET data = zeroblob(262143) WHERE id & 1048575 = 1")
    engine = open_engine(tmp_path)
    assert await deliver(engine) == []
    assert await engine.counts() == {"connector:Out": {"queued": 1}}
    assert await deliver(engine, NOW + 1) == []
    assert await engine.counts() == {"connector:Out": {"corrupt": 1}}
    await engine.close()


@pytest.mark.parametrize(
    "exchange",
    [
        "UPDATE message SET (meta, content) = (SELECT meta, content FROM message WHERE seq = 1) WHERE seq = 2",
        "UPDATE delivery SET detail = (SELECT detail FROM delivery WHERE id = 1 << 20) WHERE id = 2 << 20",
    ],
)
async def test_rows_in_the_wrong_place_go_to_nobody(tmp_path: Path, exchange: str) -> None:
    await fill(tmp_path, 2)
    edit(tmp_path, exchange)
    engine = open_engine(tmp_path)
    assert ("M1", "a@x.org") not in await deliver(engine)
    await engine.close()


async def test_a_damaged_list_of_free_room_is_found_before_anything_is_written_over(tmp_path: Path) -> None:
    await fill(tmp_path, 40)
    edit(tmp_path, "DELETE FROM delivery WHERE id = 7 << 20", "PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "worker-0.sqlite"
    data = bytearray(path.read_bytes())
    page = next(at for at in range(8192, len(data), 8192) if data[at] == 13 and data[at + 1 : at + 3] != b"\0\0")  # a leaf with a freeblock
    block = page + int.from_bytes(data[page + 1 : page + 3], "big")
    data[block + 2] ^= 1  # its length: 256 octets more, or fewer
    path.write_bytes(data)
    alerts: list[str] = []
    engine = open_engine(tmp_path, alerts.append)
    assert "was set aside as" in alerts[0]
    await engine.accept(new_message("new", content=InlineContent(b"Subject: new\r\n\r\n")))
    assert len(await deliver(engine)) == 80
    await engine.close()
    assert audited(tmp_path).tally.delivered == 80


async def test_damage_that_sqlite_meets_later_is_mended_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_loading, "CHECKED_OCTETS", 0)  # as a file that is too large to be looked through at the start
    await fill(tmp_path, 40)
    path = tmp_path / "worker-0.sqlite"
    connection = apsw.Connection(str(path))
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'message_by_id'").fetchone() or (0,)
    connection.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 8192 : (page - 1) * 8192 + 100] = bytes(100)
    path.write_bytes(data)
    alerts: list[str] = []
    engine = open_engine(tmp_path, alerts.append)
    assert await engine.lease(NOW, limit=1), "it starts: the index of ids is not needed for that"
    refused = engine.accept(new_message("new"))
    with pytest.raises(QueueError):
        await refused
    await engine.close()
    engine = open_engine(tmp_path, alerts.append)
    assert "was set aside as" in alerts[-1]
    assert len(await deliver(engine)) == 80
    await engine.close()
    found = audited(tmp_path)
    assert found.is_clean, found.findings
    assert found.tally.delivered == 80


async def test_what_could_not_be_saved_is_counted_until_a_person_has_looked(tmp_path: Path) -> None:
    await fill(tmp_path, 2)
    path = tmp_path / "worker-0.sqlite"
    path.write_bytes(path.read_bytes()[:8192])
    engine = open_engine(tmp_path)
    assert await deliver(engine) == []
    await engine.close()
    found = audited(tmp_path)
    assert not found.is_clean or found.tally.accepted == 0
    assert (tmp_path / "corrupt" / "worker-0-1.sqlite").stat().st_size == 8192


@pytest.mark.parametrize("step", ["before", "between"])
async def test_a_rescue_that_was_cut_off_is_finished(tmp_path: Path, step: str) -> None:
    await fill(tmp_path)
    path = tmp_path / "worker-0.sqlite"
    rescued = path.with_suffix(".rescued")
    rescued.write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")
    path.with_name("worker-0.sqlite-wal").write_bytes(b"old")
    if step == "between":
        path.with_name("worker-0.sqlite-wal").unlink()
    engine = open_engine(tmp_path)
    assert len(await deliver(engine)) == 6
    await engine.close()
    assert not rescued.exists()
