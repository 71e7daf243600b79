"""In front of a session on a listener that has proxies: a declared proxy must tell the real peer first (W24).

Anybody else's connection goes straight to a session, where a PROXY header is a syntax error as any unknown command.
"""

from __future__ import annotations

import asyncio
from typing import cast

from mailwye.connectors.matching import canonical_address, longest_prefix
from mailwye.inbound.context import InboundContext
from mailwye.inbound.recording import record_broken_session
from mailwye.inbound.session import Session
from mailwye.inbound.session_settings import SessionSettings
from mailwye.smtp.proxy import ProxyError, parse_proxy_header


class ProxyGate(asyncio.Protocol):
    """Reads the PROXY header, then hands the transport to a session. No greeting before it: proxies speak first."""

    __slots__ = ("_address", "_context", "_data", "_port", "_settings", "_timer", "_transport")

    def __init__(self, context: InboundContext, settings: SessionSettings) -> None:
        self._context = context
        self._settings = settings
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._address = ""
        self._port = 0
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: somebody connected."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # gone already
            self._transport.abort()
            return
        self._address, self._port = canonical_address(peer[0]), peer[1]
        self._settings.opened(self)
        if longest_prefix(self._settings.listener.proxies, self._address) < 0:
            self._hand_over(proxied=False)
            return
        seconds = self._context.limits.handshake_timeout
        self._timer = asyncio.get_running_loop().call_later(seconds, self._break, f"no PROXY header within {seconds:g} seconds")

    def data_received(self, data: bytes) -> None:
        """asyncio: octets of the header, maybe with the peer's own behind it."""
        if self._transport.is_closing():
            return
        self._data += data
        try:
            header = parse_proxy_header(self._data)  # bounded: it refuses what is too long for a header
        except ProxyError as error:
            self._break(str(error))
            return
        if header is None:
            return
        if header.source:  # none: the proxy speaks for itself (a health check), so the connection is what it looks like
            self._address, self._port = header.source, header.source_port
        session = self._hand_over(proxied=bool(header.source))
        rest = self._data[header.length :]
        if rest:
            session.data_received(rest)

    def _hand_over(self, *, proxied: bool) -> Session:
        self._stop_timer()
        session = Session(self._context, self._settings)
        self._transport.set_protocol(session)
        session.begin(self._transport, self._address, self._port, proxied=proxied)
        self._settings.closed(self)
        return session

    def _break(self, cause: str) -> None:
        record_broken_session(self._context, self._context.new_id(), self._address, self._settings.listener.name, cause)
        self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shut_down(self) -> None:
        """Nothing was said yet, so nothing is said now."""
        self._transport.abort()

    def abort(self) -> None:
        """Cut the connection now."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self._stop_timer()
        self._settings.closed(self)
