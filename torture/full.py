"""A full disk by octets and by inodes, and one that turns read-only: nothing acknowledged is lost, and the queue drains while it is full.

A tmpfs of 64 MB holds the data. It becomes full suddenly (a file that takes all that is left, under load), and slowly (mail for a
destination that is down). Read-only is ext4 on a loop image, aborted as by an error of the disk (`mount -o remount,abort`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torture.gateway import Gateway, RigError
from torture.image import PATH, image
from torture.ledger import Verdict
from torture.order import LEGIBLE
from torture.report import Result, Row
from torture.rig import Rig, Settings, rig
from torture.sender import Sender, mixed_workload

SIZE = 64 * 1024 * 1024
MINIMUM = 8 * 1024 * 1024  # free_space_minimum; the reserve takes 16 MiB more
INODES, INODES_MINIMUM = 2000, 300
BACK_SECONDS = 5.0
SESSIONS = 8
_PATIENCE = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of this test."""
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the disk stays full under load")


@dataclass(frozen=True, slots=True)
class Filled:
    """One disk that was full. `at_mail`: the reply to MAIL then; `used`: per cent of what can run out, when the first 452 came;
    `taken_while_full`: 250s from a second after it was full until what waits may leave, which makes room; `drained`: recipients that were
    served while it was full, of `waiting`; `back`: seconds from space to the next 250. `replies`: all replies but 250 to content and MAIL.
    `broken`: 5xx.
    """

    name: str
    at_mail: str
    used: float
    taken_while_full: int
    waiting: int
    drained: int
    back: float
    replies: str
    broken: int
    acknowledged: int
    verdict: Verdict

    def rows(self) -> list[Row]:
        """Its figures."""
        return [
            Row(f"{self.name}: reply to MAIL", self.at_mail[:40], "452 4.3.1", self.at_mail.startswith("452 4.3.1")),
            Row(f"{self.name}: in use at the first 452", f"{self.used:.0f} %", "< 100 % where it came slowly", self.used <= 100),
            Row(f"{self.name}: 250 while full", str(self.taken_while_full), "0", self.taken_while_full == 0),
            Row(f"{self.name}: delivered while full", f"{self.drained}/{self.waiting}", "all", 0 < self.waiting == self.drained),
            Row(f"{self.name}: from space to the next 250", f"{self.back:.2f} s", f"≤ {BACK_SECONDS:.0f} s", self.back <= BACK_SECONDS),
            Row(f"{self.name}: other replies", self.replies, "4xx", not self.broken),
            Row(
                f"{self.name}: lost of {self.verdict.promised} (fsck: {self.verdict.fsck})",
                str(len(self.verdict.lost) + len(self.verdict.altered)),
                "0",
                self.verdict.kept,
            ),
        ]


@contextlib.contextmanager
def small_disk(where: Path) -> Iterator[Path]:
    """A tmpfs of SIZE octets and INODES files. :raises RigError: it may not be mounted here."""
    place = where / "small"
    place.mkdir()
    run_mount("mount", "-t", "tmpfs", "-o", f"size={SIZE},nr_inodes={INODES},mode=755", "tmpfs", str(place))
    try:
        yield place
    finally:
        run_mount("umount", "-l", str(place))


def run_mount(name: str, *arguments: str) -> None:
    """`mount` or `umount`. :raises RigError: it did not work."""
    done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH})
    if done.returncode:
        raise RigError(f"{name}: {done.stderr.strip()}")


class Filler:
    """Takes what is left of a disk, octets or inodes, and gives it back."""

    def __init__(self, place: Path, *, inodes: bool) -> None:
        self._folder = place / "filler"
        self._folder.mkdir()
        self._inodes = inodes
        self._count = 0

    def fill(self) -> None:
        """Take all that is free, to the last."""
        piece = 0 if self._inodes else 8 * 1024 * 1024
        while True:
            try:
                self._take(piece)
            except OSError:
                if piece <= 4096:
                    return
                piece //= 2

    def _take(self, piece: int) -> None:
        if self._count and not self._inodes:
            path = self._folder / "octets"
        else:
            path = self._folder / ("octets" if not self._inodes else str(self._count))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            self._count += 1
            if piece:
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, piece)
        finally:
            os.close(descriptor)

    def give_back(self) -> None:
        """Remove it all."""
        for path in self._folder.iterdir():
            path.unlink()


async def mail_reply(gateway: Gateway) -> str:
    """What MAIL is answered with now."""
    reader, writer = await asyncio.open_connection(gateway.address, gateway.port)
    try:
        async with asyncio.timeout(10):
            await reader.readline()
            writer.write(b"HELO probe.example\r\n")
            await reader.readline()
            writer.write(b"MAIL FROM:<probe@senders.example>\r\n")
            return (await reader.readline()).decode().rstrip()
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], bool], seconds: float = _PATIENCE) -> float:
    """Wait for `condition`; how long it took, `seconds` where it did not come."""
    began = time.monotonic()
    while True:
        if condition() or time.monotonic() > began + seconds:
            return time.monotonic() - began
        await asyncio.sleep(0.02)  # other processes bring it about


def used_percent(place: Path, *, inodes: bool) -> float:
    """How much of the octets or inodes is in use."""
    found = os.statvfs(place)
    free, everything = (found.f_ffree, found.f_files) if inodes else (found.f_bfree, found.f_blocks)
    return 100.0 * (1 - free / everything)


@contextlib.asynccontextmanager
async def _loaded(world: Rig, place: Path, seed: int) -> AsyncIterator[tuple[Gateway, Sender]]:
    settings: Settings = {
        "": {"shutdown_timeout": 5},  # results of attempts cannot be noted on a read-only disk, and a stop waits for that
        "queue": {"free_space_minimum": MINIMUM, "free_inodes_minimum": INODES_MINIMUM, "retry_delays": [1]},
    }
    gateway = world.gateway(data_directory=place / "data", settings=settings)
    await world.receiver.only_down("a")
    try:
        await gateway.start()
        workload = mixed_workload(LEGIBLE, each=4, octets=40_000, large_every=20)
        sender = world.sender(gateway, seed=seed, sessions=SESSIONS, tls=False, workload=workload)
        sender.retry_after = 0.2
        yield gateway, sender
    finally:
        gateway.kill()


async def filled(kind: str, *, seed: int, where: Path | None, seconds: float) -> Filled:
    """`kind`: "suddenly" (octets), "slowly" (octets, by mail that waits) or "inodes"."""
    inodes = kind == "inodes"
    async with rig(where) as world:
        with small_disk(world.where) as place:
            async with _loaded(world, place, seed) as (gateway, sender):
                filler = Filler(place, inodes=inodes)
                sender.start()
                await until(lambda: sender.acknowledged > 20)
                if kind != "slowly":
                    filler.fill()
                await until(lambda: bool(sender.replies))
                used = used_percent(place, inodes=inodes)
                if kind == "slowly":
                    filler.fill()  # what is left of it, so that the queue must drain at 0 octets
                at_mail = await mail_reply(gateway)
                await asyncio.sleep(1.0)
                before, waiting = sender.acknowledged, len(world.outstanding())
                await asyncio.sleep(seconds)
                taken = sender.acknowledged - before
                await world.receiver.only_down()
                await until(lambda: not world.outstanding())
                drained = waiting - len(world.outstanding())
                filler.give_back()
                before = sender.acknowledged
                back = await until(lambda: sender.acknowledged > before)
                await asyncio.sleep(1.0)
                await sender.stop()
                await world.drain(gateway)
                verdict = await world.verdict(gateway)
                await gateway.stop()
        replies = ", ".join(f"{number} × {reply}" for reply, number in sender.replies.most_common())
        acknowledged, broken = sender.acknowledged, len(sender.refused)
        name = {"suddenly": "suddenly full", "slowly": "full by waiting mail", "inodes": "no inodes left"}[kind]
        return Filled(name, at_mail, used, taken, waiting, drained, back, replies, broken, acknowledged, verdict)


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """A file system that turned read-only. `taken_after`: 250s more than half a second later. `alive`: the service ran on; `at_mail`: its
    reply to MAIL; `alert`: what it said. `verdict`: after the file system was mounted anew and the service started.
    """

    taken_after: int
    alive: bool
    at_mail: str
    alert: str
    stop: int
    replies: str
    broken: int
    verdict: Verdict

    def rows(self) -> list[Row]:
        """Its figures."""
        name = "read-only"
        return [
            Row(f"{name}: 250 afterwards", str(self.taken_after), "0", self.taken_after == 0),
            Row(f"{name}: reply to MAIL or content", self.replies, "4xx", not self.broken),
            Row(f"{name}: the service runs on and says why", self.alert[:90], "yes", self.alive and bool(self.alert)),
            Row(f"{name}: exit code of a stop", str(self.stop), "0", self.stop == 0),
            Row(
                f"{name}: lost of {self.verdict.promised}, mounted anew and started (fsck: {self.verdict.fsck})",
                str(len(self.verdict.lost) + len(self.verdict.altered)),
                "0",
                self.verdict.kept,
            ),
        ]


async def read_only(*, seed: int, where: Path | None, seconds: float) -> ReadOnly:
    """Abort the file system under load, go on for `seconds`, stop; mount it anew and start."""
    async with rig(where) as world:
        with image("ext4", world.where) as disk:
            async with _loaded(world, disk.mount_point, seed) as (gateway, sender):
                sender.start()
                await until(lambda: sender.acknowledged > 50)
                with contextlib.suppress(RigError):  # the kernel aborts and then says that it cannot
                    run_mount("mount", "-o", "remount,abort", str(disk.mount_point))
                await asyncio.sleep(0.5)
                before = sender.acknowledged
                at_mail = await mail_reply(gateway)
                await asyncio.sleep(seconds)
                taken_after, alive = sender.acknowledged - before, gateway.running
                await sender.stop()
                alerts = [line for line in gateway.log.read_text().splitlines() if "event=alert" in line]
                stop = await gateway.stop()
                disk.unmount()
                disk.mount()
                await world.receiver.only_down()
                await gateway.start()
                await world.drain(gateway)
                verdict = await world.verdict(gateway)
                await gateway.stop()
        replies = ", ".join(f"{number} × {reply}" for reply, number in sender.replies.most_common())
        alert = alerts[0].partition("text=")[2] if alerts else ""
        return ReadOnly(taken_after, alive, at_mail, alert, stop, replies, len(sender.refused), verdict)


async def run(options: argparse.Namespace) -> Result:
    """All of them, one after the other."""
    rows: list[Row] = []
    for kind in ("suddenly", "slowly", "inodes"):
        rows += (await filled(kind, seed=options.seed, where=options.where, seconds=options.seconds)).rows()
    rows += (await read_only(seed=options.seed, where=options.where, seconds=options.seconds)).rows()
    conditions = (
        f"tmpfs of {SIZE >> 20} MiB and {INODES} inodes, free_space_minimum {MINIMUM >> 20} MiB, free_inodes_minimum {INODES_MINIMUM}",
        "read-only: ext4 on a loop image",
        f"{SESSIONS} sessions, 4 recipients each, one of two destinations down",
        f"seed {options.seed}",
    )
    note = (
        "A file system that the kernel made read-only after an error cannot be made writable again while files are open on it: "
        "the service says 4xx until it is stopped and the file system is mounted anew."
    )
    return Result("full", tuple(rows), conditions, (note,))
