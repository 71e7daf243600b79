"""`mailwye user totp`: the second factor of users of the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.account_store import account_store
from mailwye.cli.access.auditing import record
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import fail

if TYPE_CHECKING:
    from mailwye.access.accounts import AccountStore


@click.group()
def totp() -> None:
    """Ask users for a code of the moment beside the password, as apps show it (TOTP, RFC 6238)."""


@totp.command()
@config_option
@click.argument("name")
@click.option("--unconfirmed", is_flag=True, help="Do not ask for a code of the app first.")
def enable(config: Path, name: str, *, unconfirmed: bool) -> None:
    """Give the user NAME a second factor: prints its secret once. Nothing is changed until a code of the app fits. Tokens need no code."""
    from mailwye.access.second_factor import SecondFactor, app_address, new_secret, owner_of, step_of
    from mailwye.config.secrets import SecretError
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.entropy import secret_octets
    from mailwye.stores import open_vault

    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        name = _known(store, name)
        secret, step = new_secret(secret_octets), 0
        click.echo("for the app, as a QR code or by hand; it is not shown again:", err=True)
        click.echo(app_address(secret, name, installation.hostname))
        if not unconfirmed:
            step = step_of(secret, str(click.prompt("Code that the app shows now", err=True)), SystemClock().now())
            if not step:
                fail("this is no code of that secret; look at the clocks of both. Nothing was changed", exit_codes.DATA_ERROR)
        try:
            vault = open_vault(installation)
            with vault.alone():  # a rotation that drops the key meanwhile would not know of this secret
                store.set_second_factor(name, SecondFactor(vault.seal(secret, owner_of(name)), step))
        except SecretError as error:
            fail(str(error), exit_codes.IO_ERROR)
    record(installation, "user.totp", name, "enabled")
    click.echo(f"{name}: a code is asked for beside the password from now on", err=True)


@totp.command()
@config_option
@click.argument("name")
def disable(config: Path, name: str) -> None:
    """Ask the user NAME for his password alone again."""
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        name = _known(store, name)
        store.remove_second_factor(name)
    record(installation, "user.totp", name, "disabled")
    click.echo(f"{name}: the password alone opens again")


def _known(store: AccountStore, name: str) -> str:
    from mailwye.access.accounts import NoSuchAccount

    found = store.user(name.lower())
    if found is None:
        raise NoSuchAccount(f"there is no user {name}; `mailwye user list` shows them")
    return found.name
