"""`mailwye check`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option
from mailwye.cli.output import print_json


@click.command()
@config_option
@click.option("-f", "--file", "organization", type=click.Path(path_type=Path), help="An organization's YAML file to check too.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def check(config: Path, organization: Path | None, *, as_json: bool) -> None:
    """Find every error in the configuration files at once, each with its file, line and remedy.

    Exits 0 without errors (warnings may be printed), 78 with them.
    """
    from mailwye.config.check_files import check_files
    from mailwye.config.problem import as_dicts
    from mailwye.runtime.clock import SystemClock

    problems = check_files(config, organization, now=SystemClock().now())
    errors = sum(problem.is_error for problem in problems)
    if as_json:
        print_json(as_dicts(problems))
    else:
        for problem in problems:
            click.echo(f"{problem.severity.value}: {problem}")
        click.echo(f"{errors} errors, {len(problems) - errors} warnings")
    sys.exit(exit_codes.CONFIGURATION if errors else 0)
