"""`mailwye apply`, `export` and `history`: the organization's settings as files and versions."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import activate, config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_table


@click.command()
@config_option
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path, allow_dash=True), required=True, help="YAML file, - for standard input."
)
@click.option("--dry-run", is_flag=True, help="Print the difference, save nothing; exits 2 where there is one.")
@click.option("--prune", is_flag=True, help="Remove objects of the kinds in the file that the file does not name.")
@click.option("--comment", default="", help="Kept with the version.")
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
def apply(config: Path, file: Path, *, dry_run: bool, prune: bool, comment: str, as_json: bool) -> None:
    """Save the objects of a YAML file as the new settings: they replace objects of the same name, the others stay.

    A running service uses them at once, in all workers together.
    """
    from mailwye.config.diff import as_dicts, as_text
    from mailwye.config.parse import read_organization
    from mailwye.config.plan import plan_file
    from mailwye.config.store import VersionConflict
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.privileges import current_user

    installation = read(config)
    parsed = read_organization(sys.stdin.read(), "standard input") if str(file) == "-" else read_organization(file.absolute())
    author = current_user()
    work_as_owner(installation)
    with config_store(installation) as store:
        plan = plan_file(store.current(), parsed, prune=prune, installation=installation)
        for problem in plan.problems:
            click.echo(f"{problem.severity.value}: {problem}", err=True)
        if plan.has_errors:
            fail("nothing was saved, see above", exit_codes.DATA_ERROR)
        if as_json:
            print_json(as_dicts(plan.changes))
        elif plan.changes:
            click.echo(as_text(plan.changes))
        if not plan.changes:
            click.echo(f"no change: version {plan.base} already says this", err=as_json)
            return
        if dry_run:
            sys.exit(2)
        try:
            version = plan.save(store, author=author, at=SystemClock().now(), comment=comment)
        except VersionConflict as error:
            fail(f"{error}; nothing was saved", exit_codes.TEMPORARY_FAILURE)
    click.echo(activate(installation, version), err=as_json)


@click.command()
@config_option
@click.option("--version", "number", type=int, help="An older version; the current one otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML.")
@click.option("--format", "form", type=click.Choice(["yaml", "json", "cmdlets"]), default="yaml", help="cmdlets: PowerShell lines.")
def export(config: Path, number: int | None, *, as_json: bool, form: str) -> None:
    """Print the organization's settings; `mailwye apply` takes them back, cmdlets `mailwye ps`. Passwords are not part of them."""
    from mailwye.config.export import to_json, to_yaml

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        stored = store.current() if number is None else store.load(number)
    if form == "cmdlets":
        from mailwye.cmdlets.write import write

        click.echo(write(stored.organization), nl=False)
        return
    as_json = as_json or form == "json"
    click.echo(to_json(stored.organization) if as_json else to_yaml(stored.organization), nl=as_json)


@click.command()
@config_option
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def history(config: Path, limit: int, *, as_json: bool) -> None:
    """List saved versions of the settings, newest first."""
    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        versions = store.history(limit)
    if as_json:
        print_json([{"version": v.version, "parent": v.parent, "author": v.author, "at": v.at, "comment": v.comment} for v in versions])
        return
    print_table(("Version", "Saved", "Author", "Comment"), [(str(v.version), local_time(v.at), v.author, v.comment) for v in versions])
