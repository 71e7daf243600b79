"""`mailwye tls-report`: what connections to other domains met, as their TLS reports say it."""

from __future__ import annotations

from pathlib import Path

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import fail, print_json


@click.group("tls-report")
def tls_report() -> None:
    """TLS reports (RFC 8460): what connections to other domains met."""


@tls_report.command()
@config_option
@click.option("--date", "day", default="", help="The UTC day, as 2026-11-28; today where it is left out.")
@click.option("--domain", default="", help="Only this recipient domain.")
def show(config: Path, *, day: str, domain: str) -> None:
    """Print the reports of one day as JSON, a list with one report for each domain, whether they were sent or not. Results of the last half
    minute may be missing.
    """
    from mailwye.runtime.clock import SystemClock
    from mailwye.stores import open_result_store
    from mailwye.transport.policy_store import PolicyStoreError
    from mailwye.transport.tls_report import Submitter, day_of, report, start_of

    installation = read(config)
    work_as_owner(installation)
    day = day or day_of(SystemClock().now())
    try:
        start_of(day)
    except ValueError:
        fail(f"not a date: {day!r}; write it as 2026-11-28", exit_codes.DATA_ERROR)
    submitter = Submitter(installation.hostname, installation.transport.tls_report_contact, installation.hostname)
    try:
        store = open_result_store(installation)
        found = [report(day, one, store.results(day, one), submitter) for one in store.domains(day) if not domain or one == domain.lower()]
        store.close()
    except PolicyStoreError as error:
        fail(str(error), exit_codes.IO_ERROR)
    print_json(found)
