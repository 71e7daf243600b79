"""From a script to saved settings: carry out, show the difference, ask, save once, tell the running service."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.candidate import Gate
from mailwye.cli.installation import config_store, read, work_as_owner
from mailwye.cli.objects.show import as_plain, show
from mailwye.cli.output import fail, print_json, print_problems
from mailwye.cli.settings.saving import author_of, print_wanted, put_in_force, refuse_gate_with_draft, save_into_draft
from mailwye.cmdlets.execute import Execution, execute
from mailwye.value import dataclass

if TYPE_CHECKING:
    from mailwye.cmdlets.syntax import Script
    from mailwye.config.installation import Installation
    from mailwye.config.plan import Plan
    from mailwye.config.store import ConfigStore, StoredVersion
    from mailwye.config.versions.drafts import StoredDraft

DECLINED = 1


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is made. `asks`: whether somebody has to say yes; `yes`: he did already. `objects_only`: JSON is the objects alone.
    `draft`: the draft that is read and saved into, "" for the settings in force. `gating`: the options of `gate_options`.
    """

    asks: bool
    yes: bool = False
    what_if: bool = False
    as_json: bool = False
    objects_only: bool = False
    author: str = ""
    comment: str = ""
    draft: str = ""
    gating: Mapping[str, Any] = field(default_factory=dict)


def carry_out(config: Path, script: Script, manner: Manner) -> None:
    """The whole way. Ends the command: 0 saved or nothing to change, 2 for a difference with --what-if, 1 declined, 65 errors."""
    refuse_gate_with_draft(manner.draft, manner.gating)
    installation = read(config)
    gate = Gate.of(installation, **manner.gating) if manner.gating else None
    author = author_of(manner.author)
    work_as_owner(installation)
    with config_store(installation) as store:
        stored = store.draft(manner.draft) if manner.draft else None
        current = store.current() if stored is None else _draft_version(store, stored)
        execution = execute(current.organization, script)
        plan = _plan(current, execution, installation)
        problems = (*execution.problems, *(plan.problems if plan is not None else ()))
        print_problems(problems)
        is_wrong = execution.has_errors or (plan is not None and plan.has_errors and stored is None)
        if not is_wrong and not manner.as_json:
            show(execution.outputs)
        saved = None
        if not is_wrong and plan is not None and plan.changes:
            if not manner.as_json:
                print_wanted(plan.changes, as_json=False)

            def confirm() -> None:
                if manner.asks and not manner.yes and not execution.is_confirmed:
                    _ask()

            how: dict[str, Any] = {"author": author, "comment": manner.comment, "dry_run": manner.what_if, "quiet": manner.as_json}
            if stored is not None:
                saved = save_into_draft(installation, store, stored, plan, confirm=confirm, **how)
            else:
                assert gate is not None, "commands that change something have its options"
                saved = put_in_force(installation, store, plan, gate=gate, confirm=confirm, **how)
    if manner.as_json:
        _print_as_json(execution, plan, problems, saved, manner)
    if is_wrong:
        fail("see above" if manner.objects_only else "nothing was saved, see above", exit_codes.DATA_ERROR)
    if plan is not None and plan.changes:
        if manner.what_if:
            sys.exit(exit_codes.DIFFERENCE)
    elif execution.wants_change:
        what = f"the draft {manner.draft}" if manner.draft else f"version {current.version}"
        click.echo(f"no change: {what} already says this", err=manner.as_json)


def _draft_version(store: ConfigStore, stored: StoredDraft) -> StoredVersion:
    from mailwye.config.plan import draft_version  # with all checks: only drafts and changes need them

    return draft_version(store, stored)


def _plan(current: StoredVersion, execution: Execution, installation: Installation) -> Plan | None:
    """What a save would do; None where nothing changed or something is wrong. Only a change needs the checks, and the time to load them."""
    if execution.has_errors or execution.organization is current.organization:
        return None
    from mailwye.config.plan import plan_organization
    from mailwye.stores import open_vault

    vault = open_vault(installation)
    return plan_organization(current, execution.organization, installation=installation, source=execution.touched, vault=vault)


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


def _print_as_json(execution: Execution, plan: Plan | None, problems: tuple[Any, ...], saved: int | None, manner: Manner) -> None:
    from mailwye.config.diff import as_dicts
    from mailwye.config.problem import as_dicts as problems_as_dicts

    if manner.objects_only:
        print_json([dict(row) for output in execution.outputs for row in output.rows])
        return
    print_json(
        {
            "output": [as_plain(output) for output in execution.outputs],
            "changes": as_dicts(plan.changes) if plan is not None else [],
            "problems": problems_as_dicts(problems),
            "version": None if manner.draft else saved,
            **({"draft": manner.draft, "revision": saved} if manner.draft else {}),
        }
    )
