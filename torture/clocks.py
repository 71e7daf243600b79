"""The wall clock of the real service jumps: an hour ahead and back, six days ahead, a day back. Nothing may expire, bounce or wait for it.

The clock that only grows is left alone, as a kernel leaves it when somebody sets the time (libfaketime stands in for that somebody).
"""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from torture.gateway import Gateway
from torture.outage_scene import (
    CountedSink,
    add_sinks,
    addresses,
    fake_clock,
    in_turn,
    latencies,
    organization,
    percentile,
    sabotaged,
    set_offset,
    until,
    verdict_rows,
)
from torture.report import Result, Row
from torture.rig import Rig, rig

HOUR, DAY = 3600, 86_400
JUMPS = {"+1 h": HOUR, "-1 h": 0, "+6 d": 6 * DAY, "-1 d": 5 * DAY}
"""What happens, in this order, and how far ahead the clock is after it."""

DELAYS = (2, 4, 6)  # seconds, so that the longest is waited for in the harness's own time
DOWN, HEALTHY = "down", "healthy"
RATE = 50.0
SEEN_SECONDS = 1.5  # that libfaketime may take until the service sees the jump
MARGIN_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Jump:
    """What followed one. `waited`: seconds from the hop's return until its last message was there."""

    name: str
    waited: float
    arrived: bool
    healthy_p99: float
    healthy_most: float


def add_arguments(parser: ArgumentParser) -> None:
    """How much mail waits at each jump."""
    parser.add_argument("--sabotage", default="", help="break the service on purpose, to see the test fail (torture/outage_sabotage.py)")
    parser.add_argument("--messages", type=int, default=1000, help="that wait for a host that is down, at each jump")


class _Clockwork:
    """The rig and what it needs at each jump."""

    def __init__(self, world: Rig, gateway: Gateway, down: CountedSink, options: Namespace) -> None:
        self.world = world
        self.gateway = gateway
        self.down = down
        self.options = options
        self.offset_file = world.directory / "clock"
        set_offset(self.offset_file, 0)

    async def send(self, prefix: str, name: str, messages: int, rate: float = 0.0) -> None:
        workload = in_turn(prefix, addresses((name,)))
        sender = self.world.sender(self.gateway, seed=self.options.seed, tls=False, rate=rate, workload=workload, kept=10_000)
        sender.start(messages)
        await sender.finish()

    def arrived(self, prefix: str) -> int:
        arrivals = self.world.receiver.book.arrivals
        return sum(pair in arrivals for pair in self.world.sent.promised if pair[0].startswith(f"{prefix}-"))

    async def jump(self, name: str, offset: int) -> Jump:
        """Half of the mail was tried before, half comes after; then the host is back."""
        key = name.replace(" ", "").replace("+", "plus").replace("-", "minus")
        half = self.options.messages // 2
        await self.down.stop()
        await self.send(f"before{key}", DOWN, half)
        await asyncio.sleep(DELAYS[0] + 0.5)  # tried at least once more
        steady = asyncio.create_task(self.send(f"well{key}", HEALTHY, int(RATE * (SEEN_SECONDS + max(DELAYS) + 2)), RATE))
        set_offset(self.offset_file, offset)
        await asyncio.sleep(SEEN_SECONDS)
        await self.send(f"after{key}", DOWN, half)
        await steady  # as long as the longest delay, so each was tried after the jump while the host was down
        await self.down.start()
        began = time.monotonic()
        limit = max(DELAYS) + 30.0
        arrived = await until(lambda: self.arrived(f"before{key}") + self.arrived(f"after{key}") >= 2 * half, limit, every=0.1)
        waited = time.monotonic() - began
        well = latencies(self.world, f"well{key}")
        return Jump(name, waited, arrived, percentile(well, 0.99), max(well, default=0.0))


def _rows(jumps: list[Jump], times: str) -> tuple[Row, ...]:
    rows = []
    longest = max(DELAYS) + MARGIN_SECONDS
    for one in jumps:
        good = one.arrived and one.waited <= longest
        rows.append(
            Row(f"{one.name}: all that waited is delivered after the host is back", f"{one.waited:.1f} s", f"at most {longest:g} s", good)
        )
        most = f"{one.healthy_p99 * 1000:.0f} ms, {one.healthy_most * 1000:.0f} ms"
        rows.append(Row(f"{one.name}: healthy destination meanwhile (p99, longest)", most, "at most 2 s", one.healthy_most <= 2.0))
    return (*rows, Row("the service's clock, as its trace tells it", times, "6 days apart", times.endswith("yes")))


async def _seen(gateway: Gateway) -> str:
    """Whether the service saw the jumps: the proof that the test tested something."""
    from mailwye.config.installation.file import read_installation
    from mailwye.storage.sqlite.trace_files import trace_files

    installation = read_installation(gateway.config).value
    assert installation is not None
    days = [file.day for file in trace_files(installation.data_directory / "trace")]
    apart = (max(days) - min(days)).days if days else 0
    return f"{apart} days apart: {'yes' if apart >= 6 else 'no'}"


async def run(options: Namespace) -> Result:
    """All jumps on one service."""
    async with rig(options.where) as world:
        down, _healthy = await add_sinks(world, (DOWN, HEALTHY))
        set_offset(world.directory / "clock", 0)
        gateway = world.gateway(
            organization=organization(world, (DOWN, HEALTHY)),
            settings={"queue": {"retry_delays": list(DELAYS)}},
            **sabotaged(options.sabotage, fake_clock(offset_file=world.directory / "clock")),
        )
        await gateway.start()
        clockwork = _Clockwork(world, gateway, down, options)
        jumps = [await clockwork.jump(name, offset) for name, offset in JUMPS.items()]
        verdict = await world.verdict(gateway)
        notices = sum(map(len, world.receiver.book.notices.values()))
        await gateway.stop()
        times = await _seen(gateway)
        alerts = gateway.log.read_text(errors="replace").count("event=alert")
    rows = (
        *verdict_rows(verdict),
        Row(
            "expired, bounced or told of, by a jump",
            f"{verdict.returned} returned, {notices} notices",
            "none",
            not verdict.returned and not notices,
        ),
        Row("delivered twice", str(len(verdict.duplicates)), "0", not verdict.duplicates),
        Row("alerts of the service", str(alerts), "0", not alerts),
        *_rows(jumps, times),
    )
    sizes = f"{options.messages} messages waiting at each jump, half of them older than it"
    schedule = f"delays {', '.join(map(str, DELAYS))} s; expiry after 24 h"
    return Result("clocks", rows, (sizes, schedule, f"seed {options.seed}"))
