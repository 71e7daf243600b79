"""One process per queue file: an exclusive lock on a file beside it, which names its holder."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from mailwye.storage.sqlite.connection import DatabaseError


class FileLock:
    """An exclusive lock (flock) on `path`, held until `release` or the end of the process. The file holds the holder's process id.

    :raises DatabaseError: another process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise DatabaseError(
                f"{path} cannot be opened: {error.strerror}. Check that the directory exists and belongs to the service's user"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise DatabaseError(
                f"{path} is locked: process {holder} uses this queue. Stop the service first, or ask it through its administration API"
            ) from error
        with suppress(OSError):  # a full disk; the lock holds without the name
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two files of one name. Harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
