"""`mailwye demo`: set up a throw-away installation on loopback and tell the story of John, Bob and Sun with it."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.entropy import system_random
from mailwye.testing.demo_world import (
    ADMIN_PORT,
    BOB_PASSWORD,
    MX_PORT,
    SUBMISSION_PORT,
    DemoError,
    DemoWorld,
    free_addresses,
)
from mailwye.testing.story import STORY, Told, tell


@click.command()
@click.option("--stay", is_flag=True, help="Keep everything running afterwards, to play with, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def demo(*, stay: bool, as_json: bool) -> None:
    """Set up a throw-away Mailwye on loopback and let John, Bob and Sun exchange mail through it.

    Exits 0 only if every row came out as it must, judged by what really arrived at the other ends.
    """
    with tempfile.TemporaryDirectory(prefix="mailwye-demo-") as directory:
        try:
            passed = asyncio.run(_run(Path(directory), stay=stay, as_json=as_json))
        except DemoError as error:
            click.echo(f"The demo could not run: {error}", err=True)
            sys.exit(70)
        except KeyboardInterrupt:
            click.echo("\nThe demo is over; its data is gone.")
            return
    sys.exit(0 if passed else 1)


async def _run(directory: Path, *, stay: bool, as_json: bool) -> bool:
    addresses = free_addresses(system_random())
    async with DemoWorld(directory, addresses, SystemClock()) as world:
        rows = [await tell(world, row, number) for number, row in enumerate(STORY, 1)]
        connectors = await _connectors(world)
        rows = [_with_connector(told, connectors.get(told.message_id, "")) for told in rows]
        passed = all(told.passed for told in rows)
        if as_json:
            click.echo(json.dumps([_as_dict(told) for told in rows], indent=2))
        else:
            _print(rows)
        if not passed:
            click.echo(f"What the service logged:\n{world.log.read_text(errors='replace')}", err=True)
        if stay:
            _print_how_to_play(world)
            await asyncio.Event().wait()
    return passed


async def _connectors(world: DemoWorld) -> dict[str, str]:
    """Message-ID → the connectors that the trace names for it, way in and way out."""
    rows = json.loads(await world.command("trace", "--json"))
    found: dict[str, list[str]] = {}
    for row in rows:
        events = json.loads(await world.command("trace", "show", row["message"], "--json")) if row["message"] else []
        names = [event["connector"] for event in events if event.get("connector")]
        found.setdefault(row["message_id"], []).extend(names)
    return {message_id: " > ".join(dict.fromkeys(names)) for message_id, names in found.items()}


def _with_connector(told: Told, connector: str) -> Told:
    """The row with the connectors that the trace names; failed where they are not the expected one."""
    told = replace(told, connector=connector)
    if not told.passed or told.row.refusal:
        return told
    expected = told.row.connector
    taken = connector.split(" > ") if connector else []
    if (expected in taken) if expected else not taken:
        return told
    result = f"arrived, but through {connector or 'no connector'} instead of {expected or 'no connector'}"
    return replace(told, passed=False, result=result)


def _as_dict(told: Told) -> dict[str, object]:
    return {
        "from": told.row.sender,
        "to": told.row.recipient,
        "way": told.row.way,
        "connector": told.connector,
        "result": told.result,
        "milliseconds": round(told.milliseconds, 1),
        "passed": told.passed,
    }


def _print(rows: list[Told]) -> None:
    table = Table(title="John, Bob and Sun")
    for column in ("", "From", "To", "Way", "Connector", "Result"):
        table.add_column(column, overflow="fold")
    table.add_column("ms", justify="right")
    for told in rows:
        mark = "ok" if told.passed else "FAILED"
        row = told.row
        table.add_row(mark, row.sender, row.recipient, row.way, told.connector, told.result, f"{told.milliseconds:.0f}")
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(table)
    passed = sum(told.passed for told in rows)
    console.print(f"{passed} of {len(rows)} rows came out as they must.")


def _print_how_to_play(world: DemoWorld) -> None:
    at = world.addresses.service
    config = world.configuration
    click.echo(
        f"""
It keeps running until Ctrl-C. In another terminal:
  swaks --server {at} --port {MX_PORT} --from sun@example.net --to john@contoso.com
  swaks --server {at} --port {SUBMISSION_PORT} --tls --auth-user bob@contoso.com --auth-password '{BOB_PASSWORD}' \\
        --from bob@contoso.com --to sun@example.net
  mailwye explain --config {config} --from sun@example.net --to john@sales.contoso.com
  mailwye trace --config {config}
  mailwye queue list --config {config}
  curl http://{at}:{ADMIN_PORT}/readyz
Bob's mailbox: {world.bobs_maildir}"""
    )
