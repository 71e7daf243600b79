"""A kernel that gives no connection: the process is out of descriptors, the system is, or connections die before they are taken.

The service must not spin meanwhile, must go on serving those who are connected, and must take new ones soon after.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from torture.gateway import Gateway, RigError
from torture.outage_scene import CountedSink, add_sinks, addresses, cpu_seconds, in_turn, organization, processes, until, verdict_rows
from torture.report import Result, Row
from torture.rig import Rig, rig

DESTINATION = "inner"
TROUBLE_SECONDS = 10.0
CALLERS = 60
RATE = 50.0
CPU_LIMIT = 0.2
BACK_SECONDS = 2.0
TRACER_SECONDS = 10.0

INJECTED = ("ENFILE", "ECONNABORTED", "ENOBUFS")
CALLS_LIMIT = 1000  # a second: what spins makes 13,000 under strace, so this is below a tenth of a core

Trouble = Callable[[Gateway], AbstractAsyncContextManager[list[int]]]
"""While it lasts there is trouble; the list gets the number of accepts that were tried and failed, where that is known."""


@contextlib.asynccontextmanager
async def out_of_descriptors(gateway: Gateway) -> AsyncIterator[list[int]]:
    """EMFILE, the real thing: each of its processes may have no descriptor beyond those that it has."""
    before = {}
    for pid in processes(gateway):
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        before[pid] = (soft, hard)
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        yield []
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@contextlib.asynccontextmanager
async def injected(error: str, gateway: Gateway) -> AsyncIterator[list[int]]:
    """Every accept of a connection fails with `error` ("ENFILE"). strace stands in for a kernel in trouble."""
    calls: list[int] = []
    log = gateway.home / f"strace-{error}.log"
    targets = [word for pid in processes(gateway) for word in ("-p", str(pid))]
    inject = ["-e", "trace=accept4,accept", "-e", f"inject=accept4,accept:error={error}", "-e", "signal=none", "-o", str(log)]
    tracer = await asyncio.create_subprocess_exec("strace", "-f", *targets, *inject, stderr=asyncio.subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        async with asyncio.timeout(TRACER_SECONDS):
            line = await tracer.stderr.readline()
        if b"attached" not in line:
            raise RigError(f"strace cannot attach: {line.decode(errors='replace')}")
        yield calls
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGINT)
        await tracer.wait()
    calls.append(log.read_text(errors="replace").count("(INJECTED)"))


async def _callers(gateway: Gateway, ended: list[str]) -> None:
    """New clients, who keep knocking until cancelled. `ended`: how each knock went."""

    async def knock() -> None:
        while True:
            began = time.monotonic()
            ended.append("220" if await gateway.greets() else "none")
            await asyncio.sleep(max(0.0, 0.2 - (time.monotonic() - began)))

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(knock())


async def _trouble(world: Rig, gateway: Gateway, sink: CountedSink, options: Namespace, name: str, make: Trouble) -> tuple[Row, ...]:
    """One kind of it, with a sender whose sessions are kept, and callers who get nothing."""
    workload = in_turn(name, addresses((DESTINATION,)))
    sender = world.sender(gateway, seed=options.seed, sessions=5, tls=False, rate=RATE, workload=workload, kept=1_000_000)
    sender.start()
    await until(lambda: sender.acknowledged >= 10, 10)
    ended: list[str] = []
    async with make(gateway) as calls:
        callers = asyncio.create_task(_callers(gateway, ended))
        busy, taken, began = cpu_seconds(gateway), sink.taken, time.monotonic()
        await asyncio.sleep(TROUBLE_SECONDS)
        share = (cpu_seconds(gateway) - busy) / (time.monotonic() - began)
        went_on = sink.taken - taken
        callers.cancel()
        await asyncio.gather(callers, return_exceptions=True)
    began = time.monotonic()
    while not await _greets_soon(gateway):
        if time.monotonic() > began + 30:
            break
    back = time.monotonic() - began
    await sender.stop()
    expected = RATE * TROUBLE_SECONDS  # where strace holds up every call of the service, how many of them is only told
    tried = tuple(
        Row(
            f"{name}: accepts tried in vain, a second",
            f"{number / TROUBLE_SECONDS:.0f}",
            f"1 to {CALLS_LIMIT}: it does not spin",
            1 <= number / TROUBLE_SECONDS <= CALLS_LIMIT,
        )
        for number in calls
    )
    return (
        *tried,
        Row(
            f"{name}: new clients that got a 220 meanwhile",
            f"{ended.count('220')} of {len(ended)}",
            "few: the trouble was real",
            _was_real(ended),
        ),
        Row(f"{name}: CPU of the service", f"{share:.1%} of a core", f"below {CPU_LIMIT:.0%}", share < CPU_LIMIT),
        Row(
            f"{name}: messages of kept sessions delivered",
            f"{went_on} of {expected:.0f}",
            "" if calls else "at least 90 %",
            bool(calls) or went_on >= 0.9 * expected,
        ),
        Row(f"{name}: 220 to a new client afterwards", f"{back:.2f} s", f"within {BACK_SECONDS:g} s", back <= BACK_SECONDS),
    )


def _was_real(ended: list[str]) -> bool:
    return ended.count("220") <= len(ended) // 10


async def _greets_soon(gateway: Gateway) -> bool:
    """One try to be greeted, given up soon so that a client of the bad time does not count."""
    try:
        async with asyncio.timeout(0.25):
            return await gateway.greets()
    except TimeoutError:
        return False


async def measure(options: Namespace) -> Result:
    """Each kind of trouble on a fresh service."""
    kinds: dict[str, Trouble] = {"EMFILE": out_of_descriptors}
    kinds |= {name: partial(injected, name) for name in INJECTED}
    rows: tuple[Row, ...] = ()
    async with rig(options.where) as world:
        (sink,) = await add_sinks(world, [DESTINATION])
        for name, make in kinds.items():
            gateway = world.gateway(organization=organization(world, [DESTINATION]))
            await gateway.start()
            rows += await _trouble(world, gateway, sink, options, name, make)
            await world.drain(gateway, 20)
            verdict = await world.verdict(gateway)
            await gateway.stop()
        rows = (*verdict_rows(verdict), *rows)
    return Result("outages-accept", rows, (f"{TROUBLE_SECONDS:g} s of each, {CALLERS} new clients at a time", f"seed {options.seed}"))
