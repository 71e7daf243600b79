"""A small world for inbound tests: a fake transport instead of sockets, the queue in memory, a recorder that keeps a list."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mailwye.config.installation import InboundLimits, ListenerSettings
from mailwye.config.snapshot import ActiveSnapshot, Snapshot
from mailwye.connectors.model import ConnectorType, InboundConnector, OutboundConnector, SmartHost
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, RecipientKind
from mailwye.inbound.admission import Admission, names_own_server
from mailwye.inbound.authenticator import Authenticator, Unknown
from mailwye.inbound.context import ActiveTls, InboundContext
from mailwye.inbound.decisions import Decisions
from mailwye.inbound.listener import Listener
from mailwye.inbound.traffic import Traffic
from mailwye.message.path_mark import PathMarks
from mailwye.message.sender_rewriting import SenderRewriting
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import QueueQuery, QueueRow
from mailwye.queue.memory import MemoryQueueEngine
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ServerTlsContext
from mailwye.smtp.address import parse_address
from mailwye.trace.event import EventKind, TraceEvent

HOSTNAME = "mx.mailwye.example"
STRANGER = "192.0.2.77"
MARKS = PathMarks(b"the secret of the test world")
REWRITING = SenderRewriting(b"the secret of the test world", 21)
OWN_SERVER = "198.51.100.10"


class TimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time the test moves on."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


class LoopClock:
    """The loop's time as Clock."""

    def now(self) -> float:
        return 1_780_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def pass_time(seconds: float) -> None:
    """Let timers fire that are due within `seconds` from now. Only in a TimeLoop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TimeLoop)
    loop.shift += seconds
    for _ in range(5):
        await asyncio.sleep(0)


class ListRecorder:
    """A TraceRecorder that keeps everything."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []

    def record(self, event: TraceEvent) -> None:
        self.events.append(event)

    async def close(self) -> None:
        return

    def of(self, kind: EventKind) -> list[TraceEvent]:
        return [event for event in self.events if event.kind is kind]


class FakeTransport(asyncio.Transport):
    """Keeps what was written. Closing calls connection_lost in the next turn, as asyncio does."""

    def __init__(self, peer: tuple[str, int] | None) -> None:
        super().__init__()
        self.peer = peer
        self.written = bytearray()
        self.writes = 0
        self.reading = True
        self.closed = False
        self.aborted = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.peer if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "written after close"
        self.writes += 1
        self.written += data

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def _lost(self) -> None:
        assert self.protocol is not None
        self.protocol.connection_lost(None)


class StuckTransport(FakeTransport):
    """A peer that takes no octets: `close` never comes to its end, only `abort` does."""

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = self.closed = True
        asyncio.get_running_loop().call_soon(self._lost)


class Passwords:
    """An Authenticator with one user, and one whose check fails."""

    async def authenticate(self, username: str, password: str) -> str | Unknown | None:
        await asyncio.sleep(0)
        if username == "unreachable":
            return Unknown("the store does not answer")
        return "bob@contoso.com" if (username, password) == ("bob", "secret") else None


@dataclass
class Peer:
    """The far side of one connection."""

    transport: FakeTransport
    read: int = 0

    @property
    def session(self) -> asyncio.Protocol:
        """Whoever has the transport now."""
        assert isinstance(self.transport.protocol, asyncio.Protocol)
        return self.transport.protocol

    def send(self, *lines: str) -> str:
        """One write with these lines; what came back since the last call, without the last CRLF."""
        return self.send_octets("".join(f"{line}\r\n" for line in lines).encode())

    def send_octets(self, data: bytes) -> str:
        self.session.data_received(data)
        return self.heard()

    def heard(self) -> str:
        data = bytes(self.transport.written[self.read :])
        self.read = len(self.transport.written)
        return data.decode("utf-8").removesuffix("\r\n").replace("\r\n", "\n")

    def hello(self) -> str:
        return self.send("EHLO client.example")

    def reads(self) -> bool:
        """Does the session take octets from the transport?"""
        return self.transport.reading

    def aborted(self) -> bool:
        """Was the connection cut?"""
        return self.transport.aborted

    def lose(self) -> None:
        """The connection breaks."""
        self.transport.closed = True
        self.session.connection_lost(ConnectionResetError())


def contoso(*inbound: InboundConnector) -> Snapshot:
    """SEMANTICS section 1: John on the own server, Bob hosted here, Sun on the Internet."""
    outbound = OutboundConnector(
        name="To our servers",
        connector_type=ConnectorType.ON_PREMISES,
        all_accepted_domains=True,
        use_mx_record=False,
        smart_hosts=(SmartHost("mail.contoso.com"),),
    )
    group = (parse_address("bob@contoso.com"), parse_address("john@contoso.com"))
    recipients = (
        DirectoryRecipient(RecipientKind.MAILBOX, parse_address("bob@contoso.com"), (parse_address("robert@contoso.com"),)),
        DirectoryRecipient(RecipientKind.MAIL_USER, parse_address("john@contoso.com")),
        DirectoryRecipient(RecipientKind.DISTRIBUTION_GROUP, parse_address("all@contoso.com"), members=group),
        DirectoryRecipient(RecipientKind.DISTRIBUTION_GROUP, parse_address("empty@contoso.com")),
    )
    domains = (AcceptedDomain("contoso.com", default=True),)
    return Snapshot(7, "contoso", Directory(domains, recipients), ConnectorTable(inbound, (outbound,)))


@dataclass
class World:
    """A listener without a socket. `connect` makes a session on a fake transport."""

    snapshot: Snapshot = field(default_factory=contoso)
    limits: InboundLimits = field(default_factory=InboundLimits)
    kind: str = "mx"
    proxies: tuple[str, ...] = ()
    xclient: tuple[str, ...] = ()
    queue: QueueEngine = field(default_factory=MemoryQueueEngine)
    tls: ServerTlsContext | None = None
    authenticator: Authenticator | None = field(default_factory=Passwords)
    trace: ListRecorder = field(default_factory=ListRecorder)
    traffic: Traffic | None = None
    alerts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        active = ActiveSnapshot(self.snapshot)
        numbers = itertools.count(1)
        self.context = InboundContext(
            hostname=HOSTNAME,
            limits=self.limits,
            snapshot=active,
            queue=self.queue,
            trace=self.trace,
            clock=LoopClock(),
            new_id=lambda: f"ID{next(numbers):06d}",
            admission=Admission(self.limits, partial(names_own_server, active), self.alerts.append),
            marks=MARKS,
            decisions=Decisions(lambda address: REWRITING.unwrap(address, LoopClock().now())),
            tls=ActiveTls(self.tls),
            authenticator=self.authenticator,
            traffic=self.traffic,
        )
        self.listener = Listener(
            self.context, ListenerSettings("test", self.kind, "127.0.0.1", 0, self.proxies, self.xclient), SystemNetwork()
        )

    def connect(self, address: str = STRANGER, *, stuck: bool = False) -> Peer:
        """A new connection; its greeting is not read yet."""
        session = self.listener.session()
        transport = (StuckTransport if stuck else FakeTransport)((address, 40_000))
        transport.protocol = session
        session.connection_made(transport)
        return Peer(transport)

    def greeted(self, address: str = STRANGER) -> Peer:
        """A connection after EHLO."""
        peer = self.connect(address)
        assert peer.heard() == f"220 {HOSTNAME} ESMTP Mailwye"
        assert peer.hello().startswith(f"250-{HOSTNAME}")
        return peer

    async def queued(self) -> list[QueueRow]:
        """All deliveries in the queue."""
        return list(await self.queue.inspect(QueueQuery()))

    async def content(self, row: QueueRow) -> bytes:
        """The content of a queued message."""
        content = await self.queue.read_content(row.message.id)
        assert content is not None
        return b"".join([chunk async for chunk in content.chunks()])


async def settle(awaitable: Awaitable[Any] | None = None) -> None:
    """Let callbacks run."""
    if awaitable is not None:
        await awaitable
    for _ in range(4):
        await asyncio.sleep(0)
