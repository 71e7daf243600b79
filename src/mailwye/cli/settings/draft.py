"""`mailwye draft`: changes that are built up beside the current settings and activated at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.auditing import record
from mailwye.cli.candidate import Gate, gate_options
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_problems, print_table
from mailwye.cli.settings.config import json_option
from mailwye.cli.settings.saving import (
    author_of,
    now,
    print_changes,
    refuse_conflict,
    save_plan,
    saved_line,
    saving_options,
)

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.config.plan import Plan
    from mailwye.config.store import ConfigStore
    from mailwye.config.versions.drafts import StoredDraft


@click.group()
def draft() -> None:
    """Build a change up over several saves; mail keeps the current settings until the draft is activated.

    `mailwye apply --draft NAME -f FILE` saves into one.
    """


@draft.command()
@config_option
@click.argument("name")
@click.option("--version", "base", type=int, help="Begin from this version instead of the current one.")
@saving_options
def new(config: Path, name: str, base: int | None, *, author: str, comment: str) -> None:
    """Begin the draft NAME from the current settings."""
    from mailwye.config.versions.drafts import draft_name

    try:
        draft_name(name)
    except ValueError as error:
        fail(str(error), exit_codes.DATA_ERROR)
    installation = read(config)
    author = author_of(author)
    work_as_owner(installation)
    with config_store(installation) as store:
        info = store.new_draft(name, base=store.version() if base is None else base, author=author, at=now(), comment=comment)
    record(installation, "draft.new", name, f"from version {info.base}")
    click.echo(f"draft {name} begins from version {info.base}; mail keeps the current settings until `mailwye draft activate {name}`")


@draft.command("list")
@config_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """List drafts."""
    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        drafts = store.drafts()
    if as_json:
        print_json([one.to_dict() for one in drafts])
        return
    print_table(
        ("Draft", "From version", "Saves", "Begun", "Author", "Comment"),
        [(d.name, str(d.base), str(d.revision), local_time(d.at), d.author, d.comment) for d in drafts],
    )


@draft.command()
@config_option
@click.argument("name")
@json_option
def show(config: Path, name: str, *, as_json: bool) -> None:
    """Show who saved what into the draft NAME, and what it changes of the version that it was begun from."""
    from mailwye.config.diff import as_dicts, changes_of

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        stored = store.draft(name)
    info, changes = stored.info, changes_of(stored.changes)
    if as_json:
        print_json({**info.to_dict(), "saves": [save.to_dict() for save in stored.saves], "changes": as_dicts(changes)})
        return
    click.echo(f"draft {info.name} from version {info.base}, begun {saved_line(info.author, info.at, info.comment)}")
    for save in stored.saves:
        click.echo(f"  {saved_line(save.author, save.at, save.comment)}")
    print_changes(changes, as_json=False)


@draft.command()
@config_option
@click.argument("name")
@json_option
def diff(config: Path, name: str, *, as_json: bool) -> None:
    """Show what activating the draft NAME would change now. Exits 75 where it cannot be activated, because others changed the same."""
    _look(config, name, as_json=as_json, checks=False)


@draft.command()
@config_option
@click.argument("name")
@json_option
def check(config: Path, name: str, *, as_json: bool) -> None:
    """Find every error and warning that activating the draft NAME would meet. Exits 65 with errors."""
    _look(config, name, as_json=as_json, checks=True)


@draft.command("activate")
@config_option
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Print the difference, save nothing; exits 2 where there is one.")
@saving_options
@gate_options
@json_option
def activate(config: Path, name: str, *, dry_run: bool, author: str, comment: str, as_json: bool, **gating: Any) -> None:
    """Make the draft NAME the current version: in all workers together, within a second. The draft is gone then.

    Where others saved since it was begun, their changes stay if they are of other objects; else nothing is saved and the fields that
    both changed are listed.
    """
    installation = read(config)
    author = author_of(author)
    work_as_owner(installation)
    with config_store(installation) as store:
        stored, found = _planned(store, name, installation, as_json=as_json)
        if found.base != stored.info.base:
            others = f"others changed other objects since version {stored.info.base}: the draft goes on top of version {found.base}"
            click.echo(others, err=True)
        save_plan(
            installation,
            store,
            found,
            author=author,
            comment=comment or stored.info.comment,
            unchanged=f"no change: version {found.base} already says what the draft says; `mailwye draft discard {name}` removes it",
            gate=Gate.of(installation, **gating),
            dry_run=dry_run,
            as_json=as_json,
        )


@draft.command()
@config_option
@click.argument("name")
def discard(config: Path, name: str) -> None:
    """Forget the draft NAME and everything saved into it."""
    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        if not store.discard_draft(name):
            fail(f"there is no draft {name}; `mailwye draft list` lists those that exist", exit_codes.NO_INPUT)
    record(installation, "draft.discard", name, "gone")
    click.echo(f"draft {name} is gone; the settings are as they were")


def _planned(store: ConfigStore, name: str, installation: Installation, *, as_json: bool) -> tuple[StoredDraft, Plan]:
    """The draft and what activating it would do; a conflict ends the command."""
    from mailwye.config.plan import Plan, plan_draft
    from mailwye.stores import open_vault

    stored = store.draft(name)
    found = plan_draft(store, stored, installation=installation, vault=open_vault(installation))
    if not isinstance(found, Plan):
        refuse_conflict(found, as_json=as_json)
    return stored, found


def _look(path: Path, name: str, *, as_json: bool, checks: bool) -> None:
    from mailwye.config.problem import as_dicts

    installation = read(path)
    work_as_owner(installation)
    with config_store(installation) as store:
        _, plan = _planned(store, name, installation, as_json=as_json)
    if not checks:
        print_changes(plan.changes, as_json=as_json)
        if not plan.changes:
            click.echo("no difference", err=as_json)
        return
    errors = sum(problem.is_error for problem in plan.problems)
    if as_json:
        print_json(as_dicts(plan.problems))
    else:
        print_problems(plan.problems)
        click.echo(f"{errors} errors, {len(plan.problems) - errors} warnings")
    sys.exit(exit_codes.DATA_ERROR if errors else 0)
