"""Every command of the command line has a route, or says in docs/api.md why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from mailwye.__main__ import COMMANDS
from mailwye.admin.api.permissions import ROUTES, path_of
from mailwye.cli.command_table import Commands
from mailwye.cli.objects.verbs import Verb, kebab
from mailwye.config.schema import KINDS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "api.md"
PLURALS = {kebab(kind): path_of(kind) for kind in KINDS}
WITHOUT = {"certificate request", "completion", "demo", "serve", "user totp disable", "user totp enable"}
"""A new exception has to be argued here too, in a review."""


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The whole tree, groups that do something by themselves too. Kinds of objects are one command for each verb."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    if command.invoke_without_command and path:
        yield " ".join(path)
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        shown = "KIND" if isinstance(command, Verb) and name in PLURALS else name
        yield from commands(found, (*path, shown))


def table() -> list[tuple[str, str]]:
    section = PAGE.read_text().partition("## Commands and routes")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([a-z A-Z-]+)` \| (.*) \|$", section, re.MULTILINE)


def routes(cell: str) -> list[str]:
    """The routes in a cell, those of kinds for each of them."""
    named = re.findall(r"`((?:GET|PUT|PATCH|POST|DELETE) /[^`]*)`", cell)
    return [route.replace("KINDs", plural) for route in named for plural in (PLURALS.values() if "KINDs" in route else [""])]


def test_every_command_has_a_row_and_every_row_a_command() -> None:
    rows = [command for command, _ in table()]
    assert len(rows) == len(set(rows))
    assert set(rows) == set(commands(Commands(COMMANDS)))
    assert len(rows) > 60


def test_every_row_has_routes_that_exist_or_says_why_not() -> None:
    for command, cell in table():
        found = routes(cell)
        assert [route for route in found if route not in ROUTES] == [], command
        assert bool(found) is not cell.startswith("none: "), command
    assert {command for command, cell in table() if cell.startswith("none: ")} == WITHOUT


def test_every_route_is_of_some_command() -> None:
    """What is left is about the caller and the API itself."""
    used = {route for _, cell in table() for route in routes(cell)}
    assert set(ROUTES) - used == {"GET /me", "GET /openapi.json"}


def test_a_command_without_a_row_is_found() -> None:
    table_with = {**COMMANDS, "dance": COMMANDS["status"]}
    assert set(commands(Commands(table_with))) - {command for command, _ in table()} == {"dance"}
