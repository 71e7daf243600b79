"""What the outbound half of a message costs: microseconds of CPU from the lease to the trace, without sockets and without a disk.

Dispatcher, courier, pool, session and client are the real ones. The queue hands out messages that it builds and forgets what is settled;
the peer behind a transport in memory answers each burst in the next turn of the loop, as a server that pipelines does. Twenty messages are
under way at any time. The stand-ins are part of the figures. Minima of several rounds, since the machine may be shared.

Usage: python -m benchmarks.outbound [--rounds N] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import time
from collections.abc import Callable, Sequence
from typing import Any

import uvloop

from benchmarks.organizations import organization
from mailwye.config.compile import compile_snapshot
from mailwye.config.installation import DeliverySettings, QueueSettings
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.content import InlineContent
from mailwye.message.envelope import BodyType, Notify
from mailwye.message.path_mark import PathMarks
from mailwye.message.sender_rewriting import SenderRewriting
from mailwye.outbound.courier import Host, Hosts
from mailwye.outbound.departure import Border
from mailwye.outbound.dispatcher import Dispatcher
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.futures import done
from mailwye.queue.item import Delivery, DeliveryState, Lease, NewMessage, Origin, QueuedMessage, Result, Settlement
from mailwye.runtime.clock import SystemClock
from mailwye.smtp.address import Address
from mailwye.trace.event import TraceEvent

UNDER_WAY = 20
BURST = 8  # messages that one commit makes due
CONTENT = InlineContent(b"From: <john@contoso.com>\r\nSubject: Lunch\r\n\r\n" + (b"x" * 70 + b"\r\n") * 56)
HOP = "connector:To the sink"
_GREETING = b"220 sink ESMTP\r\n"
_OFFER = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n"


class Peer(asyncio.Transport):
    """A server that takes everything, as a transport in memory. Looks at the ends of bursts only."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._written: list[bytes] = []
        self._loop.call_soon(protocol.connection_made, self)
        self._loop.call_soon(protocol.data_received, _GREETING)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a burst."""
        if not self._written:
            self._loop.call_soon(self._answer)
        self._written.append(bytes(data))

    def _answer(self) -> None:
        data = self._written[0] if len(self._written) == 1 else b"".join(self._written)
        self._written.clear()
        if data.startswith(b"EHLO"):
            replies = _OFFER
        elif data.startswith(b"QUIT"):
            replies = b"221 2.0.0 Bye\r\n"
        else:
            end = data.rfind(b"\r\n.\r\n")
            replies = b"250 2.0.0 Ok\r\n" if end >= 0 else b""
            if data.endswith(b"DATA\r\n"):
                replies += b"250 2.1.0 Ok\r\n" + b"250 2.1.5 Ok\r\n" * data.count(b"RCPT", max(end, 0))
                replies += b"354 End data with <CR><LF>.<CR><LF>\r\n"
        self._protocol.data_received(replies)

    def close(self) -> None:
        """The client left."""
        self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


class Memory:
    """Network and HostResolver in one: every route leads to one host, and every connection to a Peer."""

    async def hosts(self, _route: Route) -> Hosts:
        """See HostResolver."""
        return Hosts((Host("sink.example", "192.0.2.1", 25),))

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], _host: str, _port: int, *, source: str = "", timeout: float
    ) -> asyncio.Protocol:
        """See Network."""
        protocol = factory()
        Peer(protocol)
        return protocol


class Work:
    """A queue of `messages` messages with so many `recipients` each. Has what the dispatcher calls; `ended` is done after the last one."""

    def __init__(self, messages: int, recipients: int) -> None:
        self._left = messages
        self._recipients = recipients
        self._due = 0
        self._token = 0
        self._pending: list[asyncio.Future[None]] = []
        self._loop = asyncio.get_running_loop()
        self._sender = Address("sender", "example.net")
        self._addresses = [Address(f"foo{number}", "d1.example") for number in range(recipients)]
        self._origin = Origin("S1", "anonymous", peer_address="192.0.2.77")
        self._call: Callable[[], None] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.delivered = 0

    def on_work(self, callback: Callable[[], None]) -> None:
        """See QueueEngine."""
        self._call = callback

    def arrive(self, messages: int) -> None:
        """So many messages more are due, as far as any are left."""
        messages = min(messages, self._left)
        self._left -= messages
        self._due += messages
        if self._call is not None and messages:
            self._call()

    def lease(self, now: float, *, limit: int, exclude: frozenset[str] = frozenset(), seconds: float = 3600) -> Any:
        """See QueueEngine. The values are made here, as an engine makes them."""
        count = 0 if HOP in exclude else min(limit, self._due, BURST)
        self._due -= count
        return done([self._lease(now, now + seconds) for _ in range(count)])

    def _lease(self, now: float, until: float) -> Lease:
        self._token += 1
        name = f"M{self._token}"
        message = QueuedMessage(
            name, now, self._sender, CONTENT.size, self._origin, 1, BodyType.SEVEN_BIT, False, "", "", "", "", False, False, True
        )
        first = self._token << 10
        deliveries = [
            Delivery(first + place, name, address, address, HOP, Notify.DEFAULT, "", DeliveryState.LEASED, 0.0)
            for place, address in enumerate(self._addresses)
        ]
        return Lease(self._token, message, tuple(deliveries), CONTENT, until)

    def settle(self, _lease: Lease, settlements: Sequence[Settlement], bounces: Sequence[NewMessage] = ()) -> asyncio.Future[None]:
        """See QueueEngine: one commit for all that is settled in one turn of the loop."""
        self.delivered += sum(1 for one in settlements if one.result is Result.DELIVERED and not bounces)
        future: asyncio.Future[None] = self._loop.create_future()
        if not self._pending:
            self._loop.call_soon(self._commit)
        self._pending.append(future)
        return future

    def _commit(self) -> None:
        pending, self._pending = self._pending, []
        for future in pending:
            future.set_result(None)
        if not self._left and not self._due and not self.ended.done():
            self._loop.call_soon(self.ended.set_result, None)
        self.arrive(len(pending))

    def next_due(self, *, exclude: frozenset[str] = frozenset()) -> Any:
        """See QueueEngine."""
        return done(0.0 if self._due and HOP not in exclude else None)

    def hurry(self, _next_hop: str, _now: float) -> Any:
        """See QueueEngine."""
        return done(0)


class Uncounted:
    """A TraceRecorder that keeps nothing: what recording costs is measured with the store that does it."""

    recipients = 0

    def record(self, event: TraceEvent) -> None:
        """See TraceRecorder."""
        self.recipients += 1 + len(event.also)

    async def close(self) -> None:
        """See TraceRecorder."""


async def carry(messages: int, recipients: int) -> float:
    """Send so many messages; seconds of CPU. Raises AssertionError where one of them is missing: what is not sent is fast."""
    work, trace, clock = Work(messages, recipients), Uncounted(), SystemClock()
    memory, delivery = Memory(), DeliverySettings()
    courier = SmtpCourier(
        network=memory,  # type: ignore[arg-type]  # nobody listens
        resolver=memory,
        tls_contexts=lambda _: None,
        clock=clock,
        settings=delivery,
        hostname="bench.example",
        border=Border(PathMarks(bytes(32)), SenderRewriting(bytes(32), 21), clock),
    )
    dispatcher = Dispatcher(
        engines=[work],  # type: ignore[list-item]  # what the dispatcher never calls is not there
        couriers={RouteKind.CONNECTOR: courier},
        snapshot=ActiveSnapshot(compile_snapshot(organization(10, 1), 1)),
        clock=clock,
        trace=trace,
        queue=QueueSettings(),
        delivery=delivery,
        hostname="bench.example",
        new_id=lambda: "N1",
        alert=print,
    )
    work.arrive(UNDER_WAY)
    gc.collect()
    gc.freeze()
    started = time.process_time()
    dispatcher.start()
    await work.ended
    spent = time.process_time() - started
    await dispatcher.drain(5.0)
    await courier.close()
    assert work.delivered == trace.recipients == messages * recipients, (work.delivered, trace.recipients)
    return spent


def microseconds(messages: int, recipients: int, rounds: int) -> float:
    """CPU of one message, the least of several rounds."""
    return min(uvloop.run(carry(messages, recipients)) for _ in range(rounds)) * 1e6 / messages


def _main() -> None:
    parser = argparse.ArgumentParser(description="CPU of the outbound half, in process.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="print where the time goes instead")
    chosen = parser.parse_args()
    if chosen.profile:
        for messages, recipients in ((5_000, 1), (200, 50)):
            profile = cProfile.Profile()
            profile.runcall(uvloop.run, carry(messages, recipients))
            pstats.Stats(profile).sort_stats("tottime").print_stats(32)
        return
    print(f"one recipient:  {microseconds(5_000, 1, chosen.rounds):6.1f} µs a message")
    print(f"50 recipients:  {microseconds(200, 50, chosen.rounds) / 50:6.1f} µs a recipient")


if __name__ == "__main__":
    _main()
