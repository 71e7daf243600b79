"""What commands write into the audit log. Whoever may run them on the data directory is an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailwye.cli.installation import work_as_owner
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.config.plan import Plan


def record_saved(installation: Installation, plan: Plan, version: int, target: str, *, author: str = "") -> None:
    """Write down that a plan was put in force. `author`: whom the version names, where that may be another one."""
    from mailwye.config.diff import summary
    from mailwye.runtime.privileges import current_user

    named = f" by {author}" if author not in ("", current_user()) else ""
    action, target = ("draft.activate", plan.draft.name) if plan.draft is not None else ("settings.save", target)
    record(installation, action, target, f"version {version}{named}: {summary(plan.changes)}")


def record(installation: Installation, action: str, target: str, result: str) -> None:
    """Write it down. A log that cannot be written is told of; what was done stays done. Gives up root."""
    from mailwye.access.audit import AuditError, Event
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.privileges import current_user
    from mailwye.stores import open_audit_log

    who = current_user()
    work_as_owner(installation)
    try:
        log = open_audit_log(installation)
    except (AuditError, OSError) as error:
        click.echo(f"mailwye: the audit log cannot be written: {escaped(str(error))}", err=True)
        return
    try:
        log.record(Event(SystemClock().now(), who, "command line", action, target, result))
    except AuditError as error:
        click.echo(f"mailwye: the audit log cannot be written: {escaped(str(error))}", err=True)
    finally:
        log.close()
