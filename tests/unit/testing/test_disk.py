"""The simulated disk: what was synced survives every cut, what was not may, and faults are where they were asked for."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from mailwye.testing.disk import SimulatedDisk

_numbers = itertools.count()


@pytest.fixture(params=range(8))
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SimulatedDisk]:
    made = SimulatedDisk(f"disk-{next(_numbers)}", tmp_path, random.Random(request.param))
    yield made
    made.close_all()
    made.unregister()


def connect(disk: SimulatedDisk, synchronous: str = "FULL") -> apsw.Connection:
    connection = apsw.Connection(str(disk.place / "file.sqlite"), vfs=disk.name)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", synchronous)
    connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    return connection


def numbers(connection: apsw.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]


def test_what_was_committed_survives(disk: SimulatedDisk) -> None:
    connection = connect(disk)
    for number in range(20):
        connection.execute("INSERT INTO t VALUES (?)", (number,))
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES (99)")
    before = disk.place
    disk.boot()
    assert disk.place != before
    assert numbers(connect(disk)) == list(range(20))


def test_what_was_not_synced_is_a_matter_of_luck(tmp_path: Path) -> None:
    """The proof that the disk forgets: with synchronous=NORMAL commits are lost (reliability, fact 0.3)."""
    survived = set()
    for seed in range(12):
        disk = SimulatedDisk(f"disk-{next(_numbers)}", tmp_path, random.Random(seed))
        connection = connect(disk, "NORMAL")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        for number in range(10):
            connection.execute("INSERT INTO t VALUES (?)", (number,))
        disk.boot()
        found = numbers(connect(disk, "NORMAL"))
        assert found == list(range(len(found))), "a log is kept up to its first hole"
        survived.add(len(found))
        disk.close_all()
        disk.unregister()
    assert 0 in survived
    assert len(survived) > 1


def test_a_sync_that_failed_writes_nothing_later(disk: SimulatedDisk) -> None:
    connection = connect(disk)
    disk.fail_syncs = 1
    with pytest.raises(apsw.IOError):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("INSERT INTO t VALUES (2)")
    disk.boot()
    assert 2 in numbers(connect(disk))


def test_a_full_disk_refuses_growth(disk: SimulatedDisk) -> None:
    connection = connect(disk)
    disk.quota = 20_000
    with pytest.raises(apsw.FullError):
        connection.executemany("INSERT INTO t VALUES (zeroblob(?))", [(1000,)] * 100)
    disk.quota = None
    connection.execute("INSERT INTO t VALUES (1)")


def test_a_cut_in_the_middle_of_a_commit(disk: SimulatedDisk) -> None:
    connection = connect(disk)
    cuts: list[int] = []
    disk.on_cut = lambda: cuts.append(disk.operations)
    disk.cut_at = disk.operations + 2
    with pytest.raises(apsw.IOError, match="no power"):
        connection.execute("INSERT INTO t VALUES (1)")
    assert len(cuts) == 1
    disk.boot()
    assert numbers(connect(disk)) in ([], [1])


def test_the_image_of_now_can_be_looked_at(disk: SimulatedDisk, tmp_path: Path) -> None:
    connection = connect(disk)
    connection.execute("INSERT INTO t VALUES (1)")
    disk.copy_durable(tmp_path / "image")
    image = apsw.Connection(str(tmp_path / "image" / "file.sqlite"))
    assert numbers(image) == [1]
    image.close()
