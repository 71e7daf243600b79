"""What was acknowledged survives: power cuts at every fsync, a killed process, failing fsyncs, a full disk."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mailwye.message.content import InlineContent
from mailwye.queue.engine import QueueError, QueueFull
from mailwye.queue.item import QueueQuery, Result, Settlement
from mailwye.storage.sqlite import committer, disk_space, queue_engine, queue_schema
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from tests.conformance.queue_samples import all_settled, new_message, octets
from tests.unit.storage.sqlite.faulty_disk import FaultyDisk

NOW = 2000.0
BALLAST = 600_000  # more than twice the log's length
EVERYTHING = QueueQuery(limit=100_000)
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(disk_space, "CHECK_SECONDS", 0.01)


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    made = FaultyDisk(f"faulty-{next(_numbers)}")
    yield made
    made.unregister()


def open_engine(path: Path, **settings: object) -> SqliteQueueEngine:
    return SqliteQueueEngine(path, free_space_minimum=0, **({"ballast_octets": 65_536} | settings))  # type: ignore[arg-type]  # settings vary


@pytest.fixture
async def engine(tmp_path: Path, disk: FaultyDisk) -> AsyncIterator[SqliteQueueEngine]:
    made = open_engine(tmp_path / "worker-0.sqlite", vfs=disk.name)
    yield made
    disk.quota, disk.fail_syncs = None, 0
    await made.close()


async def ids(engine: SqliteQueueEngine) -> set[str]:
    return {row.message.id for row in await engine.inspect(EVERYTHING)}


async def wait_until_healthy(engine: SqliteQueueEngine, name: str) -> None:
    """Try `accept` again at once, until it recovers."""
    async with asyncio.timeout(20):
        while True:
            with suppress(QueueError):
                await engine.accept(new_message(name))
                return
            await asyncio.sleep(0)


class TestPowerCut:
    async def test_after_every_fsync_all_that_was_promised_is_there(
        self, tmp_path: Path, disk: FaultyDisk, engine: SqliteQueueEngine
    ) -> None:
        promised: set[str] = set()
        ended: set[str] = set()
        cuts: list[tuple[Path, set[str], set[str]]] = []

        def cut() -> None:
            for kind in ("power", "kill"):
                place = tmp_path / f"{kind}-{len(cuts)}"
                seen = set(promised), set(ended)
                if kind == "power":
                    disk.survivors(place)
                else:
                    place.mkdir()
                    for file in tmp_path.glob("worker-0.sqlite*"):
                        if not file.name.endswith("-shm"):
                            shutil.copy(file, place)
                cuts.append((place, *seen))

        disk.on_sync = cut

        async def session(start: int) -> None:
            for number in range(start, start + 3):
                writer = engine.content_writer()
                for _ in range(number % 2 * 6):
                    waiting = writer.write(bytes([number]) * 65_536)
                    if waiting is not None:
                        await waiting
                writer.write(b"end")
                await engine.accept(new_message(f"m{number}", content=writer.finish()))
                promised.add(f"m{number}")
                for lease in await engine.lease(NOW, limit=1):
                    name = lease.message.id
                    if int(name.strip("md")) % 3 == 0:
                        continue
                    await engine.settle(lease, all_settled(lease, Result.FAILED), [new_message(name.replace("m", "d") + "0")])
                    ended.add(name)

        await asyncio.gather(*[session(start) for start in range(10, 40, 3)])
        disk.on_sync = None
        assert len(cuts) > 20
        for place, kept, gone in cuts[:: max(1, len(cuts) // 60)]:
            survivor = open_engine(place / "worker-0.sqlite")
            found = await ids(survivor)
            assert kept - gone <= found | {one for one in kept if one.replace("m", "d") + "0" in found}
            assert not gone & found
            for name in [one for one in found if one.startswith("m")]:
                assert name.replace("m", "d") + "0" not in found, "a message and its bounce: settled by halves"
                content = await octets(await survivor.read_content(name))
                number = int(name[1:])
                assert content == bytes([number]) * (65_536 * (number % 2 * 6)) + b"end"
            await survivor.close()

    async def test_a_killed_process_keeps_what_it_promised(self, tmp_path: Path) -> None:
        path = tmp_path / "worker-0.sqlite"
        program = f"""
import asyncio, itertools, sys
from pathlib import Path
from tests.conformance.queue_samples import new_message
from mailwye.storage.sqlite import committer, disk_space, queue_engine, queue_schema
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
async def main():
    engine = SqliteQueueEngine(Path({str(path)!r}), free_space_minimum=0)
    async def session(who):
        for number in itertools.count():
            await engine.accept(new_message(f"{{who}}-{{number}}"))
            sys.stdout.write(f"{{who}}-{{number}}\\n"); sys.stdout.flush()
    await asyncio.gather(*[session(who) for who in range(20)])
asyncio.run(main())
"""
        root = Path(__file__).parents[4]
        environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, env=environment)
        assert child.stdout is not None
        lines = [await child.stdout.readline() for _ in range(500)]
        child.kill()
        lines += (await child.stdout.read()).splitlines(keepends=True)
        await child.wait()
        promised = {line.decode().strip() for line in lines if line.endswith(b"\n")}
        assert len(promised) >= 500
        engine = open_engine(path)
        assert promised <= await ids(engine)
        await engine.close()


class TestFailingDisk:
    async def test_a_failed_fsync_acknowledges_nothing_and_keeps_nothing(
        self, tmp_path: Path, disk: FaultyDisk, engine: SqliteQueueEngine
    ) -> None:
        await engine.accept(new_message("before"))
        disk.fail_syncs = 1
        results = await asyncio.gather(*[engine.accept(new_message(f"lost-{n}")) for n in range(5)], return_exceptions=True)
        assert all(isinstance(one, QueueError) for one in results)
        await wait_until_healthy(engine, "after")
        assert await ids(engine) == {"before", "after"}
        await engine.close()
        disk.survivors(tmp_path / "cut")
        for path in (tmp_path / "worker-0.sqlite", tmp_path / "cut" / "worker-0.sqlite"):
            again = open_engine(path)
            assert await ids(again) == {"before", "after"}
            assert sum(sum(one.values()) for one in (await again.counts()).values()) == 2
            await again.close()

    async def test_the_log_is_empty_before_anything_is_acknowledged_again(self, disk: FaultyDisk, engine: SqliteQueueEngine) -> None:
        """Else the frames of the failed commit, which may not be on the disk, would lie before those of later commits (D2)."""
        await engine.accept(new_message("before"))
        disk.fail_syncs = 1
        with pytest.raises(QueueError):
            await engine.accept(new_message("lost"))
        sizes: list[int] = []
        disk.on_sync = lambda: sizes.append(next((size for name, size in disk.sizes.items() if name.endswith("-wal")), 0))
        await wait_until_healthy(engine, "after")
        assert 32 in sizes, "nothing but the head of a new log"

    async def test_nothing_is_given_out_while_nothing_can_be_written(self, disk: FaultyDisk, engine: SqliteQueueEngine) -> None:
        """What became of it could not be noted, so every attempt would be made twice."""
        await engine.accept(new_message("before"))
        disk.fail_syncs = 2  # the commit, and the first attempt to open the file again
        with pytest.raises(QueueError):
            await engine.accept(new_message("lost"))
        assert await engine.lease(NOW, limit=5) == []
        await wait_until_healthy(engine, "after")
        assert [lease.message.id for lease in await engine.lease(NOW, limit=5)] == ["before", "after"]

    @pytest.mark.parametrize("failures", [1, 2, 5])
    async def test_results_of_attempts_are_not_lost(
        self, tmp_path: Path, disk: FaultyDisk, engine: SqliteQueueEngine, failures: int
    ) -> None:
        for name in "ABC":
            await engine.accept(new_message(name))
        first, second, third = await engine.lease(NOW, limit=3)
        disk.fail_syncs = failures
        settling = [
            engine.settle(first, all_settled(first, Result.DELIVERED)),
            engine.settle(second, all_settled(second, Result.FAILED), [new_message("DSN")]),
            engine.settle(third, [Settlement(third.deliveries[0].id, Result.DEFERRED, NOW + 9, "451 later", attempted_at=NOW)]),
        ]
        await asyncio.gather(*settling)
        assert await ids(engine) == {"C", "DSN"}
        await engine.close()
        disk.survivors(tmp_path / "cut")
        again = open_engine(tmp_path / "cut" / "worker-0.sqlite")
        assert {row.message.id: row.delivery.attempts for row in await again.inspect(EVERYTHING)} == {"C": 1, "DSN": 0}
        await again.close()

    async def test_staging_that_fails_fails_the_message(self, disk: FaultyDisk, engine: SqliteQueueEngine) -> None:
        writer = engine.content_writer()
        disk.fail_syncs = 1
        waiting = writer.write(b"x" * 600_000)
        assert waiting is not None
        with pytest.raises(QueueError):
            await waiting
        with pytest.raises(QueueError):
            writer.finish()
        writer.discard()
        await wait_until_healthy(engine, "after")
        assert await ids(engine) == {"after"}

    async def test_a_full_disk_takes_no_mail_but_lets_the_queue_drain(
        self, tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue_engine, "CHECKPOINT_PAGES", 50)
        engine = open_engine(tmp_path / "worker-0.sqlite", vfs=disk.name, ballast_octets=BALLAST)
        ballast = tmp_path / "worker-0.ballast"
        for number in range(20):
            await engine.accept(new_message(f"m{number}", content=InlineContent(os.urandom(20_000))))
        assert ballast.stat().st_size == BALLAST
        limit = sum(disk.sizes.values()) + BALLAST + 100_000
        disk.quota = lambda: limit - (BALLAST if ballast.exists() else 0)

        async def fill() -> None:
            for number in range(20, 1000):
                await engine.accept(new_message(f"m{number}", content=InlineContent(os.urandom(20_000))))

        with pytest.raises(QueueFull):
            await fill()
        assert not ballast.exists()
        for lease in await engine.lease(NOW, limit=1000):
            await engine.settle(lease, all_settled(lease, Result.DELIVERED))
        assert await ids(engine) == set()
        disk.quota = None
        await wait_until_healthy(engine, "after")
        assert ballast.exists()
        await engine.close()


class _Asked:
    """An operation that notes how it ended."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def committed(self) -> None:
        raise AssertionError("nothing of it can be committed")

    def failed(self, error: Exception) -> None:
        self.error = error


async def test_a_batch_that_breaks_our_code_lets_nobody_wait_for_ever(engine: SqliteQueueEngine) -> None:
    asked = _Asked()
    engine._committer.add(asked, [(queue_schema.ADD_STAGING, (object(),))])  # what SQLite has no type for
    await wait_until_healthy(engine, "after")
    assert isinstance(asked.error, TypeError)
    assert await ids(engine) == {"after"}
