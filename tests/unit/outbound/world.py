"""A small world for tests of the dispatcher: virtual time, the queue in memory, scripted couriers, a trace in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mailwye.config.installation import DeliverySettings, QueueSettings
from mailwye.config.snapshot import ActiveSnapshot, Snapshot
from mailwye.connectors.model import ConnectorType, OutboundConnector, SmartHost
from mailwye.connectors.selection import RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, RecipientKind
from mailwye.message.content import Content, InlineContent
from mailwye.message.envelope import Notify
from mailwye.outbound.courier import Attempt, Stage, Work
from mailwye.outbound.dispatcher import Dispatcher
from mailwye.queue.item import Delivery, DeliveryState, NewDelivery, NewMessage, Origin, QueueQuery, QueueRow
from mailwye.queue.memory import MemoryQueueEngine, queued_message
from mailwye.smtp.address import parse_address
from mailwye.smtp.reply import Reply
from mailwye.testing.loop import VirtualClock, VirtualLoop, run_virtual
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.memory import MemoryTrace
from mailwye.whatif.queued import route_of

HOSTNAME = "mx.mailwye.example"
TAKEN = Reply(250, "2.0.0", "Ok: taken")
REFUSED = Reply(450, "4.4.316", "Connection refused")
NO_SUCH_USER = Reply(550, "5.1.1", "No such user")
HEADER = b"From: <john@contoso.com>\r\nSubject: Lunch\r\n\r\n"

T = TypeVar("T")
Script = Callable[[Delivery], Attempt]


def taken(delivery: Delivery) -> Attempt:
    """The far side takes it."""
    return Attempt(delivery, Stage.CONTENT, TAKEN, "mail.example.net[192.0.2.9]:25")


def down(delivery: Delivery) -> Attempt:
    """Nobody listens."""
    return Attempt(delivery, Stage.CONNECT, REFUSED, "mail.example.net[192.0.2.9]:25")


def says(reply: Reply, stage: Stage = Stage.RCPT, *, offers_dsn: bool = False) -> Script:
    """The far side says so."""
    return lambda delivery: Attempt(delivery, stage, reply, "mail.example.net[192.0.2.9]:25", "", (), offers_dsn)


class ScriptedCourier:
    """Answers by `script`, in the next turn of the loop, or when `gate` is set. Keeps what it was asked to carry."""

    def __init__(self, clock: VirtualClock, script: Script = taken) -> None:
        self.clock = clock
        self.script = script
        self.works: list[Work] = []
        self.times: list[float] = []
        self.gate: asyncio.Event | None = None

    def deliver(self, work: Work) -> Awaitable[Sequence[Attempt]]:
        self.works.append(work)
        self.times.append(self.clock.now())
        if self.gate is None:
            future: asyncio.Future[Sequence[Attempt]] = asyncio.get_running_loop().create_future()
            try:
                future.set_result([self.script(delivery) for delivery in work.lease.deliveries])
            except RuntimeError as error:
                future.set_exception(error)
            return future
        return self._later(self.gate, work)

    async def _later(self, gate: asyncio.Event, work: Work) -> Sequence[Attempt]:
        await gate.wait()
        return [self.script(delivery) for delivery in work.lease.deliveries]

    async def close(self) -> None:
        return

    @property
    def carried(self) -> list[str]:
        """Message ids, in order."""
        return [work.lease.message.id for work in self.works]


def snapshot(version: int = 1, *, connector: str = "Own", enabled: bool = True) -> Snapshot:
    """Contoso: bob hosted here, john on the own server behind `connector`, contoso.com accepted."""
    contoso = AcceptedDomain("contoso.com", default=True)
    bob = DirectoryRecipient(RecipientKind.MAILBOX, parse_address("bob@contoso.com"))
    alice = DirectoryRecipient(RecipientKind.MAILBOX, parse_address("alice@contoso.com"))
    john = DirectoryRecipient(RecipientKind.MAIL_USER, parse_address("john@contoso.com"))
    own = OutboundConnector(
        connector,
        enabled=enabled,
        connector_type=ConnectorType.ON_PREMISES,
        all_accepted_domains=True,
        use_mx_record=False,
        smart_hosts=(SmartHost("192.0.2.10", look_up_mx=False),),
    )
    return Snapshot(version, "contoso", Directory((contoso,), (bob, alice, john)), ConnectorTable((), (own,)))


@dataclass
class World:
    """Everything that one dispatcher works with."""

    loop: VirtualLoop
    clock: VirtualClock
    engine: MemoryQueueEngine
    smtp: ScriptedCourier
    mailbox: ScriptedCourier
    active: ActiveSnapshot
    trace: MemoryTrace
    dispatcher: Dispatcher
    alerts: list[str]
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def message(
        self,
        *recipients: str,
        sender: str | None = "bob@contoso.com",
        notify: Notify = Notify.DEFAULT,
        name: str = "",
        content: Content | None = None,
        origin: Origin | None = None,
        **more: Any,
    ) -> NewMessage:
        """A message that bob's mail program sent, routed as at acceptance."""
        new = NewMessage(
            id=name or f"M{next(self.numbers)}",
            received_at=self.clock.now(),
            sender=None if sender is None else parse_address(sender),
            deliveries=(),
            content=content or InlineContent(HEADER + b"Shall we?\r\n"),
            origin=origin or Origin("S1", "mailbox", authenticated="bob@contoso.com", peer_address="192.0.2.77"),
            config_version=self.active.current.version,
            subject="Lunch",
            message_id="<1@contoso.com>",
            **more,
        )
        message = queued_message(new)
        deliveries = []
        for recipient in recipients:
            address = parse_address(recipient)
            probe = Delivery(0, new.id, address, address, "", notify, "", DeliveryState.QUEUED, 0.0)
            hop = route_of(self.active.current, message, probe).next_hop
            deliveries.append(NewDelivery(address, address, hop, notify))
        return NewMessage(**{name: getattr(new, name) for name in NewMessage.__slots__} | {"deliveries": tuple(deliveries)})

    async def accept(self, *recipients: str, **more: Any) -> NewMessage:
        """Accept a message; it is due at once."""
        message = self.message(*recipients, **more)
        await self.engine.accept(message)
        return message

    async def rows(self, **query: Any) -> Sequence[QueueRow]:
        """What the queue holds."""
        return await self.engine.inspect(QueueQuery(**query))

    async def notices(self) -> list[QueueRow]:
        """The notices that wait in the queue."""
        return [row for row in await self.rows() if row.message.origin.caller_kind == "internal"]

    def events(self, kind: EventKind) -> list[TraceEvent]:
        """What the trace was told."""
        return [event for event in self.trace.recorded if event.kind is kind]


async def turns(count: int = 12) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def pass_time(loop: VirtualLoop, seconds: float) -> None:
    """Let virtual time pass, and what is due happen."""
    future: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, future.set_result, None)
    await future
    await turns()


def in_world(
    story: Callable[[World], Coroutine[Any, Any, T]],
    *,
    script: Script = taken,
    queue: QueueSettings | None = None,
    delivery: DeliverySettings | None = None,
) -> T:
    """Run `story` in a new world whose dispatcher has started."""

    async def main(loop: VirtualLoop) -> T:
        clock = VirtualClock(loop)
        engine = MemoryQueueEngine()
        smtp, mailbox = ScriptedCourier(clock, script), ScriptedCourier(clock, says(TAKEN, Stage.MAILBOX))
        active, trace, alerts = ActiveSnapshot(snapshot()), MemoryTrace(), list[str]()
        ids = itertools.count(1)
        dispatcher = Dispatcher(
            engines=[engine],
            couriers={RouteKind.CONNECTOR: smtp, RouteKind.MX: smtp, RouteKind.MAILBOX: mailbox},
            snapshot=active,
            clock=clock,
            trace=trace,
            queue=queue or QueueSettings(),
            delivery=delivery or DeliverySettings(),
            hostname=HOSTNAME,
            new_id=lambda: f"D{next(ids)}",
            alert=alerts.append,
        )
        dispatcher.start()
        world = World(loop, clock, engine, smtp, mailbox, active, trace, dispatcher, alerts)
        result = await story(world)
        await dispatcher.drain(0.0)
        return result

    return run_virtual(main)
