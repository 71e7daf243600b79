"""Carries messages to other mail servers: one pool of connections for each destination."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from mailwye.config.installation import DeliverySettings
from mailwye.config.secrets import SecretError
from mailwye.connectors.selection import Route
from mailwye.message.envelope import TlsWish
from mailwye.outbound.courier import Attempt, HostResolver, Stage, Work, way_key
from mailwye.outbound.departure import Border
from mailwye.outbound.session.account import Account, OpenSecret
from mailwye.outbound.session.login import unusable_password
from mailwye.outbound.smtp_pool import Report, SmtpPool
from mailwye.outbound.ticket import SessionSettings, Ticket
from mailwye.outbound.tls_check import demand_of, handshake_failed, is_watched
from mailwye.runtime.clock import Clock
from mailwye.runtime.network import Network
from mailwye.runtime.tls import ClientTlsContext, TlsError
from mailwye.smtp.client_events import ClientConfig, ClientMode
from mailwye.smtp.reply import Reply
from mailwye.trace.certificate_watch import CertificateWatch

TlsContexts = Callable[[str], ClientTlsContext | None]
"""From a Route's `client_certificate` ("" for none) to the context to use; None: this courier speaks no TLS.

:raises TlsError: no such certificate, or its files are bad.
"""


def client_config(delivery: DeliverySettings, hostname: str, mode: ClientMode = ClientMode.SMTP) -> ClientConfig:
    """How the connections of these settings speak."""
    return ClientConfig(
        hostname=delivery.hello_name or hostname,
        mode=mode,
        greeting_timeout=min(300.0, delivery.command_timeout),
        command_timeout=delivery.command_timeout,
        data_timeout=min(120.0, delivery.command_timeout),
        block_timeout=min(180.0, delivery.command_timeout),
        content_timeout=delivery.content_timeout,
        handshake_timeout=min(60.0, delivery.command_timeout),
    )


class SmtpCourier:
    """The Courier for RouteKind.CONNECTOR and RouteKind.MX."""

    def __init__(
        self,
        *,
        network: Network,
        resolver: HostResolver,
        tls_contexts: TlsContexts,
        clock: Clock,
        settings: DeliverySettings,
        hostname: str,
        mode: ClientMode = ClientMode.SMTP,
        border: Border | None = None,
        certificates: CertificateWatch | None = None,
        report: Report | None = None,
        open_secret: OpenSecret | None = None,
    ) -> None:
        """`border`: what it does to every message that leaves; None where they stay in the organization (LMTP). `report`: hears what each
        session met, for TLS reports. `open_secret`: gives the password of a connector that logs in.
        """
        self._open_secret = open_secret
        self._border = border
        self._report = report
        self._network = network
        self._resolver = resolver
        self._tls_contexts = tls_contexts
        self._clock = clock
        self._settings = settings
        self._client = client_config(settings, hostname, mode)
        self._certificates = certificates
        self._pools: dict[str, SmtpPool] = {}
        self._retired: set[SmtpPool] = set()
        self._closed = False
        self._emptied = asyncio.Event()

    def deliver(self, work: Work) -> Awaitable[Sequence[Attempt]]:
        """See Courier."""
        ticket = Ticket(work)
        if self._closed:
            ticket.fail(Stage.CONNECT, Reply(450, "4.3.2", "Shutting down; the message stays in the queue"))
            return ticket
        pool = self._pools.get(work.way)
        if pool is None or (pool.route is not work.route and not work.route.dials_like(pool.route)):
            try:
                pool = self._new_pool(_with_wish(work.route, work.lease.message.tls))
            except TlsError as error:
                demand = demand_of(work.route)
                ticket.fail(Stage.TLS, handshake_failed(demand, work.route.next_hop, f"the client certificate cannot be used: {error}"))
                return ticket
            except SecretError as error:
                ticket.fail(Stage.AUTH, unusable_password(work.route.connector, error))
                return ticket
        pool.submit(ticket)
        return ticket

    async def close(self) -> None:
        """See Courier. Waits for what is in flight; cancel it to cut that short, then everything left is dropped and deferred."""
        self._closed = True
        try:
            for pool in (*self._pools.values(), *self._retired):
                pool.close_when_idle()
            while self._pools or self._retired:
                self._emptied.clear()
                await self._emptied.wait()
        finally:
            for pool in (*self._pools.values(), *self._retired):
                pool.abort()

    def _new_pool(self, route: Route) -> SmtpPool:
        """A pool for `route`; the one that had the same key before a configuration change finishes what it has."""
        key = way_key(route.next_hop, route.tls_wish)
        context = self._tls_contexts(route.client_certificate)
        account = self._account_of(route)
        old = self._pools.pop(key, None)
        if old is not None:
            self._retired.add(old)
            old.close_when_idle()
        demand = demand_of(route)
        client = replace(self._client, hostname=route.hello_name) if route.hello_name else self._client
        pool = self._pools[key] = SmtpPool(
            route,
            settings=SessionSettings(
                client,
                demand,
                context,
                self._settings.connection_idle,
                self._settings.messages_per_connection,
                self._settings.connection_lifetime,
                self._border,
                self._certificates if is_watched(route) else None,
                account,
            ),
            delivery=self._settings,
            resolver=self._resolver,
            network=self._network,
            clock=self._clock,
            on_empty=self._drop_pool,
            report=self._report,
        )
        return pool

    def _account_of(self, route: Route) -> Account | None:
        """:raises SecretError: nothing is dialled while the password cannot be had."""
        if route.credential is None:
            return None
        if self._open_secret is None:
            raise SecretError("this courier opens no passwords")
        account = Account(route.credential, route.connector, self._open_secret)
        account.password()
        return account

    def _drop_pool(self, pool: SmtpPool) -> None:
        key = way_key(pool.route.next_hop, pool.route.tls_wish)
        if self._pools.get(key) is pool:
            del self._pools[key]
        self._retired.discard(pool)
        self._emptied.set()


def _with_wish(route: Route, wish: TlsWish) -> Route:
    """The route itself for most messages: a pool that has it knows the next one by identity."""
    return route if route.tls_wish is wish else replace(route, tls_wish=wish)
