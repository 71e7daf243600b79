"""A smart host that is down for 24 hours: the service's clock runs so many times faster, its schedule is the one that it ships with."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from itertools import pairwise

from torture.gateway import Gateway
from torture.outage_scene import (
    DEFAULT_DELAYS,
    CountedSink,
    add_sinks,
    addresses,
    attempts,
    cpu_seconds,
    fake_clock,
    in_turn,
    latencies,
    organization,
    patient,
    percentile,
    resident,
    sabotaged,
    until,
    verdict_rows,
)
from torture.report import Result, Row
from torture.rig import Rig, rig

DESTINATIONS = tuple(f"down{number}" for number in range(1, 6))
HEALTHY = "healthy"
HEALTHY_RATE = 50.0
CONNECTIONS = 10  # connections_per_destination
IN_FLIGHT = 200  # concurrency_per_destination
EXPIRE_HOURS = 48
BASELINE_SECONDS = 10.0
DRAIN_SECONDS = 120.0
TOLERANCE = 0.1
SAMPLE = 100


class _Day:
    """One run: its sizes and what it saw."""

    def __init__(self, world: Rig, gateway: Gateway, sinks: list[CountedSink], options: Namespace) -> None:
        self.world = world
        self.gateway = gateway
        self.down = sinks[: len(DESTINATIONS)]
        self.options = options
        self.steady = 0.0
        self.first = 0.0
        self.drain = 0.0
        self.load = 0.0
        self.memory = 0
        self.taken_before = 0

    @property
    def taken(self) -> int:
        return sum(sink.taken for sink in self.down)

    async def send(self, prefix: str, names: tuple[str, ...], messages: int, rate: float = 0.0) -> None:
        """Hand over so many messages to the users behind the named sinks."""
        workload = in_turn(prefix, addresses(names))
        sender = self.world.sender(self.gateway, seed=self.options.seed, tls=False, rate=rate, workload=workload)
        sender.start(messages)
        await sender.finish()
        if sender.refused:
            raise RuntimeError(f"the service refused: {sender.refused[0]}")

    async def healthy(self, prefix: str, seconds: float) -> None:
        """Mail for the destination that is not down, at its rate."""
        if seconds > 0:
            await self.send(prefix, (HEALTHY,), int(HEALTHY_RATE * seconds), HEALTHY_RATE)

    async def measure_steady(self) -> None:
        """How fast mail goes through while all is well."""
        began, before = time.monotonic(), self.taken
        await self.send("steady", DESTINATIONS, self.options.messages)
        await until(lambda: self.taken - before >= self.options.messages, DRAIN_SECONDS)
        self.steady = (self.taken - before) / (time.monotonic() - began)

    async def outage(self) -> None:
        """All of them go down, mail for them comes, a day passes."""
        for sink in self.down:
            await sink.stop()
        began = time.monotonic()
        await self.send("late", DESTINATIONS, self.options.messages)
        busy = cpu_seconds(self.gateway)
        queued = time.monotonic()
        await self.healthy("during", self.options.hours * 3600 / self.options.factor - (time.monotonic() - began))
        self.load = (cpu_seconds(self.gateway) - busy) / (time.monotonic() - queued)
        self.memory = resident(self.gateway)

    async def recover(self) -> None:
        """They are back: how soon does it begin, how fast is it done?"""
        self.taken_before = self.taken
        began = time.monotonic()
        for sink in self.down:
            sink.peak = 0
            await sink.start()
        records = len(self.world.receiver.book.records)
        expected = self.taken_before + self.options.messages
        await until(lambda: self.taken >= expected or not self.world.outstanding(), DRAIN_SECONDS, every=0.2)
        await self.world.drain(self.gateway, 20)
        late = [one for one in self.world.receiver.book.records[records:] if one.attempt.startswith("late-") and not one.notice]
        if late:
            self.first = late[0].at - began
            self.drain = (len(late) - 1) / max(1e-9, late[-1].at - late[0].at)


def displacements(order_sent: list[str], order_taken: list[str]) -> list[int]:
    """How many places each message was away from where it would have been in the order of arrival, among those that were taken."""
    taken = set(order_taken)
    place = {attempt: at for at, attempt in enumerate(one for one in order_sent if one in taken)}
    return [abs(at - place[attempt]) for at, attempt in enumerate(order_taken) if attempt in place]


def _order_rows(day: _Day) -> tuple[Row, ...]:
    book, sent = day.world.receiver.book, day.world.sent
    order_sent = [one.attempt for one in sent.records if one.attempt.startswith("late-")]
    found: list[int] = []
    for sink in day.down:
        taken = [one.attempt for one in book.records if one.sink == sink.name and one.attempt.startswith("late-") and not one.notice]
        found += displacements(order_sent, list(dict.fromkeys(taken)))
    typical, worst = percentile(found, 0.5), max(found, default=0)
    what = "places away from the order of arrival, per destination: median, largest"
    return (Row(what, f"{typical:.0f}, {worst}", f"at most the {IN_FLIGHT} that may be under way at a time", worst <= IN_FLIGHT),)


def _notice_rows(day: _Day) -> tuple[Row, ...]:
    """Who was told what."""
    notices = day.world.receiver.book.notices
    delayed, failed = Counter[int](), 0
    for pair, record in day.world.sent.promised.items():
        told = notices.get(pair, ())
        failed += any("failed" in one.notice for one in told)
        if record.attempt.startswith("late-"):
            delayed[sum("delayed" in one.notice for one in told)] += 1
        elif told:
            failed += 1
    expected = Counter({1 if day.options.hours > 4 else 0: day.options.messages})
    listed = ", ".join(f"{times} for {recipients}" for times, recipients in sorted(delayed.items()))
    want = f"{next(iter(expected))} for each of {day.options.messages}"
    return (
        Row("bounced before their time, or told of without cause", str(failed), "0", failed == 0),
        Row("notices of delay for each recipient", listed or "none", want, delayed == expected),
    )


def schedule_errors(tried: dict[str, list[float]]) -> dict[int, list[float]]:
    """For each span of the schedule (seconds): how far the spans between attempts were from it, as a share."""
    errors: dict[int, list[float]] = {}
    for moments in tried.values():
        for number, (one, other) in enumerate(pairwise(moments)):
            wanted = DEFAULT_DELAYS[min(number, len(DEFAULT_DELAYS) - 1)]
            errors.setdefault(wanted, []).append(abs(other - one - wanted) / wanted)
    return errors


def _schedule_rows(day: _Day, shortest: int) -> tuple[Row, ...]:
    """Spans shorter than `shortest` are only told of: so many times faster, the harness's own pauses are a large part of them."""
    late = [one.queue_id for one in day.world.sent.records if one.attempt.startswith("late-")]
    step = max(1, len(late) // SAMPLE)
    tried = dict(attempts(day.gateway, late[::step]))
    errors = schedule_errors(tried)
    counts = [len(moments) for moments in tried.values()]
    rows = [
        Row("attempts in vain, per message", f"{min(counts, default=0)} to {max(counts, default=0)}", "some", max(counts, default=0) > 0)
    ]
    for wanted, found in sorted(errors.items()):
        median, worst = percentile(found, 0.5), percentile(found, 0.99)
        judged = wanted >= shortest
        want = f"at most {TOLERANCE:.0%}" if judged else ""
        what = f"retry after {wanted} s: off by (median, p99 of {len(found)})"
        rows.append(Row(what, f"{median:.1%}, {worst:.1%}", want, not judged or worst <= TOLERANCE))
    return tuple(rows)


def _service_rows(day: _Day) -> tuple[Row, ...]:
    """What the others noticed, and how recovery went."""
    baseline, during = latencies(day.world, "before"), latencies(day.world, "during")
    typical, base = percentile(during, 0.99), percentile(baseline, 0.99)
    peak = max(sink.peak for sink in day.down)
    share = day.drain / day.steady if day.steady else 0.0
    lasting = Row("healthy destination, 250 to arrival, p50 / p99 before", f"{_ms(percentile(baseline, 0.5))} / {_ms(base)}")
    ratio = typical / base if base else 0.0
    return (
        lasting,
        Row("the same during the outage", f"{_ms(percentile(during, 0.5))} / {_ms(typical)}"),
        Row("p99 during to before", f"{ratio:.2f}", "told only: the outage's retries are compressed too"),
        Row("CPU of the service during the outage", f"{day.load:.0%} of a core"),
        Row("memory of the service at its end", f"{day.memory / 1e6:.0f} MB"),
        Row("first message after the host is back", f"{day.first * day.options.factor / 60:.0f} min of the service's time"),
        Row("steady rate, rate of the drain", f"{day.steady:.0f}/s, {day.drain:.0f}/s", "drain at least 80 % of steady", share >= 0.8),
        Row("most connections to one host after recovery", str(peak), f"1 to {CONNECTIONS}", 0 < peak <= CONNECTIONS),
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


async def run_day(options: Namespace, *, name: str, shortest: int, expire_hours: float = EXPIRE_HOURS) -> Result:
    """One outage of `options.hours`, `options.factor` times faster, `options.messages` queued over five destinations."""
    async with rig(options.where) as world:
        names = (*DESTINATIONS, HEALTHY)
        sinks = await add_sinks(world, names)
        patience = patient(options.factor)
        gateway = world.gateway(
            organization=organization(world, names),
            settings={
                "limits": patience["limits"],
                "queue": {"retry_delays": list(DEFAULT_DELAYS), "expire_after": expire_hours * 3600},
                "delivery": {
                    **patience["delivery"],
                    "connections_per_destination": CONNECTIONS,
                    "concurrency_per_destination": IN_FLIGHT,
                },
            },
            **sabotaged(options.sabotage, fake_clock(options.factor)),
        )
        await gateway.start()
        day = _Day(world, gateway, sinks, options)
        await day.healthy("before", BASELINE_SECONDS)
        await day.measure_steady()
        await day.outage()
        await day.recover()
        await gateway.stop()  # its own limits of time are as compressed as its schedule, so it is asked for nothing long
        verdict = await world.verdict(gateway)
        duplicates = Row("delivered twice", str(len(verdict.duplicates)), "0", not verdict.duplicates)
        notices, order = _notice_rows(day), _order_rows(day)
        rows = (*verdict_rows(verdict), duplicates, *notices, *_service_rows(day), *order, *_schedule_rows(day, shortest))
    speed = (
        f"the service's clocks run {options.factor:g} times as fast ({options.hours:g} h in {options.hours * 3600 / options.factor:.0f} s)"
    )
    sizes = f"{options.messages} messages over {len(DESTINATIONS)} destinations, the schedule that ships, expiry after {expire_hours:g} h"
    return Result(name, rows, (speed, sizes, f"seed {options.seed}"))


async def measure(options: Namespace) -> Result:
    """24 hours. Spans up to 900 s are judged by measure_schedule, where a tenth of them is more than the pauses of this harness."""
    sizes = Namespace(
        **{**vars(options), "hours": options.hours or 24.0, "factor": options.factor or 288.0, "messages": options.messages or 5000}
    )
    return await run_day(sizes, name="outages-down", shortest=1800)


async def measure_schedule(options: Namespace) -> Result:
    """The first half hour, slow enough to judge its short spans."""
    sizes = Namespace(
        **{**vars(options), "hours": options.hours or 0.6, "factor": options.factor or 30.0, "messages": options.messages or 300}
    )
    return await run_day(sizes, name="outages-schedule", shortest=60)
