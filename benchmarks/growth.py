"""How the cost of a message grows: with workers, accepted domains, connectors, queued messages and sessions. Mailwye alone, 4 KiB, kept.

For each size one service is started and loaded several times. `--write` draws the plots into docs/performance/.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python benchmarks/growth.py`

from benchmarks.image import Place, measured_place
from benchmarks.load import ROOT, Load, Sink, Stuck, send
from benchmarks.measure import Machine, cpu_seconds, family, others_now, proportional_megabytes
from benchmarks.organizations import BACKLOG_DOMAIN
from benchmarks.plots import Line, draw
from benchmarks.report import DOCUMENT, conditions, say, unquiet_words, write
from benchmarks.routing import RECIPIENTS, SIZES, Cost, cost, table
from benchmarks.runs import Spread, spread, verify
from benchmarks.systems import LISTED, Mailwye


@dataclass(frozen=True, slots=True)
class Size:
    """One point of a plot."""

    label: str
    workers: int = 0
    domains: int = 10
    connectors: int = 10
    queued: int = 0
    sessions: int = 20


@dataclass(frozen=True, slots=True)
class Dimension:
    """One plot: what grows, and over which sizes."""

    name: str
    title: str
    across: str
    sizes: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one size; `ready_seconds` from the start of the process until it greets a client."""

    size: Size
    delivered_per_second: Spread
    cpu_seconds_per_1000: Spread
    ready_seconds: float
    megabytes: float
    others: tuple[Machine, ...]


DIMENSIONS = (
    Dimension("workers", "Worker processes", "workers (0: everything in one process)", tuple(Size(str(n), workers=n) for n in (0, 1, 2))),
    Dimension("domains", "Accepted domains", "accepted domains", tuple(Size(f"{n:,}", domains=n) for n in (10, 10_000, 1_000_000))),
    Dimension("connectors", "Connectors", "connectors each way", tuple(Size(f"{n:,}", connectors=n) for n in (10, 100, 1_000, 10_000))),
    Dimension(
        "queued",
        "Messages that wait in the queue",
        "messages waiting for a later time",
        tuple(Size(f"{n:,}", queued=n) for n in (0, 1_000_000)),
    ),
    Dimension("sessions", "Sessions at once", "sessions", tuple(Size(f"{n:,}", sessions=n) for n in (20, 200, 2_000))),
)
QUICK_LIMIT = 10_000
"""A quick run leaves larger sizes out."""


def measure(size: Size, options: argparse.Namespace, place: Place) -> Point:
    """Start, warm up, load `options.runs` times. Raises Stuck when not exactly what was sent arrives."""
    load = Load(max(options.messages, 2 * size.sessions), sessions=size.sessions)
    warm_up = Load(max(200, size.sessions), sessions=size.sessions)
    with tempfile.TemporaryDirectory(dir=place.folder) as name, Sink() as sink, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        system = Mailwye(folder, size.workers, prepare=lambda config: _prepare(config, size))
        stack.callback(system.stop)
        send(warm_up, system.address)
        expected = warm_up.messages
        sink.wait_until(expected)
        rates, costs, others = [], [], []
        for _ in range(options.runs):
            verify(sink, system, expected)
            others.append(others_now())
            before = cpu_seconds(system.pid)
            sent = send(load, system.address)
            expected += load.messages
            sink.wait_until(expected)
            rates.append(load.messages / (time.monotonic() - sent.started))
            time.sleep(0.3)
            costs.append((cpu_seconds(system.pid) - before) / load.messages * 1000)
        verify(sink, system, expected)
        if (left := system.waiting(f"*@{BACKLOG_DOMAIN}")) != min(size.queued, LISTED):
            raise Stuck(f"{left} of {size.queued} messages still wait: the load was not measured beside them")
        megabytes = proportional_megabytes(family(system.pid))
    return Point(size, spread(rates), spread(costs), system.ready_seconds, megabytes, tuple(others))


def _prepare(config: Path, size: Size) -> None:
    """In processes of their own, whose memory is given back."""
    _module("organizations", config, size.domains, size.connectors)
    if size.queued:
        _module("backlog", config, size.queued)


def _module(name: str, config: Path, *numbers: int) -> None:
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}", str(config), *map(str, numbers)], check=True, cwd=ROOT)


def points_table(across: str, points: Sequence[Point]) -> str:
    """Markdown."""
    rows = [f"| {across} | end to end/s | CPU s per 1,000 | ready after s | MB |", "|--:" * 5 + "|"]
    for point in points:
        rate = point.delivered_per_second
        speed = f"{rate.median:,.0f} ({rate.least:,.0f}–{rate.greatest:,.0f})"
        cost_of = f"{point.cpu_seconds_per_1000.median:.2f} | {point.ready_seconds:.2f} | {point.megabytes:,.0f}"
        rows.append(f"| {point.size.label} | {speed} | {cost_of} |")
    return "\n".join(rows) + "\n"


def write_dimension(dimension: Dimension, points: Sequence[Point]) -> None:
    """The plot and its numbers."""
    file = DOCUMENT.with_suffix("") / f"{dimension.name}.svg"
    rates = Line("end to end", [point.delivered_per_second for point in points])
    draw(file, dimension.title, dimension.across, "messages/s end to end", [point.size.label for point in points], [rates])
    image = f"![Messages per second over {dimension.across}](performance/{dimension.name}.svg)"
    write(f"growth-{dimension.name}", f"{image}\n\n{points_table(dimension.across, points)}")


def write_routing(costs: Sequence[Cost]) -> None:
    """The plot and its numbers."""
    file = DOCUMENT.with_suffix("") / "routing.svg"
    sizes = [f"{_short(one.domains)} / {_short(one.connectors)}" for one in costs]
    lines = [
        Line("RCPT: accept, resolve, route", [spread([one.recipient]) for one in costs]),
        Line("route alone", [spread([one.route]) for one in costs]),
    ]
    draw(file, "A decision", "accepted domains / connectors each way", "µs of CPU", sizes, lines)
    write("growth-routing", f"![Microseconds of a decision](performance/routing.svg)\n\n{table(costs)}")


def _short(number: int) -> str:
    return f"{number // 10**6}M" if number >= 10**6 else f"{number // 1000}k" if number >= 1000 else str(number)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [dimension.name for dimension in DIMENSIONS] + ["routing"]
    parser.add_argument("dimension", nargs="*", help=f"of {', '.join(names)}; all if none is named")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help=f"300 messages, no size above {QUICK_LIMIT:,}")
    parser.add_argument("--where", type=Path, help="a folder on the file system to measure on, in place of an image")
    parser.add_argument("--write", action="store_true", help="put plots and numbers into docs/performance.md")
    options = parser.parse_args()
    if options.quick:
        options.messages = 300
    options.dimension = options.dimension or names
    unknown = [name for name in options.dimension if name not in names]
    if unknown:
        parser.error(f"nothing grows with {', '.join(unknown)}; there are {', '.join(names)}")
    return options


def main() -> None:
    """Measure, print, draw."""
    options = arguments()
    taken: dict[Dimension, list[Point]] = {}
    with measured_place(options.where) as place:
        for dimension in DIMENSIONS:
            if dimension.name not in options.dimension:
                continue
            for size in dimension.sizes:
                if options.quick and max(size.domains, size.queued) > QUICK_LIMIT:
                    continue
                point = measure(size, options, place)
                say(f"  {dimension.name} {size.label}: {point.delivered_per_second.median:,.0f}/s, ready after {point.ready_seconds:.2f} s")
                taken.setdefault(dimension, []).append(point)
        others = [one for points in taken.values() for point in points for one in point.others]
        text = conditions(place.description, options.runs, unquiet_words(others))
    print(text)
    for dimension, points in taken.items():
        print(f"{dimension.title}\n\n{points_table(dimension.across, points)}")
        if options.write:
            write_dimension(dimension, points)
    if options.write and taken:
        write("growth-conditions", text)
    if "routing" in options.dimension:
        costs = [cost(*size) for size in SIZES if not (options.quick and size[0] > QUICK_LIMIT)]
        print(f"A decision, {RECIPIENTS:,} recipients\n\n{table(costs)}")
        if options.write:
            write_routing(costs)


if __name__ == "__main__":
    main()
