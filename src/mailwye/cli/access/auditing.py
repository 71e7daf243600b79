"""What commands write into the audit log. Whoever may run them on the data directory is an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.config.installation import Installation


def record(installation: Installation, who: str, action: str, target: str, result: str) -> None:
    """Write it down. A log that cannot be written is told of; what was done stays done."""
    from mailwye.access.audit import AuditError, Event
    from mailwye.runtime.clock import SystemClock
    from mailwye.stores import open_audit_log

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
