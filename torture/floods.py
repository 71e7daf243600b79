"""Thousands of idle connections and tricklers against the real service: the organization's own mail still gets through, strangers are
greeted, memory stays within its budget, and who trickles is cut.

The crowd is in processes of its own (flood_clients.py), because one process may have 20,000 descriptors.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from torture.flood_crowd import Crowd, crowd, p99, resident
from torture.report import Result, Row, file_system
from torture.rig import Gateway, Rig, rig

OWN = "127.9.9.9"  # the organization's own server
RECIPIENT = "somebody@torture.example"
RATE_GRACE = 30.0  # seconds of content before the minimum rate counts (smtp/server.py)
CUT_SLACK = 5.0
PLAIN_OCTETS, TLS_OCTETS = 25_000, 80_000
RESERVED, STRANGERS = 500, 100  # connections for the own servers, and for new strangers beside the flood
SESSIONS = 4  # of the own server
PATIENCE = 30.0  # how long to wait for a cut that does not come


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--tls", type=int, default=10_000, help="idle connections with TLS, in a run of their own")
    parser.add_argument("--tricklers", type=int, default=1_000)
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="of mail, for each rate; three times that is less than the shortest deadline"
    )
    parser.add_argument("--command-timeout", type=float, default=60.0, help="the limit of that name: idle connections end by it, too")
    parser.add_argument("--no-reserve", action="store_true", help="sabotage: keep no connections for the own servers")
    parser.add_argument("--stop-when-full", action="store_true", help="end before the tricklers are cut")
    parser.add_argument("--lenient", action="store_true", help="judge no rate and no latency: the machine has other things to do")


class _Run:
    """One service and its crowds."""

    def __init__(self, options: argparse.Namespace, gateway: Gateway) -> None:
        self.options = options
        self.gateway = gateway
        self.rows: list[Row] = []
        self.rates: dict[str, float] = {}  # messages a second from the own server

    def check(self, what: str, measured: str, wanted: str = "", *, good: bool = True) -> None:
        self.rows.append(Row(what, measured, wanted, good))

    def check_speed(self, what: str, measured: str, wanted: str, *, good: bool) -> None:
        self.rows.append(Row(what, measured) if self.options.lenient else Row(what, measured, wanted, good))

    def crowd(self, role: str, block: int, **more: Any) -> AbstractAsyncContextManager[Crowd]:
        """A role of flood_clients.py, with sources from 127.`block`."""
        where = {"address": self.gateway.address, "port": self.gateway.port, "recipient": RECIPIENT}
        return crowd({"role": role, "block": block, "per_source": 90, **where, **more})

    async def mail_and_probe(self) -> tuple[float, list[float], dict[str, int], dict[str, int]]:
        """Messages a second from the own server; milliseconds to 220 of new strangers, sorted; their codes; what was refused the server."""
        async with self.crowd("probe", 11) as prober:
            async with self.crowd("mail", 9, source=OWN, sessions=SESSIONS, seconds=self.options.seconds) as sender:
                sent = await sender.hear()
            prober.tell()
            probed = await prober.hear()
        return sent["accepted"] / sent["seconds"], probed["milliseconds"], probed["codes"], sent["refused"]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.gateway.pid}/fd"))

    def resident(self) -> int:
        return resident(self.gateway.pid)

    async def emptied(self, wanted: int) -> bool:
        """Whether the service has no more than `wanted` descriptors soon."""
        for _ in range(200):
            if self.descriptors() <= wanted:
                return True
            await asyncio.sleep(0.1)
        return False


async def run(options: argparse.Namespace) -> Result:
    """The whole test; see the module."""
    async with rig(options.where) as world:
        acts = (_flood, _tls_memory) if options.tls else (_flood,)
        if options.lenient:
            rows = [row for found in await asyncio.gather(*(_with_service(options, world, act) for act in acts)) for row in found]
        else:  # nothing beside what is measured
            rows = [row for act in acts for row in await _with_service(options, world, act)]
        conditions = (
            f"{options.idle} idle, {options.tls} idle with TLS, {options.tricklers} tricklers from 127.0.0.0/8",
            f"command_timeout {options.command_timeout:g} s",
            f"own mail: {SESSIONS} sessions, 1 KiB, as fast as it is taken, {options.seconds:g} s for each rate",
            file_system(world.where),
        )
    return Result("floods", tuple(rows), conditions)


async def _with_service(options: argparse.Namespace, world: Rig, act: Callable[[_Run], Awaitable[None]]) -> list[Row]:
    """A new service with a next hop, so that memory is counted from the start."""
    settings = {
        "limits": {
            "connections": options.idle + options.tricklers + STRANGERS + RESERVED,
            "connections_reserved_for_connectors": 0 if options.no_reserve else RESERVED,
            "connections_per_address": 100,
            "command_timeout": options.command_timeout,
        }
    }
    async with crowd({"role": "sink"}) as sink:
        hop = {"Name": "To our server", "ConnectorType": "OnPremises", "AllAcceptedDomains": True, "UseMXRecord": False}
        organization: dict[str, object] = {
            "MailUser": [],
            "AcceptedDomain": [{"DomainName": "torture.example", "DomainType": "InternalRelay", "Default": True}],
            "InboundConnector": [
                {"Name": "From our server", "ConnectorType": "OnPremises", "SenderDomains": ["*"], "SenderIPAddresses": [OWN]}
            ],
            "OutboundConnector": [{**hop, "SmartHosts": [f"127.0.0.1:{(await sink.hear())['port']}"]}],
        }
        gateway = world.gateway(settings=settings, organization=organization)
        await gateway.start()
        one = _Run(options, gateway)
        try:
            await act(one)
        finally:
            await gateway.stop()
    return one.rows


async def _flood(one: _Run) -> None:
    options = one.options
    before, *_ = await one.mail_and_probe()
    descriptors, empty = one.descriptors(), one.resident()
    async with one.crowd("idle", 1, count=options.idle) as idle:
        heard = await idle.hear()
        one.check(
            "idle connections that were taken",
            f"{heard['ready']} in {heard['seconds']:.1f} s",
            f"{options.idle}",
            good=heard["ready"] == options.idle,
        )
        each = (one.resident() - empty) / max(1, heard["ready"])
        one.check("memory of an idle plain connection", f"{each / 1000:.1f} KB", "<= 25 KB", good=each <= PLAIN_OCTETS)
        peak = await _tricklers(one)
    if options.stop_when_full:
        return
    await _gone(one, descriptors, peak)
    after, *_ = await one.mail_and_probe()
    usual = (before + after) / 2
    one.check("own mail without the flood", f"{usual:.0f}/s: {before:.0f}/s before, {after:.0f}/s after")
    for what, rate in one.rates.items():
        one.check_speed(what, f"{rate:.0f}/s, {rate / usual:.0%}", ">= 90 %", good=rate >= 0.9 * usual)


async def _tricklers(one: _Run) -> int:
    """The flood at its height: the resident memory then."""
    options = one.options
    async with one.crowd("trickle", 2, count=options.tricklers, patience=options.command_timeout + PATIENCE) as tricklers:
        begun = (await tricklers.hear())["begun"]
        one.check("tricklers that began", f"{begun}", f"{options.tricklers}", good=begun == options.tricklers)
        rate, milliseconds, codes, refused = await one.mail_and_probe()
        peak = one.resident()
        one.rates["own mail in the flood"] = rate
        one.check("own mail refused in the flood", f"{refused or 0}", "0", good=not refused)
        one.check("220 to a new client, p50", f"{milliseconds[len(milliseconds) // 2]:.1f} ms")
        slow = p99(milliseconds)
        one.check_speed("220 to a new client, p99", f"{slow:.1f} ms of {len(milliseconds)}", "<= 100 ms", good=slow <= 100)
        one.check("new clients greeted", f"{codes}", "all 220", good=set(codes) == {"220"})
        async with one.crowd("idle", 3, count=STRANGERS + RESERVED + 200) as late:
            await late.hear()
            await _full(one)
        if options.stop_when_full:
            return peak
        cut = await tricklers.hear()
        deadline = options.command_timeout
        one.check("tricklers never cut", f"{cut['uncut']}", "0", good=not cut["uncut"])
        for where, limit in (("command", deadline), ("content", RATE_GRACE)):
            low, high = cut[where]
            good = limit - 0.5 <= low and high <= limit + CUT_SLACK
            one.check(f"tricklers in a {where} cut after", f"{low:.1f} to {high:.1f} s", f"{limit:g} to {limit + CUT_SLACK:g} s", good=good)
        one.check("what tricklers heard", f"{cut['replies']}", "421", good=set(cut["replies"]) == {"421"})
    return peak


async def _full(one: _Run) -> None:
    """All connections that strangers may have are taken."""
    rate, _, codes, refused = await one.mail_and_probe()
    one.check("new strangers when all connections are taken", f"{codes}", "421", good=set(codes) == {"421"})
    one.rates["own mail when all connections are taken"] = rate
    one.check("own mail refused when all connections are taken", f"{refused or 0}", "0", good=not refused)
    words = one.gateway.log.read_text()
    said = [line for line in words.splitlines() if "connections" in line and "refused" in line]
    one.check("lines of the log that say so", f"{len(said)}", "1 to 5", good=0 < len(said) <= 5)


async def _gone(one: _Run, descriptors: int, peak: int) -> None:
    """The flood is over: nothing stays, and a second one needs no more memory than the first."""
    empty = await one.emptied(descriptors)
    one.check("descriptors after the flood", f"{one.descriptors()}, {descriptors} before", "no more", good=empty)
    async with one.crowd("idle", 1, count=one.options.idle) as idle:
        await idle.hear()
        again = one.resident()
        one.check("memory of a second flood", f"{again / peak:.0%} of the first", "<= 105 %", good=again <= 1.05 * peak)
    await one.emptied(descriptors)


async def _tls_memory(one: _Run) -> None:
    async with one.crowd("idle", 1, tls=True, count=50) as idle:  # what the first handshakes load stays out of the account
        await idle.hear()
    before = one.resident()
    async with one.crowd("idle", 1, tls=True, count=one.options.tls) as idle:
        heard = await idle.hear()
        one.check(
            "idle connections with TLS that were taken",
            f"{heard['ready']} in {heard['seconds']:.1f} s",
            f"{one.options.tls}",
            good=heard["ready"] == one.options.tls,
        )
        each = (one.resident() - before) / max(1, heard["ready"])
        one.check("memory of an idle TLS connection", f"{each / 1000:.1f} KB", "<= 80 KB", good=each <= TLS_OCTETS)
