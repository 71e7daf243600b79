"""Two organizations, A and B, put in force in turn under load. Each recognises the caller by a connector of its own name, and knows its
own way for the same recipients, to its own sink: a message with decisions of both is seen in its trace, and at a sink.

Then saves are killed (kill -9 of `mailwye apply`) at random moments: what is current afterwards is A or B, never a mixture.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import dataclass, field

import yaml

from mailwye.config.export import to_json
from mailwye.config.installation import Installation
from mailwye.config.installation.file import read_installation
from mailwye.config.parse import read_organization
from mailwye.config.plan import plan_organization
from mailwye.config.schema import Organization
from mailwye.runtime.channel import call
from mailwye.stores import open_config_store, open_trace
from mailwye.trace.event import EventKind, TraceEvent
from torture.gateway import Gateway, RigError
from torture.outage_scene import CountedSink, add_sinks, addresses, in_turn, percentile, sabotaged, until, verdict_rows
from torture.report import Result, Row
from torture.rig import Rig, rig

MAIL_FOR = "flip"
SIDES = ("A", "B")
RATE = 200.0
SESSIONS = 20
EFFECT_SECONDS = 1.0
APPLY_SECONDS = 2.0  # a save is killed at a random moment within it
OWN = "ours.example"  # known to one side by one user, to the other by another: what the recipient check is asked


def add_arguments(parser: ArgumentParser) -> None:
    """How often."""
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--sabotage", default="", help="break the service on purpose, to see the test fail (torture/outage_sabotage.py)")
    parser.add_argument("--kills", type=int, default=50, help="saves that are killed")
    parser.add_argument("--rate", type=float, default=10.0, help="flips a second")
    parser.add_argument("--messages-rate", type=float, default=RATE, help="messages a second")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="how many workers serve, one run for each")


@dataclass(slots=True)
class _Seen:
    """What the traces of a run say."""

    messages: int = 0
    mixed: list[str] = field(default_factory=list)
    sides: Counter[str] = field(default_factory=Counter)
    rerouted: int = 0  # accepted under one version, tried under a newer one
    wrong_sink: int = 0


class _Flipper:
    """Saves A and B in turn, as `mailwye apply` does, without the start of a process for each."""

    def __init__(self, world: Rig, gateway: Gateway, sinks: list[CountedSink]) -> None:
        installation = read_installation(gateway.config).value
        assert installation is not None
        self.installation: Installation = installation
        self.gateway = gateway
        self.files = {}
        self.organizations: dict[str, Organization] = {}
        for side, sink in zip(SIDES, sinks, strict=True):
            path = gateway.home / f"{side}.yaml"
            path.write_text(yaml.safe_dump(_organization(world, side, sink)))
            parsed = read_organization(path)
            assert parsed.value is not None, parsed.problems
            self.files[side] = path
            self.organizations[side] = parsed.value
        self.store = open_config_store(installation)
        self.sides: dict[int, str] = {}  # version → side
        self.effects: list[float] = []

    def close(self) -> None:
        """Give the store back."""
        self.store.close()

    async def flip(self, side: str) -> None:
        """Save, tell the service, wait until it says that the version is in force."""
        plan = plan_organization(self.store.current(), self.organizations[side], installation=self.installation)
        if plan.has_errors:
            raise RigError(f"{side}: {plan.problems}")
        began = time.monotonic()
        version = await asyncio.to_thread(plan.save, self.store, author="torture", at=time.time(), comment=side)
        self.sides[version] = side
        socket = str(self.installation.data_directory / "run" / "control.sock")
        answer = await asyncio.to_thread(call, socket, "activate")
        self.effects.append(time.monotonic() - began)
        if answer["version"] < version:
            raise RigError(f"version {version} was saved, {answer['version']} is in force")

    def current(self) -> str:
        """The side that is current, "" for neither."""
        text = to_json(self.store.current().organization)
        return next((side for side, one in self.organizations.items() if to_json(one) == text), "")


def _organization(world: Rig, side: str, sink: CountedSink) -> dict[str, object]:
    """One side: everything that differs bears its name."""
    base = world.organization()
    domains, users, connectors = base["AcceptedDomain"], base["MailUser"], base["OutboundConnector"]
    assert isinstance(domains, list)
    assert isinstance(users, list)
    assert isinstance(connectors, list)
    inbound = {"Name": f"In {side}", "ConnectorType": "OnPremises", "SenderDomains": ["*"], "SenderIPAddresses": ["127.0.0.0/8"]}
    way = {"Name": f"Out {side}", "ConnectorType": "OnPremises", "RecipientDomains": [f"{MAIL_FOR}.example", OWN], "UseMXRecord": False}
    contacts = [{"PrimarySmtpAddress": address, "DisplayName": f"Known to {side}"} for address in addresses((MAIL_FOR,))]
    return {
        **base,
        "AcceptedDomain": [*domains, {"DomainName": f"{MAIL_FOR}.example"}, {"DomainName": "senders.example"}, {"DomainName": OWN}],
        "MailUser": [*users, *contacts, {"PrimarySmtpAddress": f"only-{side.lower()}@{OWN}"}],
        "InboundConnector": [inbound],
        "OutboundConnector": [*connectors, {**way, "SmartHosts": [f"{sink.address}:{sink.port}"]}],
    }


def _judge(seen: _Seen, queue_id: str, events: list[TraceEvent], sides: dict[int, str], sink: str) -> None:
    """One message. Its acceptance must be of one version throughout, and each attempt of one; the sink must be that of the attempt."""
    seen.messages += 1
    way_in = [event for event in events if event.kind in (EventKind.RECEIVE, EventKind.ROUTE)]
    sent = [event for event in events if event.kind is EventKind.SEND]
    if not way_in or len(sent) != 1:
        seen.mixed.append(f"{queue_id}: its trace is not whole: {[event.kind.value for event in events]}")
        return
    versions = {event.config_version for event in way_in}
    side = sides.get(way_in[0].config_version, "?")
    names = {event.connector for event in way_in}
    if len(versions) != 1 or names != {f"In {side}", f"Out {side}"}:
        seen.mixed.append(f"{queue_id}: accepted under {versions} ({side}) by {names}")
    attempt = sides.get(sent[0].config_version, "?")
    if sent[0].connector != f"Out {attempt}" or sink != f"sink{attempt}":
        seen.mixed.append(f"{queue_id}: sent under {sent[0].config_version} ({attempt}) by {sent[0].connector} to {sink}")
        seen.wrong_sink += 1
    seen.rerouted += sent[0].config_version not in versions
    seen.sides[side] += 1


def _traces(world: Rig, flipper: _Flipper) -> _Seen:
    seen = _Seen()
    search = open_trace(flipper.installation)
    for pair, record in world.sent.promised.items():
        arrivals = world.receiver.book.arrivals.get(pair, ())
        if arrivals:
            _judge(seen, record.queue_id, list(search.events(record.queue_id)), flipper.sides, arrivals[0].sink)
    return seen


async def _probe(gateway: Gateway, flipper: _Flipper, answers: Counter[str], stop: asyncio.Event) -> None:
    """One kept session that asks, in each of its transactions, for two recipients of whom each side knows one: exactly one may be taken."""
    reader, writer = await asyncio.open_connection(gateway.address, gateway.port)

    async def ask(line: str) -> str:
        writer.write(f"{line}\r\n".encode())
        while (reply := (await reader.readline()).decode())[3:4] == "-":
            pass
        if not reply:
            raise ConnectionResetError
        return reply

    await reader.readline()
    await ask("EHLO probe.example")
    while not stop.is_set():
        await ask("MAIL FROM:<sender@senders.example>")
        one = (await ask(f"RCPT TO:<only-a@{OWN}>"))[0]
        await asyncio.sleep(0.01)  # a flip may come in between
        other = (await ask(f"RCPT TO:<only-b@{OWN}>"))[0]
        answers[{"25": "A", "52": "B"}.get(one + other, f"mixed: {one}xx, {other}xx")] += 1
        await ask("RSET")
    writer.close()


async def _under_load(world: Rig, gateway: Gateway, flipper: _Flipper, options: Namespace) -> tuple[Row, ...]:
    """Flip while a sender sends on sessions that are kept for the whole time."""
    workload = in_turn(f"flip{len(world.gateways)}", addresses((MAIL_FOR,)), octets=512)
    rate = options.messages_rate
    sender = world.sender(gateway, seed=options.seed, sessions=SESSIONS, tls=False, rate=rate, workload=workload, kept=10_000_000)
    answers: Counter[str] = Counter()
    stop = asyncio.Event()
    sender.start()
    probe = asyncio.create_task(_probe(gateway, flipper, answers, stop))
    for number in range(options.flips):
        began = time.monotonic()
        await flipper.flip(SIDES[(number + 1) % 2])
        await asyncio.sleep(max(0.0, 1 / options.rate - (time.monotonic() - began)))
    stop.set()
    await probe
    await sender.stop()
    await world.drain(gateway, 30)
    dropped, refused = sender.unacknowledged, len(sender.refused)
    seen = await asyncio.to_thread(_traces, world, flipper)
    mixed_checks = {answer: times for answer, times in answers.items() if answer not in SIDES}
    effect = percentile(flipper.effects, 0.99)
    both = ", ".join(f"{times} by {side}" for side, times in sorted(seen.sides.items()))
    return (
        Row("flips", str(len(flipper.effects)), "", True),
        Row("messages accepted", both, "by both sides", set(seen.sides) == set(SIDES)),
        Row("messages with decisions of two versions", "; ".join(seen.mixed[:3]) or "0", "0", not seen.mixed),
        Row(
            "transactions that asked for a recipient of each side", str(sum(answers.values())), "by both sides", set(SIDES) <= set(answers)
        ),
        Row(
            "of these, checked by two versions",
            ", ".join(f"{times} {answer}" for answer, times in mixed_checks.items()) or "0",
            "0",
            not mixed_checks,
        ),
        Row("accepted under one version, sent wholly under a newer one", str(seen.rerouted)),
        Row("messages without a 250 in kept sessions, refusals", f"{dropped}, {refused}", "0, 0", not dropped and not refused),
        Row(
            "saved to in force in all workers, p50 / p99",
            _times(flipper.effects),
            f"p99 within {EFFECT_SECONDS:g} s",
            effect <= EFFECT_SECONDS,
        ),
    )


def _times(effects: list[float]) -> str:
    return f"{percentile(effects, 0.5) * 1000:.0f} ms / {percentile(effects, 0.99) * 1000:.0f} ms"


async def _killed_saves(gateway: Gateway, flipper: _Flipper, kills: int, rng: random.Random) -> tuple[Row, ...]:
    """`mailwye apply` in its own process, killed at a random moment; the service finds by itself what was saved."""
    old = new = neither = unseen = 0
    for _ in range(kills):
        before = flipper.current()
        other = SIDES[1 - SIDES.index(before)] if before else "A"
        words = ["apply", "--prune", "-f", str(flipper.files[other]), "--config", str(gateway.config)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailwye", *words), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await asyncio.wait_for(process.wait(), rng.uniform(0.25, APPLY_SECONDS) ** 2 / 2)
        except TimeoutError:
            process.kill()
            await process.wait()
        after = flipper.current()
        old, new, neither = old + (after == before), new + (after == other), neither + (not after)
        unseen += not await _in_force(gateway, flipper)
    return (
        Row(
            "killed saves: the old is current, the new is current",
            f"{old}, {new} of {kills}",
            "both were met",
            bool(kills < 10 or (old and new)),
        ),
        Row("killed saves: neither, or a mixture", str(neither), "0", not neither),
        Row("killed saves: version that the service did not take within 5 s", str(unseen), "0", not unseen),
    )


async def _in_force(gateway: Gateway, flipper: _Flipper) -> bool:
    """Whether all workers use the version that is current."""
    wanted = flipper.store.version()

    async def there() -> bool:
        status = json.loads((await gateway.command("status", "--json")).out)
        return all(worker["version"] == wanted for worker in status["workers"])

    deadline = time.monotonic() + 5.0
    while not await there():
        if time.monotonic() > deadline:
            return False
    return True


async def _one(options: Namespace, workers: int) -> tuple[Row, ...]:
    async with rig(options.where) as world:
        sinks = await add_sinks(world, [f"sink{side}" for side in SIDES])
        patience = {"errors_per_session": 10_000_000, "idle_commands_per_session": 10_000_000}  # the probe is refused every other time
        gateway = world.gateway(workers=workers, settings={"limits": patience}, **sabotaged(options.sabotage))
        flipper = _Flipper(world, gateway, sinks)
        await gateway.start()
        try:
            control = flipper.installation.data_directory / "run" / "control.sock"
            await until(control.exists, 10)  # the first worker greets before the control process answers
            await flipper.flip("A")
            rows = await _under_load(world, gateway, flipper, options)
            if options.kills and workers == options.workers[-1]:
                rows += await _killed_saves(gateway, flipper, options.kills, random.Random(options.seed))
            verdict = await world.verdict(gateway)
            await gateway.stop()
        finally:
            flipper.close()
    lasting = (*verdict_rows(verdict), Row("delivered twice", str(len(verdict.duplicates)), "0", not verdict.duplicates))
    return tuple(Row(f"{workers} workers: {row.what}", row.measured, row.wanted, row.good) for row in (*rows, *lasting))


async def run(options: Namespace) -> Result:
    """One run for each number of workers."""
    rows: tuple[Row, ...] = ()
    for workers in options.workers:
        rows += await _one(options, workers)
    load = f"{options.messages_rate:g} messages/s in {SESSIONS} kept sessions, {options.rate:g} flips/s"
    return Result("flips", rows, (f"{options.flips} flips, {options.kills} killed saves", load, f"seed {options.seed}"))
