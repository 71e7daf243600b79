"""The command group: knows its commands by name and one line of help, imports the one that is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

import click

from mailwye import __version__
from mailwye.cli import exit_codes
from mailwye.cli.output import fail

CommandTable = Mapping[str, tuple[str, str]]  # name → ("module:attribute", help in one line)


class Commands(click.Group):
    """Has a command for each row of the table; imports one only when it is asked for."""

    def __init__(self, table: CommandTable) -> None:
        super().__init__(
            name="mailwye",
            help="Mailwye: the junction of Internet mail, hosted mailboxes and an organization's own mail servers.",
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        )
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in self._table.items()])


def run(table: CommandTable) -> None:
    """Parse the command line and run the command; exits with a code of sysexits.h."""
    os.umask(os.umask(0o077) | 0o027)  # mail, traces and settings are nobody else's business
    group = Commands(table)
    group.params.append(
        click.Option(["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Version.")
    )
    click.UsageError.exit_code = exit_codes.USAGE  # click's own is 2, which `apply --dry-run` uses for "there is a difference"
    try:
        group(prog_name="mailwye")
    except Exception as error:  # noqa: BLE001 - nothing is above; the trace is for the report that the sentence asks for
        import traceback  # which no command needs otherwise

        traceback.print_exc(file=sys.stderr)
        fail(f"internal error: {error!r}. Please report it with the lines above", exit_codes.SOFTWARE)


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"mailwye {__version__}")
        ctx.exit()
