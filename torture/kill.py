"""The whole service is ended by kill -9 at random points under load, and started again at once.

Twenty sessions (half of them with TLS) send mail to three recipients at different destinations (two of four with TLS). At the end the
queue drains and the books are held against each other. What was under way outbound when the service died may come twice; nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass

from torture.ledger import Received, Verdict
from torture.report import Result, Row, file_system
from torture.rig import UNDER_WAY, Gateway, Rig, rig, sabotaged
from torture.sender import Sender

STALE_SECONDS = 1.0
"""A result that is not committed by then was forgotten, and waits for no disk."""

MOST = "most duplicates of one kill"


@dataclass(frozen=True, slots=True)
class Kill:
    """One of them. `at`: monotonic seconds; `again`: when the next process was started; `sessions`: outbound connections open at the
    kill; `start`: seconds from `again` to the first 220.
    """

    at: float
    again: float
    sessions: int
    start: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--kills", type=int, default=200)
    add_load_arguments(parser)
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS", help="a service lives at most so long")
    parser.add_argument("--sabotage", choices=("early", "forgetful"), help="break the service, to see that the loss is found")


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """The load of the tests that end the service again and again."""
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--sessions", type=int, default=20, help="inbound")
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second at most; 0: as fast as they are taken")


async def run(options: argparse.Namespace) -> Result:
    """Kill, start again, and so on; then drain and judge."""
    rng = random.Random(options.seed)
    async with rig(options.where) as world:
        gateway = world.gateway(workers=options.workers, **sabotaged(options.sabotage))
        await world.receiver.only_down("a")
        await gateway.start()
        sender = world.sender(gateway, seed=options.seed, sessions=options.sessions, rate=options.rate)
        began = time.monotonic()
        sender.start()
        kills = [await _kill_once(world, gateway, rng, options.longest) for _ in range(options.kills)]
        await asyncio.sleep(1.0)
        await sender.stop()
        await world.receiver.only_down()
        served = time.monotonic() - began - sum(kill.start for kill in kills)
        drained = await world.drain(gateway)
        verdict = await world.verdict(gateway)
        await gateway.stop()
        conditions = (
            f"{options.kills} kills, each 0.05 to {options.longest:g} s after the first 220",
            *load_conditions(options.sessions, sender.acknowledged / served),
            f"workers = {options.workers}",
            file_system(world.where),
            f"seed {options.seed}",
        )
        name = "kill" if options.workers < 2 else f"kill-{options.workers}-workers"
        rows = rows_of(verdict, kills, sender, under_way=max(1, options.workers) * len("abcd") * UNDER_WAY)
        return Result(name, (*rows, Row("drained after the last start within", f"{drained:.1f} s")), conditions)


async def _kill_once(world: Rig, gateway: Gateway, rng: random.Random, longest: float) -> Kill:
    await asyncio.sleep(rng.uniform(0.05, longest))
    sessions, at = world.receiver.sessions, time.monotonic()
    gateway.kill()
    await world.receiver.last_words()
    await world.receiver.only_down(rng.choice("abcd"))
    return Kill(at, time.monotonic(), sessions, await gateway.start())


def rows_of(verdict: Verdict, kills: list[Kill], sender: Sender, *, under_way: int) -> tuple[Row, ...]:
    """What the result says. `under_way`: so many deliveries at most may be on the wire, or without a committed result, at a time."""
    ended_by = [_ended_by(one, kills) for one in verdict.first_copies]
    surplus = Counter(number for number in ended_by if number is not None)
    most = max(surplus.values(), default=0)
    ages = [kills[number].at - one.at for one, number in zip(verdict.first_copies, ended_by, strict=True) if number is not None]
    stale = ended_by.count(None) + sum(age > STALE_SECONDS for age in ages)
    sessions = statistics.median(kill.sessions for kill in kills)
    starts = sorted(kill.start for kill in kills)
    return (
        *load_rows(sender, verdict),
        *loss_rows(verdict),
        *duplicate_rows(verdict, len(kills), "a kill"),
        Row(MOST, f"{most} (connections open at a kill: median {sessions:.0f})", f"at most {under_way}", most <= under_way),
        Row("first copy of a duplicate before its kill", f"{max(0.0, *ages, 0.0) * 1000:.0f} ms at most"),
        Row(f"duplicates whose first copy came more than {STALE_SECONDS:g} s before", str(stale), "0", stale == 0),
        Row(
            "start to first 220", f"median {statistics.median(starts):.2f} s, longest {starts[-1]:.2f} s", "2 s at most", starts[-1] <= 2.0
        ),
    )


def _ended_by(first: Received, kills: list[Kill]) -> int | None:
    """The kill that kept the service from noting this arrival. What lay in the sockets is taken after the kill, by sinks that live on."""
    return next((number for number, kill in enumerate(kills) if first.at < kill.again), None)


def load_conditions(sessions: int, rate: float) -> tuple[str, ...]:
    """What the rig's load is, in words. `rate`: messages a second that were acknowledged while the service ran."""
    return (
        f"{sessions} sessions, half of them with STARTTLS",
        f"{rate:.0f} messages/s while the service ran",
        "3 recipients each at 4 destinations, 2 of them with TLS, 1 of them down, another one after each start",
    )


def load_rows(sender: Sender, verdict: Verdict) -> tuple[Row, ...]:
    """What was sent."""
    again = f"{sender.unacknowledged:,} (copies of them that arrived: {verdict.unpromised:,})"
    refused = (Row("refused for good", f"{len(sender.refused)}: {sender.refused[0]}", "0", False),) if sender.refused else ()
    return Row("messages acknowledged", f"{sender.acknowledged:,}"), Row("attempts without a 250, sent again", again), *refused


def loss_rows(verdict: Verdict) -> tuple[Row, ...]:
    """What every test here ends with."""
    found = f"{len(verdict.lost):,} of {verdict.promised:,}" + (f", such as {verdict.lost[0]}" if verdict.lost else "")
    return (
        Row("lost, of all acknowledged (message, recipient)", found, "0", not verdict.lost),
        Row("altered", str(len(verdict.altered)), "0", not verdict.altered),
        Row("still queued; returned to the sender", f"{verdict.queued}; {verdict.returned}", "0; 0", not verdict.queued + verdict.returned),
        Row("`mailwye queue fsck`", verdict.fsck.replace("\n", " "), "clean", verdict.fsck == "clean"),
    )


def duplicate_rows(verdict: Verdict, times: int, each: str) -> tuple[Row, ...]:
    """Surplus copies in all, in per cent, and for `each` of `times`."""
    count = len(verdict.duplicates)
    return (Row("duplicates", f"{count:,} of {verdict.promised:,} ({count / max(1, verdict.promised):.3%}), {count / times:.2f} {each}"),)
