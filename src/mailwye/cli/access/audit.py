"""`mailwye audit`: who changed what, who read whose mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_table

if TYPE_CHECKING:
    from mailwye.access.audit import AuditLog


@click.group()
def audit() -> None:
    """The audit log: changes, and reads of message content, by the API and by commands. It is only ever added to."""


@audit.command()
@config_option
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option("--who", default="", help="Of this user.")
@click.option("--action", default="", help="settings.save, queue.delete …; or its beginning, such as queue.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def log(config: Path, limit: int, who: str, action: str, *, as_json: bool) -> None:
    """List entries, newest first."""
    with _opened(config) as opened:
        entries = opened.entries(limit=limit, who=who, action=action)
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    columns = ("No", "When", "Who", "From", "Action", "On", "Result")
    rows = [(str(one.number), local_time(one.event.at), one.event.who, one.event.origin) for one in entries]
    more = [(one.event.action, one.event.target, one.event.result) for one in entries]
    print_table(columns, [(*row, *rest) for row, rest in zip(rows, more, strict=True)])


@audit.command()
@config_option
def verify(config: Path) -> None:
    """Prove that each entry follows from the one before it: none was altered or taken out. Exits 65 where one was."""
    with _opened(config) as opened:
        broken = opened.verify()
        newest = opened.entries(limit=1)
    if broken:
        fail(f"entry {broken} does not follow from the one before it: the log was altered or damaged there", exit_codes.DATA_ERROR)
    click.echo(f"{newest[0].number if newest else 0} entries, intact" + (f"; the newest is {newest[0].digest}" if newest else ""))


@contextmanager
def _opened(config: Path) -> Iterator[AuditLog]:
    from mailwye.access.audit import AuditError
    from mailwye.stores import open_audit_log

    installation = read(config)
    work_as_owner(installation)
    try:
        opened = open_audit_log(installation)
    except (AuditError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    try:
        yield opened
    except AuditError as error:
        fail(str(error), exit_codes.IO_ERROR)
    finally:
        opened.close()
