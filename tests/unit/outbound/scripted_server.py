"""A server on 127.0.0.1 that says exactly what a test tells it, and the values that couriers are fed with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.model import SmartHost, TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.content import Content, InlineContent
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.outbound.courier import Attempt, Courier, Host, Hosts, Work
from mailwye.outbound.departure import Border
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.item import Delivery, DeliveryState, Lease, Origin, QueuedMessage
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext
from mailwye.smtp.address import Address
from mailwye.smtp.client_events import ClientMode

CONTENT = b"Subject: x\r\n\r\n.hello\r\n"
SUN = Address("sun", "example.org")
JOHN = Address("john", "contoso.com")
BOB = Address("bob", "contoso.com")
FAST = DeliverySettings(command_timeout=5.0, content_timeout=5.0, connection_idle=5.0, connect_timeout=2.0)


class Peer:
    """One connection from the server's side. `lines` and `contents` collect what came."""

    def __init__(self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        line = await self.reader.readuntil(b"\r\n")
        self.server.lines.append(line[:-2].decode("utf-8"))
        self.server.changed.set()
        return line[:-2]

    async def content(self) -> bytes:
        content = await self.reader.readuntil(b"\r\n.\r\n")
        self.server.contents.append(content)
        return content

    async def hello(self, *offers: bytes) -> None:
        await self.send(b"220 scripted\r\n")
        await self.offer(*offers)

    async def offer(self, *offers: bytes) -> None:
        await self.line()
        lines = [b"scripted", *offers]
        await self.send(b"".join(b"250-" + offer + b"\r\n" for offer in lines[:-1]) + b"250 " + lines[-1] + b"\r\n")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert await self.line() == b"STARTTLS"
        await self.send(b"220 go\r\n")
        await self.writer.start_tls(context)

    async def serve(self, replies: dict[bytes, bytes] | None = None, *, messages: int = 1_000_000) -> None:
        """Take messages like a good server, except for what `replies` (by command prefix) says. QUIT ends it."""
        told = replies or {}
        while messages:
            line = await self.line()
            verb = line[:4].upper()
            reply = next((told[key] for key in told if line.upper().startswith(key)), None)
            if verb == b"BDAT":
                self.server.contents.append(await self.reader.readexactly(int(line.split()[1])))
                messages -= b"LAST" in line
            elif verb == b"DATA" and reply is None:
                await self.send(b"354 go\r\n")
                await self.content()
                messages -= 1
                reply = told.get(b".", b"250 2.0.0 queued\r\n")
            await self.send(reply or (b"221 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n"))
            if verb == b"QUIT":
                return


Talk = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """`talks`: one for each connection in order, the last one for all further ones."""

    def __init__(self, talks: Sequence[Talk]) -> None:
        self.talks = talks
        self.connections = 0
        self.lines: list[str] = []
        self.contents: list[bytes] = []
        self.port = 0
        self.changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a connection or a line makes `condition` true."""
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = self.talks[min(self.connections, len(self.talks) - 1)]
        self.connections += 1
        self.changed.set()
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            await talk(Peer(self, reader, writer))
        writer.close()

    def host(self, name: str = "mail.contoso.com") -> Host:
        return Host(name, "127.0.0.1", self.port)


@asynccontextmanager
async def scripted(*talks: Talk, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(talks)
    listening = await asyncio.start_server(server.accept, address, port, limit=2**20)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


class FixedHosts:
    """A HostResolver that always says the same."""

    def __init__(self, *hosts: Host, answer: Hosts | None = None) -> None:
        self.answer = answer or Hosts(hosts)
        self.asked = 0

    async def hosts(self, route: Route) -> Hosts:
        self.asked += 1
        return self.answer


def route_to(settings: TlsSettings = TlsSettings.OPPORTUNISTIC, tls_domain: str = "") -> Route:
    return Route(
        RouteKind.CONNECTOR, JOHN, "X", (SmartHost("mail.contoso.com"),), "contoso.com", tls_settings=settings, tls_domain=tls_domain
    )


def work_for(
    *recipients: Address,
    content: Content | bytes = CONTENT,
    route: Route | None = None,
    sender: Address | None = SUN,
    body: BodyType = BodyType.SEVEN_BIT,
    smtputf8: bool = False,
    requires_8bit: bool = False,
    tls: TlsWish = TlsWish.DEFAULT,
) -> Work:
    handle = InlineContent(content) if isinstance(content, bytes) else content
    message = QueuedMessage(
        "m", 0.0, sender, handle.size, Origin("s", "anonymous"), 1, body, smtputf8, "", "", "", "", False, requires_8bit, tls=tls
    )
    deliveries = tuple(
        Delivery(index, "m", address, address, "connector:X", Notify.DEFAULT, "", DeliveryState.LEASED, 0.0)
        for index, address in enumerate(recipients or (JOHN,))
    )
    return Work(Lease(1, message, deliveries, handle, 1e9), route or route_to(), recipients)


@asynccontextmanager
async def courier_to(
    *hosts: Host,
    settings: DeliverySettings = FAST,
    tls: ClientTlsContext | None = None,
    answer: Hosts | None = None,
    mode: ClientMode = ClientMode.SMTP,
    border: Border | None = None,
) -> AsyncIterator[SmtpCourier]:
    courier = SmtpCourier(
        network=SystemNetwork(),
        resolver=FixedHosts(*hosts, answer=answer),
        tls_contexts=lambda _name: tls,
        clock=SystemClock(),
        settings=settings,
        hostname="me.example",
        mode=mode,
        border=border,
    )
    try:
        yield courier
    finally:
        await courier.close()


async def carry(courier: Courier, work: Work) -> Sequence[Attempt]:
    async with asyncio.timeout(10):
        return await courier.deliver(work)
