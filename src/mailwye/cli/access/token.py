"""`mailwye token`: keys for programs that use the API."""

from __future__ import annotations

from pathlib import Path

import click

from mailwye.cli.access.account_store import account_store
from mailwye.cli.access.auditing import record
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import local_time, print_json, print_table


@click.group()
def token() -> None:
    """Manage tokens: keys of the API that carry some of a user's permissions, and expire."""


@token.command()
@config_option
@click.argument("name", metavar="USER")
@click.option("--scope", "scopes", multiple=True, help="A permission, such as queue.read; repeatable. Default: all that USER may.")
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True)
@click.option("--comment", default="", help="What it is for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def new(config: Path, name: str, scopes: tuple[str, ...], days: int, comment: str, *, as_json: bool) -> None:
    """Make a token of USER and print it. It is shown this once."""
    from mailwye.access.accounts import NoSuchAccount
    from mailwye.access.new_token import make_token
    from mailwye.access.roles import Permission
    from mailwye.config.problem import did_you_mean
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.entropy import secret_octets

    known = {permission.value: permission for permission in Permission}
    for scope in scopes:
        if scope not in known:
            raise click.UsageError(f"there is no scope {scope}. {did_you_mean(scope, known, otherwise=', '.join(known))}")
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        owner = store.user(name.lower())
        if owner is None:
            raise NoSuchAccount(f"there is no user {name}; `mailwye user list` shows them")
        carried = frozenset(known[scope] for scope in scopes) or owner.permissions
        made, secret, digest = make_token(owner.name, carried, comment, days=days, now=SystemClock().now(), secret=secret_octets)
        store.add_token(made, digest)
    record(installation, "token.new", f"{made.id} of {owner.name}", ", ".join(sorted(scope.value for scope in carried)))
    if as_json:
        print_json({"id": made.id, "secret": secret, "expires": made.expires})
        return
    click.echo(f"token {made.id}, good until {local_time(made.expires)}; keep it, it is not shown again:", err=True)
    click.echo(secret)


@token.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(config: Path, *, as_json: bool) -> None:
    """List tokens, without their secrets."""
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        tokens = store.tokens()
    scopes = {one.id: sorted(scope.value for scope in one.scopes) for one in tokens}
    if as_json:
        rows = [(one, {"id": one.id, "user": one.user, "comment": one.comment, "scopes": scopes[one.id]}) for one in tokens]
        print_json([{**row, "created": one.created, "expires": one.expires} for one, row in rows])
        return
    columns = ("Token", "User", "Comment", "Scopes", "Expires")
    print_table(columns, [(one.id, one.user, one.comment, ", ".join(scopes[one.id]), local_time(one.expires)) for one in tokens])


@token.command()
@config_option
@click.argument("token_id", metavar="ID")
def revoke(config: Path, token_id: str) -> None:
    """Revoke the token ID: it opens nothing from now on."""
    installation = read(config)
    work_as_owner(installation)
    with account_store(installation) as store:
        store.remove_token(token_id)
    record(installation, "token.revoke", token_id, "gone")
    click.echo(f"{token_id}: revoked")
