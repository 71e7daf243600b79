"""`mailwye queue fsck`: proves that nothing that was acknowledged is lost, on the files of a running or a stopped service."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import ask_service, config_option, read, work_as_owner
from mailwye.cli.output import fail, print_json, print_table
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.queue.audit import Finding, QueueAudit, SpoolAudit

_COLUMNS = ("accepted", "delivered", "failed", "expired", "quarantined", "deleted", "lost", "corrupt", "queued", "held")
_TITLES = {"failed": "Bounced"}  # or refused for good without a notice, where none may be sent


@click.command()
@config_option
@click.option("--fast", is_flag=True, help="Only who waits for what: read no contents and not all of the file.")
@click.option("--no-trace", is_flag=True, help="Do not compare with the trace.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fsck(config: Path, *, fast: bool, no_trace: bool, as_json: bool) -> None:
    """Prove that every acknowledged (message, recipient) is exactly one of delivered, bounced, expired, quarantined, deleted, corrupt,
    queued or held, and can be read. Changes nothing; the service may run. Exit code 0: so it is; 3: it is not, and the output says why.
    """
    from mailwye.queue.audit import as_dict
    from mailwye.stores import audit_queues

    installation = read(config)
    work_as_owner(installation)
    found = audit_queues(
        installation, contents=not fast, with_trace=not no_trace, flush=lambda: ask_service(installation, "flush") is not None
    )
    if not found.spools:
        fail(f"there is no queue file in {installation.data_directory / 'queue'}: has the service ever run?", exit_codes.NO_INPUT)
    if as_json:
        print_json(as_dict(found))
    else:
        _print(found)
    if not found.is_clean:
        raise SystemExit(exit_codes.NOT_SOUND)


def _print(found: QueueAudit) -> None:
    print_table(
        ("Spool", *(_TITLES.get(name, name.capitalize()) for name in _COLUMNS), "Verdict"),
        [(one.spool, *(str(getattr(one.tally, name)) for name in _COLUMNS), _verdict(one)) for one in found.spools],
    )
    for one in found.spools:
        _print_findings(one.spool, one.findings, one.errors + one.notes)
    trace = found.trace
    if trace is not None:
        _print_findings("trace", trace.findings, trace.open + trace.ended)
        click.echo(
            f"trace: {trace.compared} recipients compared; {trace.open} with no end known and not queued, {trace.ended} ended and queued, "
            f"{trace.unknown} queued messages that it does not know"
        )
    accepted = sum(one.tally.accepted for one in found.spools)
    click.echo(
        f"clean: each of {accepted} accepted deliveries is in exactly one place and can be read"
        if found.is_clean
        else "NOT CLEAN: see above"
    )


def _verdict(one: SpoolAudit) -> str:
    return "clean" if one.is_clean else f"{one.errors} {'error' if one.errors == 1 else 'errors'}"


def _print_findings(place: str, findings: Iterable[Finding], count: int) -> None:
    shown = 0
    for one in findings:
        shown += 1
        whom = " ".join(part for part in (one.message, f"for {one.recipient}" if one.recipient else "") if part)
        click.echo(escaped(f"{place}: {'note' if one.is_note else 'ERROR'}: {whom + ': ' if whom else ''}{one.what}"))
        click.echo(escaped(f"    {one.remedy}"))
    if count > shown > 0:
        click.echo(f"{place}: and {count - shown} more")
