"""From a script to saved settings: carry out, show the difference, ask, save once, tell the running service."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.auditing import record
from mailwye.cli.installation import activate, config_store, read, work_as_owner
from mailwye.cli.objects.show import as_plain, print_problems, problem_as_plain, show
from mailwye.cli.output import fail, print_json
from mailwye.cmdlets.execute import Execution, execute

if TYPE_CHECKING:
    from mailwye.cmdlets.syntax import Script
    from mailwye.config.installation import Installation
    from mailwye.config.plan import Plan
    from mailwye.config.store import ConfigStore, StoredVersion

DIFFERENT = 2  # as `apply --dry-run`: there is a difference, and it was not saved
DECLINED = 1


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is made. `asks`: whether somebody has to say yes; `yes`: he did already. `objects_only`: JSON is the objects alone."""

    asks: bool
    yes: bool = False
    what_if: bool = False
    as_json: bool = False
    objects_only: bool = False
    comment: str = ""


def carry_out(config: Path, script: Script, manner: Manner) -> None:
    """The whole way. Ends the command: 0 saved or nothing to change, 2 for a difference with --what-if, 1 declined, 65 errors."""
    from mailwye.runtime.privileges import current_user

    installation = read(config)
    author = current_user()
    work_as_owner(installation)
    with config_store(installation) as store:
        current = store.current()
        execution = execute(current.organization, script)
        plan = _plan(current, execution, installation)
        problems = (*execution.problems, *(plan.problems if plan is not None else ()))
        print_problems(problems)
        is_wrong = execution.has_errors or (plan is not None and plan.has_errors)
        if not is_wrong and not manner.as_json:
            show(execution.outputs)
        changes = plan is not None and bool(plan.changes)
        version = None
        if not is_wrong and plan is not None and changes:
            _show_difference(plan, manner)
            version = _save(store, plan, manner, execution, author)
    if manner.as_json:
        _print_as_json(execution, plan, problems, version, manner)
    if is_wrong:
        fail("see above" if manner.objects_only else "nothing was saved, see above", exit_codes.DATA_ERROR)
    if version is not None:
        record(installation, author, "settings.save", "cmdlets", f"version {version}")
        click.echo(activate(installation, version), err=manner.as_json)
    elif changes and manner.what_if:
        sys.exit(DIFFERENT)
    elif execution.wants_change and not changes:
        click.echo(f"no change: version {current.version} already says this", err=manner.as_json)


def _plan(current: StoredVersion, execution: Execution, installation: Installation) -> Plan | None:
    """What a save would do; None where nothing changed or something is wrong. Only a change needs the checks, and the time to load them."""
    if execution.has_errors or execution.organization is current.organization:
        return None
    from mailwye.config.plan import plan_organization
    from mailwye.stores import open_vault

    vault = open_vault(installation)
    return plan_organization(current, execution.organization, installation=installation, source=execution.touched, vault=vault)


def _show_difference(plan: Plan, manner: Manner) -> None:
    from mailwye.config.diff import as_text
    from mailwye.runtime.printable import escaped

    if not manner.as_json:
        click.echo("\n".join(escaped(line) for line in as_text(plan.changes).splitlines()))


def _save(store: ConfigStore, plan: Plan, manner: Manner, execution: Execution, author: str) -> int | None:
    """The new version; None where it was only asked what would be. Ends the command where nobody agrees."""
    from mailwye.config.store import VersionConflict
    from mailwye.runtime.clock import SystemClock

    if manner.what_if:
        return None
    if manner.asks and not manner.yes and not execution.is_confirmed:
        _ask()
    try:
        return plan.save(store, author=author, at=SystemClock().now(), comment=manner.comment)
    except VersionConflict as error:
        fail(f"{error}; nothing was saved", exit_codes.TEMPORARY_FAILURE)


def _ask() -> None:
    if not sys.stdin.isatty():
        fail(
            "nothing was saved: there is no terminal to ask at. Add --yes, or (cmdlets) -Confirm:$false",
            exit_codes.USAGE,
        )
    click.echo("Save these changes?", err=True)
    answer = click.prompt('[Y] Yes  [N] No (default is "N")', default="N", show_default=False, err=True)
    if str(answer).strip().lower() not in ("y", "yes"):
        click.echo("nothing was saved", err=True)
        sys.exit(DECLINED)


def _print_as_json(execution: Execution, plan: Plan | None, problems: tuple[Any, ...], version: int | None, manner: Manner) -> None:
    from mailwye.config.diff import as_dicts

    if manner.objects_only:
        print_json([dict(row) for output in execution.outputs for row in output.rows])
        return
    print_json(
        {
            "output": [as_plain(output) for output in execution.outputs],
            "changes": as_dicts(plan.changes) if plan is not None else [],
            "problems": [problem_as_plain(problem) for problem in problems],
            "version": version,
        }
    )
