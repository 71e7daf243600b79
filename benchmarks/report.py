"""What people read: the conditions, a table for each workload, and the same between markers in docs/performance.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import tool
from benchmarks.measure import Machine
from benchmarks.runs import Counted, Spread, Timed, spreads

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Result:
    """One system under one workload."""

    system: str
    messages: int
    runs: tuple[Timed, ...]
    counted: Counted | None


COLUMNS = ("system", "accepted/s", "end to end/s", "CPU s per 1,000", "peak MB", "syncs a message", "end to end", "CPU a message")
"""The last two are ratios to the reference."""


def say(text: str) -> None:
    """Progress: not part of the result."""
    print(text, file=sys.stderr, flush=True)


def unquiet_words(looks: Sequence[Machine]) -> str:
    """How many of the looks before runs found others at work, and how much; empty where none did."""
    disturbed = [one for one in looks if not one.quiet]
    if not disturbed:
        return ""
    busiest, stolen = max(one.busy for one in disturbed), max(one.stolen for one in disturbed)
    return f"before {len(disturbed)} of {len(looks)} runs, up to {busiest:.0%} busy, {stolen:.0%} stolen"


def conditions(file_system: str, runs: int, unquiet: str) -> str:
    """Under which the figures were taken: one line for each kind, so that nobody must ask."""
    postfix = subprocess.run([tool("postconf"), "-d", "-h", "mail_version"], check=True, capture_output=True, text=True).stdout.strip()
    where = f"Queues on {file_system}. Medians of {runs} (least to greatest); generator and sink share the cores."
    lines = surroundings(f", Postfix {postfix}", where)
    if unquiet:
        lines.append(f"**Others used the machine** {unquiet}. Do not quote these figures.")
    return "  \n".join(lines) + "\n"


def surroundings(programs: str = "", *more: str) -> list[str]:
    """What every figure depends on, a line each: date, machine and programs; `more`; its load at the end; the command."""
    return [
        f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}, {_machine()}, Python {platform.python_version()}{programs}.",
        *more,
        "Load averages at the end (the benchmark's own load is in them): " + ", ".join(f"{one:.1f}" for one in os.getloadavg()) + ".",
        f"`{shlex.join(['python', *_relative(sys.argv)])}`",
    ]


def _relative(arguments: Sequence[str]) -> list[str]:
    program = Path(arguments[0]).resolve()
    return [str(program.relative_to(DOCUMENT.parents[1])) if program.is_relative_to(DOCUMENT.parents[1]) else program.name, *arguments[1:]]


def _machine() -> str:
    return f"{os.cpu_count()} cores ({_processor()}), {_memory_gigabytes():.0f} GB, {platform.system()} {platform.release()}"


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _memory_gigabytes() -> float:
    found = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return int(found[1]) / 2**20 if found else 0


def table(results: Sequence[Result], reference: str) -> str:
    """Markdown: a row for each system, with ratios to the system named `reference` where it was measured."""
    others = {result.system: spreads(result.runs) for result in results}
    rows = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|--:" * (len(COLUMNS) - 1) + "|"]
    for result in results:
        figures = others[result.system]
        cells = [
            result.system,
            _spread(figures["accepted_per_second"], 0),
            _spread(figures["delivered_per_second"], 0),
            _spread(figures["cpu_seconds_per_1000"], 2),
            f"{result.counted.peak_megabytes:.0f}" if result.counted else "–",
            f"{result.counted.syncs_per_message:.2f}" if result.counted else "–",
            *_ratios(figures, others.get(reference)),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _ratios(figures: dict[str, Spread], reference: dict[str, Spread] | None) -> tuple[str, str]:
    if reference is None:
        return "–", "–"
    speed = figures["delivered_per_second"].median / reference["delivered_per_second"].median
    cost = figures["cpu_seconds_per_1000"].median / reference["cpu_seconds_per_1000"].median
    return f"× {speed:.2f}", f"× {cost:.2f}"


def _spread(value: Spread, digits: int) -> str:
    return f"{value.median:,.{digits}f} ({value.least:,.{digits}f}–{value.greatest:,.{digits}f})"


def write(name: str, text: str) -> None:
    """Put `text` between the markers of `name` in the document. Raises SystemExit when it has none."""
    before = DOCUMENT.read_text()
    pattern = re.compile(rf"(<!-- bench:{re.escape(name)} -->\n).*?(<!-- /bench:{re.escape(name)} -->)", re.DOTALL)
    after, found = pattern.subn(lambda match: f"{match[1]}{text}{match[2]}", before)
    if not found:
        raise SystemExit(f"{DOCUMENT} has no markers <!-- bench:{name} --> … <!-- /bench:{name} -->")
    DOCUMENT.write_text(after)
