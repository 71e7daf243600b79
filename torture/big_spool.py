"""A queue of a million messages: how soon the service serves and has scheduled them, what they cost, and that nobody waits for them.

The queue is made by the engine's own `accept`, in large batches: one half waits for a next hop that is down, the rest is spread over
others, some of it due at once, some held, the most due in days. Then the service starts on it. Beside it runs one with an empty queue, so
that rates can be compared in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailwye.message.content import InlineContent
from mailwye.message.ids import queue_id
from mailwye.queue.item import NewDelivery, NewMessage, Origin, QueueQuery
from mailwye.runtime import channel
from mailwye.smtp.address import Address
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from torture.flood_crowd import crowd, p99, resident
from torture.report import Result, Row, file_system
from torture.rig import Gateway, Rig, rig

OWN = "127.9.9.9"
HOPS = 10  # next hops that work and have mail waiting
BATCH = 5_000
DAY = 86_400.0
ACCEPTING_SECONDS, SCHEDULED_SECONDS = 10.0, 120.0
OCTETS_EACH = 1_000
LONGEST_MS = 1_000.0  # that anybody may wait while an administrator or a returning hop moves a million
SESSIONS = 4
DRAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Shares:
    """How many messages of each kind. Of those for the hop that is down, `down_due` are due at once."""

    due: int
    later: int
    held: int
    down: int
    down_due: int

    @classmethod
    def of(cls, messages: int) -> Shares:
        """Out of so many in all."""
        due, held = messages * 2 // 100 // HOPS * HOPS, messages // 10
        later = messages * 3 // 10 // HOPS * HOPS
        return cls(due, later, held, messages - due - held - later, 20)

    @property
    def messages(self) -> int:
        """All of them."""
        return self.due + self.later + self.held + self.down


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--octets", type=int, default=1024, help="of each content")
    parser.add_argument("--seconds", type=float, default=10.0, help="of mail, for each rate")
    parser.add_argument("--lenient", action="store_true", help="judge no rate and no latency: the machine has other things to do")


async def fill(path: Path, shares: Shares, octets: int) -> float:
    """Make the queue file; the seconds that it took."""
    began, now = time.monotonic(), time.time()
    engine = SqliteQueueEngine(path, memory_octets=1)
    body = b"Subject: big spool\r\n\r\n" + (b"x" * 70 + b"\r\n") * max(1, (octets - 22) // 72)
    number = 0

    async def put(hop: str, domain: str, count: int, due: float | None) -> None:
        nonlocal number
        for start in range(0, count, BATCH):
            batch = range(number, number + min(BATCH, count - start))
            number = batch.stop
            await asyncio.gather(*(engine.accept(_message(one, now, hop, domain, body, due)) for one in batch))

    try:
        for hop in range(HOPS):
            await put(f"connector:To h{hop}", f"h{hop}.example", shares.due // HOPS, None)
            await put(f"connector:To h{hop}", f"h{hop}.example", shares.later // HOPS, now + DAY * (1 + hop))
        await put("connector:To held", "held.example", shares.held, None)
        await engine.hold(QueueQuery(next_hop="connector:To held", limit=shares.held))
        await put("connector:To down", "down.example", shares.down_due, None)
        await put("connector:To down", "down.example", shares.down - shares.down_due, now + DAY)
    finally:
        await engine.close()
    return time.monotonic() - began


def _forget_pages(path: Path) -> None:
    """The file must be read from the disk again, as after a boot."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _message(number: int, now: float, hop: str, domain: str, body: bytes, due: float | None) -> NewMessage:
    recipient = Address(f"user{number}", domain)
    origin = Origin("s", "connector", "From our server", peer_address=OWN, hello="own.example", listener="mx")
    delivery = NewDelivery(recipient, recipient, hop)
    return NewMessage(
        queue_id(now, 0, number), now, Address("own", "own.example"), (delivery,), InlineContent(body), origin, 1, first_attempt_at=due
    )


class _Run:
    """A service with a queue (and one without), and what is measured."""

    def __init__(self, options: argparse.Namespace, world: Rig, shares: Shares) -> None:
        self.options = options
        self.world = world
        self.shares = shares
        self.rows: list[Row] = []

    def tell(self, what: str, measured: str, wanted: str = "", *, good: bool = True, speed: bool = False) -> None:
        self.rows.append(Row(what, measured) if speed and self.options.lenient else Row(what, measured, wanted, good))

    def gateway(self, port: int) -> Gateway:
        """Configured, not started. Everything but the mail for down.example goes to the sink at `port`."""
        sink, down = f"127.0.0.1:{port}", f"{self.world.prefix}.200:2525"
        domains = [*(f"h{hop}.example" for hop in range(HOPS)), "held.example", "down.example", "own.example", "torture.example"]
        way = {"ConnectorType": "OnPremises", "UseMXRecord": False}
        hops = [
            {"Name": f"To {domain.partition('.')[0]}", "RecipientDomains": [domain], "SmartHosts": [sink], **way}
            if domain != "down.example"
            else {"Name": "To down", "RecipientDomains": [domain], "SmartHosts": [down], **way}
            for domain in domains
        ]
        own: dict[str, object] = {"Name": "From our server", "ConnectorType": "OnPremises", "SenderIPAddresses": [OWN]}
        organization: dict[str, object] = {
            "MailUser": [],
            "AcceptedDomain": [{"DomainName": one, "DomainType": "InternalRelay", "Default": one == domains[0]} for one in domains],
            "InboundConnector": [{**own, "SenderDomains": ["*"]}],
            "OutboundConnector": hops,
        }
        settings = {"queue": {"retry_delays": [2, 5, 10], "expire_after": 30 * DAY, "delay_notice_after": 20 * DAY}}
        return self.world.gateway(settings=settings, organization=organization)

    async def counts(self, gateway: Gateway) -> dict[str, int]:
        """Deliveries by next hop, in whatever state."""
        path = gateway.data / "run" / "control.sock"
        for _ in range(100):  # it comes a moment after the first 220
            if path.exists():
                break
            await asyncio.sleep(0.05)
        answer = await asyncio.to_thread(channel.call, str(path), "queue.counts")
        return {hop: sum(states.values()) for hop, states in answer["counts"].items()}

    async def until_fewer(self, gateway: Gateway, hop: str, limit: int, seconds: float) -> int:
        """Wait until fewer than `limit` deliveries for `hop` are queued, at most so many seconds; how many there are then."""
        left = 0
        for _ in range(int(seconds * 20)):
            left = (await self.counts(gateway)).get(hop, 0)
            if left < limit:
                break
            await asyncio.sleep(0.05)
        return left

    def crowd(self, gateway: Gateway, role: str, **more: Any) -> Any:
        where = {"address": gateway.address, "port": gateway.port, "recipient": "somebody@torture.example"}
        return crowd({"role": role, "block": 11, "per_source": 90, **where, **more})

    async def rates(self, gateway: Gateway) -> tuple[float, float]:
        """Messages accepted a second, and delivered a second (from the first that was accepted to the last that was delivered)."""
        began = time.monotonic()
        async with self.crowd(gateway, "mail", source=OWN, sessions=SESSIONS, seconds=self.options.seconds) as sender:
            sent = await sender.hear()
        await self.until_fewer(gateway, "connector:To torture", 1, DRAIN_SECONDS)
        return sent["accepted"] / sent["seconds"], sent["accepted"] / (time.monotonic() - began)

    @asynccontextmanager
    async def watched(self, gateway: Gateway, what: str) -> AsyncIterator[None]:
        """While the block runs, a new client every 20 ms wants its 220, and the own server sends; the longest waits become rows."""
        async with self.crowd(gateway, "probe") as prober, self.crowd(gateway, "mail", source=OWN, sessions=1, seconds=0.0) as sender:
            began = time.monotonic()
            yield
            took = time.monotonic() - began
            prober.tell()
            sender.tell()
            probed, sent = await prober.hear(), await sender.hear()
        greeted = probed["milliseconds"]
        good = greeted[-1] <= LONGEST_MS and set(probed["codes"]) == {"220"}
        wanted = f"at most {LONGEST_MS:.0f} ms"
        self.tell(f"220 during: {what}", f"p99 {p99(greeted):.0f}, at most {greeted[-1]:.0f} ms", wanted, good=good, speed=True)
        good = sent["slowest"] <= LONGEST_MS and sent["accepted"] > 0
        measured = f"at most {sent['slowest']:.0f} ms, {sent['accepted'] / took:.0f} messages/s"
        self.tell(f"other replies during: {what}", measured, wanted, good=good, speed=True)


async def run(options: argparse.Namespace) -> Result:
    """The whole test; see the module."""
    shares = Shares.of(options.messages)
    async with rig(options.where) as world, crowd({"role": "sink"}) as sink:
        one = _Run(options, world, shares)
        port = (await sink.hear())["port"]
        empty, big = one.gateway(port), one.gateway(port)
        (big.data / "queue").mkdir(exist_ok=True)
        spool = big.data / "queue" / "worker-0.sqlite"
        one.tell("queue made in", f"{await fill(spool, shares, options.octets):.0f} s, {spool.stat().st_size / 1e6:.0f} MB")
        _forget_pages(spool)
        await empty.start()
        await _start(one, empty, big)
        await _compare(one, empty, big)
        await empty.stop()
        await _administer(one, big)
        await _hop_is_back(one, big)
        await big.stop()
        found = await big.fsck()
        one.tell("mailwye queue fsck", found, "clean", good=found == "clean")
        conditions = (
            f"{shares.messages} messages of {options.octets} octets",
            f"shares {shares}",
            f"{SESSIONS} sessions",
            file_system(world.where),
        )
    return Result("big", tuple(one.rows), conditions)


async def _start(one: _Run, empty: Gateway, big: Gateway) -> None:
    """From the start to the last due delivery."""
    shares = one.shares
    began = time.monotonic()
    accepting = await big.start()
    one.tell("first 220 after start", f"{accepting:.1f} s", f"<= {ACCEPTING_SECONDS:.0f} s", good=accepting <= ACCEPTING_SECONDS)
    waits = {f"connector:To h{hop}": shares.later // HOPS for hop in range(HOPS)}
    first: dict[str, float] = {}
    for _ in range(int(SCHEDULED_SECONDS * 20)):
        counts = await one.counts(big)
        at = time.monotonic() - began
        for hop, later in waits.items():
            if counts.get(hop, 0) < later + shares.due // HOPS:
                first.setdefault(hop, at)
        if all(counts.get(hop, 0) == later for hop, later in waits.items()) or at > SCHEDULED_SECONDS:
            break
        await asyncio.sleep(0.05)
    due = shares.due - sum(counts.get(hop, 0) - later for hop, later in waits.items())
    one.tell(
        "first due message of each next hop delivered after start",
        f"{max(first.values(), default=-1):.1f} s, {len(first)} hops",
        f"{HOPS} hops",
        good=len(first) == HOPS,
    )
    one.tell(
        "all due messages delivered after start",
        f"{due} of {shares.due} in {at:.1f} s",
        f"all in {SCHEDULED_SECONDS:.0f} s",
        good=due == shares.due and at <= SCHEDULED_SECONDS,
    )
    other = counts.get("connector:To held", 0) + counts.get("connector:To down", 0)
    one.tell("held, or for the hop that is down", f"{other}", f"{shares.held + shares.down}", good=other == shares.held + shares.down)
    each = (resident(big.pid) - resident(empty.pid)) / shares.messages
    one.tell("memory of each queued message", f"{each:.0f} octets", f"<= {OCTETS_EACH} octets", good=each <= OCTETS_EACH)


async def _compare(one: _Run, empty: Gateway, big: Gateway) -> None:
    """Rates in turn, A B A B: the better one of each counts."""
    rates = [(await one.rates(empty), await one.rates(big)) for _ in range(2)]
    for what, kind in (("accepted", 0), ("delivered", 1)):
        without, with_it = max(pair[0][kind] for pair in rates), max(pair[1][kind] for pair in rates)
        one.tell(f"{what} with an empty queue", f"{without:.0f}/s")
        one.tell(
            f"{what} with {one.shares.messages} queued",
            f"{with_it:.0f}/s, {with_it / without:.0%}",
            ">= 90 %",
            good=with_it >= 0.9 * without,
            speed=True,
        )


async def _administer(one: _Run, big: Gateway) -> None:
    """What administrators ask of a large queue."""
    async with one.watched(big, "nothing else"):
        await asyncio.sleep(one.options.seconds / 2)
    for words in (
        ("list",),
        ("list", "--recipient", "nobody@h1.example"),
        ("list", "--sender", "*@nowhere.example"),
        ("retry", "--next-hop", "connector:To h1"),
        ("delete", "--next-hop", "connector:To held"),
    ):
        async with one.watched(big, f"queue {' '.join(words)}"):
            await _ask(one, big, *words)


async def _ask(one: _Run, big: Gateway, *words: str) -> None:
    began = time.monotonic()
    done = await big.command("queue", *words, seconds=900.0)
    said = f"{done.out.count(chr(10))} lines" if words[0] == "list" else done.out.strip() + done.err[-200:]
    one.tell(f"queue {' '.join(words)}", f"{said} in {time.monotonic() - began:.1f} s", "no error", good=done.code == 0)


async def _hop_is_back(one: _Run, big: Gateway) -> None:
    """Something listens again where half of the queue waits for it."""
    before = (await one.counts(big)).get("connector:To down", 0)
    async with (
        one.watched(big, "a hop is back, then held"),
        crowd({"role": "sink", "listen": f"{one.world.prefix}.200", "listen_port": 2525}) as sink,
    ):
        await sink.hear()
        began = time.monotonic()
        after = await one.until_fewer(big, "connector:To down", before - min(before, 10_000) + 1, 60.0)
        took = time.monotonic() - began
        await _ask(one, big, "hold", "--next-hop", "connector:To down")
    one.tell("mail for the hop that is back", f"{before - after} of {before} in {took:.1f} s", "it moves", good=after < before)
    async with one.watched(big, "queue delete of half of the queue"):
        await _ask(one, big, "delete", "--next-hop", "connector:To down")
