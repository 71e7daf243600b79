"""`mailwye queue`: list and manage queued messages, through the running service or on its files while none runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailwye.cli import exit_codes
from mailwye.cli.access.auditing import record
from mailwye.cli.installation import ask_service, config_option, config_store, missing_words, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_table
from mailwye.cli.queue_fsck import fsck
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.queue.engine import QueueEngine

F = TypeVar("F", bound=Callable[..., Any])

ROWS_PRINTED = 1_000  # of what was changed, in JSON

MARKS = {"leased": "*", "held": "!", "corrupt": "?"}  # as Postfix's mailq marks active and held messages; and what cannot be read


@click.group()
def queue() -> None:
    """List and manage queued messages."""


queue.add_command(fsck)


def _selection(command: F) -> F:
    """Which deliveries a command works on."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="All of them."),
        click.option("--next-hop", default="", help="Those of one way out: mailbox, connector:NAME, mx:DOMAIN."),
        click.option("--recipient", default="", help="Address, or *@domain."),
        click.option("--sender", default="", help="Address, or *@domain."),
        click.argument("message_id", metavar="[ID]", default=""),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    ):
        command = option(command)
    return config_option(command)


def _ask(config: Path, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    installation = read(config)
    work_as_owner(installation)
    return ask_queue(installation, operation, arguments)


def ask_queue(installation: Installation, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One operation of admin/queue_operations.py, by the running service, or on its files while none runs."""
    answer: dict[str, Any] | None = ask_service(installation, f"queue.{operation}", **arguments)
    if answer is None:
        import asyncio  # a running service is asked without

        return asyncio.run(_offline(installation, operation, arguments))
    if answer.get("missing"):
        _say(f"{missing_words(answer)}: what is in its queue is not in this answer")
    return answer


def change_queue(installation: Installation, operation: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The same for an operation that changes something, to its end."""
    answer = ask_queue(installation, operation, wanted)
    while answer.pop("unfinished", False):
        rest = ask_queue(installation, operation, {**wanted, "after": answer["after"]})
        answer = {**rest, "count": answer["count"] + rest["count"], "rows": (answer["rows"] + rest["rows"])[:ROWS_PRINTED]}
    del answer["after"]
    return answer


def _say(text: str) -> None:
    click.echo(f"mailwye: {escaped(text)}", err=True)


async def _offline(installation: Installation, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """No service runs: open its queue files here."""
    from mailwye.admin import queue_operations
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.store_error import StoreError
    from mailwye.stores import current_snapshot, open_queue, open_trace_recorder, queue_numbers

    engines: list[QueueEngine] = []
    trace = None
    try:
        engines.extend(open_queue(installation, number, _say) for number in queue_numbers(installation))
        if operation in queue_operations.CHANGES:
            trace = open_trace_recorder(installation, 0, _say)
        snapshot = None
        if operation in queue_operations.WAY_OPERATIONS:
            with config_store(installation) as store:
                snapshot = current_snapshot(store)
        return await queue_operations.run(operation, arguments, engines, clock=SystemClock(), trace=trace, snapshot=snapshot)
    except (StoreError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    finally:
        for engine in engines:
            await engine.close()
        if trace is not None:
            await trace.close()


@queue.command("list")
@config_option
@click.option("--sender", default="", help="Address, or *@domain.")
@click.option("--recipient", default="", help="Address, or *@domain.")
@click.option("--next-hop", default="")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(config: Path, *, sender: str, recipient: str, next_hop: str, limit: int, as_json: bool) -> None:
    """List queued deliveries, oldest first. `*`: an attempt is under way, `!`: held, `?`: corrupt."""
    rows = _ask(config, "list", {"sender": sender, "recipient": recipient, "next_hop": next_hop, "limit": limit})["rows"]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "Received", "Size", "Sender", "Recipient", "Next hop", "Attempts", "Due", "Last error"),
        [
            (
                row["message"] + MARKS.get(row["state"], ""),
                local_time(row["received_at"]),
                str(row["size"]),
                row["sender"],
                row["recipient"],
                row["next_hop"],
                str(row["attempts"]),
                local_time(row["due"]),
                row["last_error"],
            )
            for row in rows
        ],
    )
    if len(rows) >= limit:
        click.echo(f"(the first {limit}; --limit shows more)")


@queue.command()
@config_option
@click.argument("message_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config: Path, message_id: str, *, as_json: bool) -> None:
    """Show one queued message: its deliveries and its header."""
    answer = _ask(config, "show", {"message_id": message_id})
    if answer["rows"]:
        record(read(config), "content.read", message_id, "header section")
    if not answer["rows"]:
        fail(f"no message {message_id!r} is queued; `mailwye trace show {message_id}` tells what became of it", exit_codes.NO_INPUT)
    if as_json:
        print_json(answer)
        return
    for row in answer["rows"]:
        for name, value in row.items():
            shown = local_time(value) if name in ("received_at", "due") else str(value)
            click.echo(escaped(f"{name:16} {shown}"))
        click.echo()
    for line in answer["header"].splitlines():
        click.echo(escaped(line))


def _changing(operation: str, past: str, help_text: str) -> None:
    """Define one command that changes deliveries."""

    @queue.command(operation, help=help_text)
    @_selection
    def command(config: Path, *, message_id: str, sender: str, recipient: str, next_hop: str, everything: bool, as_json: bool) -> None:
        if not (message_id or sender or recipient or next_hop or everything):
            fail(f"say which: an ID, --sender, --recipient, --next-hop, or --all to {operation} everything", exit_codes.USAGE)
        wanted = {"message_id": message_id, "sender": sender, "recipient": recipient, "next_hop": next_hop, "limit": 10_000_000}
        installation = read(config)
        work_as_owner(installation)
        answer = change_queue(installation, operation, wanted)
        chosen = ", ".join(f"{key}={value}" for key, value in wanted.items() if value and key != "limit") or "all"
        record(installation, f"queue.{operation}", chosen, f"{answer['count']} deliveries")
        if as_json:
            print_json(answer)
        else:
            click.echo(f"{answer['count']} {'delivery' if answer['count'] == 1 else 'deliveries'} {past}")
        if not answer["count"] and message_id:
            raise SystemExit(exit_codes.NO_INPUT)


_changing("retry", "due now", "Try queued deliveries now instead of when they are due.")
_changing("hold", "held", "Hold queued deliveries until they are released.")
_changing("release", "released", "Release held deliveries: they are due at once.")
_changing("pin", "pinned", "Keep queued deliveries on the way that they have, whatever the settings say from now on.")
_changing(
    "follow",
    "set to follow the settings",
    "Let queued deliveries take the way of the settings: forgets pins and connectors of rules.",
)
_changing("delete", "deleted", "Delete queued or held deliveries. Nobody is notified; the trace keeps their story.")


@queue.group()
def corrupt() -> None:
    """Messages that cannot be read any more, as damage of disk or memory leaves them: list, save what is there, delete."""


@corrupt.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def corrupt_list(config: Path, *, as_json: bool) -> None:
    """List what was set aside as corrupt. `mailwye queue fsck` finds what was not met yet."""
    rows = _ask(config, "list", {"states": ["corrupt"], "limit": 10_000})["rows"]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "Sender", "Recipient", "Subject or what is wrong", "Last error"),
        [(row["message"], row["sender"], row["recipient"], row["subject"], row["last_error"]) for row in rows],
    )


@corrupt.command("export")
@config_option
@click.argument("message_id", metavar="ID")
@click.option("--to", "target", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new file.")
def corrupt_export(config: Path, message_id: str, target: Path) -> None:
    """Save the content of a queued message as it is stored, damaged or not: an .eml file to look at, mend and send again."""
    from mailwye.runtime.store_error import StoreError
    from mailwye.stores import export_content

    installation = read(config)
    try:
        with target.open("xb") as file:  # before root is given up: the file is the administrator's
            work_as_owner(installation)
            octets = export_content(installation, message_id, file)
    except FileExistsError:
        fail(f"{target} exists already; name a new file", exit_codes.USAGE)
    except (StoreError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    if not octets:
        fail(f"nothing is stored of a message {message_id!r}; `mailwye queue corrupt list` names those there are", exit_codes.NO_INPUT)
    record(installation, "content.read", message_id, f"{octets} octets to a file")
    click.echo(f"{octets} octets written to {target}")


@corrupt.command("delete")
@config_option
@click.argument("message_id", metavar="[ID]", default="")
@click.option("--all", "everything", is_flag=True, help="All of them.")
def corrupt_delete(config: Path, message_id: str, *, everything: bool) -> None:
    """Delete what was set aside as corrupt. Nobody is notified; the ledger counts it as deleted by an administrator."""
    if not (message_id or everything):
        fail("say which: an ID, or --all", exit_codes.USAGE)
    wanted = {"message_id": message_id, "states": ["corrupt"], "limit": 10_000_000}
    answer = _ask(config, "delete", wanted)
    count = answer["count"]
    while answer.get("unfinished"):
        answer = _ask(config, "delete", {**wanted, "after": answer["after"]})
        count += answer["count"]
    record(read(config), "queue.delete", message_id or "all that is corrupt", f"{count} deliveries")
    click.echo(f"{count} {'delivery' if count == 1 else 'deliveries'} deleted")
    if not count:
        raise SystemExit(exit_codes.NO_INPUT)
