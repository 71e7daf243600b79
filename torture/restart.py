"""The service is stopped by SIGTERM under load and started again, as an upgrade does: nothing is lost, and nothing comes twice.

The load is that of `kill`. Here no copy is excused: what was in flight is finished, or was not taken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import dataclass

from torture.kill import add_load_arguments, load_conditions, load_rows, loss_rows
from torture.report import Result, Row, file_system
from torture.rig import Gateway, Rig, rig

SHUTDOWN_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Restart:
    """One of them. `code`: exit code; `stop`: seconds from SIGTERM to the end; `start`: from there to the first 220."""

    code: int
    stop: float
    start: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--times", type=int, default=100)
    add_load_arguments(parser)
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS", help="a service runs at most so long")


async def run(options: argparse.Namespace) -> Result:
    """Stop, start, and so on; then drain and judge."""
    rng = random.Random(options.seed)
    async with rig(options.where) as world:
        gateway = world.gateway(workers=options.workers, settings={"": {"shutdown_timeout": SHUTDOWN_TIMEOUT}})
        await world.receiver.only_down("a")
        await gateway.start()
        sender = world.sender(gateway, seed=options.seed, sessions=options.sessions, rate=options.rate)
        sender.start()
        began = time.monotonic()
        restarts = [await _restart_once(world, gateway, rng, options.longest) for _ in range(options.times)]
        served = time.monotonic() - began - sum(one.stop + one.start for one in restarts)
        await sender.stop()
        await world.receiver.only_down()
        await world.drain(gateway)
        verdict = await world.verdict(gateway)
        await gateway.stop()
        stops, starts = sorted(one.stop for one in restarts), sorted(one.start for one in restarts)
        codes = {one.code for one in restarts}
        untold = verdict.unpromised
        longest = f"median {statistics.median(stops):.2f} s, longest {stops[-1]:.2f} s"
        rows = (
            *load_rows(sender, verdict),
            *loss_rows(verdict),
            Row("duplicates", f"{len(verdict.duplicates)} of {verdict.promised:,}", "0", not verdict.duplicates),
            Row("copies delivered of what was not acknowledged", f"{untold}", "0", untold == 0),
            Row("exit codes", ", ".join(map(str, sorted(codes))), "0", codes == {0}),
            Row("SIGTERM to end", longest, f"{SHUTDOWN_TIMEOUT:.0f} s at most", stops[-1] <= SHUTDOWN_TIMEOUT + 1),
            Row("start to first 220", f"median {statistics.median(starts):.2f} s, longest {starts[-1]:.2f} s"),
        )
        conditions = (
            f"{options.times} restarts, each 0.05 to {options.longest:g} s after the first 220",
            *load_conditions(options.sessions, sender.acknowledged / served),
            f"workers = {options.workers}",
            file_system(world.where),
            f"seed {options.seed}",
        )
        return Result("restart", rows, conditions)


async def _restart_once(world: Rig, gateway: Gateway, rng: random.Random, longest: float) -> Restart:
    await asyncio.sleep(rng.uniform(0.05, longest))
    began = time.monotonic()
    code = await gateway.stop()
    stop = time.monotonic() - began
    await world.receiver.only_down(rng.choice("abcd"))
    return Restart(code, stop, await gateway.start())
