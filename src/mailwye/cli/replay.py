"""`mailwye replay`: recent traffic against other settings, before they are in force."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.candidate import NotPutInForce, candidate_of, queue_preview, replay_report
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, point_in_time, print_json
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.whatif.queued import QueuePreview
    from mailwye.whatif.replay import Report
    from mailwye.whatif.rows import ReplayedTraffic


@click.command()
@config_option
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path, allow_dash=True), help="YAML file as `apply` takes it, - for standard input."
)
@click.option("--prune", is_flag=True, help="As with `apply`: without objects of the kinds in the file that the file does not name.")
@click.option("--version", "version", type=int, help="An older version of the settings instead of a file.")
@click.option("--draft", "draft", default="", metavar="NAME", help="A draft of the settings instead of a file.")
@click.option("--since", default="24h", show_default=True, help="What came since: 24h, 7d, or a date; to the hour.")
@click.option("--examples", type=click.IntRange(0, 100), default=3, show_default=True, help="Messages shown of each difference.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(
    config: Path, *, file: Path | None, prune: bool, version: int | None, draft: str, since: str, examples: int, as_json: bool
) -> None:
    """Say what other settings would do to the mail that came lately and to the mail that waits: what would be routed, restricted or refused
    differently, grouped by difference. Nothing is changed. Exits 0 where nothing would differ, 2 where something would.
    """
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.store_error import StoreError
    from mailwye.whatif.queued import words_of

    if [file is not None, version is not None, bool(draft)].count(True) != 1:
        raise click.UsageError("Say which settings: -f FILE, --draft NAME or --version NUMBER.")
    installation = read(config)
    start = point_in_time(since, SystemClock().now())
    work_as_owner(installation)
    with config_store(installation) as store:
        candidate = candidate_of(store, installation, file=file, prune=prune, version=version, draft=draft)
    try:
        report = replay_report(installation, candidate, since=start, examples=examples)
        queued = queue_preview(installation, candidate)
    except NotPutInForce as error:
        fail(str(error), error.exit_code)
    except (StoreError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    if as_json:
        print_json(as_plain(report, queued))
    else:
        for line in (*report.lines(), *words_of(queued)):
            click.echo(escaped(line))
        if not report.outcome.total and not installation.replay.retention_days:
            click.echo("no traffic is recorded: set retention_days in [replay]", err=True)
    if not report.outcome.is_clean or queued.changed:
        sys.exit(exit_codes.DIFFERENCE)


def as_plain(report: Report, queued: QueuePreview) -> ReplayedTraffic:
    """Both for JSON."""
    from mailwye.whatif.rows import queue_row

    return {**report.to_dict(), "queue": queue_row(queued)}
