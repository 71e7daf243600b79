"""One run of one system under one load, and the figures of it."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from benchmarks.load import Load, Sink, Stuck, send, tool
from benchmarks.measure import Machine, MemoryWatch, cpu_seconds, others_now
from benchmarks.systems import System

Make = Callable[[Path, tuple[str, ...]], System]
"""Starts a system in an empty folder, behind a command that watches it (or none)."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One timed run, and how the machine was right before it. Without a system the CPU is that of generator and sink."""

    accepted_per_second: float
    delivered_per_second: float
    cpu_seconds_per_1000: float
    others: Machine


@dataclass(frozen=True, slots=True)
class Counted:
    """What a separate run counts under strace and with memory watched."""

    syncs_per_message: float
    peak_megabytes: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs, with the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def spreads(runs: Sequence[Timed]) -> dict[str, Spread]:
    """By figure."""
    return {field.name: spread([getattr(run, field.name) for run in runs]) for field in fields(Timed) if field.name != "others"}


def timed_run(make: Make, load: Load, where: Path) -> Timed:
    """A fresh system, a warm-up of a tenth, then the load. Raises Stuck when not exactly what was sent arrives."""
    warm_up = replace(load, messages=max(load.sessions, load.messages // 10))
    with tempfile.TemporaryDirectory(dir=where) as name:
        folder = Path(name)
        folder.chmod(0o755)
        others = others_now()
        with Sink(tls=load.tls) as sink, contextlib.ExitStack() as stack:
            system = make(folder, ())
            stack.callback(system.stop)
            send(warm_up, system.address)
            sink.wait_until(warm_up.messages)
            time.sleep(0.3)
            cpu_before = _cpu(system, sink)
            sent = send(load, system.address)
            accepted = sent.ended - sent.started
            sink.wait_until(warm_up.messages + load.messages)
            delivered = time.monotonic() - sent.started
            time.sleep(0.3)  # what a system does after the last delivery belongs to its cost
            cpu = _cpu(system, sink) - cpu_before
            verify(sink, system, warm_up.messages + load.messages)
    return Timed(load.messages / accepted, load.messages / delivered, cpu / load.messages * 1000, others)


def _cpu(system: System, sink: Sink) -> float:
    """Seconds that the system took so far; where there is none, those of the load itself."""
    if system.pid:
        return cpu_seconds(system.pid)
    times = os.times()
    return times.children_user + times.children_system + cpu_seconds(sink.pid)


def counted_run(make: Make, load: Load, where: Path) -> Counted:
    """The same load with the syncs counted. strace stops a process at a sync only (--seccomp-bpf), still nothing is timed here."""
    with tempfile.TemporaryDirectory(dir=where) as name, tempfile.NamedTemporaryFile() as calls:
        folder = Path(name)
        folder.chmod(0o755)
        trace = (
            tool("strace"),
            "-f",
            "-qq",
            "--seccomp-bpf",
            "-e",
            "trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs",
            "-o",
            calls.name,
        )
        with Sink(tls=load.tls) as sink, contextlib.ExitStack() as stack:
            system = make(folder, trace)
            stack.callback(system.stop)
            with MemoryWatch(system.pid) as memory:
                before = _finished_calls(calls.name)
                send(load, system.address)
                sink.wait_until(load.messages)
                time.sleep(0.3)
            syncs = _finished_calls(calls.name) - before
            verify(sink, system, load.messages)
    return Counted(syncs / load.messages, memory.peak_megabytes)


def _finished_calls(path: str) -> int:
    """Lines such as `123 fdatasync(7) = 0` and `123 <... fsync resumed>) = 0`."""
    return sum(") " in line and " = " in line for line in Path(path).read_text().splitlines())


def verify(sink: Sink, system: System, messages: int) -> None:
    """That exactly `messages` arrived and none of them waits still. Raises Stuck."""
    deadline = time.monotonic() + 10
    while (waiting := system.waiting()) and time.monotonic() < deadline:
        time.sleep(0.2)
    if sink.received != messages or waiting:
        raise Stuck(f"{system.name}: {sink.received} messages arrived of {messages} sent; {waiting} deliveries still wait")
