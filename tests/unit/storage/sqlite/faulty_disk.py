"""A disk that fails when it is told to, and that knows what a power cut would leave: a file layer of SQLite over the real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw


class FaultyDisk(apsw.VFS):
    """Register with a `name`, open databases with `vfs=name`.

    `fail_syncs`: so many fsyncs fail from now on (EIO). `quota`: octets that all files together may have (None: no end); beyond it
    writing fails as on a full disk. `durable`: what is on the disk of each file, by its last fsync. `on_sync` is called after each
    fsync that succeeded, in SQLite's thread.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fail_syncs = 0
        self.syncs = 0
        self.quota: Callable[[], int] | None = None
        self.durable: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.on_sync: Callable[[], None] | None = None
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(filename, syncdir)
        self.durable.pop(filename, None)
        self.sizes.pop(filename, None)

    def survivors(self, directory: Path) -> None:
        """Write what a power cut would leave into `directory`."""
        directory.mkdir()
        for name, data in self.durable.items():
            (directory / Path(name).name).write_bytes(data)


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        sizes = self._disk.sizes
        size = max(sizes.get(self._name, 0), offset + len(data))
        if self._disk.quota is not None and size > sizes.get(self._name, 0):
            others = sum(one for name, one in sizes.items() if name != self._name)
            if size + others > self._disk.quota():
                raise apsw.FullError("no space left on device")
        sizes[self._name] = size
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(newsize)
        self._disk.sizes[self._name] = newsize

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        if self._disk.fail_syncs > 0:
            self._disk.fail_syncs -= 1
            raise apsw.IOError("input/output error")
        super().xSync(flags)
        self._disk.syncs += 1
        self._disk.durable[self._name] = Path(self._name).read_bytes()
        if self._disk.on_sync is not None:
            self._disk.on_sync()
