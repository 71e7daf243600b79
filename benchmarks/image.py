"""The file system to measure on: ext4 with a journal in a loop image, made for the benchmark, so that each machine measures the same."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGE_OCTETS = 4 * 2**30
"""Sparse: it takes of the disk what is written."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to measure in, and in words what it is on."""

    folder: Path
    description: str


@contextlib.contextmanager
def measured_place(where: Path | None) -> Iterator[Place]:
    """`where` as it is; without it a fresh loop image if root may mount one, else the temporary folder as it is.

    Nothing stays behind. Raises SystemExit while another benchmark runs on this machine.
    """
    with only_one(), tempfile.TemporaryDirectory(prefix="mailwye-bench-", dir=where) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        if where is not None:
            yield Place(folder, f"{_file_system(folder)} as it is (--where)")
            return
        if os.geteuid() != 0 or shutil.which("mkfs.ext4", path=_PATH) is None:
            yield Place(folder, f"{_file_system(folder)} as it is: no root or no mkfs.ext4, so no image with a journal")
            return
        try:
            mount = stack.enter_context(_mounted(folder / "image", folder / "mount"))
        except subprocess.CalledProcessError:
            yield Place(folder, f"{_file_system(folder)} as it is: mounting an image with a journal is not permitted here")
            return
        yield Place(mount, "ext4 with a journal (data=ordered) in a loop image")


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two at once would take each other's CPU, and each other's mail. An abstract socket is a lock that no crash leaves behind."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind("\0mailwye-benchmark")
        except OSError as error:
            raise SystemExit("another benchmark of Mailwye runs on this machine: wait for it") from error
        yield


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@contextlib.contextmanager
def _mounted(image: Path, mount: Path) -> Iterator[Path]:
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_OCTETS)
    # Everything is initialized now: a kernel thread that does it later would disturb the first runs.
    make = ["mkfs.ext4", "-q", "-F", "-O", "has_journal", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)]
    subprocess.run(make, check=True, env={**os.environ, "PATH": _PATH})
    subprocess.run(["mount", "-o", "loop,data=ordered", str(image), str(mount)], check=True)
    try:
        mount.chmod(0o755)
        yield mount
    finally:
        if subprocess.run(["umount", str(mount)], check=False).returncode:  # something still uses it: detach now, free it when that ends
            subprocess.run(["umount", "--lazy", str(mount)], check=True)
        image.unlink()


def _file_system(folder: Path) -> str:
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], check=True, capture_output=True, text=True).stdout.strip()
    return f"file system {kind}"
