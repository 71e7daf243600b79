"""Name servers that answer SERVFAIL or not at all for ten minutes, then again; and NXDOMAIN, which is a final answer, as the control."""

from __future__ import annotations

import asyncio
import time
from argparse import Namespace

from mailwye.testing.dns_server import Behaviour, DnsServer
from torture.gateway import PORT, Gateway
from torture.ledger import Pair
from torture.outage_scene import add_sinks, attempts, fake_clock, in_turn, organization, patient, sabotaged, until, verdict_rows
from torture.report import Result, Row
from torture.rig import Rig, rig

SINK = "far"
DOMAINS = 20
MINUTES = 10.0
DELAYS = (60, 120, 240, 480, 900, 1800, 3600)
SENDER = "user1@a.example"  # of an accepted domain: who may send anywhere, from an own server
SETTLE_SECONDS = 120.0
SAMPLE = 200


def _failing(number: int) -> Behaviour:
    return Behaviour.SERVFAIL if number % 2 else Behaviour.SILENT


def _zone(address: str) -> dict[str, dict[str, list[object]]]:
    zone: dict[str, dict[str, list[object]]] = {}
    for number in range(DOMAINS):
        zone[f"d{number}.far.example"] = {"MX": [(10, f"mail.d{number}.far.example")]}
        zone[f"mail.d{number}.far.example"] = {"A": [address]}
    return zone


async def _send(world: Rig, gateway: Gateway, options: Namespace, prefix: str, recipients: tuple[str, ...], messages: int) -> set[Pair]:
    workload = in_turn(prefix, recipients, octets=512, sender=SENDER)
    sender = world.sender(gateway, seed=options.seed, tls=False, workload=workload)
    sender.start(messages)
    await sender.finish()
    if sender.refused:
        raise RuntimeError(f"the service refused: {sender.refused[0]}")
    return {pair for pair in world.sent.promised if pair[0].startswith(f"{prefix}-")}


def _told(world: Rig, pairs: set[Pair]) -> int:
    """How many of them were returned."""
    notices = world.receiver.book.notices
    return sum(any("failed" in one.notice for one in notices.get(pair, ())) for pair in pairs)


def _after(world: Rig, gateway: Gateway, pairs: set[Pair], back: float) -> list[int]:
    """For a sample: attempts in vain after the service's time `back`."""
    ids = sorted(world.sent.promised[pair].queue_id for pair in pairs)
    tried = attempts(gateway, ids[:: max(1, len(ids) // SAMPLE)])
    return [sum(moment > back for moment in moments) for moments in tried.values()]


async def measure(options: Namespace) -> Result:
    """Ten minutes of the service's time without names, then names again, then the control."""
    messages, factor = options.messages or 10_000, options.factor or 20.0
    async with rig(options.where) as world:
        (sink,) = await add_sinks(world, [SINK])
        server = DnsServer(_zone(sink.address), ttl=0, negative_ttl=0)
        await server.start(f"{world.prefix}.53")
        gateway = _gateway(world, server, factor, options.sabotage)
        await gateway.start()
        started = time.time()
        server.behaviours = {
            name: _failing(number) for number in range(DOMAINS) for name in (f"d{number}.far.example", f"mail.d{number}.far.example")
        }
        recipients = tuple(f"somebody@d{number}.far.example" for number in range(DOMAINS))
        pairs = await _send(world, gateway, options, "names", recipients, messages)
        await asyncio.sleep(max(0.0, MINUTES * 60 / factor - (time.time() - started)))
        asked, early = len(server.questions), _told(world, pairs) + sink.taken
        server.behaviours = {}
        back = started + (time.time() - started) * factor
        began = time.monotonic()
        arrived = await until(lambda: len(pairs & world.receiver.book.arrivals.keys()) == len(pairs), SETTLE_SECONDS, every=0.2)
        recovered = len(pairs & world.receiver.book.arrivals.keys())
        took = (time.monotonic() - began) * factor
        nowhere = await _send(world, gateway, options, "nowhere", ("somebody@nxdomain.invalid.example",), 100)
        await until(lambda: _told(world, nowhere) == len(nowhere), 30)
        await gateway.stop()
        verdict = await world.verdict(gateway)
        again = _after(world, gateway, pairs, back + 6.0)  # a failed question is remembered for five seconds
        await server.stop()
    rows = (
        *verdict_rows(verdict),
        Row("questions that failed", str(asked), "more than 0", asked > 0),
        Row("bounced by, or delivered in, SERVFAIL and silence", str(early), "0", early == 0),
        Row("recovered", f"{recovered} of {len(pairs)}, within {took / 60:.1f} min of the service's time", "all", arrived),
        Row(
            f"further attempts in vain after names are back, of {len(again)}",
            f"at most {max(again, default=0)}",
            "at most 1",
            max(again, default=0) <= 1,
        ),
        Row(
            "control: NXDOMAIN bounced at once", f"{_told(world, nowhere)} of {len(nowhere)}", "all", _told(world, nowhere) == len(nowhere)
        ),
        Row("delivered twice", str(len(verdict.duplicates)), "0", not verdict.duplicates),
    )
    speed = f"{MINUTES:g} min of the service's time without names, {factor:g} times as fast"
    sizes = f"{messages} messages to {DOMAINS} domains, half SERVFAIL, half without an answer"
    return Result("outages-names", rows, (speed, sizes, f"seed {options.seed}"))


def _gateway(world: Rig, server: DnsServer, factor: float, sabotage: str) -> Gateway:
    """One that finds hosts by MX records, and relays for its own servers."""
    patience = patient(factor)
    own = {"Name": "From our servers", "ConnectorType": "OnPremises", "SenderDomains": ["*"], "SenderIPAddresses": ["127.0.0.0/8"]}
    return world.gateway(
        organization={**organization(world, [SINK]), "InboundConnector": [own]},
        settings={
            "limits": patience["limits"],
            "delivery": {**patience["delivery"], "mx_port": PORT, "allow_private_mx": True},
            "dns": {"nameservers": [server.nameserver], "timeout": 5.0},
            "queue": {"retry_delays": list(DELAYS)},
        },
        **sabotaged(sabotage, fake_clock(factor)),
    )
