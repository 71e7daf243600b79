"""`mailwye import`: settings of Exchange, Microsoft365DSC and Postfix as a file for `mailwye apply`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mailwye.cli import exit_codes
from mailwye.cli.output import fail, print_json
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.importing.collect import Imported
    from mailwye.importing.source import Source

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    report = click.option(
        "--report",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How the report on standard error is written.",
    )
    output = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the settings to a file.")
    return report(output(command))


@click.group(name="import")
def import_settings() -> None:
    """Read settings of another mail system; print a file that `mailwye apply` takes, and on standard error a report of what was carried
    over, what means something else here, and what was left out, each with its reason and place. Nothing is saved.

    Exits 0 where everything was carried over, 4 where something was changed in meaning or left out, 65 where a file cannot be read.
    """


@import_settings.command()
@_FILES
@_options
def exchange(files: tuple[Path, ...], *, output: Path | None, report: str) -> None:
    """Read what `Get-InboundConnector | ConvertTo-Json -Depth 5` and its siblings print (AcceptedDomain, OutboundConnector, TransportRule,
    Mailbox, MailUser, MailContact, DistributionGroup; SendConnector and ReceiveConnector of Exchange Server); - for standard input.
    """
    from mailwye.importing.exchange.json_files import import_exchange

    _run(lambda: import_exchange(_sources(files)), output, report)


@import_settings.command()
@_FILES
@click.option("--variable", "variables", multiple=True, metavar="NAME=VALUE", help="What $NAME is in the files; repeatable.")
@_options
def dsc(files: tuple[Path, ...], *, variables: tuple[str, ...], output: Path | None, report: str) -> None:
    """Read Microsoft365DSC blocks (EXOInboundConnector, EXOOutboundConnector, EXOAcceptedDomain, EXOTransportRule, EXOMailContact,
    EXODistributionGroup, EXOSharedMailbox), as Export-M365DSCConfiguration writes them.
    """
    from mailwye.importing.dsc.files import import_dsc

    given = {}
    for variable in variables:
        name, equals, value = variable.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{variable!r} is not NAME=VALUE", param_hint="--variable")
        given[name] = value
    _run(lambda: import_dsc(_sources(files), given), output, report)


@import_settings.command()
@click.option(
    "--main-cf",
    "main_cf",
    type=click.Path(path_type=Path),
    default=Path("/etc/postfix"),
    show_default=True,
    help="main.cf, the directory with it, or the output of `postconf -n`.",
)
@_options
def postfix(main_cf: Path, *, output: Path | None, report: str) -> None:
    """Read Postfix's main.cf, the master.cf beside it, and the source texts of the tables that it names. A table under /etc/postfix is
    looked for beside main.cf first, so that a copy of the directory will do.
    """
    from mailwye.importing.postfix.files import import_postfix, wanted_files

    path = main_cf / "main.cf" if main_cf.is_dir() else main_cf

    def run() -> Imported:
        main = _read(path)
        directory = path.parent
        tables = {name: _table(name, directory) for name in wanted_files(main)}
        master = directory / "master.cf"
        return import_postfix(main, tables, master=_read(master) if master.is_file() else None)

    _run(run, output, report)


def _table(name: str, directory: Path) -> Source | str:
    """Its text, or why there is none."""
    path = Path(name)
    if path.is_relative_to("/etc/postfix"):
        beside = directory / path.relative_to("/etc/postfix")
        path = beside if beside.exists() else path
    if path.exists() and not path.is_file():
        return "is no file"
    try:
        return _decode(path)
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _sources(files: Iterable[Path]) -> list[Source]:
    return [_read(file) for file in files]


def _read(path: Path) -> Source:
    try:
        return _decode(path)
    except OSError as error:
        fail(f"{path} cannot be read: {(error.strerror or str(error)).lower()}", exit_codes.NO_INPUT)


def _decode(path: Path) -> Source:
    """No more of it is read than a file may have: it may be a device."""
    from mailwye.importing.source import SIZE_LIMIT, decode

    if str(path) == "-":
        return decode(sys.stdin.buffer.read(SIZE_LIMIT + 1), "standard input")
    with path.open("rb") as file:
        return decode(file.read(SIZE_LIMIT + 1), str(path))


def _run(read: Callable[[], Imported], output: Path | None, report: str) -> NoReturn:
    from mailwye.config.export import objects_to_yaml
    from mailwye.importing.report import as_dicts, as_text, is_complete
    from mailwye.importing.source import ImportRefused

    try:
        imported = read()
    except ImportRefused as refused:
        fail(f"{refused.problem} Nothing was carried over", exit_codes.DATA_ERROR)
    text = objects_to_yaml(imported.organization)
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{output} cannot be written: {(error.strerror or str(error)).lower()}", exit_codes.IO_ERROR)
    if report == "json":
        print_json(as_dicts(imported.entries), err=True)
    else:
        for line in as_text(imported.entries):
            click.echo(escaped(line), err=True)
    sys.exit(0 if is_complete(imported.entries) else exit_codes.INCOMPLETE)
