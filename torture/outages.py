"""Outages around the real service: hosts that are down, slow or rude, name servers that fail, a kernel that accepts nothing.

Without --row all of them, one after the other; each has a section of its own in docs/reliability.md.
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable

from torture import outage_accept, outage_down, outage_drops, outage_names, outage_slow, report
from torture.report import Result, Row

ROWS: dict[str, Callable[[Namespace], Awaitable[Result]]] = {
    "down": outage_down.measure,
    "schedule": outage_down.measure_schedule,
    "names": outage_names.measure,
    "slow": outage_slow.measure,
    "drops": outage_drops.measure,
    "accept": outage_accept.measure,
}


def add_arguments(parser: ArgumentParser) -> None:
    """Which, and how large."""
    parser.add_argument("--row", choices=tuple(ROWS), default=None, help="only this one")
    parser.add_argument("--messages", type=int, default=0, help="how many; default: as many as suit the row")
    parser.add_argument("--factor", type=float, default=0.0, help="down, schedule, names: how many times faster the service's clocks run")
    parser.add_argument("--sabotage", default="", help="break the service on purpose, to see the test fail (torture/outage_sabotage.py)")
    parser.add_argument("--hours", type=float, default=0.0, help="down, schedule: how long the outage lasts by the service's clock")


async def run(options: Namespace) -> Result:
    """One row, or all with a summary."""
    if options.row:
        return await ROWS[options.row](options)
    rows = []
    for name, measure in ROWS.items():
        print(f"--- {name}", flush=True)
        result = await measure(options)
        print(report.text(result), flush=True)
        if options.write:
            report.write(result, f"python -m torture outages --row {name} --seed {options.seed}")
        bad = "; ".join(row.what for row in result.rows if not row.good)
        rows.append(Row(name, bad or "passed", "passed", result.good))
    return Result("outages", tuple(rows), (shlex.join(sys.argv[1:]), f"seed {options.seed}"))
