"""`mailwye secrets`: the passwords with which connectors log in at smart hosts, and the key under which they are saved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.account_store import account_store
from mailwye.cli.candidate import Gate, gate_options
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, print_json, print_table
from mailwye.cli.settings.saving import author_of, save_plan

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.config.schema import Organization
    from mailwye.config.store import ConfigStore, StoredVersion

LINE_LIMIT = 8_192  # octets of a password's line on standard input


@click.group()
def secrets() -> None:
    """Passwords with which connectors log in at smart hosts, and the key under which they are saved."""


@secrets.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(config: Path, *, as_json: bool) -> None:
    """List who logs in as whom, and whether the saved password can be opened."""
    from dataclasses import asdict

    from mailwye.config.secrets.changes import logins
    from mailwye.stores import open_vault

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        rows = [asdict(one) for one in logins(store.current().organization, open_vault(installation))]
    if as_json:
        print_json(rows)
        return
    lines = [(row["object"], row["name"], row["user_name"], row["problem"] or "can be opened") for row in rows]
    print_table(("Object", "Name", "User name", "Password"), lines)


@secrets.command("set")
@config_option
@click.argument("connector")
@click.option("--user-name", help="The account's name; the saved one otherwise.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@gate_options
def set_(config: Path, connector: str, *, user_name: str | None, password_stdin: bool, **gating: Any) -> None:
    """Let CONNECTOR log in at its smart hosts with this password: it need not stand in a file."""
    from mailwye.config.secrets.changes import NoSuchLogin, find_connector, name_of, with_password
    from mailwye.config.versions.changes import ChangeSet, ObjectChange

    installation = read(config)
    gate = Gate.of(installation, **gating)
    password = _password(connector, from_stdin=password_stdin)
    author = author_of("")
    work_as_owner(installation)
    with config_store(installation) as store:
        current = store.current()
        try:
            kind, thing = find_connector(current.organization, connector)
        except NoSuchLogin as error:
            fail(str(error), exit_codes.NO_INPUT)
        try:
            changed = with_password(thing, user_name, password)
        except ValueError as error:
            fail(f"{error}; nothing was changed", exit_codes.DATA_ERROR)
        wanted = ChangeSet.of([ObjectChange(kind, thing.identity, thing, changed)]).applied_to(current.organization)
        _save(installation, store, current, wanted, author=author, comment=f"secrets set {name_of(thing)}", gate=gate)


@secrets.command()
@config_option
@click.option("--drop-old-keys", is_flag=True, help="Forget the keys before: older versions of the settings lose their passwords.")
def rotate(config: Path, *, drop_old_keys: bool) -> None:
    """Make a new key and encrypt every saved password, and secrets of second factors, with it. The old key stays in the file for older
    versions of the settings.
    """
    from mailwye.config.secrets import SecretError, check_secrets
    from mailwye.config.secrets.changes import open_factors, seal_factors, sealed_anew
    from mailwye.stores import credential_key_file, open_vault

    installation = read(config)
    author = author_of("")
    work_as_owner(installation)
    vault = open_vault(installation)
    try:
        with vault.alone(), config_store(installation) as store:
            current = store.current()
            if closed := check_secrets(current.organization, vault):
                fail("\n".join(map(str, closed)) + "\nThe key was not changed", exit_codes.DATA_ERROR)
            if drop_old_keys:
                _expect_no_drafts(store)
                _expect_no_pins(installation, current)
            with account_store(installation) as accounts:
                factors = open_factors(accounts, vault)
            vault.rotate()
            click.echo(f"{credential_key_file(installation)} has a new key: back it up")
            with account_store(installation) as accounts:
                seal_factors(accounts, vault, factors)
            wanted = sealed_anew(current.organization, vault)
            _save(installation, store, current, wanted, author=author, comment="secrets rotate", gate=Gate.open(installation))
            if drop_old_keys:
                click.echo(f"{vault.drop_old_keys()} old keys dropped")
    except SecretError as error:
        fail(str(error), exit_codes.IO_ERROR)


def _expect_no_drafts(store: ConfigStore) -> None:
    """Passwords in drafts are not sealed anew: they would be lost with the old keys."""
    from mailwye.config.secrets.changes import drafts_with_passwords

    if drafts := drafts_with_passwords(store):
        what = f"passwords in the draft {', '.join(drafts)} would be lost with the old keys: activate or discard it first"
        fail(f"{what}. The key was not changed", exit_codes.DATA_ERROR)


def _expect_no_pins(installation: Installation, current: StoredVersion) -> None:
    """Neither are those that only the pins of queued deliveries hold."""
    from mailwye.config.secrets.changes import PINNED
    from mailwye.runtime.store_error import StoreError
    from mailwye.stores import pinned_passwords

    try:
        count = pinned_passwords(installation, current)
    except StoreError as error:
        fail(f"{error}. The key was not changed", exit_codes.IO_ERROR)
    if count:
        fail(f"{PINNED.format(count=count)}. The key was not changed", exit_codes.DATA_ERROR)


def _save(
    installation: Installation, store: ConfigStore, current: StoredVersion, wanted: Organization, *, author: str, comment: str, gate: Gate
) -> None:
    from mailwye.config.plan import plan_organization
    from mailwye.stores import open_vault

    plan = plan_organization(current, wanted, installation=installation, vault=open_vault(installation))
    save_plan(installation, store, plan, author=author, comment=comment, gate=gate)


def _password(connector: str, *, from_stdin: bool) -> str:
    if not from_stdin:
        return str(click.prompt(f"Password of connector {connector}", hide_input=True))
    try:
        return sys.stdin.buffer.readline(LINE_LIMIT).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        fail("the password on standard input is not UTF-8; nothing was changed", exit_codes.DATA_ERROR)
