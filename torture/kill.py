"""kill -9 of the whole service at random points under load; it is started again at once.

Twenty sessions (half of them with TLS) send mail to three recipients at different destinations (two of four with TLS). At the end the
queue drains and the books are held against each other. What was in flight outbound when the service died may come twice; nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import dataclass

from torture.ledger import Verdict, count_between
from torture.report import Result, Row, file_system
from torture.rig import Gateway, Rig, rig
from torture.sender import Sender


@dataclass(frozen=True, slots=True)
class Kill:
    """One of them. `at`: monotonic seconds; `sessions`: outbound connections open then; `transactions`: of these with a message under
    way; `start`: seconds from the new start to the first 220.
    """

    at: float
    sessions: int
    transactions: int
    start: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--sessions", type=int, default=20, help="inbound")
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second at most; 0: as fast as they are taken")
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS", help="a service lives at most so long")
    parser.add_argument("--sabotage", choices=("early", "forget"), default=None, help="break the service, to see that the loss is found")


async def run(options: argparse.Namespace) -> Result:
    """Kill, start again, and so on; then drain and judge."""
    rng = random.Random(options.seed)
    async with rig(options.where) as world:
        module = f"torture.sabotage.{options.sabotage}" if options.sabotage else "mailwye"
        gateway = world.gateway(workers=options.workers, module=module)
        system = file_system(world.where)
        await gateway.start()
        sender = world.sender(gateway, seed=options.seed, sessions=options.sessions, rate=options.rate)
        began = time.monotonic()
        sender.start()
        kills = [await _kill_once(world, gateway, rng.uniform(0.05, options.longest)) for _ in range(options.kills)]
        await asyncio.sleep(1.0)
        await sender.stop()
        loaded = time.monotonic() - began
        drained = await world.drain(gateway)
        verdict = await world.verdict(gateway)
        await gateway.stop()
        name = "kill" if options.workers < 2 else f"kill-{options.workers}-workers"
        conditions = (
            f"{options.kills} kills, each 0.05 to {options.longest:g} s after the 220",
            f"{options.sessions} sessions, half of them with STARTTLS; {sender.acknowledged / loaded:.0f} messages/s over all, restarts included",
            "3 recipients each at 4 destinations, 2 of them with TLS",
            f"workers = {options.workers}",
            system,
            f"seed {options.seed}",
        )
        return Result(name, _rows(verdict, kills, sender, drained), conditions)


async def _kill_once(world: Rig, gateway: Gateway, after: float) -> Kill:
    await asyncio.sleep(after)
    sessions, transactions, at = world.receiver.sessions, world.receiver.transactions, time.monotonic()
    gateway.kill()
    return Kill(at, sessions, transactions, await gateway.start())


def _rows(verdict: Verdict, kills: list[Kill], sender: Sender, drained: float) -> tuple[Row, ...]:
    surplus = count_between(verdict.duplicates, [kill.at for kill in kills])
    excess = [number for number, kill in enumerate(kills) if surplus[number] > kill.sessions]
    starts = sorted(kill.start for kill in kills)
    share = len(verdict.duplicates) / max(1, verdict.promised)
    return (
        Row("messages acknowledged (each to 3 recipients)", f"{sender.acknowledged:,}"),
        Row(
            "attempts without a 250, sent again", f"{sender.unacknowledged:,} (of these arrived nevertheless: {verdict.unpromised:,} pairs)"
        ),
        *loss_rows(verdict),
        Row(
            "duplicates",
            f"{len(verdict.duplicates):,} of {verdict.promised:,} ({share:.4%}), {len(verdict.duplicates) / len(kills):.2f} a kill",
        ),
        Row(
            "kills with more duplicates than outbound sessions",
            f"{len(excess)} (most duplicates of one kill: {max(surplus.values(), default=0)}; sessions open at a kill: median "
            f"{statistics.median(kill.sessions for kill in kills):.0f}, with a message under way: {statistics.median(kill.transactions for kill in kills):.0f})",
            "0",
            not excess,
        ),
        Row(
            "start to first 220", f"median {statistics.median(starts):.2f} s, longest {starts[-1]:.2f} s", "2 s at most", starts[-1] <= 2.0
        ),
        Row("drained after the last start", f"{drained:.1f} s"),
    )


def loss_rows(verdict: Verdict) -> tuple[Row, ...]:
    """What every test here ends with."""
    found = f"{len(verdict.lost)} of {verdict.promised:,}" + (f", such as {verdict.lost[0]}" if verdict.lost else "")
    return (
        Row("lost, of all acknowledged (message, recipient)", found, "0", not verdict.lost),
        Row("altered", str(len(verdict.altered)), "0", not verdict.altered),
        Row("still queued, returned to the sender", f"{verdict.queued}, {verdict.returned}", "0, 0", not verdict.queued + verdict.returned),
        Row("`mailwye queue fsck`", verdict.fsck, "clean", verdict.kept or bool(verdict.lost or verdict.altered)),
    )
