"""What a power cut leaves: only what was synced, under names that were synced."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from torture.disk_replay import DiskReplay, UnknownWrite
from torture.strace_log import Call

FOLDER = Path("/srv/queue")
WAL = "/srv/queue/w.sqlite-wal"


class Log:
    """Makes calls, one line after the other."""

    def __init__(self, tmp_path: Path) -> None:
        self.disk = DiskReplay(FOLDER)
        self._lines = itertools.count()
        self._places = (tmp_path / str(number) for number in itertools.count())

    def call(self, name: str, path: str = WAL, data: bytes = b"", offset: int = 0, *, result: int | None = None, began: int = -1) -> int:
        line = next(self._lines)
        named = name in ("openat", "unlink")
        strings = (path.encode(),) if named else (data,) if name == "pwrite64" else ()
        numbers = (len(data), offset) if name == "pwrite64" else (offset,)
        ended = result if result is not None else len(data)
        self.disk.apply(
            Call(1, name, line if began < 0 else began, line, "" if named else path, strings, numbers, True, ended, "", False, "O_CREAT")
        )
        return line

    def survivors(self) -> dict[str, bytes]:
        place = next(self._places)
        place.mkdir()
        self.disk.survivors(place)
        return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path)
    made.call("openat")
    return made


def test_only_what_was_synced_is_there(log: Log) -> None:
    log.call("fsync", str(FOLDER))
    log.call("pwrite64", data=b"one", offset=0)
    log.call("fdatasync")
    log.call("pwrite64", data=b"TWO", offset=2)
    assert log.survivors() == {"w.sqlite-wal": b"one"}
    log.call("fdatasync")
    assert log.survivors() == {"w.sqlite-wal": b"onTWO"}


def test_a_name_needs_a_sync_of_its_folder(log: Log) -> None:
    log.call("pwrite64", data=b"one")
    log.call("fdatasync")
    assert log.survivors() == {}
    log.call("fsync", str(FOLDER))
    assert log.survivors() == {"w.sqlite-wal": b"one"}
    log.call("unlink")
    assert log.survivors() == {"w.sqlite-wal": b"one"}


def test_a_sync_that_began_before_the_write_does_not_save_it(log: Log) -> None:
    log.call("fsync", str(FOLDER))
    line = log.call("pwrite64", data=b"one")
    log.call("fdatasync", began=line)
    assert log.survivors() == {"w.sqlite-wal": b""}


def test_what_a_failed_sync_should_have_saved_is_lost_until_it_is_written_again(log: Log) -> None:
    log.call("fsync", str(FOLDER))
    log.call("pwrite64", data=b"one")
    log.call("fdatasync", result=-1)
    log.call("fdatasync")
    assert log.survivors() == {"w.sqlite-wal": b""}
    log.call("pwrite64", data=b"one")
    log.call("fdatasync")
    assert log.survivors() == {"w.sqlite-wal": b"one"}


def test_truncation_waits_for_a_sync_too(log: Log) -> None:
    log.call("fsync", str(FOLDER))
    log.call("pwrite64", data=b"one")
    log.call("fdatasync")
    log.call("ftruncate", offset=1)
    assert log.survivors() == {"w.sqlite-wal": b"one"}
    log.call("fdatasync")
    assert log.survivors() == {"w.sqlite-wal": b"o"}


def test_a_call_that_cannot_be_replayed_is_an_error(log: Log) -> None:
    with pytest.raises(UnknownWrite):
        log.call("write", result=1)
