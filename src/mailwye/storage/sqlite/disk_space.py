"""Room on the disk: refuse new mail before it is full, and keep a reserve so that the queue can shrink when it is (reliability D4)."""

from __future__ import annotations

import os
from pathlib import Path

CHECK_SECONDS = 1.0  # statvfs at most so often


class DiskSpace:
    """Watches the file system that holds `ballast`, a file of `ballast_octets` that is given up when the disk is full.

    `minimum`: free octets below which there is no room for new mail. `now` arguments: monotonic seconds.
    """

    def __init__(self, ballast: Path, *, ballast_octets: int, minimum: int) -> None:
        self._ballast = ballast
        self._octets = ballast_octets
        self._minimum = minimum
        self._checked_at = -CHECK_SECONDS
        self._room = True
        self._whole = False

    def has_room(self, now: float) -> bool:
        """Whether new mail may be taken. Also makes the ballast (again) once there is room for it beside the minimum."""
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._check()
        return self._room

    def give_up_ballast(self) -> bool:
        """The disk is full: free the reserve and take no new mail until it is whole again. False where it was gone already."""
        self._room = False
        self._whole = False
        try:
            self._ballast.unlink()
        except OSError:
            return False
        return True

    def _check(self) -> None:
        try:
            found = os.statvfs(self._ballast.parent)
        except OSError:
            self._room = False
            return
        free = found.f_bavail * found.f_frsize
        if not self._whole:
            self._whole = free > self._minimum + self._octets and self._make_ballast()
            free -= self._octets
        self._room = self._whole and free >= self._minimum

    def _make_ballast(self) -> bool:
        try:
            if self._ballast.exists() and self._ballast.stat().st_size == self._octets:
                return True
            file = os.open(self._ballast, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(file, 0, self._octets)
            finally:
                os.close(file)
        except OSError:
            return False
        return True
