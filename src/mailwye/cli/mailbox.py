"""`mailwye mailbox`: hosted mailboxes and their passwords."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.auditing import record
from mailwye.cli.candidate import Gate, gate_options
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, print_json, print_table
from mailwye.cli.settings.saving import author_of, save_plan

if TYPE_CHECKING:
    from mailwye.config.schema import Mailbox, Organization
    from mailwye.config.store import ConfigStore


@click.group()
def mailbox() -> None:
    """Manage hosted mailboxes and their passwords."""


@mailbox.command()
@config_option
@click.argument("address")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@gate_options
def add(config: Path, address: str, *, password_stdin: bool, **gating: Any) -> None:
    """Add the mailbox ADDRESS, or set a new password where it exists."""
    from mailwye.config.parse import read_organization
    from mailwye.config.plan import plan_file

    installation = read(config)
    gate = Gate.of(installation, **gating)
    address = _canonical(address)
    password = _password(address, from_stdin=password_stdin)
    author = author_of("")
    work_as_owner(installation)
    with config_store(installation) as store:
        current = store.current()
        if _exists(current.organization, address):
            click.echo("the mailbox exists already")
        else:
            parsed = read_organization(f"Mailbox:\n  - PrimarySmtpAddress: {_quoted(address)}\n", "command line")
            plan = plan_file(current, parsed, installation=installation)
            save_plan(installation, store, plan, author=author, comment=f"mailbox add {address}", gate=gate)
        _set_password(store, address, password)
    record(installation, "mailbox.password", address, "set")
    click.echo(f"{address}: password set")


@mailbox.command()
@config_option
@click.argument("address")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
def password(config: Path, address: str, *, password_stdin: bool) -> None:
    """Set a new password for an existing mailbox."""
    installation = read(config)
    address = _canonical(address)
    work_as_owner(installation)
    with config_store(installation) as store:
        if not _exists(store.current().organization, address):
            fail(f"there is no mailbox {address}; `mailwye mailbox add {address}` makes it", exit_codes.NO_INPUT)
        _set_password(store, address, _password(address, from_stdin=password_stdin))
    record(installation, "mailbox.password", address, "set")
    click.echo(f"{address}: password set")


@mailbox.command()
@config_option
@click.argument("address")
@gate_options
def remove(config: Path, address: str, **gating: Any) -> None:
    """Remove a mailbox from the settings, with its password. Its stored mail stays where it is."""
    from mailwye.config.plan import plan_organization

    installation = read(config)
    gate = Gate.of(installation, **gating)
    address = _canonical(address)
    author = author_of("")
    work_as_owner(installation)
    with config_store(installation) as store:
        current = store.current()
        if not _exists(current.organization, address):
            fail(f"there is no mailbox {address}; `mailwye mailbox list` shows them", exit_codes.NO_INPUT)
        kept = tuple(one for one in current.organization.mailboxes if not _is(one, address))
        plan = plan_organization(current, current.organization.changed(mailboxes=kept), installation=installation)
        save_plan(installation, store, plan, author=author, comment=f"mailbox remove {address}", gate=gate)


@mailbox.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(config: Path, *, as_json: bool) -> None:
    """List hosted mailboxes, their aliases, and whether they have a password."""
    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        rows = [
            {
                "PrimarySmtpAddress": str(one.primary_smtp_address),
                "EmailAddresses": [str(alias) for alias in one.email_addresses],
                "has_password": store.password_hash(str(one.primary_smtp_address)) is not None,
            }
            for one in store.current().organization.mailboxes
        ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Mailbox", "Aliases", "Password"),
        [(row["PrimarySmtpAddress"], ", ".join(row["EmailAddresses"]), "set" if row["has_password"] else "none") for row in rows],  # type: ignore[misc,arg-type]  # a row's values by name
    )


def _canonical(address: str) -> str:
    """As the directory writes it, so that its password is found again. Ends the command where it is no address (A8)."""
    from mailwye.smtp.address import AddressError, parse_address

    try:
        return str(parse_address(address))
    except AddressError as error:
        fail(str(error), exit_codes.DATA_ERROR)


def _exists(organization: Organization, address: str) -> bool:
    return any(_is(one, address) for one in organization.mailboxes)


def _is(mailbox: Mailbox, address: str) -> bool:
    return str(mailbox.primary_smtp_address).lower() == address.lower()


def _quoted(text: str) -> str:
    """A YAML scalar that means `text`, whatever it holds."""
    import json

    return json.dumps(text)


def _password(address: str, *, from_stdin: bool) -> str:
    from mailwye.access.mailbox_passwords import OCTETS_MAXIMUM, PasswordRefused, check_mailbox_password

    if from_stdin:
        try:
            value = sys.stdin.buffer.readline(OCTETS_MAXIMUM + 2).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            fail("the password on standard input is not UTF-8; nothing was changed", exit_codes.DATA_ERROR)
    else:
        value = click.prompt(f"Password for {address}", hide_input=True, confirmation_prompt=True)
    try:
        check_mailbox_password(str(value))
    except PasswordRefused as error:
        fail(str(error), exit_codes.DATA_ERROR)
    return str(value)


def _set_password(store: ConfigStore, address: str, value: str) -> None:
    from mailwye.runtime.passwords import hash_password

    store.set_password(address, hash_password(value))
