"""`mailwye trace`: what happened to messages, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import ask_service, config_option, read, work_as_owner
from mailwye.cli.output import fail, local_time, point_in_time, print_json, print_table
from mailwye.runtime.printable import escaped

STATUSES = ("Pending", "Delivered", "Failed", "Expanded", "Rejected", "Deleted")


@click.group(invoke_without_command=True)
@config_option
@click.option("--sender", default="", help="Address, or *@domain.")
@click.option("--recipient", default="", help="Address, or *@domain.")
@click.option("--message-id", default="", help="Header Message-ID or queue id.")
@click.option("--since", default="", help="2h, 3d, or a date; everything kept otherwise.")
@click.option("--status", default="", type=click.Choice(["", *STATUSES], case_sensitive=False))
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def trace(
    ctx: click.Context,
    config: Path,
    *,
    sender: str,
    recipient: str,
    message_id: str,
    since: str,
    status: str,
    limit: int,
    as_json: bool,
) -> None:
    """Find what happened to messages: one row per recipient, newest first. `trace show ID` tells every event with its reason."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = config
        return
    import msgspec

    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.store_error import StoreError
    from mailwye.stores import open_trace
    from mailwye.trace.recorder import TraceQuery

    installation = read(config)
    work_as_owner(installation)
    ask_service(installation, "flush")
    query = TraceQuery(
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        status=status.capitalize(),
        since=point_in_time(since, SystemClock().now()) if since else 0.0,
        limit=limit,
    )
    try:
        rows = open_trace(installation).search(query)
    except (StoreError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    if as_json:
        print_json([msgspec.to_builtins(row) for row in rows])
        return
    print_table(
        ("Received", "ID", "Sender", "Recipient", "Status", "Connector", "Detail"),
        [
            (
                local_time(row.received_at),
                row.message or row.session,
                row.sender,
                row.recipient,
                row.status,
                row.connector,
                row.detail,
            )
            for row in rows
        ],
    )


@trace.command()
@config_option
@click.argument("trace_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, config: Path, trace_id: str, *, as_json: bool) -> None:
    """Every event of one message (queue id) or session (session id), oldest first, with its reasons."""
    import msgspec

    from mailwye.runtime.store_error import StoreError
    from mailwye.stores import open_trace
    from mailwye.trace.presented import for_people

    source = ctx.get_parameter_source("config")
    installation = read(ctx.obj if source is not None and source.name == "DEFAULT" and ctx.obj else config)
    work_as_owner(installation)
    ask_service(installation, "flush")
    try:
        events = open_trace(installation).events(trace_id)
    except (StoreError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    if not events:
        fail(f"the trace knows no message or session {trace_id!r}; `mailwye trace` lists what it knows", exit_codes.NO_INPUT)
    plain = [msgspec.to_builtins(msgspec.structs.asdict(event), enc_hook=_plain) for event in events]
    for fields in plain:
        del fields["also"]  # a search gives each recipient an event of his own
        fields["data"] = for_people(fields["data"])
    if as_json:
        print_json(plain)
        return
    for event in plain:
        _print_event(event)


def _plain(value: Any) -> Any:
    return getattr(value, "value", str(value))


def _print_event(event: dict[str, Any]) -> None:
    head = [local_time(event["at"]), event["kind"].ljust(8), event["recipient"] or event["sender"]]
    head += [f"[{event['status']}]"] if event["status"] else []
    head += [f"connector {event['connector']!r}"] if event["connector"] else []
    click.echo(escaped("  ".join(head)))
    if event["reply"]:
        click.echo(escaped(f"    reply: {event['reply']}"))
    for reason in event["reasons"]:
        click.echo(escaped(f"    {reason}"))
    for name, value in event["data"].items():
        if value:
            click.echo(escaped(f"    {name}: {value}"))
    click.echo(escaped(f"    session {event['session']}, configuration version {event['config_version']}"))
