"""`mailwye explain`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, print_json
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.admin.explain import Resolved
    from mailwye.config.installation import Installation
    from mailwye.connectors.selection import Route
    from mailwye.outbound.courier import Hosts


@click.command()
@config_option
@click.option("--from", "sender", required=True, help="MAIL FROM address, <> for the null sender.")
@click.option("--to", "recipient", required=True, help="RCPT TO address.")
@click.option("--ip", default="", help="The caller's address.")
@click.option("--certificate-name", default="", help="The caller presents a trusted certificate for this name, over TLS.")
@click.option("--auth", default="", help="The mailbox that the caller logged in as (submission).")
@click.option("--helo", default="", help="The name in his EHLO.")
@click.option("--tls", is_flag=True, help="The caller uses TLS (implied by --certificate-name and --auth).")
@click.option("--resolve", is_flag=True, help="Look up the hosts of the route in the DNS.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(
    config: Path,
    *,
    sender: str,
    recipient: str,
    ip: str,
    certificate_name: str,
    auth: str,
    helo: str,
    tls: bool,
    resolve: bool,
    as_json: bool,
) -> None:
    """Say what would happen to a message, and why: who the caller would be, whether he may send there, what the recipient is, which way
    out, and why every other connector lost. Nothing is sent. The answer comes from the functions that decide about real mail.
    """
    from mailwye.admin.explain import Question, render
    from mailwye.admin.explain import explain as answer
    from mailwye.smtp.address import AddressError
    from mailwye.stores import current_snapshot

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        snapshot = current_snapshot(store)
    question = Question(
        sender=sender, recipient=recipient, ip=ip, certificate_name=certificate_name, auth=auth, helo=helo, tls=tls or bool(auth)
    )
    try:
        explanation = answer(snapshot, question, (lambda route: _resolve(installation, route)) if resolve else None)
    except (AddressError, ValueError) as error:
        fail(str(error), exit_codes.DATA_ERROR)
    if as_json:
        print_json(explanation.to_dict())
    else:
        for line in render(explanation).splitlines():
            click.echo(escaped(line))


def _resolve(installation: Installation, route: Route) -> Resolved:
    """The route's hosts as the DNS has them now, in the order in which they would be tried; or why there are none."""
    from mailwye.admin.explain import Resolved
    from mailwye.outbound.protection import demands
    from mailwye.transport.policy_store import PolicyStoreError

    try:
        found = asyncio.run(_hosts(installation, route))
    except PolicyStoreError as error:
        fail(str(error), exit_codes.IO_ERROR)
    failure = str(found.failure) if found.failure is not None else ""
    return Resolved(tuple(map(str, found.hosts)), failure, (*found.reasons, *demands(found.hosts)))


async def _hosts(installation: Installation, route: Route) -> Hosts:
    """As a worker finds them, with the policies that are kept; a policy that is fetched for the question is kept too."""
    from mailwye.app import ClientTls, dns_resolver, route_resolver, sts_policies
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
