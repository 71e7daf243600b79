"""What cmdlets print, as a terminal or a program wants it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import click

from mailwye.cli.output import print_json, print_table
from mailwye.cmdlets.records import Output, Style
from mailwye.runtime.printable import escaped


def show(outputs: Iterable[Output]) -> None:
    """Print them, with an empty line between two."""
    for number, output in enumerate(outputs):
        if number:
            click.echo()
        match output.style:
            case Style.TABLE:
                print_table(output.columns, [[cell(row[column]) for column in output.columns] for row in output.rows])
            case Style.LIST:
                _print_list(output)
            case Style.JSON:
                print_json([dict(row) for row in output.rows])
            case Style.CSV:
                _print_csv(output)
            case Style.TEXT:
                click.echo("\n".join(escaped(line) for line in output.text.split("\n")))


def as_plain(output: Output) -> dict[str, Any]:
    """For JSON."""
    if output.style is Style.TEXT:
        return {"text": output.text}
    return {"rows": [dict(row) for row in output.rows]}


def cell(value: Any) -> str:
    """A plain value for people."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(cell(entry) for entry in value)
        case dict():
            return "{" + ", ".join(f"{key}: {cell(entry)}" for key, entry in value.items()) + "}"
        case _:
            return str(value)


def _print_list(output: Output) -> None:
    width = max((len(column) for column in output.columns), default=0)
    for number, row in enumerate(output.rows):
        if number:
            click.echo()
        for column in output.columns:
            click.echo(f"{escaped(column).ljust(width)} : {escaped(cell(row.get(column)))}".rstrip())


def _print_csv(output: Output) -> None:
    """RFC 4180, with a line of names."""
    columns = list(output.rows[0]) if output.rows else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([escaped(cell(row.get(column))) for column in columns] for row in output.rows)
    click.echo(text.getvalue(), nl=False)
