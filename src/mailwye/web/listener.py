"""A listener for pages: one request for each connection, with a bound on everything that a client can hold."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from mailwye.config.installation import ListenerSettings
from mailwye.runtime.network import Network, Server
from mailwye.runtime.tls import ServerTlsContext, TlsError, TlsLayer
from mailwye.web.http_exchange import HttpExchange, Request, Response
from mailwye.web.pages import Pages

KINDS = ("https", "http")

CONNECTIONS_LIMIT = 200
"""Open connections of one listener in one worker; more are cut."""

REQUEST_SECONDS = 10.0
"""From the connection to the end of its answer."""


class PageListener:
    """One address and port. Kinds: "https" (TLS from the first octet) and "http". `tls`: the context for a handshake that begins now."""

    def __init__(self, settings: ListenerSettings, pages: Pages, network: Network, tls: Callable[[], ServerTlsContext | None]) -> None:
        self.settings = settings
        self.pages = pages
        self.tls = tls
        self._network = network
        self._server: Server | None = None
        self.open: set[PageSession] = set()

    async def start(self, listening: socket.socket | None = None) -> None:
        """Accept connections on `listening`, a bound and listening socket, or on the address and port of the settings.

        :raises OSError: the address is taken or not ours.
        """
        place = listening or (self.settings.address, self.settings.port)
        self._server = await self._network.listen(lambda: PageSession(self), place)

    def close(self) -> None:
        """Stop accepting and cut what is open: whoever wanted a page asks again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in tuple(self.open):
            session.cut()


class PageSession(asyncio.Protocol):
    """One connection."""

    def __init__(self, listener: PageListener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport
        self._tls: TlsLayer | None = None
        self._http = HttpExchange()
        self._answered = False
        self._timer = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self.cut)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client connected."""
        self._transport = cast("asyncio.Transport", transport)
        listener = self._listener
        listener.open.add(self)
        context = listener.tls() if listener.settings.kind == "https" else None
        if len(listener.open) > CONNECTIONS_LIMIT or (context is None and listener.settings.kind == "https"):
            self.cut()
        elif context is not None:
            self._tls = TlsLayer(context)
            self._tls.start()

    def data_received(self, data: bytes) -> None:
        """asyncio: octets from the client. What follows the request is not looked at."""
        if self._answered:
            return
        if self._tls is not None:
            try:
                data = self._tls.receive_data(data)
            except TlsError:
                self._send(self._tls.data_to_send())  # the alert that says what is wrong
                self._end()
                return
            self._send(self._tls.data_to_send())
            if self._tls.peer_closed:
                self._end()
                return
        asked = self._http.receive_data(data) if data else None
        if isinstance(asked, Request):
            name = self._tls.server_name if self._tls is not None else ""
            asked = self._listener.pages.answer(asked, encrypted=self._tls is not None, server_name=name)
        if asked is not None:
            self._answer(asked)

    def _answer(self, response: Response) -> None:
        data = self._http.render(response)
        if self._tls is not None:
            try:
                self._tls.send(data)
            except TlsError:
                self.cut()
                return
            self._tls.close()
            data = self._tls.data_to_send()
        self._send(data)
        self._end()

    def _send(self, data: bytes) -> None:
        if data:
            self._transport.write(data)

    def _end(self) -> None:
        """Say no more, and close when the client does: closing while he still sends would throw away what he has not read yet (RFC 9112
        section 9.6). The timer cuts off whoever stays.
        """
        self._answered = True
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def cut(self) -> None:
        """End it now."""
        self._answered = True
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self._timer.cancel()
        self._listener.open.discard(self)
