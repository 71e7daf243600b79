"""`mailwye user`: who may use the API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.account_store import account_store
from mailwye.cli.access.auditing import record
from mailwye.cli.access.totp import totp
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_table

if TYPE_CHECKING:
    from mailwye.access.roles import Role

ROLE_NAMES = (
    "Organization Management",
    "View-Only Organization Management",
    "Recipient Management",
    "Hygiene Management",
    "Help Desk",
)


role_option = click.option("--role", "roles", multiple=True, type=click.Choice(ROLE_NAMES, case_sensitive=False), help="Repeatable.")
stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")


@click.group()
def user() -> None:
    """Manage users of the API."""


user.add_command(totp)


@user.command()
@config_option
@click.argument("name")
@role_option
@stdin_option
def add(config: Path, name: str, roles: tuple[str, ...], *, password_stdin: bool) -> None:
    """Add the user NAME. Without --role he may do nothing."""
    from mailwye.access.accounts import User, new_user_name
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.passwords import hash_password

    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        name = new_user_name(name)
        given = _roles(roles)
        store.add_user(User(name, given, SystemClock().now()), hash_password(_password(name, from_stdin=password_stdin)))
    record(installation, "user.add", name, ", ".join(role.value for role in given) or "no role")
    click.echo(f"{name}: added")


@user.command()
@config_option
@click.argument("name")
@role_option
def role(config: Path, name: str, roles: tuple[str, ...]) -> None:
    """Give the user NAME these roles instead of those that he has."""
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        store.set_roles(name.lower(), _roles(roles))
    record(installation, "user.roles", name.lower(), ", ".join(roles) or "no role")
    click.echo(f"{name.lower()}: {', '.join(roles) or 'no role'}")


@user.command()
@config_option
@click.argument("name")
@stdin_option
def password(config: Path, name: str, *, password_stdin: bool) -> None:
    """Set a new password of the user NAME. His tokens stay."""
    from mailwye.runtime.passwords import hash_password

    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        store.set_password(name.lower(), hash_password(_password(name, from_stdin=password_stdin)))
    record(installation, "user.password", name.lower(), "set")
    click.echo(f"{name.lower()}: password set")


@user.command()
@config_option
@click.argument("name")
def remove(config: Path, name: str) -> None:
    """Remove the user NAME, with his tokens."""
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        store.remove_user(name.lower())
    record(installation, "user.remove", name.lower(), "gone")
    click.echo(f"{name.lower()}: gone")


@user.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(config: Path, *, as_json: bool) -> None:
    """List users and their roles."""
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        users = store.users()
    if as_json:
        print_json([one.to_dict() for one in users])
        return
    roles = {one.name: ", ".join(role.value for role in one.roles) for one in users}
    columns = ("User", "Roles", "Second factor", "Added")
    print_table(columns, [(one.name, roles[one.name], "TOTP" if one.totp else "", local_time(one.created)) for one in users])


def _roles(names: tuple[str, ...]) -> tuple[Role, ...]:
    from mailwye.access.roles import Role

    return tuple(Role(name) for name in dict.fromkeys(names))


def _password(name: str, *, from_stdin: bool) -> str:
    from mailwye.access.accounts import PASSWORD_OCTETS, check_password

    if not from_stdin:
        return check_password(str(click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True)))
    try:
        return check_password(sys.stdin.buffer.readline(PASSWORD_OCTETS + 2).decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        fail("the password on standard input is not UTF-8; nothing was changed", exit_codes.DATA_ERROR)
