"""`mailwye check`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, work_as_owner
from mailwye.cli.output import print_json, print_problems

if TYPE_CHECKING:
    from mailwye.config.problem import Problem


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

    problems = [*check_files(config, organization, now=SystemClock().now()), *_check_saved(config, whole=organization is None)]
    errors = sum(problem.is_error for problem in problems)
    if as_json:
        print_json(as_dicts(problems))
    else:
        print_problems(problems, err=False)
        click.echo(f"{errors} errors, {len(problems) - errors} warnings")
    sys.exit(exit_codes.CONFIGURATION if errors else 0)


def _check_saved(config: Path, *, whole: bool) -> list[Problem]:
    """What is wrong with the saved settings; not `whole`: only whether their passwords can be opened, where a file is checked that is to
    take their place. Nothing where no settings are saved, or this user may not read them.
    """
    from mailwye.config.check_files import check_saved
    from mailwye.config.installation.file import read_installation
    from mailwye.config.problem import Problem, Severity
    from mailwye.config.secrets import check_secrets
    from mailwye.config.store import ConfigStoreError
    from mailwye.stores import open_config_store, open_vault

    installation = read_installation(config).value
    if installation is None or not os.access(installation.data_directory / "config.sqlite", os.R_OK | os.W_OK):
        return []
    work_as_owner(installation)
    try:
        store = open_config_store(installation)
        try:
            saved, vault = store.current().organization, open_vault(installation)
            return list(check_saved(saved, installation, vault)) if whole else check_secrets(saved, vault)
        finally:
            store.close()
    except (ConfigStoreError, OSError) as error:
        return [Problem(f"the saved settings cannot be read: {error}", severity=Severity.WARNING)]
