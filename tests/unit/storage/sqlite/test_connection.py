"""Opening database files."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
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


WORKERS, FILES = 3, 12


def open_each(kind: str, directory: Path, together: Any, errors: Any) -> None:
    """One worker: opens the same files as the others in the same moments."""
    for number in range(FILES):
        together.wait()
        try:
            SHARED[kind](directory / f"{number}.sqlite").close()
        except Exception as error:
            errors.put(repr(error))


@pytest.mark.parametrize("kind", SHARED)
def test_workers_that_meet_a_new_file_at_once_all_start(tmp_path: Path, kind: str) -> None:
    """Processes, as workers are: threads of one process may wait for each other within SQLite until they give up."""
    spawning = multiprocessing.get_context("spawn")
    together, errors = spawning.Barrier(WORKERS), spawning.SimpleQueue()
    workers = [spawning.Process(target=open_each, args=(kind, tmp_path, together, errors)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    assert errors.empty(), errors.get()
    errors.close()
