"""`mailwye certificates`: every certificate that the installation uses or has seen on a connector, and when it expires."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from mailwye.cli.installation import ask_service, config_option, read
from mailwye.cli.output import print_json, print_table

NAMES_SHOWN = 3


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def certificates(config: Path, *, as_json: bool) -> None:
    """List certificates: those in the files of mailwye.toml, and those that other servers presented on connectors.

    The log warns 30, 14, 7 and 1 days before one expires.
    """
    from mailwye.runtime.clock import SystemClock
    from mailwye.stores import certificate_register

    installation = read(config)
    answer = ask_service(installation, "certificates")
    if answer is not None:
        rows = answer["rows"]
    else:
        register = certificate_register(installation, lambda text: click.echo(f"mailwye: {text}", err=True), create=False)
        rows = register.rows(SystemClock().now())
        register.close()
    if as_json:
        print_json(rows)
        return
    print_table(("use", "names", "issuer", "not after", "days left", "state", "warned", "from"), [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    names = row["names"] or [row["subject"]]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    warned = row["warned_days_before"]
    return (
        row["use"],
        ", ".join(names[:NAMES_SHOWN]) + more,
        row["issuer"],
        _day(row["not_after"]),
        str(row["days_left"]),
        row["state"],
        "" if warned is None else "when it expired" if warned == 0 else f"{warned} days before",
        row["file"] or f"seen on {_day(row['last_seen'])}",
    )


def _day(seconds: float) -> str:
    """The day in UTC, as certificates say it."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d}"
