"""A whole gateway as a machine of the simulated world: listeners, queue on a simulated disk, dispatcher, couriers. It can lose its power at
any moment and starts again with what its disk kept.

This file is a composition root like app.py: it names concrete classes so that the world runs the very code that serves.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailwye.config.compile import compile_snapshot
from mailwye.config.installation import DeliverySettings, InboundLimits, ListenerSettings, QueueSettings
from mailwye.config.parse import read_organization
from mailwye.config.snapshot import ActiveSnapshot, Snapshot
from mailwye.connectors.selection import RouteKind
from mailwye.inbound.admission import Admission, names_own_server
from mailwye.inbound.authenticator import Unknown
from mailwye.inbound.context import ActiveTls, InboundContext
from mailwye.inbound.decisions import Decisions
from mailwye.inbound.listener import Listener
from mailwye.message.ids import queue_id
from mailwye.message.path_mark import PathMarks
from mailwye.message.sender_rewriting import SenderRewriting
from mailwye.outbound.courier import Courier
from mailwye.outbound.departure import Border
from mailwye.outbound.dispatcher import Dispatcher
from mailwye.outbound.mailbox_lmtp import LmtpCourier
from mailwye.outbound.resolve import RouteResolver
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.item import NewMessage, QueueQuery, QueueRow
from mailwye.runtime.clock import Clock
from mailwye.runtime.dns_answer import Resolver
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from mailwye.testing.disk import CommitsInLoop, SimulatedDisk
from mailwye.testing.loop import Power, VirtualClock, VirtualLoop
from mailwye.testing.network import SimulatedNetwork, Wire
from mailwye.trace.memory import MemoryTrace

SYNC_SECONDS = (0.000_5, 0.008)
EVERYTHING = QueueQuery(limit=1_000_000)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One gateway as installed. `lmtp`: where its mailboxes are; `passwords`: of mailboxes, for submission (only with `tls`).
    `client_tls`: for what leaves, whichever certificate a connector chooses; None: it never uses STARTTLS.
    """

    name: str
    address: str
    organization: str
    lmtp: str = ""
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    limits: InboundLimits = field(default_factory=InboundLimits)
    passwords: Mapping[str, str] = field(default_factory=dict)
    tls: ServerTlsContext | None = None
    client_tls: ClientTlsContext | None = None


def compile_organization(text: str, version: int) -> Snapshot:
    """The snapshot of an organization in YAML. :raises ValueError: it has errors."""
    parsed = read_organization(text, "organization.yaml")
    if parsed.value is None:
        raise ValueError("\n".join(map(str, parsed.problems)))
    return compile_snapshot(parsed.value, version)


class Passwords:
    """An Authenticator over plain text: name → password."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    async def authenticate(self, username: str, password: str) -> str | Unknown | None:
        """See Authenticator."""
        return username if self._passwords.get(username) == password else None


class _Life:
    """What runs from one start of the gateway to its end."""

    def __init__(self, gateway: Gateway, engine: SqliteQueueEngine) -> None:
        settings, clock, trace = gateway.settings, gateway.clock, gateway.trace
        network = SimulatedNetwork(gateway.wire, settings.address)
        snapshot = gateway.snapshot
        new_id = _ids(clock, gateway.rng.randrange(2704))
        context = InboundContext(
            hostname=settings.name,
            limits=settings.limits,
            snapshot=snapshot,
            queue=engine,
            trace=trace,
            clock=clock,
            new_id=new_id,
            admission=Admission(settings.limits, lambda address: names_own_server(snapshot, address), gateway.alerts.append),
            marks=gateway.marks,
            decisions=Decisions(lambda address: gateway.rewriting.unwrap(address, clock.now())),
            tls=ActiveTls(settings.tls),
            authenticator=Passwords(settings.passwords),
        )
        ports = (("mx", 25), ("submission", 587)) if settings.tls is not None else (("mx", 25),)
        self.listeners = [Listener(context, ListenerSettings(kind, kind, settings.address, port), network) for kind, port in ports]
        self.couriers = _couriers(gateway, network)
        self.engine = engine
        self.dispatcher = Dispatcher(
            engines=(engine,),
            couriers=self.couriers,
            snapshot=snapshot,
            clock=clock,
            trace=trace,
            queue=settings.queue,
            delivery=settings.delivery,
            hostname=settings.name,
            new_id=new_id,
            alert=gateway.alerts.append,
        )

    async def start(self) -> None:
        for listener in self.listeners:
            await listener.start()
        self.dispatcher.start()

    async def stop(self) -> None:
        for listener in self.listeners:
            await listener.drain(30.0)
        await self.dispatcher.drain(30.0)
        for courier in set(self.couriers.values()):
            await courier.close()
        await self.engine.close()


class Gateway:
    """See the module. `trace`, `alerts`, `snapshot` belong to the observer: they outlive a cut."""

    def __init__(
        self, settings: GatewaySettings, *, loop: VirtualLoop, wire: Wire, resolver: Resolver, rng: random.Random, directory: Path
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.wire = wire
        self.resolver = resolver
        self.rng = rng
        self.clock = VirtualClock(loop)
        self.trace = MemoryTrace(1_000_000)
        secret = settings.name.encode().rjust(32)  # as secret as anything in this world
        self.marks = PathMarks(secret)
        self.rewriting = SenderRewriting(secret, settings.limits.rewritten_sender_days)
        self.alerts: list[str] = []
        self.cuts: list[float] = []
        self.snapshot = ActiveSnapshot(compile_organization(settings.organization, 1))
        self.disk = SimulatedDisk(f"{settings.name}-{id(self)}", directory, rng)
        self.disk.on_cut = self.crash
        self.power = Power(self._lose_power)
        self._life: _Life | None = None
        self._gone: asyncio.Future[None] | None = None

    @property
    def is_up(self) -> bool:
        """True while it has power and is started."""
        return self.power.on and self._life is not None

    @property
    def sessions(self) -> int:
        """Open inbound connections."""
        return sum(listener.sessions for listener in self._life.listeners) if self._life is not None else 0

    @property
    def under_way(self) -> int:
        """Leases of the dispatcher."""
        return self._life.dispatcher.under_way if self._life is not None else 0

    async def start(self, *, cut_at: int = 0) -> bool:
        """Start with what the disk holds; False where the power was cut before that was done (`cut_at`: see Power)."""
        assert self._life is None, "already started"
        self._gone = self.loop.create_future()
        self.power = Power(self._lose_power, cut_at=cut_at)
        starting = self.loop.create_task(self._start(), context=self.power.context())
        await asyncio.wait({starting, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        if not self.power.on:
            starting.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody is there to hear it
            return False
        await starting
        return True

    async def _start(self) -> None:
        seconds = self.rng
        engine = SqliteQueueEngine(
            self.disk.place / "worker-0.sqlite",
            inline_octets=self.settings.queue.inline_octets,
            memory_octets=self.settings.queue.memory_octets,
            free_space_minimum=0,
            messages=self.settings.queue.messages,
            ballast_octets=65_536,
            on_alert=self.alerts.append,
            vfs=self.disk.name,
            runner=lambda: CommitsInLoop(self.loop, lambda: seconds.uniform(*SYNC_SECONDS)),
        )
        life = _Life(self, engine)
        await life.start()
        self._life = life

    async def stop(self) -> None:
        """Shut down in good order."""
        assert self._life is not None
        stopping = self.loop.create_task(self._life.stop(), context=self.power.context())
        await stopping
        self._life = None

    async def cut_off(self) -> None:
        """Wait until the power is cut (of a gateway that was started)."""
        assert self._gone is not None
        await asyncio.shield(self._gone)

    def crash(self) -> None:
        """Cut the power now. `boot` brings it back."""
        self.power.cut()

    def boot(self) -> None:
        """The power is back and the disk holds what survived; `start` is next."""
        assert not self.power.on
        self._life = None
        self.disk.boot()

    async def rows(self) -> list[QueueRow]:
        """What is in the queue."""
        assert self._life is not None
        return list(await self._life.engine.inspect(EVERYTHING))

    async def accept(self, message: NewMessage) -> None:
        """Take a message as if it had come in: one of a server that proved more than the senders of this world can."""
        assert self._life is not None
        await self._life.engine.accept(message)

    def activate(self, organization: str) -> None:
        """Save another configuration: in force at once."""
        before = self.snapshot.current
        self.snapshot.activate(compile_organization(organization, before.version + 1))
        if self._life is not None and self.power.on:
            self.power.context().run(self._life.dispatcher.settings_changed, before)

    def close(self) -> None:
        """The end of the world: close what is open on the disk."""
        self.disk.close_all()
        self.disk.unregister()

    def _lose_power(self) -> None:
        self.cuts.append(self.clock.monotonic())
        self.loop.keep_tasks()
        self.disk.cut()
        self.wire.power_off(self.settings.address, reset=self.rng.random() < 0.5)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)


def _ids(clock: Clock, first: int) -> Callable[[], str]:
    """A maker of queue ids; the counter starts anywhere."""
    counter = itertools.count(first)
    latest = 0.0

    def new_id() -> str:
        nonlocal latest
        latest = max(latest, clock.now())
        return queue_id(latest, 0, next(counter))

    return new_id


def _couriers(gateway: Gateway, network: SimulatedNetwork) -> Mapping[RouteKind, Courier]:
    settings = gateway.settings
    smtp = SmtpCourier(
        network=network,
        resolver=RouteResolver(
            resolver=gateway.resolver,
            settings=settings.delivery,
            rng=gateway.rng,
            own_names=(settings.name,),
            own_addresses=(settings.address,),
        ),
        tls_contexts=lambda _name: settings.client_tls,
        clock=gateway.clock,
        settings=settings.delivery,
        hostname=settings.name,
        border=Border(gateway.marks, gateway.rewriting, gateway.clock),
    )
    couriers: dict[RouteKind, Courier] = {RouteKind.CONNECTOR: smtp, RouteKind.MX: smtp}
    if settings.lmtp:
        couriers[RouteKind.MAILBOX] = LmtpCourier(
            settings.lmtp, network=network, clock=gateway.clock, settings=replace(settings.delivery, lmtp=""), hostname=settings.name
        )
    return couriers
