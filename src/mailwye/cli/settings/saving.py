"""What commands that change settings have in common: who, why, what is printed before, and what when somebody else was faster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.auditing import record, record_saved
from mailwye.cli.candidate import Candidate, Gate, NotPutInForce
from mailwye.cli.installation import activate
from mailwye.cli.output import fail, local_time, print_json, print_problems
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.config.diff import Change
    from mailwye.config.installation import Installation
    from mailwye.config.plan import Plan
    from mailwye.config.store import ConfigStore
    from mailwye.config.versions.conflict import Conflict
    from mailwye.config.versions.drafts import StoredDraft

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


def print_changes(changes: Sequence[Change], *, as_json: bool) -> None:
    """The difference."""
    from mailwye.config.diff import as_dicts, as_text

    if as_json:
        print_json(as_dicts(changes))
    elif changes:
        for line in as_text(changes).splitlines():
            click.echo(escaped(line))


def print_wanted(changes: Sequence[Change], *, as_json: bool) -> None:
    """The difference before it is saved. Where nobody reads it to its end (`| head`), the command ends, and says that it saved nothing."""
    try:
        print_changes(changes, as_json=as_json)
    except BrokenPipeError:
        with open(os.devnull, "wb") as nobody:
            os.dup2(nobody.fileno(), sys.stdout.fileno())  # what is still buffered goes there at the end
        fail("nothing was saved: the difference was not read to its end; --dry-run only shows it", exit_codes.IO_ERROR)


def refuse_conflict(conflict: Conflict, *, as_json: bool) -> NoReturn:
    """Say what others changed and what both want, and end the command. Nothing was saved."""
    if as_json:
        print_json(conflict.to_dict())
    fail(
        f"{conflict}\nwhat was changed since version {conflict.base}:\n{conflict.difference}nothing was saved",
        exit_codes.TEMPORARY_FAILURE,
    )


def author_option() -> click.Option:
    """For commands whose --comment is something else."""
    return click.Option(["--author"], default="", help="Who changes it; default: the user who runs this.")


def refuse_gate_with_draft(draft: str, gating: Mapping[str, Any]) -> None:
    """A draft puts nothing in force: what guards that is asked for when it is activated."""
    given = [f"--{name.replace('_', '-')}" for name in ("pin_queued", "acknowledge", "require_replay") if gating.get(name)]
    if draft and given:
        raise click.UsageError(f"--draft puts nothing in force: give {', '.join(given)} to `mailwye draft activate {draft}`.")


def save_into_draft(
    installation: Installation,
    store: ConfigStore,
    stored: StoredDraft,
    plan: Plan,
    *,
    author: str,
    comment: str,
    dry_run: bool = False,
    quiet: bool = False,
    confirm: Callable[[], None] | None = None,
) -> int | None:
    """Save a plan that was made from the draft and shown; the number of the save, None with `dry_run` and where nothing changes. What
    the checks found keeps the draft from being activated, not from being saved.
    """
    from mailwye.config.diff import summary
    from mailwye.config.secrets import all_sealed

    name = stored.info.name
    if not all_sealed(plan.organization):
        fail("nothing was saved, see above: a draft keeps no password that is not encrypted", exit_codes.DATA_ERROR)
    if not plan.changes:
        click.echo(f"no change: the draft {name} already says this", err=quiet)
        return None
    if dry_run:
        return None
    if confirm is not None:
        confirm()
    changes = stored.changes.then(plan.change_set)
    info = store.save_draft(name, changes, expected_revision=stored.info.revision, author=author, at=now(), comment=comment)
    record(installation, "draft.save", name, f"save {info.revision}: {summary(plan.changes)}")
    errors = "; it has errors, which have to be corrected first" if plan.has_errors else ""
    activating = f"`mailwye draft activate {name}` puts it in force"
    click.echo(f"saved into draft {name} (save {info.revision}); {activating}{errors}", err=quiet)
    return info.revision


def put_in_force(
    installation: Installation,
    store: ConfigStore,
    plan: Plan,
    *,
    author: str,
    comment: str,
    gate: Gate,
    dry_run: bool = False,
    quiet: bool = False,
    confirm: Callable[[], None] | None = None,
) -> int | None:
    """Save a plan that has changes and was shown, and let the running service take it; the version, None with `dry_run`. `gate`: what
    stands before; `confirm`: asks somebody, and ends the command where he does not agree; `quiet`: words go to standard error.
    """
    from mailwye.config.diff import as_text, changes_of
    from mailwye.config.store import VersionConflict

    candidate = Candidate(store.load(plan.base), plan.organization)
    try:
        queued = gate.check(candidate, dry_run=dry_run, say=lambda text: _say(text, err=quiet), warn=lambda text: _say(text, err=True))
    except NotPutInForce as error:
        fail(str(error), error.exit_code)
    if dry_run:
        return None
    if confirm is not None:
        confirm()
    pinned = gate.pin(queued)
    try:
        version = plan.save(store, author=author, at=now(), comment=comment)
    except VersionConflict as error:
        theirs = as_text(changes_of(store.changes(error.expected, error.current)))
        kept = "; what was pinned is: `mailwye queue follow --all` lets it go" if pinned else ""
        fail(f"{error}; nothing was saved{kept}. Changed meanwhile:\n{theirs}", exit_codes.TEMPORARY_FAILURE)
    record_saved(installation, plan, version, comment or "command line", author=author)
    told = activate(installation, version)
    if gate.pin_queued:
        what = "delivery stays on its way" if pinned == 1 else "deliveries stay on their ways"
        click.echo(f"{pinned} queued {what} (pinned)", err=quiet)
    click.echo(told, err=quiet)
    return version


def _say(text: str, *, err: bool) -> None:
    click.echo(escaped(text), err=err)


def save_plan(
    installation: Installation,
    store: ConfigStore,
    plan: Plan,
    *,
    author: str,
    comment: str,
    gate: Gate,
    unchanged: str = "",
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Print what a plan would change, save it, and let the running service take it. `unchanged`: what to say where there is nothing,
    if the usual words do not say it; `gate`: what stands before the activation.
    """
    print_problems(plan.problems)
    if plan.has_errors:
        fail("nothing was saved, see above", exit_codes.DATA_ERROR)
    print_wanted(plan.changes, as_json=as_json)
    if not plan.changes:
        click.echo(unchanged or f"no change: version {plan.base} already says this", err=as_json)
        return
    put_in_force(installation, store, plan, author=author, comment=comment, gate=gate, dry_run=dry_run, quiet=as_json)
    if dry_run:
        sys.exit(exit_codes.DIFFERENCE)


def saved_line(author: str, at: float, comment: str) -> str:
    """`2026-11-28 04:12:00 by ann: why`."""
    return escaped(f"{local_time(at)} by {author}{f': {comment}' if comment else ''}")
