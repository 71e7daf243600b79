"""When the disk has room for new mail, by octets and by files, and who is told of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailwye.storage.sqlite.disk_space import PLENTY_OCTETS, DiskSpace

MINIMUM, BALLAST, INODES = 1_000_000, 4_096, 100


@dataclass(slots=True)
class Found:
    """What statvfs says."""

    free: int = 10 * MINIMUM
    files: int = 10_000
    free_files: int = 5_000
    error: OSError | None = None
    asked: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def f_bavail(self) -> int:
        return self.free

    f_frsize = 1

    @property
    def f_files(self) -> int:
        return self.files

    @property
    def f_favail(self) -> int:
        return self.free_files


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    disk = Found()

    def statvfs(_path: Path) -> Found:
        disk.asked += 1
        if disk.error is not None:
            raise disk.error
        return disk

    monkeypatch.setattr(os, "statvfs", statvfs)
    return disk


@pytest.fixture
def space(tmp_path: Path, found: Found) -> DiskSpace:
    return DiskSpace(tmp_path / "x.ballast", ballast_octets=BALLAST, minimum=MINIMUM, inodes=INODES, tell=found.told.append)


def test_octets(space: DiskSpace, found: Found) -> None:
    assert space.has_room(0.0)
    found.free = MINIMUM - 1
    assert space.has_room(0.9), "asked at most once a second"
    assert not space.has_room(1.0)
    assert "free_space_minimum" in space.reason(0)
    found.free = MINIMUM + 1
    assert not space.has_room(2.0), "it does not flicker"
    found.free = MINIMUM + MINIMUM // 8
    assert space.has_room(3.0)
    assert ["no new mail is taken (452" in one for one in found.told] == [True, False]


def test_files(space: DiskSpace, found: Found) -> None:
    assert space.has_room(0.0)
    found.free_files = INODES - 1
    assert not space.has_room(1.0)
    assert "99 new files" in space.reason(0)
    found.free_files = 2 * INODES
    assert space.has_room(2.0)
    found.files, found.free_files = 0, 0
    assert space.has_room(3.0), "a file system without such a limit"


def test_a_declared_size_must_fit_twice_beside_the_minimum(space: DiskSpace, found: Found) -> None:
    found.free = 3 * MINIMUM + BALLAST
    assert space.has_room(0.0, MINIMUM)
    assert not space.has_room(0.0, MINIMUM + 1)
    assert f"{MINIMUM + 1} octets" in space.reason(MINIMUM + 1)
    assert space.has_room(0.0), "others fit"
    assert not found.told, "the disk is not full"


def test_what_is_taken_counts_before_the_next_second(space: DiskSpace, found: Found) -> None:
    found.free = 2 * MINIMUM + BALLAST
    assert space.has_room(0.0)
    found.free = MINIMUM - 1
    for _ in range(3):
        space.taken(MINIMUM // 10)
    assert found.asked == 1
    assert not space.has_room(0.1)


def test_plenty(space: DiskSpace, found: Found) -> None:
    seen = [space.plenty]  # nobody has looked yet
    # The reserve is made at the first look, and taken off what statvfs said before.
    for second, free in enumerate((MINIMUM + BALLAST + PLENTY_OCTETS, MINIMUM + PLENTY_OCTETS, MINIMUM + PLENTY_OCTETS - 1)):
        found.free = free
        assert space.has_room(float(second))
        seen.append(space.plenty)
    assert seen == [False, True, True, False]


def test_a_full_disk_gets_the_reserve_and_takes_mail_when_that_is_back(space: DiskSpace, found: Found, tmp_path: Path) -> None:
    ballast = tmp_path / "x.ballast"
    assert space.has_room(0.0)
    assert ballast.stat().st_size == BALLAST
    assert space.give_up_ballast()
    assert not space.give_up_ballast(), "it is gone already"
    assert not ballast.exists()
    found.free = MINIMUM
    assert not space.has_room(1.0)
    assert not ballast.exists()
    found.free = 2 * MINIMUM
    assert space.has_room(2.0)
    assert ballast.exists()
    assert len(found.told) == 2


def test_a_disk_that_does_not_answer_has_no_room(space: DiskSpace, found: Found) -> None:
    found.error = OSError(5, "Input/output error")
    assert not space.has_room(0.0)
    assert "Input/output error" in space.reason(0)
    found.error = None
    assert space.has_room(1.0)


def test_what_the_queue_file_has_left_counts(tmp_path: Path, found: Found) -> None:
    """A file that was long does not shrink; nearly empty, it takes mail without asking anything of the disk, and is its own reserve."""
    reusable = 0
    space = DiskSpace(
        tmp_path / "x.ballast", ballast_octets=BALLAST, minimum=MINIMUM, inodes=INODES, tell=found.told.append, reusable=lambda: reusable
    )
    found.free = MINIMUM // 2
    assert not space.has_room(0.0)
    reusable = 2 * MINIMUM
    assert space.has_room(1.0, MINIMUM // 2)
    assert not space.has_room(1.0, MINIMUM), "twice that would be written"
    found.free, reusable = 0, BALLAST - 1
    assert not space.has_room(2.0)
