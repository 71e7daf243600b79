"""The pages of a damaged database: its file with what its write-ahead log adds, however much of either is broken.

Formats: https://www.sqlite.org/fileformat2.html and https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mailwye.storage.sqlite.connection import PAGE_SIZE

_LOG_HEAD = struct.Struct(">8I")  # magic, version, page size, checkpoint, salts, checksums
_FRAME_HEAD = struct.Struct(">6I")  # page, database size after a commit, salts, checksums
_MAGICS = (0x377F0682, 0x377F0683)  # checksums of little-endian and big-endian words


class LogFrames:
    """The frames of the write-ahead log `file`, by their own words: nothing here depends on checksums of content."""

    def __init__(self, file: BinaryIO, page_size: int) -> None:
        self._file = file
        self._frame_size = _FRAME_HEAD.size + page_size
        self._salts, self.head_is_damaged = self._generation()

    def _generation(self) -> tuple[tuple[int, int], bool]:
        """The salts of the frames that count, and whether the log's own head says nothing."""
        self._file.seek(0)
        head = self._file.read(_LOG_HEAD.size)
        first = self._file.read(_FRAME_HEAD.size)
        if len(first) < _FRAME_HEAD.size:
            return (0, 0), False
        found = _LOG_HEAD.unpack(head)
        if found[0] in _MAGICS and _checksum(head[:24], ">" if found[0] & 1 else "<") == found[6:8]:
            return (found[4], found[5]), False
        words = _FRAME_HEAD.unpack(first)
        return (words[2], words[3]), True

    def frames(self, start: int = 0) -> Iterator[tuple[int, int, int]]:
        """(page, database size after a commit or 0, offset of the content) of the frames from number `start` on that belong here."""
        offset = _LOG_HEAD.size + start * self._frame_size
        while True:
            self._file.seek(offset)
            head = self._file.read(_FRAME_HEAD.size)
            if len(head) < _FRAME_HEAD.size:
                return
            page, size, *words = _FRAME_HEAD.unpack(head)
            if tuple(words[:2]) == self._salts and 0 < page < 1 << 31:
                yield page, size, offset + _FRAME_HEAD.size
            offset += self._frame_size

    def committed(self) -> dict[int, int]:
        """Page → offset of its newest content that was committed."""
        done: dict[int, int] = {}
        pending: dict[int, int] = {}
        for page, size, offset in self.frames():
            pending[page] = offset
            if size:
                done.update(pending)
                pending = {}
        return done


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    first = second = 0
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


def log_is_damaged(log: Path, read: int) -> bool:
    """Whether the write-ahead log holds commits that SQLite does not see; `read`: frames that it does see.

    One commit behind the last that is seen is what a power cut leaves of the commit that it interrupted, which nobody was promised: each
    commit waits for the one before it to be durable. With two, the first one was durable and is broken now.
    """
    try:
        with log.open("rb") as file:
            frames = LogFrames(file, PAGE_SIZE)
            if frames.head_is_damaged:
                return any(size for _, size, _ in frames.frames())
            return sum(size > 0 for _, size, _ in frames.frames(read)) > 1
    except FileNotFoundError:
        return False


class PageImage:
    """Pages by number, from 1 on. What is not in the files is zeros."""

    def __init__(self, database: BinaryIO, log: BinaryIO | None) -> None:
        self._database = database
        self._log = log
        self._overlay = {} if log is None else LogFrames(log, PAGE_SIZE).committed()
        database.seek(0, 2)
        self.count = max([-(-database.tell() // PAGE_SIZE), *self._overlay])

    def page(self, number: int) -> bytes:
        """The newest committed content of a page."""
        offset = self._overlay.get(number)
        if offset is not None and self._log is not None:
            self._log.seek(offset)
            data = self._log.read(PAGE_SIZE)
        else:
            self._database.seek((number - 1) * PAGE_SIZE)
            data = self._database.read(PAGE_SIZE)
        return data.ljust(PAGE_SIZE, b"\0")

    def free(self) -> set[int] | None:
        """Pages that hold nothing any more; None where the list of them is damaged."""
        trunk, total = struct.unpack(">2I", self.page(1)[32:40])
        found: set[int] = set()
        while trunk:
            if trunk in found or trunk > self.count:
                return None
            found.add(trunk)
            page = self.page(trunk)
            trunk, count = struct.unpack(">2I", page[:8])
            if count > PAGE_SIZE // 4 - 2:
                return None
            found.update(struct.unpack(f">{count}I", page[8 : 8 + 4 * count]))
        return found if len(found) == total else None
