"""`mailwye apply` and `export`: the organization's settings as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.candidate import Gate, gate_options, read_settings
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, print_problems
from mailwye.cli.settings.saving import (
    author_of,
    print_wanted,
    refuse_conflict,
    refuse_gate_with_draft,
    save_into_draft,
    save_plan,
    saving_options,
)

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.config.parsed import Parsed
    from mailwye.config.schema import Organization
    from mailwye.config.secrets import Vault
    from mailwye.config.store import ConfigStore
    from mailwye.config.versions.conflict import Conflict


@click.command()
@config_option
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path, allow_dash=True), required=True, help="YAML file, - for standard input."
)
@click.option("--dry-run", is_flag=True, help="Print the difference, save nothing; exits 2 where there is one.")
@click.option("--prune", is_flag=True, help="Remove objects of the kinds in the file that the file does not name.")
@click.option("--draft", "draft", default="", metavar="NAME", help="Save into this draft; mail keeps the current settings.")
@click.option(
    "--base", type=int, metavar="VERSION", help="The version that the file was edited from: what others changed since is not overwritten."
)
@saving_options
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
def apply(
    config: Path,
    file: Path,
    *,
    dry_run: bool,
    prune: bool,
    draft: str,
    base: int | None,
    author: str,
    comment: str,
    as_json: bool,
    **gating: Any,
) -> None:
    """Save the objects of a YAML file as the new settings: they replace objects of the same name, the others stay.

    A running service uses them at once, in all workers together. What waits in the queue follows them, unless --pin-queued keeps it.
    """
    from mailwye.config.plan import Plan, plan_edit, plan_file
    from mailwye.stores import open_vault

    if draft and base is not None:
        raise click.UsageError("--draft has its own base: leave out --base.")
    refuse_gate_with_draft(draft, gating)
    installation = read(config)
    gate = Gate.of(installation, **gating)
    parsed = read_settings(file)
    author = author_of(author)
    work_as_owner(installation)
    vault = open_vault(installation)
    with config_store(installation) as store:
        if draft:
            _into_draft(
                store, draft, parsed, installation, vault, prune=prune, dry_run=dry_run, author=author, comment=comment, as_json=as_json
            )
            return
        plan: Plan | Conflict = plan_file(
            store.current() if base is None else store.load(base), parsed, prune=prune, installation=installation, vault=vault
        )
        if base is not None and isinstance(plan, Plan) and parsed.value is not None:
            plan = plan_edit(store, base, plan.change_set, installation=installation, source=parsed, vault=vault)
        if not isinstance(plan, Plan):
            refuse_conflict(plan, as_json=as_json)
        save_plan(
            installation,
            store,
            plan,
            author=author,
            comment=comment,
            gate=gate,
            dry_run=dry_run,
            as_json=as_json,
        )


def _into_draft(
    store: ConfigStore,
    name: str,
    parsed: Parsed[Organization],
    installation: Installation,
    vault: Vault,
    *,
    prune: bool,
    dry_run: bool,
    author: str,
    comment: str,
    as_json: bool,
) -> None:
    """Errors are told, and keep the draft from being activated; only what cannot be read is not saved."""
    from mailwye.config.plan import draft_version, plan_file

    stored = store.draft(name)
    plan = plan_file(draft_version(store, stored), parsed, prune=prune, installation=installation, vault=vault)
    print_problems(plan.problems)
    if parsed.value is None:
        fail("nothing was saved, see above", exit_codes.DATA_ERROR)
    print_wanted(plan.changes, as_json=as_json)
    save_into_draft(installation, store, stored, plan, author=author, comment=comment, dry_run=dry_run, quiet=as_json)
    if dry_run and plan.changes:
        sys.exit(exit_codes.DIFFERENCE)


@click.command()
@config_option
@click.option("--version", "number", type=int, help="An older version; the current one otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML; the same as --format json.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json", "exchange", "cmdlets"]),
    default="yaml",
    show_default=True,
    help="exchange: JSON with every property, as Exchange's cmdlets print it, for `mailwye import exchange`. cmdlets: for `mailwye ps`.",
)
def export(config: Path, number: int | None, *, as_json: bool, form: str) -> None:
    """Print the organization's settings; `mailwye apply` takes YAML and JSON back unchanged. Of passwords, "(saved)" is left."""
    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        stored = store.current() if number is None else store.load(number)
    form = "json" if as_json else form
    click.echo(_written(stored.organization, form), nl=form in ("json", "exchange"))


def _written(organization: Organization, form: str) -> str:
    """The settings in one of the forms of --format (JSON without a last line end); only what writes that one is imported."""
    match form:
        case "exchange":
            from mailwye.importing.exchange.write import to_exchange_json

            return to_exchange_json(organization)
        case "cmdlets":
            from mailwye.cmdlets.write import write

            return write(organization)
        case "json":
            from mailwye.config.export import to_json

            return to_json(organization)
        case _:
            from mailwye.config.export import to_yaml

            return to_yaml(organization)
