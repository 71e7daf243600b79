"""The world in a box: whole gateways, own servers, Internet servers and senders on one virtual loop, from one seed that replays the run.

    def test_story(tmp_path):
        async def story(world: World) -> None:
            await world.begin()
            world.mail("john", JOHN, (BOB,))
            await world.settle()
        World.run(7, tmp_path, story)

Addresses: one /24 of RFC 5737 for the story's machines. The organization is Contoso: John on the own server, Bob's mailbox hosted
(over LMTP), Sun on the Internet.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailwye.config.installation import DeliverySettings, InboundLimits, QueueSettings
from mailwye.queue.engine import QueueError
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.dns_server import Zone
from mailwye.testing.gateway import Gateway, GatewaySettings
from mailwye.testing.loop import VirtualClock, VirtualLoop, run_virtual
from mailwye.testing.mailboxes import Mailboxes
from mailwye.testing.network import SimulatedNetwork, Wire
from mailwye.testing.peers import PeerServer
from mailwye.testing.resolver import StaticResolver
from mailwye.testing.sender import Ledger, Login, Mail, Sender

JOHN, BOB, SUN, MOON = "john@contoso.com", "bob@contoso.com", "sun@example.net", "moon@example.org"
BOB_PASSWORD = "bobs simulated password"  # noqa: S105 - of a world that lives for milliseconds

RESTART_SECONDS = 30.0
AUTHORITY_DAYS = 36_500.0
"""OpenSSL judges dates by the real clock, whatever time it is in the world: its authority lasts for all who will ever run it."""

GATEWAY_NAME = "mx.mailwye.example"
GATEWAY, MAILBOXES, OWN, SUNS, MOONS, BOBS = (f"192.0.2.{host}" for host in (1, 2, 10, 20, 21, 30))

ORGANIZATION = f"""\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, Default: true}}
Mailbox:
  - {{PrimarySmtpAddress: {BOB}}}
MailUser:
  - {{PrimarySmtpAddress: {JOHN}}}
InboundConnector:
  - {{Name: From our servers, ConnectorType: OnPremises, SenderDomains: ["*"], SenderIPAddresses: ["{OWN}"], RequireTls: false}}
OutboundConnector:
  - {{Name: To our servers, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: ["{OWN}"]}}
"""

ZONE: Zone = {
    "example.net": {"MX": [(10, "mail.example.net")]},
    "mail.example.net": {"A": [SUNS]},
    "example.org": {"MX": [(10, "mail.example.org")]},
    "mail.example.org": {"A": [MOONS]},
    "contoso.com": {"MX": [(10, GATEWAY_NAME)]},
    GATEWAY_NAME: {"A": [GATEWAY]},
}


class World:
    """See the module. Everything random comes from `seed`. `directory`: an empty place for disks."""

    def __init__(self, seed: int, directory: Path, loop: VirtualLoop) -> None:
        self.seed = seed
        self.loop = loop
        self.directory = directory
        self.rng = random.Random(seed)  # noqa: S311 - the point of it
        self.clock = VirtualClock(loop)
        self.wire = Wire(loop, random.Random(self.rng.random()))  # noqa: S311 - the point of it
        self.resolver = StaticResolver(ZONE)
        self.ledger = Ledger()
        self.gateways: list[Gateway] = []
        self.senders: dict[str, Sender] = {}
        self.sending: set[asyncio.Task[None]] = set()
        self.disturbances: list[float] = []  # when connections broke
        self.full_disks: list[tuple[float, float]] = []  # from when to when nothing could be stored
        self._supervisors: list[asyncio.Task[None]] = []
        self.own = self._peer("mail.contoso.com", OWN)
        self.sun = self._peer("mail.example.net", SUNS)
        self.moon = self._peer("mail.example.org", MOONS)
        self.mailboxes = Mailboxes("mailboxes.mailwye.example", self.network(MAILBOXES), self.clock)
        self._names = 0
        self._authority: Authority | None = None

    @staticmethod
    def run(seed: int, directory: Path, story: Callable[[World], Coroutine[Any, Any, None]]) -> World:
        """Play `story` in a new world and return it at its end. Faults of callbacks and tasks in it are errors.

        :raises AssertionError: what `story` raises is wrapped so that the message names the seed.
        """
        made: list[World] = []

        async def play(loop: VirtualLoop) -> None:
            world = World(seed, directory, loop)
            made.append(world)
            try:
                await story(world)
                assert loop.faults == [], "\n".join(loop.faults)
            finally:
                for gateway in world.gateways:
                    gateway.close()

        try:
            run_virtual(play)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        except Exception as error:
            error.add_note(f"in the simulated world of seed {seed}")
            raise
        return made[0]

    # machines

    def network(self, address: str) -> SimulatedNetwork:
        """The wire as the machine at `address` sees it."""
        return SimulatedNetwork(self.wire, address)

    def _peer(self, name: str, address: str) -> PeerServer:
        return PeerServer(name, self.network(address), self.clock)

    @property
    def authority(self) -> Authority:
        """The authority that everybody in this world trusts; made when it is asked for."""
        if self._authority is None:
            self._authority = Authority(self.directory / "authority", now=self.clock.now(), days=AUTHORITY_DAYS)
        return self._authority

    def server_tls(self, pair: KeyPair) -> ServerTlsContext:
        """A server with this certificate; it trusts the world's authority."""
        trusted = (str(self.authority.certificate),)
        return ServerTlsContext(certificate=str(pair.certificate), private_key=str(pair.private_key), trusted_authorities=trusted)

    def client_tls(self, pair: KeyPair | None = None) -> ClientTlsContext:
        """A client that trusts the world's authority, with this certificate."""
        trusted = (str(self.authority.certificate),)
        if pair is None:
            return ClientTlsContext(trusted_authorities=trusted)
        return ClientTlsContext(certificate=str(pair.certificate), private_key=str(pair.private_key), trusted_authorities=trusted)

    def gateway(
        self,
        organization: str = ORGANIZATION,
        *,
        name: str = GATEWAY_NAME,
        address: str = GATEWAY,
        delivery: DeliverySettings | None = None,
        queue: QueueSettings | None = None,
        limits: InboundLimits | None = None,
        tls: bool = False,
    ) -> Gateway:
        """A gateway that is not started yet. With `tls` it has a certificate, Bob may submit, and it uses STARTTLS for what leaves."""
        settings = GatewaySettings(
            name=name,
            address=address,
            organization=organization,
            lmtp=f"{MAILBOXES}:24",
            delivery=delivery or DeliverySettings(),
            queue=queue or QueueSettings(),
            limits=limits or InboundLimits(),
        )
        if tls:
            context = self.server_tls(self.authority.issue(name, [name]))
            settings = replace(settings, tls=context, client_tls=self.client_tls(), passwords={BOB: BOB_PASSWORD})
        rng = random.Random(self.rng.random())  # noqa: S311 - the point of it
        made = Gateway(settings, loop=self.loop, wire=self.wire, resolver=self.resolver, rng=rng, directory=self.directory)
        self.gateways.append(made)
        return made

    def supervise(self, gateway: Gateway, seconds: tuple[float, float] = (1.0, 90.0)) -> None:
        """From now on: whenever the power of `gateway` is cut, it comes back after a while, and the gateway is started until that
        succeeds, as a service manager does.
        """
        self._supervisors.append(self.loop.create_task(self._supervise(gateway, seconds)))

    async def _supervise(self, gateway: Gateway, seconds: tuple[float, float]) -> None:
        while True:
            await gateway.cut_off()
            await asyncio.sleep(self.rng.uniform(*seconds))
            gateway.boot()
            while not gateway.is_up:
                try:
                    if not await gateway.start():
                        break  # the power is gone again
                except QueueError as error:
                    gateway.alerts.append(f"not started: {error}")
                    await asyncio.sleep(RESTART_SECONDS)
                    if not gateway.power.on:
                        break

    async def begin(self, *, cut_at: int = 0, **settings: Any) -> Gateway:
        """Start the story's servers and one gateway, which comes back after cuts. `settings`: see `gateway`; `cut_at`: see Power."""
        await self.own.start(OWN, 25)
        await self.sun.start(SUNS, 25)
        await self.moon.start(MOONS, 25)
        await self.mailboxes.start(MAILBOXES, 24)
        made = self.gateway(**settings)
        await made.start(cut_at=cut_at)
        self.supervise(made)
        return made

    def break_connections(self, address: str) -> None:
        """All connections of a machine break; what was in flight on them may come twice."""
        self.disturbances.append(self.loop.time())
        self.wire.break_connections(address)

    # mail

    def sender(self, name: str, address: str, *, login: bool = False) -> Sender:
        """The sending machine at `address`, made when it is asked for the first time."""
        if name not in self.senders:
            rng = random.Random(self.rng.random())  # noqa: S311 - the point of it
            known = Login(BOB, BOB_PASSWORD, ClientTlsContext()) if login else None
            self.senders[name] = Sender(name, self.network(address), self.clock, self.ledger, rng, login=known)
        return self.senders[name]

    def mail(
        self,
        sender: str,
        recipients: tuple[str, ...],
        *,
        body: bytes = b"Hello\r\n",
        fields: bytes = b"",
        after: float = 0.0,
        host: str = "",
    ) -> Mail:
        """Let the machine of `sender` send a message to `host` ("": the first gateway), `after` so many seconds; it goes on until that
        succeeded. `fields`: more header fields.
        """
        mail = Mail(self.new_name(), sender, recipients, body, fields=fields)
        machine, port = self._machine_of(sender)
        task = self.loop.create_task(self._send_later(machine, mail, port, after, host or self.gateways[0].settings.address))
        self.sending.add(task)
        return mail

    def new_name(self) -> str:
        """For one more message: no other has it."""
        self._names += 1
        return f"m{self._names}"

    async def _send_later(self, machine: Sender, mail: Mail, port: int, after: float, host: str) -> None:
        await asyncio.sleep(after)
        await machine.send(mail, host, port)

    def _machine_of(self, sender: str) -> tuple[Sender, int]:
        match sender.rpartition("@")[2]:
            case "contoso.com" if sender == BOB:
                return self.sender("bobs.contoso.com", BOBS, login=True), 587
            case "contoso.com":
                return self.sender("mail.contoso.com", OWN), 25
            case "example.org":
                return self.sender("mail.example.org", MOONS), 25
            case _:
                return self.sender("mail.example.net", SUNS), 25

    # time

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def settle(self, *, seconds: float = 2 * 86_400.0, step: float = 60.0) -> None:
        """Wait until all mail was sent and no queue holds anything. :raises AssertionError: that takes longer than `seconds`."""
        end = self.loop.time() + seconds
        while self.loop.time() < end:
            await asyncio.sleep(step)
            if all(task.done() for task in self.sending) and all(gateway.is_up for gateway in self.gateways):
                for task in (*self.sending, *(one for one in self._supervisors if one.done())):
                    task.result()
                if not any([await gateway.rows() for gateway in self.gateways]):
                    return
        waiting = sum(not task.done() for task in self.sending)
        queued = [
            f"{row.message.id} {row.delivery.recipient} {row.delivery.last_error}"
            for one in self.gateways
            if one.is_up
            for row in await one.rows()
        ]
        raise AssertionError(f"after {seconds:.0f} s {waiting} messages are not sent and {len(queued)} are queued: {queued[:3]}")

    @property
    def far_ends(self) -> Mapping[str, PeerServer | Mailboxes]:
        """Where mail ends, by the domain or the mailbox."""
        return {JOHN: self.own, BOB: self.mailboxes, "example.net": self.sun, "example.org": self.moon}
