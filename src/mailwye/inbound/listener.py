"""A listener: accepts connections and makes sessions of them, until it is drained."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

from mailwye.config.installation import ListenerSettings
from mailwye.connectors.matching import parse_range
from mailwye.inbound.context import InboundContext
from mailwye.inbound.proxy_gate import ProxyGate
from mailwye.inbound.session import Session
from mailwye.inbound.session_settings import SessionSettings, Stoppable, server_config
from mailwye.runtime.network import Network, Server

KINDS = ("mx", "submission", "submissions")


class ListenerError(Exception):
    """The listener cannot serve with these settings; the text names the setting and the remedy."""


class Listener:
    """One address and port. Kinds: "mx" (port 25), "submission" (587, STARTTLS), "submissions" (465, TLS from the first octet)."""

    def __init__(self, context: InboundContext, settings: ListenerSettings, network: Network) -> None:
        """:raises ListenerError: an unknown kind, a proxy or front end that is no network, or TLS from the start without a certificate."""
        if settings.kind not in KINDS:
            raise ListenerError(f"listener {settings.name}: kind {settings.kind!r} takes no mail; use one of {', '.join(KINDS)}")
        if settings.kind == "submissions" and context.tls.of(settings.name) is None:
            raise ListenerError(
                f"listener {settings.name}: submissions is TLS from the first octet; set certificate and private_key in [tls]"
            )
        for key, networks in (("proxies", settings.proxies), ("xclient", settings.xclient)):
            try:
                for addresses in networks:
                    parse_range(addresses)
            except ValueError as error:
                raise ListenerError(f"listener {settings.name}: {key}: {error}; use networks such as 192.0.2.0/24") from error
        self.settings = settings
        self._context = context
        self._network = network
        self._sessions: set[Stoppable] = set()
        self._server: Server | None = None
        self._empty: asyncio.Event = asyncio.Event()
        config = server_config(context, settings.kind)
        self._session_settings = SessionSettings(
            listener=settings,
            config=config,
            config_without_tls=replace(config, offer_starttls=False),
            opened=self._sessions.add,
            closed=self._closed,
            local=str(settings.binding),
        )

    @property
    def sessions(self) -> int:
        """Open connections."""
        return len(self._sessions)

    async def start(self, listening: socket.socket | None = None) -> None:
        """Accept connections on `listening`, a bound and listening socket, or on the address and port of the settings.

        :raises OSError: the address is taken or not ours.
        """
        self._server = await self._network.listen(self.session, listening or (self.settings.address, self.settings.port))

    def session(self) -> Session | ProxyGate:
        """The protocol for one new connection (the factory that the network calls)."""
        make = ProxyGate if self.settings.proxies else Session
        return make(self._context, self._session_settings)

    def _closed(self, session: Stoppable) -> None:
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()

    def close(self) -> None:
        """Stop accepting. Open sessions live on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def drain(self, timeout: float) -> int:
        """Stop accepting, say 421 to idle sessions, and wait until content in flight is answered.

        After `timeout` seconds the rest is cut; how many that were. What is cut was not acknowledged, so its sender keeps it.
        """
        self.close()
        self._empty.clear()
        for session in tuple(self._sessions):
            session.shut_down()
        if self._sessions:
            try:
                async with asyncio.timeout(timeout):
                    await self._empty.wait()
            except TimeoutError:
                pass
        rest = tuple(self._sessions)
        for session in rest:
            session.abort()
        return len(rest)
