"""Opening database files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from mailwye.storage.sqlite import connection
from mailwye.storage.sqlite.connection import DatabaseError, open_database


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
