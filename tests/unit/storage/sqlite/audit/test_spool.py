"""The audit of queue files: what is right is clean, and each kind of loss, doubling and damage is named."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import apsw
import pytest

from mailwye.message.content import InlineContent
from mailwye.queue.audit import Finding, FindingKind, SpoolAudit
from mailwye.queue.item import QueueQuery, Result
from mailwye.storage.sqlite.audit.queues import audit
from mailwye.storage.sqlite.audit.spool import SpoolSnapshot
from mailwye.storage.sqlite.connection import DatabaseError
from mailwye.storage.sqlite.identity import SUM_MASK, mixed, unmixed
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from tests.conformance.queue_samples import all_settled, new_message

NOW = 2000.0
LARGE = bytes(range(256)) * 4096  # four chunks


def open_engine(directory: Path, name: str = "worker-0.sqlite") -> SqliteQueueEngine:
    return SqliteQueueEngine(directory / name, free_space_minimum=0, ballast_octets=4096)


def audited(directory: Path, name: str = "worker-0.sqlite") -> SpoolAudit:
    with SpoolSnapshot(directory / name) as snapshot:
        return snapshot.audit()


def edit(directory: Path, *statements: str) -> None:
    connection = apsw.Connection(str(directory / "worker-0.sqlite"))
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def fill(directory: Path) -> None:
    """Ten messages of two recipients each: five ended, one of them with a DSN; one held; one with content in chunks."""
    engine = open_engine(directory)
    for number in range(9):
        await engine.accept(new_message(f"M{number}", "a@x.org", "b@x.org"))
    for result, lease in zip([Result.DELIVERED, Result.FAILED, Result.EXPIRED], await engine.lease(NOW, limit=3), strict=True):
        await engine.settle(lease, all_settled(lease, result), [new_message("DSN", sender=None)] if result is Result.FAILED else [])
    await engine.delete(QueueQuery(message_id="M3"))
    await engine.hold(QueueQuery(message_id="M4"))
    await engine.accept(new_message("LARGE", "a@x.org", "b@x.org", content=await _staged(engine)))
    await engine.close()


async def _staged(engine: SqliteQueueEngine) -> InlineContent:
    writer = engine.content_writer()
    for at in range(0, len(LARGE), 100_000):
        waiting = writer.write(LARGE[at : at + 100_000])
        if waiting is not None:
            await waiting
    content = writer.finish()
    assert content.inline is None
    return content  # type: ignore[return-value]  # stored, as the line above says


def test_mixing_can_be_undone() -> None:
    rng = random.Random(1)
    for number in (0, 1, SUM_MASK, *(rng.getrandbits(63) for _ in range(1000))):
        assert unmixed(mixed(number)) == number


async def test_a_sound_queue_is_clean(tmp_path: Path) -> None:
    await fill(tmp_path)
    found = audited(tmp_path)
    assert found.is_clean, found.findings
    tally = found.tally
    assert (tally.accepted, tally.delivered, tally.failed, tally.expired, tally.deleted) == (21, 2, 2, 2, 2)
    assert (tally.queued, tally.held, tally.corrupt, tally.messages, tally.missing, found.notes) == (11, 2, 0, 7, 0, 0)


SABOTAGE = {
    "a message with all its deliveries": (["DELETE FROM delivery WHERE id >> 20 = 6", "DELETE FROM message WHERE seq = 6"], "unbalanced"),
    "one delivery": (["DELETE FROM delivery WHERE id = (6 << 20) + 1"], "unbalanced"),
    "the last delivery of a message": (["DELETE FROM delivery WHERE id >> 20 = 6"], "no-delivery"),
    "a message under its deliveries": (["DELETE FROM message WHERE seq = 6"], "no-message"),
    "one lost, one ended twice": (
        ["DELETE FROM delivery WHERE id = (6 << 20) + 1", "UPDATE ledger SET accepted = accepted - 1"],
        "identities",
    ),
    "a delivery that came back": (["INSERT INTO delivery SELECT 1 << 20, state, due, hop, recipient, detail FROM delivery"], "unbalanced"),
    "a count that was not kept": (["UPDATE ledger SET delivered = delivered + 1"], "unbalanced"),
    "a sum that was not kept": (["UPDATE ledger SET delivered_sum = delivered_sum + 1"], "identities"),
    "corrupt without being counted": (["UPDATE delivery SET state = 2 WHERE id >> 20 = 6"], "unbalanced"),
    "an unknown state": (["UPDATE delivery SET state = 9 WHERE id = 6 << 20"], "damaged"),
    "a flipped octet of content": (["UPDATE message SET content = cast('Xubject' AS BLOB) WHERE seq = 6"], "damaged"),
    "content that is gone": (["UPDATE message SET content = NULL WHERE seq = 6"], "damaged"),
    "a cut off header": (["UPDATE message SET meta = substr(meta, 1, 20) WHERE seq = 6"], "damaged"),
    "a damaged detail": (["UPDATE delivery SET detail = zeroblob(30) WHERE id = 6 << 20"], "damaged"),
    "another recipient": (["UPDATE delivery SET recipient = 'c@x.org' WHERE id = 6 << 20"], "damaged"),
    "the last chunk": (["DELETE FROM chunk WHERE id = (SELECT max(id) FROM chunk)"], "damaged"),
    "a chunk in between": (["DELETE FROM chunk WHERE id = (SELECT min(id) + 1 FROM chunk)"], "damaged"),
    "a damaged chunk": (["UPDATE chunk SET data = zeroblob(262144) WHERE id = (SELECT max(id) FROM chunk)"], "damaged"),
    "a number from the future": (["UPDATE ledger SET seq = 5"], "beyond"),
}


@pytest.mark.parametrize("what", SABOTAGE)
async def test_each_fault_is_found(tmp_path: Path, what: str) -> None:
    await fill(tmp_path)
    statements, kind = SABOTAGE[what]
    if "INSERT" in statements[0]:
        statements = [f"{statements[0]} LIMIT 1"]
    edit(tmp_path, *statements)
    found = audited(tmp_path)
    assert not found.is_clean
    assert kind in {one.kind.value for one in found.findings if not one.is_note}, found.findings
    assert all(one.remedy for one in found.findings)


def named(found: SpoolAudit, kind: FindingKind) -> Finding:
    return next(one for one in found.findings if one.kind is kind)


async def test_a_single_lost_delivery_is_named(tmp_path: Path) -> None:
    await fill(tmp_path)
    edit(tmp_path, "DELETE FROM delivery WHERE id = (6 << 20) + 1")
    assert "recipient 2 of message number 6 of " in named(audited(tmp_path), FindingKind.UNBALANCED).what


async def test_stored_content_without_message_is_a_note(tmp_path: Path) -> None:
    await fill(tmp_path)
    edit(tmp_path, "INSERT INTO chunk VALUES((77 << 20), 0, x'00')")
    found = audited(tmp_path)
    assert found.is_clean
    assert named(found, FindingKind.ORPHAN).is_note


async def test_a_file_of_version_1_is_checked_and_then_migrated(tmp_path: Path) -> None:
    await fill(tmp_path)
    columns = (
        "quarantined",
        "accepted_sum",
        "delivered_sum",
        "failed_sum",
        "expired_sum",
        "deleted_sum",
        "quarantined_sum",
        "lost",
        "lost_sum",
    )
    edit(tmp_path, *(f"ALTER TABLE ledger DROP COLUMN {one}" for one in columns), "PRAGMA user_version = 1")
    found = audited(tmp_path)
    assert found.is_clean
    assert named(found, FindingKind.OLD_SCHEMA).is_note
    engine = open_engine(tmp_path)
    for lease in await engine.lease(NOW, limit=2):
        await engine.settle(lease, all_settled(lease, Result.DELIVERED))
    await engine.accept(new_message("later"))
    await engine.close()
    migrated = audited(tmp_path)
    assert migrated.is_clean, migrated.findings
    assert (migrated.notes, migrated.tally.accepted, migrated.tally.queued) == (0, 22, 8)


async def test_a_queue_in_use_gives_no_false_alarm(tmp_path: Path) -> None:
    engine = open_engine(tmp_path)

    async def work() -> None:
        for number in range(300):
            await engine.accept(new_message(f"M{number}", "a@x.org", "b@x.org", hops=("x", "y")))
            for lease in await engine.lease(NOW, limit=1 + number % 2):
                await engine.settle(lease, all_settled(lease, Result.DELIVERED))

    working = asyncio.create_task(work())
    audits = 0
    while not working.done():
        found = await asyncio.to_thread(audited, tmp_path)
        assert found.is_clean, found.findings
        audits += 1
    await working
    assert audits > 3
    await engine.close()


async def test_what_is_no_queue_is_said_and_hides_no_other(tmp_path: Path) -> None:
    await fill(tmp_path)
    (tmp_path / "worker-1.sqlite").write_bytes(b"no database at all" * 100)
    files = [tmp_path / "worker-0.sqlite", tmp_path / "worker-1.sqlite"]
    found = audit(files, None, contents=True, flush=lambda: False)
    assert [one.is_clean for one in found.spools] == [True, False]
    assert not found.is_clean
    with pytest.raises(DatabaseError):
        SpoolSnapshot(tmp_path / "worker-2.sqlite")
