"""Durable files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mailwye.runtime import files


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    files.write_durably(path, b"one")
    files.write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    files.write_durably(path, b"one")

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    with pytest.raises(OSError, match="No space"):
        files.write_durably(path, b"two")
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_what_a_crash_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".state.new").write_bytes(b"half")
    files.write_durably(tmp_path / "state", b"whole")
    assert (tmp_path / "state").read_bytes() == b"whole"


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    descriptor = files.create(tmp_path / "file")
    files.write_all(descriptor, b"0123456789")
    files.sync_and_close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_file_is_never_overwritten_by_create(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "file")


def test_directories_are_made_with_their_parents_once(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    files.make_directories(path)
    files.make_directories(path)
    assert path.is_dir()
    assert path.stat().st_mode & 0o077 == 0


def test_the_first_content_is_kept_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert files.keep_first(path, b"one") == b"one"
    assert files.keep_first(path, b"two") == b"one"
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_who_comes_second_in_the_same_moment_gets_what_the_first_one_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write = files.write_all

    def another_process_is_faster(descriptor: int, data: bytes) -> None:
        write(descriptor, data)
        path.write_bytes(b"theirs")

    monkeypatch.setattr(files, "write_all", another_process_is_faster)
    assert files.keep_first(path, b"ours") == b"theirs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EIO, "Check the disk"),
        (errno.EROFS, "Check the disk"),
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EACCES, "Correct its owner and mode"),
    ],
)
def test_the_remedy_is_that_of_the_error(number: int, remedy: str) -> None:
    assert files.secret_file_remedy(OSError(number, "x")).startswith(remedy)
