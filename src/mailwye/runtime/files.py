"""Durable files (reliability D1): what these functions have returned from survives a power cut. They block: call them in a thread.

The order is the one that POSIX promises and that measuring confirmed on ext4 and XFS (reliability, fact 0.2): octets, fsync of the file,
rename, fsync of the directory. Without the last step the file came back under its temporary name, without the first empty.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


_DISK = frozenset({errno.EIO, errno.EROFS})
_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def secret_file_remedy(error: OSError) -> str:
    """What to do where a file that only the service's user may read cannot be read or written."""
    if error.errno in _DISK:
        return "Check the disk and the system's log"
    if error.errno in _ROOM:
        return "Free some space"
    return "Correct its owner and mode (600, the service's user)"


def create(path: Path) -> int:
    """A new file, open for writing; its descriptor. :raises OSError: it exists already, or cannot be made."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`. :raises OSError: no space, I/O error."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_and_close(descriptor: int) -> None:
    """Bring a file's octets to the disk. :raises OSError: they are not there; the file is of no use then (D2: never fsync again)."""
    try:
        os.fsync(descriptor)  # noqa: TID251 - this is the place for it
    finally:
        os.close(descriptor)


def sync_directories(directories: Iterable[Path]) -> None:
    """Bring the names in these directories to the disk; each is synced once. :raises OSError: some are not there."""
    for directory in dict.fromkeys(directories):
        sync_and_close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def make_directories(path: Path) -> None:
    """`path` and its parents, durable where they are new. Harmless where they exist. :raises OSError: cannot."""
    missing: list[Path] = []
    at = path
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for directory in reversed(missing):
        directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        sync_directories((directory.parent,))


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` with `data`, all or nothing. :raises OSError: nothing was changed, or (at the last step) it may come back old."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = create(temporary)
    try:
        write_all(descriptor, data)
    except OSError:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    sync_and_close(descriptor)
    temporary.rename(path)
    sync_directories((path.parent,))


def keep_first(path: Path, data: bytes) -> bytes:
    """What `path` holds; where it does not exist yet, `data`, durably. Of several processes at once one wins, and all get the same.

    :raises OSError: it can neither be read nor made.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = create(temporary)
    try:
        try:
            write_all(descriptor, data)
        finally:
            sync_and_close(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, it never replaces what another process has made
    finally:
        temporary.unlink(missing_ok=True)
    sync_directories((path.parent,))
    return path.read_bytes()


FileState = tuple[int, int, int, int] | None
"""Device, inode, size and time of the last change in nanoseconds; None: it is not there, or cannot be looked at."""


def file_states(paths: Iterable[Path]) -> dict[Path, FileState]:
    """What tells one content of a file from the next without reading it, also behind symbolic links that are changed."""
    states: dict[Path, FileState] = {}
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            states[path] = None
        else:
            states[path] = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    return states
