"""Two slow next hops beside healthy ones: one reads content an octet a second, one answers after a minute. What do the others notice?

Two equal services, one with the slow hops' mail in its queue, one without, get the same burst for the healthy destinations in turn; the
one whose turn it is not is stopped (SIGSTOP), so that it takes nothing of the machine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from torture.gateway import Gateway, RigError
from torture.outage_scene import add_sinks, addresses, cpu_seconds, in_turn, organization, resident, until, verdict_rows
from torture.outage_sink import DrippingSink
from torture.receiver import Faults
from torture.report import Result, Row
from torture.rig import Rig, rig

DRIP, LATE = "drip", "late"
HEALTHY = ("well1", "well2", "well3")
ROUNDS = 3
ANSWER_SECONDS = 60.0
BURST_SECONDS = 120.0
REST_SECONDS = 3.0
GROWTH_LIMIT = 50_000_000  # octets
OCTETS = 4_096


async def _send(world: Rig, gateway: Gateway, options: Namespace, prefix: str, names: tuple[str, ...], messages: int, octets: int) -> None:
    workload = in_turn(prefix, addresses(names), octets=octets)
    sender = world.sender(gateway, seed=options.seed, tls=False, workload=workload, kept=1000)
    sender.start(messages)
    await sender.finish()
    if sender.refused:
        raise RigError(f"the service refused: {sender.refused[0]}")


@contextmanager
def _stopped(gateway: Gateway) -> Iterator[None]:
    """It takes no part."""
    os.killpg(gateway.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(gateway.pid, signal.SIGCONT)


async def _burst(world: Rig, gateway: Gateway, options: Namespace, prefix: str, messages: int) -> float:
    """Messages a second, end to end, to the healthy destinations."""
    sinks = [world.receiver.sinks[name] for name in HEALTHY]
    before, began = sum(sink.taken for sink in sinks), time.monotonic()
    await _send(world, gateway, options, prefix, HEALTHY, messages, 2048)
    if not await until(lambda: sum(sink.taken for sink in sinks) - before >= messages, BURST_SECONDS, every=0.005):
        raise RigError("a burst for healthy destinations did not arrive")
    return messages / (time.monotonic() - began)


async def _rounds(world: Rig, plain: Gateway, burdened: Gateway, options: Namespace, burst: int) -> tuple[list[float], list[float]]:
    """A B A B A B."""
    without: list[float] = []
    with_slow: list[float] = []
    for number in range(-1, ROUNDS):
        with _stopped(burdened):
            one = await _burst(world, plain, options, f"without{number}", burst)
        with _stopped(plain):
            other = await _burst(world, burdened, options, f"beside{number}", burst)
        if number >= 0:  # the first round warms both up
            without.append(one)
            with_slow.append(other)
    return without, with_slow


async def measure(options: Namespace) -> Result:
    """Fill the queue for the slow hops, compare, let them recover."""
    slow_messages = options.messages or 5000
    burst = max(1000, slow_messages)
    async with rig(options.where) as world:
        names = (DRIP, LATE, *HEALTHY)
        sinks = await add_sinks(world, names)
        drip = DrippingSink(DRIP, sinks[0].address, sinks[0].port, world.receiver.book)
        await sinks[0].stop()
        world.receiver.sinks[DRIP] = drip
        await drip.start()
        sinks[1].faults = Faults(end_after=ANSWER_SECONDS)
        own = {"organization": organization(world, names), "settings": {"delivery": {"connections_per_destination": 10}}}
        plain, burdened = world.gateway(**own), world.gateway(**own)  # type: ignore[arg-type]
        await plain.start()
        await burdened.start()
        idle = resident(burdened)
        await _burst(world, burdened, options, "first", burst)
        warm = resident(burdened)
        await _send(world, burdened, options, "slow", (DRIP, LATE), slow_messages, OCTETS)
        await asyncio.sleep(REST_SECONDS)
        busy = cpu_seconds(burdened)
        await asyncio.sleep(REST_SECONDS)
        rest = (cpu_seconds(burdened) - busy) / REST_SECONDS
        without, beside = await _rounds(world, plain, burdened, options, burst)
        grown = resident(burdened) - warm
        waiting, begun = len(world.outstanding()), drip.started
        took = await _recover(world, burdened, drip, sinks[1])
        verdict = await world.verdict(burdened)
        for gateway in (plain, burdened):
            await gateway.stop()
    share = statistics.median(beside) / statistics.median(without)
    rows = (
        *verdict_rows(verdict),
        Row(
            "waiting for the slow hops all the while",
            str(waiting),
            f"at least {slow_messages * 9 // 10}",
            waiting >= slow_messages * 9 // 10,
        ),
        Row("messages whose content the dripping hop began to read", str(begun), "more than 0", begun > 0),
        Row("healthy destinations without them, messages/s", _listed(without)),
        Row("healthy destinations beside them, messages/s", _listed(beside)),
        Row("median beside to median without", f"{share:.1%}", "at least 95 %", share >= 0.95),
        Row("CPU of the service at rest, beside them", f"{rest:.1%} of a core", "below 5 %", rest < 0.05),
        Row("memory: at start, after a burst", f"{idle / 1e6:.0f} MB, {warm / 1e6:.0f} MB"),
        Row("memory that the slow hops' mail added", f"{grown / 1e6:.0f} MB", "at most 50 MB", grown <= GROWTH_LIMIT),
        Row("all arrived after the hops behaved again", f"{took:.1f} s"),
        Row("delivered twice", str(len(verdict.duplicates)), "at most 10: a connection each", len(verdict.duplicates) <= 10),
    )
    sizes = (
        f"{slow_messages} messages of {OCTETS // 1024} KiB to a hop that reads 1 octet/s and to one that answers after {ANSWER_SECONDS:g} s"
    )
    return Result("outages-slow", rows, (sizes, f"{ROUNDS} rounds A B of {burst} messages", f"seed {options.seed}"))


async def _recover(world: Rig, gateway: Gateway, drip: DrippingSink, late: object) -> float:
    """Both slow hops behave: the connections that drip are broken, the late answers come at once."""
    from torture.outage_scene import CountedSink

    assert isinstance(late, CountedSink)
    await drip.stop()
    drip.dripping = False
    await late.stop()  # what it took and has not said is sent again
    late.faults = Faults()
    await drip.start()
    await late.start()
    return await world.drain(gateway, BURST_SECONDS)


def _listed(rates: list[float]) -> str:
    return ", ".join(f"{rate:.0f}" for rate in rates)
