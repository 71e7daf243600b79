"""What commands print: tables for people, JSON for programs. Text from outside is escaped: a subject must not speak to the terminal."""

from __future__ import annotations

import datetime
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.config.problem import Problem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def print_json(value: Any, *, err: bool = False) -> None:
    """`value` as JSON, with everything unprintable escaped: C1 controls and direction marks too, which JSON itself would let by. `err`: on
    standard error. Dataclasses are objects.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=asdict)
    click.echo("".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text), err=err)


def print_problems(problems: Iterable[Problem], *, err: bool = True) -> None:
    """Errors and warnings, each on its line, on standard error unless they are what was asked for."""
    for problem in problems:
        click.echo(f"{problem.severity.value}: {problem}", err=err)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; on a terminal with lines around them."""
    cells = [[escaped(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    widths = [max([len(column), *(len(row[number]) for row in cells)]) for number, column in enumerate(columns)]
    for row in [list(columns), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def local_time(seconds: float) -> str:
    """A point in time for people, in this machine's time zone."""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def point_in_time(text: str, now: float) -> float:
    """Unix seconds of "2h" (ago), "3d", "2026-11-24", "2026-11-24T08:00" or Unix seconds. :raises click.BadParameter: none of these."""
    ago = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if ago:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds):
        return seconds
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is no point in time; write 2h, 3d, 2026-11-24 or 2026-11-24T08:00") from error


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on standard error and exit. A message may have several lines; what else is unprintable is escaped."""
    click.echo("\n".join(escaped(line) for line in f"mailwye: {message}".splitlines()), err=True)
    sys.exit(code)
