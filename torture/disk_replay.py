"""A folder as a power cut would leave it, replayed from the system calls of who wrote there.

The model is the harshest that POSIX allows: octets survive only by an fsync or fdatasync that began after they were written and returned 0;
names (new files, removed ones) only by one of their folder. What a failed sync should have saved is lost for good, whatever later syncs
say, because the kernel marks such pages as clean (reliability.md, D2). So a write must be repeated to be saved. Nothing that was not
synced survives by luck.
"""

from __future__ import annotations

import os
from pathlib import Path

from torture.strace_log import SYNCS, WRITES, Call

_POSITIONED = frozenset({"pwrite64", "pwritev", "pwritev2"})


class UnknownWrite(Exception):
    """The log does not say enough about a call to replay it. The text says which."""


class _File:
    """`written` is what every process sees; `durable` what survives; `pending` the writes (line of their end, offset, octets) between."""

    __slots__ = ("durable", "pending", "written")

    def __init__(self) -> None:
        self.written = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, int, bytes | None]] = []

    def write(self, line: int, offset: int, data: bytes | None) -> None:
        """`data` None: cut off (or lengthen) at `offset`."""
        _put(self.written, offset, data)
        self.pending.append((line, offset, data))

    def synced(self, began: int) -> None:
        """A sync succeeded: what was written before it began survives."""
        waiting = []
        for line, offset, data in self.pending:
            if line < began:
                _put(self.durable, offset, data)
            else:
                waiting.append((line, offset, data))
        self.pending = waiting

    def sync_failed(self) -> None:
        """What waited is lost; lengths are the file system's own, which are not dropped by an error of data."""
        self.pending = [one for one in self.pending if one[2] is None]


def _put(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content += bytes(offset - len(content))
        return
    if offset > len(content):
        content += bytes(offset - len(content))
    content[offset : offset + len(data)] = data


class DiskReplay:
    """The files directly in `folder` (which began empty) whose names end in one of `suffixes`. `syncs`, `failed_syncs`: how many of their
    contents succeeded and failed.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...] = (".sqlite", ".sqlite-wal", ".sqlite-journal")) -> None:
        self._folder = str(folder)
        self._suffixes = suffixes
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self.syncs = 0
        self.failed_syncs = 0
        self.version = 0  # grows whenever what survives changed

    def concerns(self, call: Call) -> bool:
        """Whether the call is one on these files or their folder."""
        return call.descriptor == self._folder or self._name(call) is not None

    def apply(self, call: Call) -> None:
        """The call ended.

        :raises UnknownWrite: octets are missing from the log, or it is a call that this model does not know.
        """
        if call.name in SYNCS:
            self._sync(call)
            return
        name = self._name(call)
        if name is None or (call.result < 0 and call.name not in WRITES):
            return
        if call.name == "openat":
            if "O_CREAT" in call.flags and name not in self._names:
                self._names[name] = _File()
            if "O_TRUNC" in call.flags:
                self._file(name).write(call.ended, 0, None)
        elif call.name in ("unlink", "unlinkat"):
            self._names.pop(name, None)
        elif call.name == "ftruncate":
            self._file(name).write(call.ended, call.numbers[0], None)
        elif call.name in WRITES:
            self._write(name, call)
        elif call.name.startswith("rename"):
            raise UnknownWrite(f"line {call.ended + 1}: {call.name} of a queue file")

    def _write(self, name: str, call: Call) -> None:
        if call.result <= 0:
            return
        if call.name not in _POSITIONED or not call.whole:
            raise UnknownWrite(f"line {call.ended + 1}: {call.name} on {name}: position or octets are not in the log")
        self._file(name).write(call.ended, call.numbers[-1], call.data)

    def _sync(self, call: Call) -> None:
        if call.descriptor == self._folder:
            if call.result == 0:
                self._durable_names = dict(self._names)
                self.version += 1
            return
        name = self._name(call)
        if name is None:
            return
        if call.result == 0:
            self._file(name).synced(call.began)
            self.syncs += 1
            self.version += 1
        else:
            self._file(name).sync_failed()
            self.failed_syncs += 1

    def _file(self, name: str) -> _File:
        if name not in self._names:
            raise UnknownWrite(f"{name} was not made in this log")
        return self._names[name]

    def _name(self, call: Call) -> str | None:
        path = call.descriptor
        if call.name in ("openat", "unlink", "unlinkat", "rename", "renameat", "renameat2") and call.strings:
            path = os.fsdecode(call.strings[0])
        folder, _, name = path.rpartition("/")
        return name if folder == self._folder and name.endswith(self._suffixes) else None

    def survivors(self, place: Path) -> None:
        """Write into the empty folder `place` what a power cut at this moment would leave."""
        for name, file in self._durable_names.items():
            (place / name).write_bytes(file.durable)

    def everything(self, place: Path) -> None:
        """Write into the empty folder `place` what is written now, as a killed process would leave it."""
        for name, file in self._names.items():
            (place / name).write_bytes(file.written)
