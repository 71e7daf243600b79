"""Short forms of the full disk. They mount file systems; where the machine does not let them, that is a counterpart that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.counterparts.process import missing
from torture import full
from torture.full import Filler, filled, read_only, small_disk, used_percent
from torture.gateway import RigError
from torture.image import image


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    try:
        with small_disk(tmp_path) as place:
            yield place
    except RigError as error:
        missing(f"no file system may be mounted here: {error}")


@pytest.mark.parametrize("inodes", [False, True])
def test_a_filler_takes_all_and_gives_it_back(disk: Path, inodes: bool) -> None:
    filler = Filler(disk, inodes=inodes)
    filler.fill()
    with pytest.raises(OSError, match="No space left"):
        (disk / "more").write_bytes(b"x" * 8192)
    filler.give_back()
    assert used_percent(disk, inodes=inodes) < 10


@pytest.mark.parametrize("kind", ["suddenly", "slowly", "inodes"])
async def test_a_full_disk_takes_no_mail_loses_none_and_delivers(disk: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full, "BACK_SECONDS", 30.0)  # the five seconds are for the long form, on a machine of its own
    one = await filled(kind, seed=1, where=None, seconds=1.0)
    assert one.acknowledged
    assert [row.what for row in one.rows() if not row.good] == []


async def test_a_disk_that_turns_read_only_takes_no_mail_and_loses_none(tmp_path: Path) -> None:
    try:
        with image("ext4", tmp_path):
            pass
    except RigError as error:
        missing(f"no loop device may be mounted here: {error}")
    one = await read_only(seed=1, where=None, seconds=1.0)
    assert [row.what for row in one.rows() if not row.good] == []
