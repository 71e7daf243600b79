"""`mailwye explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import ask_service, config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, print_json
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.admin.explain import Resolved
    from mailwye.config.installation import Installation
    from mailwye.config.snapshot import Snapshot
    from mailwye.config.store import ConfigStore
    from mailwye.connectors.mailflow import Unwrap
    from mailwye.connectors.selection import Route
    from mailwye.outbound.courier import Hosts


@click.command()
@config_option
@click.option("--from", "sender", default="", help="MAIL FROM address, <> for the null sender.")
@click.option("--to", "recipient", default="", help="RCPT TO address.")
@click.option("--session", "trace_id", default="", help="A session or queue ID of the trace: decide about it again, with today's settings.")
@click.option("--ip", default="", help="The caller's address.")
@click.option("--certificate-name", default="", help="The caller presents a trusted certificate for this name, over TLS.")
@click.option("--auth", default="", help="The mailbox that the caller logged in as (submission).")
@click.option("--helo", default="", help="The name in his EHLO.")
@click.option("--tls", is_flag=True, help="The caller uses TLS (implied by --certificate-name and --auth).")
@click.option("--listener", default="", help="The listener that he came to, by its name (default: the first one of its kind).")
@click.option("--header", "header", multiple=True, metavar="'NAME: VALUE'", help="A header field, for rules that look at it; repeatable.")
@click.option("--version", "version", type=int, help="Decide with this version of the settings instead of the current one.")
@click.option("--draft", "draft", default="", metavar="NAME", help="Decide with this draft.")
@click.option("--resolve", is_flag=True, help="Look up the hosts of the route in the DNS.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(
    config: Path,
    *,
    sender: str,
    recipient: str,
    trace_id: str,
    ip: str,
    certificate_name: str,
    auth: str,
    helo: str,
    tls: bool,
    listener: str,
    header: tuple[str, ...],
    version: int | None,
    draft: str,
    resolve: bool,
    as_json: bool,
) -> None:
    """Say what would happen to a message, and why: who the caller would be, whether he may send there, what the recipient is, which mail
    flow rules match, which way out, and why every other connector lost. Nothing is sent. The answer comes from the functions that decide
    about real mail. Ask with --from and --to, or with --session about mail that came.
    """
    if draft and version is not None:
        raise click.UsageError("--version and --draft are two different settings: give one of them.")
    if trace_id:
        if sender or recipient or ip or certificate_name or auth or helo or tls:
            raise click.UsageError("--session takes everything from the trace: leave out what describes a message.")
        _explain_session(config, trace_id, version, draft, resolve=resolve, as_json=as_json)
        return
    for option, value in (("--from", sender), ("--to", recipient)):
        if not value:
            raise click.UsageError(f"Missing option '{option}' (or ask with --session ID).")
    from mailwye.admin.explain import explain as answer
    from mailwye.admin.explain import listener_of
    from mailwye.admin.explain_text import render
    from mailwye.admin.question import Question
    from mailwye.smtp.address import AddressError

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        snapshot = _snapshot(store, version, draft, as_json=as_json)
    try:
        kind, local = listener_of(installation, "submission" if auth else "mx", listener)
    except ValueError as error:
        fail(str(error), exit_codes.DATA_ERROR)
    question = Question(sender, recipient, ip, certificate_name, auth, helo, kind, tls or bool(auth), header=header, local=local)
    try:
        asked = (lambda route: _resolve(installation, route)) if resolve else None
        explanation = answer(snapshot, question, asked, _unwrap(installation) if recipient[:3].lower() == "srs" else None)
    except (AddressError, ValueError) as error:
        fail(str(error), exit_codes.DATA_ERROR)
    if as_json:
        print_json(explanation.to_dict())
    else:
        for line in render(explanation).splitlines():
            click.echo(escaped(line))


def _unwrap(installation: Installation) -> Unwrap:
    """Knows the senders that this installation rewrote."""
    from mailwye.message.sender_rewriting import SenderRewriting
    from mailwye.runtime.clock import SystemClock
    from mailwye.stores import installation_secret

    rewriting = SenderRewriting(installation_secret(installation), installation.limits.rewritten_sender_days)
    return lambda address: rewriting.unwrap(address, SystemClock().now())


def _snapshot(store: ConfigStore, version: int | None, draft: str, *, as_json: bool) -> Snapshot:
    """The settings that are asked about; which draft that is said before the answer, as its number is that of its base."""
    from mailwye.config.plan import draft_version
    from mailwye.stores import compiled

    if draft:
        stored = store.draft(draft)
        click.echo(f"draft {escaped(draft)}, made from version {stored.info.base}", err=as_json)
        return compiled(draft_version(store, stored))
    return compiled(store.current() if version is None else store.load(version))


def _explain_session(config: Path, trace_id: str, version: int | None, draft: str, *, resolve: bool, as_json: bool) -> None:
    from mailwye.admin.replay import render_replay, replay
    from mailwye.runtime.store_error import StoreError
    from mailwye.stores import open_trace

    installation = read(config)
    work_as_owner(installation)
    ask_service(installation, "flush")
    try:
        events = open_trace(installation).events(trace_id)
        if events and events[0].session not in ("", trace_id):  # a queue ID: the session that brought it knows the certificate
            events = open_trace(installation).events(events[0].session)
    except (StoreError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    if not events:
        fail(f"the trace knows no message or session {trace_id!r}; `mailwye trace` lists what it knows", exit_codes.NO_INPUT)
    with config_store(installation) as store:
        snapshot = _snapshot(store, version, draft, as_json=as_json)
    listeners = {one.name: (one.kind, str(one.binding)) for one in installation.listeners}
    try:
        asked = (lambda route: _resolve(installation, route)) if resolve else None
        wrapped = any(event.recipient[:3].lower() == "srs" or event.data.get("original", "")[:3].lower() == "srs" for event in events)
        again = replay(snapshot, events, listeners, asked, _unwrap(installation) if wrapped else None)
    except ValueError as error:
        fail(str(error), exit_codes.DATA_ERROR)
    if as_json:
        print_json(again.to_dict())
    else:
        for line in render_replay(again).splitlines():
            click.echo(escaped(line))


def _resolve(installation: Installation, route: Route) -> Resolved:
    from mailwye.transport.policy_store import PolicyStoreError

    try:
        return resolve_route(installation, route)
    except PolicyStoreError as error:
        fail(str(error), exit_codes.IO_ERROR)


def resolve_route(installation: Installation, route: Route) -> Resolved:
    """The route's hosts as the DNS has them now, in the order in which they would be tried; or why there are none. Blocks.

    :raises PolicyStoreError: transport.sqlite cannot be used.
    """
    import asyncio

    from mailwye.admin.explain import Resolved
    from mailwye.outbound.protection import demands

    found = asyncio.run(_hosts(installation, route))
    failure = str(found.failure) if found.failure is not None else ""
    return Resolved(tuple(map(str, found.hosts)), failure, (*found.reasons, *demands(found.hosts)))


async def _hosts(installation: Installation, route: Route) -> Hosts:
    """As a worker finds them, with the policies that are kept; a policy that is fetched for the question is kept too."""
    from mailwye.app import dns_resolver, route_resolver, sts_policies
    from mailwye.certificates import ClientTls
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.entropy import system_random
    from mailwye.runtime.network import SystemNetwork

    clock = SystemClock()
    resolver = dns_resolver(installation, clock)
    policies = sts_policies(
        installation, resolver, SystemNetwork(), clock, ClientTls(installation), lambda text: click.echo(text, err=True)
    )
    try:
        return await route_resolver(installation, resolver, system_random(), policies).hosts(route)
    finally:
        await policies.close()
        await resolver.close()
