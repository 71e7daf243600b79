"""The power fails under load: the file system with the service's data is shut down at a random moment, at a commit, or at a checkpoint.

A file image is loop-mounted; the service is frozen, `xfs_io -x -c shutdown` ends the file system, the service is killed, the image
unmounted and mounted again, the service started; nothing else is done. At the end the queue drains and the books, which lie outside the
image, are held against each other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass

from torture.image import Image, image
from torture.kill import add_load_arguments, duplicate_rows, load_conditions, load_rows, loss_rows
from torture.ledger import Acknowledged
from torture.report import Result, Row
from torture.rig import Gateway, Rig, rig, sabotaged
from torture.sender import Sender

MOMENTS = ("random", "commit", "checkpoint")
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Cut:
    """One of them. `moment`: when it came. `seconds`: of the load before it; `start`: from the new start to the first 220."""

    moment: str
    seconds: float
    start: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--filesystem", choices=("ext4", "xfs"), default="ext4")
    add_load_arguments(parser)
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS", help="until a cut, at most")
    parser.add_argument("--sabotage", choices=("early", "unsynced"), help="break the service, to see that the loss is found")


async def run(options: argparse.Namespace) -> Result:
    """Cut, start again, and so on; then drain and judge."""
    rng = random.Random(options.seed)
    async with rig(options.where) as world:
        with image(options.filesystem, world.where) as disk:
            gateway = world.gateway(workers=options.workers, data_directory=disk.mount_point / "data", **sabotaged(options.sabotage))
            await world.receiver.only_down("a")
            try:
                start = await gateway.start()
                sender = world.sender(gateway, seed=options.seed, sessions=options.sessions, rate=options.rate)
                sender.start()
                moments = [MOMENTS[number % 3] for number in range(options.cuts)]
                cuts = [await _cut_once(world, gateway, disk, sender, moment, rng, options.longest) for moment in moments]
                await asyncio.sleep(1.0)
                await sender.stop()
                await world.receiver.only_down()
                await world.drain(gateway)
                verdict = await world.verdict(gateway)
                await gateway.stop()
            finally:
                gateway.kill()  # before the image can be unmounted
        starts = sorted([start, *(cut.start for cut in cuts)])
        came = Counter(cut.moment for cut in cuts)
        rows = (
            *load_rows(sender, verdict),
            *loss_rows(verdict),
            *duplicate_rows(verdict, len(cuts), "a cut"),
            Row("start to first 220", f"median {statistics.median(starts):.2f} s, longest {starts[-1]:.2f} s"),
            Row(
                "started again with nothing done but mounting",
                f"{len(cuts)} of {options.cuts}",
                f"{options.cuts}",
                len(cuts) == options.cuts,
            ),
        )
        conditions = (
            f"{len(cuts)} cuts, each up to {options.longest:g} s after the first 220: "
            + ", ".join(f"{came[one]} {one}" for one in MOMENTS),
            *load_conditions(options.sessions, sender.acknowledged / (sum(cut.seconds for cut in cuts) + 1.0)),
            f"workers = {options.workers}",
            f"{options.filesystem} in a loop-mounted file",
            f"seed {options.seed}",
        )
        return Result(f"power-{options.filesystem}", rows, conditions)


async def _cut_once(world: Rig, gateway: Gateway, disk: Image, sender: Sender, moment: str, rng: random.Random, longest: float) -> Cut:
    began = time.monotonic()
    disk.arm()
    await asyncio.sleep(rng.uniform(0.05, longest))
    if moment == "commit":
        moment = await _cut_at_commit(gateway, disk, sender)
    elif moment == "checkpoint":
        moment = await _cut_at_checkpoint(gateway, disk)
    else:
        _cut(gateway, disk)
    seconds = time.monotonic() - began
    gateway.kill()
    await world.receiver.last_words()
    disk.unmount()
    disk.mount()
    await world.receiver.only_down(rng.choice("abcd"))
    return Cut(moment, seconds, await gateway.start())


def _cut(gateway: Gateway, disk: Image) -> None:
    """The power fails for the processor too: frozen, the service hears nothing of what its system calls under way give back.

    That is not for show. An fdatasync that is under way while XFS is shut down may report success and have kept nothing (seen on Linux
    6.18 with a program of ten lines). After a real cut nobody is there to believe it.
    """
    gateway.freeze()
    disk.cut()


async def _cut_at_commit(gateway: Gateway, disk: Image, sender: Sender) -> str:
    """At the very 250."""
    heard = asyncio.Event()

    def cut(_record: Acknowledged) -> None:
        if not heard.is_set():
            _cut(gateway, disk)
            heard.set()

    sender.on_acknowledged = cut
    try:
        async with asyncio.timeout(_PATIENCE):
            await heard.wait()
    except TimeoutError:
        _cut(gateway, disk)
        return "random"
    finally:
        sender.on_acknowledged = lambda _record: None
    return "commit"


async def _cut_at_checkpoint(gateway: Gateway, disk: Image) -> str:
    """While the write-ahead log is copied into the database: nothing else changes that file."""
    database = gateway.data / "queue" / "worker-0.sqlite"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    before = os.stat(database).st_mtime_ns
    while os.stat(database).st_mtime_ns == before:
        if loop.time() > deadline:
            _cut(gateway, disk)
            return "random"
        await asyncio.sleep(0.0005)
    _cut(gateway, disk)
    return "checkpoint"
