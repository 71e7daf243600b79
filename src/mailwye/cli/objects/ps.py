"""`mailwye ps`: cmdlets as administrators paste them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.candidate import gate_options
from mailwye.cli.installation import config_option
from mailwye.cli.output import fail
from mailwye.cli.settings.saving import saving_options

FILE_LIMIT = 16_777_216  # octets; the script itself may have SCRIPT_LIMIT characters


@click.command()
@config_option
@click.argument("line", nargs=-1)
@click.option("-f", "--file", "file", type=click.Path(path_type=Path, allow_dash=True), help="A script, - for standard input.")
@click.option("-y", "--yes", is_flag=True, help="Save without asking.")
@click.option("--what-if", "--dry-run", "what_if", is_flag=True, help="Print the difference, save nothing; exits 2 where there is one.")
@click.option("--draft", default="", metavar="NAME", help="Read and save this draft; mail keeps the current settings.")
@saving_options
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print output, difference and findings as JSON.")
@click.option("--cmdlets", is_flag=True, help="List what is understood, as docs/cmdlets.md has it.")
def ps(
    config: Path,
    line: tuple[str, ...],
    file: Path | None,
    *,
    yes: bool,
    what_if: bool,
    draft: str,
    author: str,
    comment: str,
    as_json: bool,
    cmdlets: bool,
    **gating: Any,
) -> None:
    """Carry out PowerShell lines for Exchange: mailwye ps 'New-OutboundConnector "To us" …', or -f script.ps1.

    All lines are carried out or none: the difference is shown, and saved when you say yes. Put the lines in single quotes, so that the
    shell leaves $true alone.
    """
    if cmdlets:
        from mailwye.cmdlets.reference import as_markdown

        click.echo(as_markdown(), nl=False)
        return
    if bool(line) == (file is not None):
        fail("give the cmdlets as an argument in quotes, or a script with -f", exit_codes.USAGE)
    from mailwye.cli.objects.change import Manner, carry_out
    from mailwye.cmdlets.parser import parse

    text, name = ("\n".join(line), "") if file is None else _read(file)
    manner = Manner(asks=True, yes=yes, what_if=what_if, as_json=as_json, author=author, comment=comment, draft=draft, gating=gating)
    carry_out(config, parse(text, name or "line"), manner)


def _read(file: Path) -> tuple[str, str]:
    """(text, name). UTF-8, or UTF-16, as PowerShell's own editor saves it."""
    from mailwye.config.encoding import decode

    try:
        if str(file) == "-":
            data, name = sys.stdin.buffer.read(FILE_LIMIT + 1), "standard input"
        else:
            with file.open("rb") as opened:
                data, name = opened.read(FILE_LIMIT + 1), str(file)
    except OSError as error:
        fail(f"{file} cannot be read: {(error.strerror or str(error)).lower()}", exit_codes.NO_INPUT)
    if len(data) > FILE_LIMIT:
        fail(f"{name} is larger than {FILE_LIMIT} octets. Split it", exit_codes.DATA_ERROR)
    text, problem = decode(data, name)
    if problem is not None:
        fail(str(problem), exit_codes.DATA_ERROR)
    return text, name
