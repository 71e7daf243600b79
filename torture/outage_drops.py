"""Next hops that hang up: within the content, and after its end before they say whether they took it.

Hanging up after the end is the one case in which nobody can know; a second copy is the lesser harm (RFC 1047), and every one is counted.
"""

from __future__ import annotations

import asyncio
import random
from argparse import Namespace
from collections import Counter

from torture.outage_scene import CountedSink, add_sinks, addresses, in_turn, organization, sabotaged, verdict_rows
from torture.receiver import Faults
from torture.report import Result, Row
from torture.rig import rig

DROPS = {"middle": "middle", "taken": "taken", "well": ""}
SHARE = 0.1  # of the time in which a sink is rude
PERIOD = 0.05
DRAIN_SECONDS = 120.0


async def _be_rude(sinks: list[CountedSink], rng: random.Random) -> None:
    """Rude for a moment now and then, until cancelled."""
    while True:
        for sink in sinks:
            sink.faults = Faults(drop=DROPS[sink.name]) if rng.random() < SHARE else Faults()
        await asyncio.sleep(PERIOD)


async def measure(options: Namespace) -> Result:
    """Mail for all three at once, at a rate that leaves time for their moods."""
    messages = options.messages or 6000
    rng = random.Random(options.seed)
    async with rig(options.where) as world:
        names = tuple(DROPS)
        sinks = await add_sinks(world, names)
        gateway = world.gateway(
            organization=organization(world, names), settings={"queue": {"retry_delays": [1, 2, 2, 2]}}, **sabotaged(options.sabotage)
        )
        await gateway.start()
        rude = asyncio.create_task(_be_rude(sinks, rng))
        sender = world.sender(gateway, seed=options.seed, tls=False, rate=300, workload=in_turn("rude", addresses(names)))
        sender.start(messages)
        await sender.finish()
        rude.cancel()
        for sink in sinks:
            sink.faults = Faults()
        took = await world.drain(gateway, DRAIN_SECONDS)
        verdict = await world.verdict(gateway)
        await gateway.stop()
    twice = Counter(one.sink for one in verdict.duplicates)
    unsaid = {sink.name: sink.unsaid for sink in sinks}
    cut = next(sink for sink in sinks if sink.name == "middle").connections
    rows = (
        *verdict_rows(verdict),
        Row("connections to the sink that hangs up within the content", str(cut), "more than 20: it did", cut > 20),
        Row(
            "delivered twice where it hung up within the content, or not at all",
            str(twice["middle"] + twice["well"]),
            "0",
            not twice["middle"] + twice["well"],
        ),
        Row(
            "delivered twice where it took the message and hung up",
            f"{twice['taken']} of {messages // len(DROPS)}; it hung up so {unsaid['taken']} times",
            "once for each time",
            0 < twice["taken"] == unsaid["taken"],
        ),
        Row("returned", str(verdict.returned), "0", not verdict.returned),
        Row("all arrived after the sinks behaved again", f"{took:.1f} s"),
    )
    return Result("outages-drops", rows, (f"{messages} messages, 3 sinks, rude {SHARE:.0%} of the time", f"seed {options.seed}"))
