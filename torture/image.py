"""A file system in a file, loop-mounted, whose power can be cut. Needs root, and a kernel that lets it mount."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from torture.gateway import RigError

MEGABYTES = {"ext4": 400, "xfs": 400}  # XFS refuses less than 300
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}


class Image:
    """Made by `image`. `mount_point`: where the file system is seen."""

    def __init__(self, kind: str, file: Path, mount_point: Path) -> None:
        self.kind = kind
        self.mount_point = mount_point
        self._file = file
        self._cutter: subprocess.Popen[bytes] | None = None

    def mount(self) -> None:
        """Mount it; the file system recovers by itself from what happened before. :raises RigError: it cannot be mounted."""
        _run("mount", "-o", "loop", str(self._file), str(self.mount_point))

    def arm(self) -> None:
        """Have the program ready that cuts, so that `cut` takes effect within a millisecond."""
        words = [_program("xfs_io"), "-x", str(self.mount_point)]
        self._cutter = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def cut(self) -> None:
        """From now on nothing reaches the file, not even what is in the journal's buffers (`xfs_io`'s shutdown without -f). Returns when
        that is so. :raises RigError: it could not be done.
        """
        cutter, self._cutter = self._cutter, None
        if cutter is None:
            raise RigError("cut without arm")
        _, words = cutter.communicate(b"shutdown\nquit\n", timeout=10)
        if cutter.returncode or words:
            raise RigError(f"xfs_io: {words.decode()}")

    def unmount(self) -> None:
        """Unmount it. Nothing of the service may run any more."""
        _run("umount", str(self.mount_point))

    def discard(self) -> None:
        """Unmount if it is mounted, whatever state it is in."""
        if self._cutter is not None:
            self._cutter.kill()
            self._cutter.wait()
        if f" {self.mount_point} " in Path("/proc/self/mounts").read_text():  # a stat of a dead file system fails
            _run("umount", str(self.mount_point))


@contextlib.contextmanager
def image(kind: str, directory: Path) -> Iterator[Image]:
    """An empty file system of `kind` ("ext4", "xfs"), its file in `directory`; mounted, and gone afterwards.

    :raises RigError: it cannot be made or mounted here.
    """
    file, mount_point = directory / f"{kind}.image", directory / f"{kind}.mounted"
    mount_point.mkdir()
    with file.open("wb") as empty:
        empty.truncate(MEGABYTES[kind] << 20)
    made = Image(kind, file, mount_point)
    try:
        program, *options = _MAKE[kind]
        _run(program, *options, str(file))
        made.mount()
        yield made
    finally:
        made.discard()
        file.unlink(missing_ok=True)


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise RigError(f"{name} is not installed (sh tests/counterparts/install.sh)")
    return found


def _run(name: str, *arguments: str) -> None:
    done = subprocess.run([_program(name), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"{name}: {done.stderr.strip()}")
