"""A domain on loopback whose mail is protected: its zone, its policy, its MX servers, and a courier that asks for all of it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mailwye.config.installation import DeliverySettings, TransportSettings
from mailwye.connectors.model import MtaStsMode, SmtpDaneMode, TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.envelope import TlsWish
from mailwye.outbound.courier import Attempt
from mailwye.outbound.resolve import RouteResolver
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.entropy import system_random
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.resolver import StaticResolver
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.policy_fetch import PolicyFetchError
from mailwye.transport.policy_store import MemoryPolicyStore
from mailwye.transport.sts_policies import StsPolicies
from mailwye.transport.tls_report import SessionResult
from tests.unit.outbound.scripted_server import JOHN, Peer, ScriptedServer, Talk, carry, scripted, work_for

DOMAIN = "example.com"
OWN_NAME = "me.example"


class Served:
    """A PolicyFetcher: what the policy host serves; None: nothing."""

    def __init__(self) -> None:
        self.body: bytes | None = None

    async def fetch(self, domain: str) -> bytes:
        if self.body is None:
            raise PolicyFetchError(Failure(FailureType.STS_POLICY_FETCH_ERROR, "status 404"))
        return self.body


def context_of(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.private_key)
    return context


def encrypted(pair: KeyPair, *offers: bytes) -> Talk:
    context = context_of(pair)

    async def talk(peer: Peer) -> None:
        await peer.hello(b"STARTTLS")
        await peer.start_tls(context)
        await peer.offer(b"PIPELINING", *offers)
        await peer.serve()

    return talk


async def plain(peer: Peer) -> None:
    """Offers no STARTTLS, and would take every message."""
    await peer.hello(b"PIPELINING")
    await peer.serve()


@dataclass
class Protected:
    """`servers`: by MX name, each on an address of its own, all on one port."""

    resolver: StaticResolver
    served: Served
    courier: SmtpCourier
    servers: dict[str, ScriptedServer]
    policies: StsPolicies
    results: list[SessionResult]

    def announce(self, mode: str, *mx: str, age: int = 86_400) -> None:
        """Publish an MTA-STS policy."""
        self.resolver.zone[f"_mta-sts.{DOMAIN}"] = {"TXT": ["v=STSv1; id=1;"]}
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), f"max_age: {age}"]
        self.served.body = "\n".join(lines).encode()

    def tlsa(self, name: str, *records: tuple[int, int, int, bytes]) -> None:
        """Publish TLSA records for the host `name`."""
        port = next(iter(self.servers.values())).port
        self.resolver.zone[f"_{port}._tcp.{name}"] = {"TLSA": list(records)}

    async def send(self, route: Route | None = None, *, tls: TlsWish = TlsWish.DEFAULT) -> Attempt:
        """One message to john at the domain."""
        (attempt,) = await carry(self.courier, work_for(JOHN, route=route or mx_route(), tls=tls))
        return attempt

    @property
    def arrived(self) -> dict[str, int]:
        """Messages by server."""
        return {name: len(server.contents) for name, server in self.servers.items() if server.contents}


def mx_route(
    mta_sts_mode: MtaStsMode = MtaStsMode.OPPORTUNISTIC,
    tls: TlsSettings = TlsSettings.OPPORTUNISTIC,
    dane: SmtpDaneMode = SmtpDaneMode.OPPORTUNISTIC,
) -> Route:
    return Route(RouteKind.CONNECTOR, JOHN, "Out", domain=DOMAIN, mta_sts_mode=mta_sts_mode, tls_settings=tls, smtp_dane_mode=dane)


@asynccontextmanager
async def protected(authority: Authority, talks: Sequence[tuple[str, Talk]], *, signed: bool = False) -> AsyncIterator[Protected]:
    """A world whose MX records name the hosts of `talks` in their order. `signed`: DNSSEC vouches for its zone."""
    async with AsyncExitStack() as stack:
        servers: dict[str, ScriptedServer] = {}
        zone: dict[str, dict[str, list[object]]] = {DOMAIN: {"MX": [(10 * n, name) for n, (name, _) in enumerate(talks, 1)]}}
        port = 0
        for number, (name, talk) in enumerate(talks, 1):
            address = f"127.0.0.{number}"
            servers[name] = await stack.enter_async_context(scripted(talk, address=address, port=port))
            port = servers[name].port
            zone[name] = {"A": [address]}
        resolver, served, clock = StaticResolver(zone, authenticated=signed), Served(), SystemClock()
        policies = StsPolicies(
            resolver=resolver,
            fetcher=served,
            store=MemoryPolicyStore(),
            clock=clock,
            settings=TransportSettings(),
            alert=lambda _text: None,
        )
        stack.push_async_callback(policies.close)
        settings = DeliverySettings(
            mx_port=port, allow_private_mx=True, command_timeout=5.0, content_timeout=5.0, messages_per_connection=1, connect_timeout=2.0
        )
        results: list[SessionResult] = []
        context = ClientTlsContext(trusted_authorities=(str(authority.certificate),))
        courier = SmtpCourier(
            network=SystemNetwork(),
            resolver=RouteResolver(resolver=resolver, settings=settings, rng=system_random(), policies=policies, own_names=[OWN_NAME]),
            tls_contexts=lambda _name: context,
            clock=clock,
            settings=settings,
            hostname=OWN_NAME,
            report=results.append,
        )
        stack.push_async_callback(courier.close)
        yield Protected(resolver, served, courier, servers, policies, results)
