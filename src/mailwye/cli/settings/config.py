"""`mailwye config`: the versions of the settings: who changed what, what differs, and back again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.candidate import Gate, gate_options
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_table
from mailwye.cli.settings.saving import author_of, print_changes, save_plan, saved_line, saving_options

if TYPE_CHECKING:
    from mailwye.config.store import ConfigStore, VersionInfo
    from mailwye.config.versions.changes import ChangeSet
    from mailwye.config.versions.drafts import DraftSave

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
object_option = click.option(
    "--object", "wanted", nargs=2, metavar="KIND NAME", help="One object only, such as: --object OutboundConnector 'To our servers'."
)


@click.group()
def config() -> None:
    """See who changed what in the settings, compare versions, and make an older one active again."""


@config.command()
@config_option
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many versions are looked at.")
@object_option
@json_option
def log(config: Path, limit: int, wanted: tuple[str, str] | None, *, as_json: bool) -> None:
    """List versions, newest first; the first line is the current one. With --object: those that changed that object."""
    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        versions = list(store.history(limit))
        if wanted:
            place = _place(*wanted)
            versions = [one for one in versions if _of(store.changes(one.parent, one.version), place)]
    print_versions(versions, as_json=as_json)


@config.command()
@config_option
@click.argument("version", type=int, required=False)
@object_option
@json_option
def show(config: Path, version: int | None, wanted: tuple[str, str] | None, *, as_json: bool) -> None:
    """Show what VERSION (default: the current one) changed, who saved it, when and why. With --object: that object as it was then.

    `mailwye export --version VERSION` prints all of it.
    """
    from mailwye.config.diff import as_dicts, changes_of

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        stored = store.current() if version is None else store.load(version)
        if wanted:
            _print_object(store, stored.version, _place(*wanted), as_json=as_json)
            return
        info, saves = stored.info, store.saves(stored.version)
        changes = changes_of(store.changes(info.parent, info.version))
    if as_json:
        print_json({**info.to_dict(), "saves": [save.to_dict() for save in saves], "changes": as_dicts(changes)})
        return
    click.echo(f"version {info.version}, made from version {info.parent}, saved {saved_line(info.author, info.at, info.comment)}")
    for line in _origin(info, saves):
        click.echo(line)
    print_changes(changes, as_json=False)


@config.command("diff")
@config_option
@click.argument("old", type=int)
@click.argument("new", type=int, required=False)
@json_option
def diff_(config: Path, old: int, new: int | None, *, as_json: bool) -> None:
    """Show what differs between versions OLD and NEW (default: the current one). Exits 0 whether or not something does."""
    from mailwye.config.diff import changes_of

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        changes = changes_of(store.changes(old, store.version() if new is None else new))
    print_changes(changes, as_json=as_json)
    if not changes:
        click.echo("no difference", err=as_json)


@config.command()
@config_option
@click.argument("version", type=int)
@click.option("--dry-run", is_flag=True, help="Print the difference, save nothing; exits 2 where there is one.")
@saving_options
@gate_options
@json_option
def activate(config: Path, version: int, *, dry_run: bool, author: str, comment: str, as_json: bool, **gating: Any) -> None:
    """Make the content of VERSION current again, as a new version: in all workers together, within a second."""
    _back(config, version, dry_run=dry_run, author=author, comment=comment, as_json=as_json, **gating)


@config.command()
@config_option
@click.argument("version", type=int, required=False)
@click.option("--dry-run", is_flag=True, help="Print the difference, save nothing; exits 2 where there is one.")
@saving_options
@gate_options
@json_option
def rollback(config: Path, version: int | None, *, dry_run: bool, author: str, comment: str, as_json: bool, **gating: Any) -> None:
    """Take the latest change back: the version before it, or VERSION, is current again, as a new version.

    A second rollback takes back the change before that one. Passwords of mailboxes that come back work again.
    """
    _back(config, version, dry_run=dry_run, author=author, comment=comment, as_json=as_json, **gating)


def _back(path: Path, version: int | None, *, dry_run: bool, author: str, comment: str, as_json: bool, **gating: Any) -> None:
    from mailwye.config.plan import before_latest, plan_version
    from mailwye.stores import open_vault

    installation = read(path)
    author = author_of(author)
    work_as_owner(installation)
    with config_store(installation) as store:
        current = store.current()
        if not current.version:
            fail("nothing was saved yet: there is nothing to go back to", exit_codes.DATA_ERROR)
        older = before_latest(store) if version is None else store.load(version)
        if version is None and not older.version:
            words = "is the first one: before it there were no settings and all mail was refused"
            fail(f"version {current.version} {words}; if that is meant: mailwye config rollback 0", exit_codes.DATA_ERROR)
        save_plan(
            installation,
            store,
            plan_version(current, older, installation=installation, vault=open_vault(installation)),
            author=author,
            comment=comment or f"back to version {older.version}",
            unchanged=f"no change: version {current.version} has the content of version {older.version}",
            gate=Gate.of(installation, **gating, goes_back=True),
            dry_run=dry_run,
            as_json=as_json,
        )


def print_versions(versions: Sequence[VersionInfo], *, as_json: bool) -> None:
    """A table, or JSON."""
    if as_json:
        print_json([info.to_dict() for info in versions])
        return
    rows = [(str(v.version), local_time(v.at), v.author, _what(v), v.comment) for v in versions]
    print_table(("Version", "Saved", "Author", "From", "Comment"), rows)


def _what(info: VersionInfo) -> str:
    return f"version {info.restores}" if info.restores else f"draft {info.draft}" if info.draft else ""


def _origin(info: VersionInfo, saves: Sequence[DraftSave]) -> Iterator[str]:
    if info.restores:
        yield f"it has the content of version {info.restores} again"
    if info.draft:
        yield f"it was the draft {info.draft}, built by {len(saves)} saves:"
        yield from (f"  {saved_line(save.author, save.at, save.comment)}" for save in saves)


def _place(kind: str, name: str) -> tuple[str, str]:
    """(kind in its spelling, identity). An unknown kind ends the command."""
    from mailwye.config.problem import did_you_mean
    from mailwye.config.schema import KINDS, OrganizationSettings

    kinds = {each.lower(): each for each in (OrganizationSettings.kind, *KINDS)}
    found = kinds.get(kind.lower())
    if found is None:
        hint = did_you_mean(kind, kinds.values(), otherwise=f"there are: {', '.join(kinds.values())}")
        fail(f"{kind} is no kind of object. {hint}", exit_codes.DATA_ERROR)
    return found, "" if found == OrganizationSettings.kind else name.lower()


def _of(changes: ChangeSet, place: tuple[str, str]) -> bool:
    return any((change.kind, change.identity) == place for change in changes)


def _print_object(store: ConfigStore, version: int, place: tuple[str, str], *, as_json: bool) -> None:
    from mailwye.config.export import object_yaml, to_plain

    kind, identity = place
    organization = store.load(version).organization
    things = (organization.organization,) if kind == organization.organization.kind else organization.objects(kind)
    found = next((thing for thing in things if thing.identity == identity), None)
    if found is None:
        fail(f'version {version} has no {kind} "{identity}"', exit_codes.NO_INPUT)
    if as_json:
        print_json({"version": version, "object": kind, **to_plain(found)})
    else:
        click.echo(object_yaml(found), nl=False)
