"""Room on the disk: refuse new mail before it is full, and keep a reserve so that the queue can shrink when it is (reliability D4)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

CHECK_SECONDS = 1.0  # statvfs at most so often, unless much was taken since
COPIES = 2  # of content on the disk at a time: in the write-ahead log and in the database
PLENTY_OCTETS = 1 << 30
_MARGIN = 8  # mail is taken again once there is an eighth more than the minimum, so that it does not flicker


class DiskSpace:
    """Watches the file system that holds `ballast`, a file of `ballast_octets` that is given up when the disk is full.

    `minimum` free octets, and `inodes` free files: with less there is no room for new mail. `tell` hears when that begins and ends.
    `reusable`: octets within the queue's own file that are written before it grows. They count as free, and as the reserve: a file that
    was long and is nearly empty needs nothing of the disk (it does not shrink, so else it would be refused mail for ever).
    `now` arguments: monotonic seconds.
    """

    def __init__(
        self,
        ballast: Path,
        *,
        ballast_octets: int,
        minimum: int,
        inodes: int,
        tell: Callable[[str], None],
        reusable: Callable[[], int] = lambda: 0,
    ) -> None:
        self._ballast = ballast
        self._reusable = reusable
        self._octets = ballast_octets
        self._minimum = minimum
        self._inodes = inodes
        self._tell = tell
        self._checked_at = -CHECK_SECONDS
        self._free = 0  # octets beside the minimum at the last check, less what was taken since
        self._check_below = 0
        self._room = True
        self._whole = False
        self._why = ""

    def has_room(self, now: float, octets: int = 0) -> bool:
        """Whether new mail, of about `octets`, may be taken. Also makes the ballast (again) once there is room for it."""
        if now - self._checked_at >= CHECK_SECONDS or self._free < self._check_below:
            self._checked_at = now
            self._check()
        return self._room and octets * COPIES <= max(self._free, 0)

    @property
    def plenty(self) -> bool:
        """Whether PLENTY_OCTETS and more were free beside the minimum at the last check: nothing needs be done to save room."""
        return self._room and self._free >= PLENTY_OCTETS

    def taken(self, octets: int) -> None:
        """So much will be written."""
        self._free -= octets * COPIES

    def reason(self, octets: int) -> str:
        """Why `has_room` said no."""
        if not self._room:
            return self._why
        return (
            f"a message of {octets} octets would leave less than free_space_minimum ({self._minimum}) on the disk of {self._ballast.parent}"
        )

    def give_up_ballast(self) -> bool:
        """The disk is full: free the reserve and take no new mail until it is whole again. False where it was gone already."""
        self._whole = False
        self._set(f"the disk of {self._ballast.parent} is full")
        try:
            self._ballast.unlink()
        except OSError:
            return False
        return True

    def _check(self) -> None:
        place = self._ballast.parent
        try:
            found = os.statvfs(place)
        except OSError as error:
            self._free = self._check_below = 0
            self._set(f"{place} cannot be looked at: {error.strerror}")
            return
        free = found.f_bavail * found.f_frsize
        if not self._whole:
            self._whole = free > self._minimum + self._octets and self._make_ballast()
            free -= self._octets
        again = 0 if self._room else 1
        wanted = self._minimum + again * self._minimum // _MARGIN
        reserve = self._whole
        if free < wanted or not self._whole:
            reusable = self._reusable()
            reserve = reserve or reusable >= self._octets
            free += reusable
        self._free = free - self._minimum
        self._check_below = self._free // 2  # much taken in less than a second: look again
        if free < wanted or not reserve:
            self._set(f"the disk of {place} has {max(free, 0)} octets free; free_space_minimum asks for {self._minimum}")
        elif found.f_files and found.f_favail < self._inodes + again * self._inodes // _MARGIN:  # 0 files: it knows no such limit
            self._set(f"the disk of {place} can hold {found.f_favail} new files; free_inodes_minimum asks for {self._inodes}")
        else:
            self._set("")

    def _set(self, why: str) -> None:
        """There is no room because of `why`, or ("") there is."""
        self._why = why
        if self._room and why:
            self._tell(
                f"no new mail is taken (452 4.3.1), what is queued is delivered: {why}. Free some: `df -h`, `df -i`; old files of trace/"
            )
        elif not self._room and not why:
            self._tell(f"mail is taken again: the disk of {self._ballast.parent} has room")
        self._room = not why

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
