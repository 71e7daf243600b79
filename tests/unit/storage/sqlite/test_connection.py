"""Opening database files."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailwye.storage.sqlite import connection
from mailwye.storage.sqlite.access.accounts import SqliteAccounts
from mailwye.storage.sqlite.access.audit import SqliteAuditLog
from mailwye.storage.sqlite.certificates.sighting_store import SqliteSightings
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from mailwye.storage.sqlite.connection import DatabaseError, open_database
from mailwye.storage.sqlite.transport.file import TransportFile


@pytest.mark.parametrize(("synchronous", "needed"), [("FULL", True), ("NORMAL", False)])
def test_a_name_that_would_not_survive_is_an_error_where_commits_are_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str, needed: bool
) -> None:
    synced: list[Path] = []

    def fail(directories: Iterable[Path]) -> None:
        synced.extend(directories)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(connection, "sync_directories", fail)
    if needed:
        with pytest.raises(DatabaseError, match=r"cannot be synced: Input/output error\. Check the disk"):
            open_database(tmp_path / "a.sqlite", synchronous=synchronous)
        assert synced == [tmp_path]
    else:
        open_database(tmp_path / "a.sqlite", synchronous=synchronous).close()
        assert synced == []


def test_who_holds_a_new_file_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself fails at once here: a writer's lock is in the way of the switch to the write-ahead log."""
    path = tmp_path / "a.sqlite"
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="in use by another process"):
        open_database(path, busy_seconds=0.0)
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(open_database, path, busy_seconds=30.0)
        with pytest.raises(TimeoutError):
            opened.result(timeout=0.05)
        holder.execute("ROLLBACK")
        opened.result().close()


SHARED: dict[str, Callable[[Path], Any]] = {
    "config": SqliteConfigStore,
    "transport": TransportFile,
    "certificates": SqliteSightings,
    "users": SqliteAccounts,
    "audit": SqliteAuditLog,
}
"""The files that several processes have open."""


def open_new_files(directory: Path, together: Barrier) -> None:
    """One worker: each kind of file, time and again, at the same moment as the others. Fails where one could not be opened."""
    failures = []
    for kind, number in product(SHARED, range(25)):
        opened = None
        together.wait(60)
        try:
            opened = SHARED[kind](directory / f"{kind}{number}.sqlite")
        except Exception as error:
            failures.append(f"{kind}: {error!r}")
        together.wait(60)
        if opened is not None:
            opened.close()
    if failures:
        sys.exit("\n".join(failures))


def test_workers_that_meet_a_new_file_at_once_all_start(tmp_path: Path) -> None:
    """Processes, as workers are: threads of one process were seen to wait for each other until the time was over, processes never."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(3)
    workers = [context.Process(target=open_new_files, args=(tmp_path, together)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
