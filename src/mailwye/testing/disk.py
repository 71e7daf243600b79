"""A disk that forgets what was not synced: a file layer of SQLite (VFS) over real files in a directory of its own.

What a program sees is in the real files. Beside it the disk keeps what would survive a power cut: each file as of its last sync, and the
writes since then, of which a cut keeps none, all, the first ones, or any of them, torn at sectors, as the seed says. After a cut the
survivors are put into a new directory, so that nothing the old machine still holds open can reach them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SECTOR_OCTETS = 512


@dataclass(slots=True)
class _Image:
    """One file: `durable` its octets as of the last sync (None: not even its name is there), and what was written since."""

    durable: bytearray | None = None
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, octets), or (size, None) for a truncation

    def sync(self) -> None:
        self.durable = _apply(bytearray() if self.durable is None else self.durable, self.pending)
        self.pending = []

    def survivor(self, rng: random.Random) -> bytes | None:
        """What a power cut leaves now."""
        match rng.choice(("none", "all", "first", "any")):
            case "none":
                kept = []
            case "all":
                kept = self.pending
            case "first":
                kept = self.pending[: rng.randrange(len(self.pending) + 1)]
                if kept and (octets := kept[-1][1]) is not None:
                    sectors = rng.randrange(-(-len(octets) // SECTOR_OCTETS) + 1)
                    kept = [*kept[:-1], (kept[-1][0], octets[: sectors * SECTOR_OCTETS])]
            case _:
                kept = [one for one in self.pending if rng.random() < 0.5]
        if self.durable is None:
            return bytes(_apply(bytearray(), kept)) if kept else None
        return bytes(_apply(bytearray(self.durable), kept))


def _apply(image: bytearray, operations: list[tuple[int, bytes | None]]) -> bytearray:
    for offset, octets in operations:
        if octets is None:
            del image[offset:]
            continue
        if len(image) < offset:
            image.extend(bytes(offset - len(image)))
        image[offset : offset + len(octets)] = octets
    return image


class SimulatedDisk(apsw.VFS):
    """The disk of one machine. Open databases with `vfs=disk.name` under `disk.place`.

    `fail_syncs`: so many syncs fail from now on (EIO), and what they should have written is in doubt. `quota`: octets that all files
    together may have (None: no end). `syncs`, `operations`: how many syncs, and writes and syncs, there were. Before operation number
    `cut_at` the power goes (`on_cut`), and this and all later operations fail.
    """

    def __init__(self, name: str, directory: Path, rng: random.Random) -> None:
        self.name = name
        self.fail_syncs = 0
        self.quota: int | None = None
        self.syncs = 0
        self.operations = 0
        self.cut_at = 0
        self.on_cut: Callable[[], None] = lambda: None
        self._directory = directory.resolve()
        self._rng = rng
        self._life = 0
        self._images: dict[str, _Image] = {}
        self._survivors: dict[str, bytes] | None = None
        self.place.mkdir(parents=True)
        super().__init__(name, "")

    @property
    def place(self) -> Path:
        """The directory of the machine's current life."""
        return self._directory / f"{self.name}-{self._life}"

    def cut(self) -> None:
        """The power goes: what survives is decided now. Harmless when repeated."""
        if self._survivors is None:
            found = {Path(name).name: image.survivor(self._rng) for name, image in self._images.items()}
            self._survivors = {name: octets for name, octets in found.items() if octets is not None}

    def boot(self) -> None:
        """The power is back: what survived is in the new `place`."""
        self.cut()
        assert self._survivors is not None
        self.close_all()
        self._life += 1
        self._write(self.place, self._survivors)
        self._images = {str(self.place / name): _Image(bytearray(octets)) for name, octets in self._survivors.items()}
        self._survivors = None

    def copy_durable(self, directory: Path) -> None:
        """Write what is certain to survive a cut now into `directory`."""
        self._write(directory, {Path(name).name: bytes(one.durable) for name, one in self._images.items() if one.durable is not None})

    def close_all(self) -> None:
        """Close the connections that were left open, as the end of a process does."""
        for connection in apsw.connections():
            if connection.filename.startswith(f"{self.place}/"):
                with suppress(apsw.Error):
                    connection.close(True)

    def _write(self, directory: Path, files: dict[str, bytes]) -> None:
        directory.mkdir()
        for name, octets in files.items():
            (directory / name).write_bytes(octets)

    # what files do

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(filename, syncdir)
        self._images.pop(filename, None)

    def operate(self) -> None:
        """Before each write and sync. :raises apsw.IOError: there is no power."""
        self.operations += 1
        if self.operations == self.cut_at:
            self.cut()
            self.on_cut()
        if self._survivors is not None:
            raise apsw.IOError("there is no power")

    def write(self, name: str, octets: bytes, offset: int) -> None:
        """Note a write. :raises apsw.FullError: no room."""
        image = self._images.setdefault(name, _Image())
        if self.quota is not None and offset + len(octets) > Path(name).stat().st_size:
            others = sum(Path(one).stat().st_size for one in self._images if one != name and Path(one).exists())
            if offset + len(octets) + others > self.quota:
                raise apsw.FullError("no space left on device")
        image.pending.append((offset, octets))

    def truncate(self, name: str, size: int) -> None:
        """Note a truncation."""
        self._images.setdefault(name, _Image()).pending.append((size, None))

    def sync(self, name: str) -> None:
        """Make a file durable. :raises apsw.IOError: as told."""
        if self.fail_syncs > 0:
            self.fail_syncs -= 1
            image = self._images.setdefault(name, _Image())
            # The system marks the pages clean although they may not have been written: a later sync will not write them (D2).
            image.pending = [one for one in image.pending if self._rng.random() < 0.5]
            raise apsw.IOError("input/output error")
        self.syncs += 1
        self._images.setdefault(name, _Image()).sync()


class _File(apsw.VFSFile):
    """One open file."""

    def __init__(self, disk: SimulatedDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name or "")
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.operate()
        if self._name:
            self._disk.write(self._name, bytes(data), offset)
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.operate()
        if self._name:
            self._disk.truncate(self._name, newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.operate()
        if self._name:
            self._disk.sync(self._name)


class CommitsInLoop:
    """A CommitRunner (storage/sqlite/commit_thread.py) on virtual time: each job runs after `seconds()` of the disk's work."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: Callable[[], float]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._ready_at = 0.0

    def submit(self, job: Callable[[], None]) -> None:
        """See CommitRunner."""
        self._ready_at = max(self._ready_at + 1e-5, self._loop.time() + self._seconds())
        self._loop.call_at(self._ready_at, job)

    async def stop(self) -> None:
        """See CommitRunner."""
        await asyncio.sleep(max(0.0, self._ready_at - self._loop.time()) + 1e-5)
