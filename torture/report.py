"""What a test measured, how it is printed, and how it gets into docs/reliability.md with the conditions under which it was measured."""

from __future__ import annotations

import datetime
import fcntl
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `wanted`: what it must be, in words; "" where it is only told. `good`: whether it is that."""

    what: str
    measured: str
    wanted: str = ""
    good: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What a test's `run` returns. `name`: the marker in docs/reliability.md. `conditions`: sizes, seed, file system; date, kernel and
    cores are added. `notes`: sentences below the table.
    """

    name: str
    rows: tuple[Row, ...]
    conditions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """The verdict: every figure is what it must be."""
        return all(row.good for row in self.rows)


def text(result: Result) -> str:
    """The result for a terminal."""
    width = max(len(row.what) for row in result.rows)
    lines = [f"{result.name}: {'passed' if result.good else 'FAILED'} ({'; '.join(result.conditions)})"]
    for row in result.rows:
        mark = "ok    " if row.wanted and row.good else "FAILED" if not row.good else "      "
        lines.append(f"  {mark} {row.what:{width}}  {row.measured}" + (f"  (wanted: {row.wanted})" if row.wanted else ""))
    return "\n".join((*lines, *(f"  {note}" for note in result.notes)))


def markdown(result: Result, command: str) -> str:
    """The result as it stands in the page, without the markers."""
    lines = [f"**{'Passed' if result.good else 'FAILED'}.** `{command}`", "", "| figure | measured | wanted | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.wanted} | {_mark(row)} |" for row in result.rows]
    lines += ["", f"Conditions: {'; '.join((*result.conditions, *surroundings()))}."]
    return "\n".join(lines + [part for note in result.notes for part in ("", note)])


def _mark(row: Row) -> str:
    return "**no**" if not row.good else "yes" if row.wanted else ""


def write(result: Result, command: str, page: Path = PAGE) -> None:
    """Put the result between its markers `<!-- torture:NAME -->` and `<!-- /torture:NAME -->`.

    :raises ValueError: the page has no such markers.
    """
    begin, end = f"<!-- torture:{result.name} -->", f"<!-- /torture:{result.name} -->"
    folder = os.open(page.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # several tests may end at once
        _replace(page, begin, end, markdown(result, command))
    finally:
        os.close(folder)


def _replace(page: Path, begin: str, end: str, what: str) -> None:
    before = page.read_text()
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{page.name} has no place for this result; add the lines {begin} and {end} where it belongs")
    after = pattern.sub(lambda _: f"{begin}\n{what}\n{end}", before)
    replacement = page.with_suffix(".new")
    replacement.write_text(after)
    replacement.replace(page)


def surroundings() -> tuple[str, ...]:
    """Date, kernel, cores, interpreter: what every figure depends on."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return today, f"Linux {platform.release()}", f"{os.cpu_count()} cores", f"CPython {platform.python_version()}"


def file_system(directory: Path) -> str:
    """The type of the file system that holds `directory`: "ext4"."""
    found = subprocess.run(["stat", "-f", "-c", "%T", str(directory)], capture_output=True, text=True, check=True).stdout.strip()
    return "ext4" if found.startswith("ext2") else found
