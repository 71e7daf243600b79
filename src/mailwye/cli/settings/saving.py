"""What commands that change settings have in common: who, why, what is printed before, and what when somebody else was faster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.auditing import record
from mailwye.cli.candidate import Candidate, Gate
from mailwye.cli.installation import activate
from mailwye.cli.output import fail, local_time, print_json
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.config.diff import Change
    from mailwye.config.installation import Installation
    from mailwye.config.plan import Plan
    from mailwye.config.problem import Problem
    from mailwye.config.store import ConfigStore
    from mailwye.config.versions.conflict import Conflict

F = TypeVar("F", bound=Callable[..., Any])


def saving_options(command: F) -> F:
    """--author and --comment."""
    author = click.option("--author", default="", help="Who changes it; default: the user who runs this.")
    comment = click.option("--comment", default="", help="Why; kept with the version.")
    return author(comment(command))


def author_of(author: str) -> str:
    """What was given, else the user; asked before `work_as_owner` makes root somebody else."""
    from mailwye.runtime.privileges import current_user

    return author or current_user()


def now() -> float:
    """Unix seconds."""
    from mailwye.runtime.clock import SystemClock

    return SystemClock().now()


def print_problems(problems: Sequence[Problem]) -> None:
    """On standard error, each on its line."""
    for problem in problems:
        click.echo(f"{problem.severity.value}: {problem}", err=True)


def print_changes(changes: Sequence[Change], *, as_json: bool) -> None:
    """The difference."""
    from mailwye.config.diff import as_dicts, as_text

    if as_json:
        print_json(as_dicts(changes))
    elif changes:
        for line in as_text(changes).splitlines():
            click.echo(escaped(line))


def refuse_conflict(conflict: Conflict, *, as_json: bool) -> NoReturn:
    """Say what others changed and what both want, and end the command. Nothing was saved."""
    if as_json:
        print_json(conflict.to_dict())
    fail(
        f"{conflict}\nwhat was changed since version {conflict.base}:\n{conflict.difference}nothing was saved",
        exit_codes.TEMPORARY_FAILURE,
    )


def save_plan(
    installation: Installation,
    store: ConfigStore,
    plan: Plan,
    *,
    author: str,
    comment: str,
    unchanged: str,
    gate: Gate,
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Print what a plan would change, save it, and let the running service take it. `unchanged`: what to say where there is nothing;
    `gate`: what stands before the activation.
    """
    from mailwye.config.diff import changes_of
    from mailwye.config.store import VersionConflict

    print_problems(plan.problems)
    if plan.has_errors:
        fail("nothing was saved, see above", exit_codes.DATA_ERROR)
    print_changes(plan.changes, as_json=as_json)
    if not plan.changes:
        click.echo(unchanged, err=as_json)
        return
    queued = gate.check(Candidate(store.load(plan.base), plan.organization), dry_run=dry_run, quiet=as_json)
    if dry_run:
        sys.exit(exit_codes.DIFFERENCE)
    pinned = gate.pin(queued)
    try:
        version = plan.save(store, author=author, at=now(), comment=comment)
    except VersionConflict as error:
        from mailwye.config.diff import as_text

        theirs = as_text(changes_of(store.changes(error.expected, error.current)))
        kept = "; what was pinned is: `mailwye queue follow --all` lets it go" if pinned else ""
        fail(f"{error}; nothing was saved{kept}. Changed meanwhile:\n{theirs}", exit_codes.TEMPORARY_FAILURE)
    record(installation, author, "settings.save", "command line", f"version {version}")
    if gate.pin_queued:
        what = "delivery stays on its way" if pinned == 1 else "deliveries stay on their ways"
        click.echo(f"{pinned} queued {what} (pinned)", err=as_json)
    click.echo(activate(installation, version), err=as_json)


def saved_line(author: str, at: float, comment: str) -> str:
    """`2026-11-28 04:12:00 by ann: why`."""
    return escaped(f"{local_time(at)} by {author}{f': {comment}' if comment else ''}")
