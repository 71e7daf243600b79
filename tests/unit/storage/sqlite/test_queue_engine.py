"""What only the SQLite engine does: group commit, restart, damage, locks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import apsw
import pytest

from mailwye.message.content import InlineContent
from mailwye.queue.engine import QueueError
from mailwye.queue.item import QueueQuery, Result, Settlement
from mailwye.storage.sqlite import committer, identity
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from tests.conformance.queue_samples import BODY, all_settled, new_message, octets

NOW = 2000.0
EVERYTHING = QueueQuery(limit=10_000)


def open_engine(directory: Path, **settings: object) -> SqliteQueueEngine:
    settings = {"free_space_minimum": 0, "ballast_octets": 4096} | settings
    return SqliteQueueEngine(directory / "worker-0.sqlite", **settings)  # type: ignore[arg-type]  # settings vary


def edit(directory: Path, statement: str) -> None:
    connection = apsw.Connection(str(directory / "worker-0.sqlite"))
    connection.execute(statement)
    connection.close()


def count(directory: Path, table: str) -> int:
    connection = apsw.Connection(str(directory / "worker-0.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.execute(f"SELECT count(*) FROM {table}").get
    connection.close()
    assert isinstance(found, int)
    return found


async def test_a_thousand_sessions_share_few_commits(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    await asyncio.gather(*[engine.accept(new_message(str(number))) for number in range(1000)])
    assert engine.commits <= 3
    for lease in await engine.lease(NOW, limit=1000):
        engine.settle(lease, all_settled(lease, Result.DELIVERED))
    await engine.close()
    assert engine.commits <= 6
    assert (count(tmp_path, "message"), count(tmp_path, "delivery")) == (0, 0)


async def test_results_are_committed_with_what_comes_next(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    await engine.accept(new_message("first"))
    (lease,) = await engine.lease(NOW, limit=1)
    settled = engine.settle(lease, all_settled(lease, Result.DELIVERED))
    await asyncio.sleep(0)
    before = engine.commits
    await engine.accept(new_message("second"))
    await settled
    assert engine.commits == before + 1
    (lease,) = await engine.lease(NOW, limit=1)
    await engine.settle(lease, all_settled(lease, Result.DELIVERED))  # nothing comes next: it is not forgotten
    assert engine.commits == before + 2
    await engine.close()


async def test_many_results_wait_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "PATIENCE_SECONDS", 3600.0)
    engine = open_engine(tmp_path)
    await asyncio.gather(*[engine.accept(new_message(str(number))) for number in range(committer.PATIENT_OPERATIONS + 1)])
    *many, last = await engine.lease(NOW, limit=1000)
    await asyncio.gather(*[engine.settle(lease, all_settled(lease, Result.DELIVERED)) for lease in many])
    engine.settle(last, all_settled(last, Result.DELIVERED))
    await engine.close()  # nor does the end
    assert count(tmp_path, "delivery") == 0


async def test_a_restart_keeps_everything_but_leases(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    for name in ("queued", "held", "leased", "deferred", "done", "half"):
        await engine.accept(new_message(name, "a@x.org", "b@x.org"))
    assert await engine.hold(QueueQuery(message_id="held")) == 2
    leases = {lease.message.id: lease for lease in await engine.lease(NOW, limit=9)}
    deferred = [Settlement(one.id, Result.DEFERRED, NOW + 60, "451 x", "mx:y", True, NOW) for one in leases["deferred"].deliveries]
    await engine.settle(leases["deferred"], deferred)
    await engine.settle(leases["done"], all_settled(leases["done"], Result.DELIVERED))
    await engine.settle(leases["half"], all_settled(leases["half"], Result.FAILED)[:1])
    before = [row for row in await engine.inspect(EVERYTHING) if row.delivery.state.value != "leased"]
    await engine.close()
    await engine.close()

    again = open_engine(tmp_path)
    assert await again.counts() == {"connector:Out": {"queued": 5, "held": 2}, "mx:y": {"queued": 2}}
    after = await again.inspect(EVERYTHING)
    assert all(row in after for row in before)
    assert [lease.message.id for lease in await again.lease(NOW, limit=9)] == ["queued", "leased", "half"]
    (lease,) = await again.lease(NOW + 60, limit=9)
    assert (lease.message.id, len(lease.deliveries), await octets(lease.content)) == ("deferred", 2, BODY)
    await again.accept(new_message("new"))
    assert (await again.inspect(QueueQuery(message_id="new")))[0].delivery.id > max(row.delivery.id for row in after)
    await again.close()


async def test_content_of_messages_that_were_never_accepted_is_purged(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, inline_octets=1000)
    orphan, kept = engine.content_writer(), engine.content_writer()
    for writer in (orphan, kept):
        waiting = writer.write(b"x" * 600_000)
        assert waiting is not None
        await waiting
    await engine.accept(new_message("A", content=kept.finish()))
    await engine.close()
    assert count(tmp_path, "chunk") == 5  # two of the orphan, three of the message
    again = open_engine(tmp_path)
    assert await octets(await again.read_content("A")) == b"x" * 600_000
    await again.delete(EVERYTHING)
    await again.close()
    assert (count(tmp_path, "chunk"), count(tmp_path, "staging")) == (0, 0)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE message SET meta = zeroblob(40) WHERE id = 'B'",
        "UPDATE message SET meta = substr(meta, 1, 20) WHERE id = 'B'",
        "UPDATE message SET content = zeroblob(length(content)) WHERE id = 'B'",
        "UPDATE message SET content = NULL WHERE id = 'B'",
        "UPDATE delivery SET detail = x'90' WHERE id >> 20 = (SELECT seq FROM message WHERE id = 'B')",
        "DELETE FROM message WHERE id = 'B'",
    ],
)
async def test_damage_is_set_aside_with_an_alert(tmp_path: Path, damage: str) -> None:
    engine = open_engine(tmp_path)
    for name in "ABC":
        await engine.accept(new_message(name))
    await engine.close()
    edit(tmp_path, damage)
    alerts: list[str] = []
    engine = open_engine(tmp_path, on_alert=alerts.append)
    assert [lease.message.id for lease in await engine.lease(NOW, limit=9)] == ["A", "C"]
    assert len(alerts) == 1
    assert "set aside" in alerts[0]
    assert await engine.counts() == {"connector:Out": {"corrupt": 1, "leased": 2}}
    await engine.inspect(EVERYTHING)
    await engine.close()
    engine = open_engine(tmp_path)
    assert [lease.message.id for lease in await engine.lease(NOW, limit=9)] == ["A", "C"]
    await engine.close()


async def test_a_damaged_chunk_is_not_delivered(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, inline_octets=1000)
    writer = engine.content_writer()
    writer.write(b"x" * 600_000)
    await engine.accept(new_message("A", content=writer.finish()))
    await engine.close()
    edit(tmp_path, "UPDATE chunk SET data = zeroblob(length(data)) WHERE id & 1 = 1")
    engine = open_engine(tmp_path)
    (lease,) = await engine.lease(NOW, limit=1)
    with pytest.raises(QueueError, match="checksum"):
        await octets(lease.content)
    await engine.close()


async def test_only_one_process_opens_a_queue(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    with pytest.raises(QueueError, match=rf"process {os.getpid()} uses this queue. Stop the service first"):
        open_engine(tmp_path)
    await engine.close()
    await open_engine(tmp_path).close()


async def test_a_file_that_is_nothing_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "worker-0.sqlite"
    path.write_bytes(b"this is no database at all" * 400)
    alerts: list[str] = []
    engine = open_engine(tmp_path, on_alert=alerts.append)
    await engine.accept(new_message("M"))
    await engine.close()
    assert "set aside" in alerts[0]
    assert (tmp_path / "corrupt" / "worker-0-1.sqlite").read_bytes().startswith(b"this is")


async def test_other_files_are_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "worker-0.sqlite"
    edit(tmp_path, "CREATE TABLE other(x)")
    with pytest.raises(QueueError, match="not a queue of Mailwye"):
        open_engine(tmp_path)
    path.unlink()
    await open_engine(tmp_path).close()
    edit(tmp_path, "PRAGMA user_version = 9")
    with pytest.raises(QueueError, match="schema version 9"):
        open_engine(tmp_path)
    with pytest.raises(QueueError, match="cannot be opened"):
        open_engine(tmp_path / "nowhere")


async def test_the_ledger_balances(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    for number in range(8):
        await engine.accept(new_message(str(number), "a@x.org", "b@x.org"))
    ends = [Result.DELIVERED, Result.FAILED, Result.EXPIRED, Result.DEFERRED, Result.RELEASED]
    for result, lease in zip(ends, await engine.lease(NOW, limit=5), strict=True):
        bounces = [new_message("DSN", sender=None)] if result is Result.FAILED else []
        await engine.settle(lease, all_settled(lease, result, due=NOW + 9), bounces)
    await engine.delete(QueueQuery(message_id="7"))
    await engine.close()
    connection = apsw.Connection(str(tmp_path / "worker-0.sqlite"))
    row = connection.execute("SELECT accepted, delivered, failed, expired, deleted, corrupt FROM ledger").fetchone()
    connection.close()
    assert row == (17, 2, 2, 2, 2, 0)
    assert count(tmp_path, "delivery") == 17 - 8


async def test_fresh_messages_are_bounded(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, memory_octets=50_000)
    for number in range(20):
        await engine.accept(new_message(str(number), content=InlineContent(bytes([number]) * 10_000)))
    leases = await engine.lease(NOW, limit=20)
    assert sorted(int(lease.message.id) for lease in leases) == list(range(20))
    for lease in leases:
        assert lease.content.inline == bytes([int(lease.message.id)]) * 10_000
    await engine.close()


async def test_texts_that_cannot_be_stored_fail_their_message_only(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)
    bad = engine.accept(new_message("bad", "sun\udcff@example.org"))
    good = engine.accept(new_message("good"))
    with pytest.raises(QueueError, match="cannot be stored"):
        await bad
    assert (await good).message_id == "good"
    await engine.close()
    with pytest.raises(QueueError, match="closed"):
        await engine.accept(new_message("late"))


async def test_results_in_any_order_end_exactly_what_they_name(tmp_path: Path) -> None:
    """Neighbours are deleted in one go: what lies between those that are named stays, and each is counted under its own result."""
    engine = open_engine(tmp_path)
    await engine.accept(new_message("m", *[f"{name}@x.org" for name in "abcdefg"]))
    (lease,) = await engine.lease(NOW, limit=1)
    a, b, c, d, e, f, g = [one.id for one in lease.deliveries]
    await engine.settle(lease, [Settlement(d, Result.FAILED), Settlement(b, Result.DELIVERED)])
    assert count(tmp_path, "delivery") == 5
    mixed = [Settlement(g, Result.DELIVERED), Settlement(f, Result.DEFERRED, NOW + 60), Settlement(e, Result.DELIVERED)]
    await engine.settle(lease, mixed)
    assert [row.delivery.id for row in await engine.inspect(QueueQuery())] == [a, c, f]
    await engine.settle(lease, [Settlement(c, Result.EXPIRED), Settlement(a, Result.DELIVERED)])
    (lease,) = await engine.lease(NOW + 61, limit=1)
    await engine.settle(lease, all_settled(lease, Result.DELIVERED))
    await engine.close()
    assert count(tmp_path, "delivery") == count(tmp_path, "message") == 0
    connection = apsw.Connection(str(tmp_path / "worker-0.sqlite"))
    names = ("accepted", "delivered", "failed", "expired")
    row = connection.execute(f"SELECT {', '.join(f'{one}, {one}_sum' for one in names)} FROM ledger").fetchone()
    connection.close()
    sums = [sum(map(identity.mixed, some)) & identity.SUM_MASK for some in ((a, b, c, d, e, f, g), (a, b, e, f, g), (d,), (c,))]
    assert row == (7, sums[0], 5, sums[1], 1, sums[2], 1, sums[3])
