"""The admin listeners: uvicorn on the service's own loop and its own sockets, without its signals and its logging.

Whoever may connect has not said who he is yet, so connections are taken here, one by one: so many in all and from one address, with some
left for the machine itself; a handshake, a head and an answer that is not read have a deadline each. uvicorn bounds none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from mailwye.admin.api.problems import ApiError, answer
from mailwye.config.installation import ListenerSettings
from mailwye.runtime.network import counting_key
from mailwye.runtime.tls import SERVER_CIPHERS

CONNECTIONS = 200  # at once, on one listener; more are closed
PER_ADDRESS = 32  # of them from one address (IPv6: /64) that is not a loopback one
FOR_LOOPBACK = 50  # of them kept for loopback addresses
HANDSHAKE_SECONDS = 10.0
HEAD_SECONDS = 15.0  # from the beginning, or the answer before, until the head of a request is there
UNREAD_SECONDS = 60.0  # in which a client has to take something of what is sent to it
PIECE = 65_536  # octets of an answer that are sent at once; as many may wait to be taken
KEEP_ALIVE = 10  # seconds
HEAD_OCTETS = 32_768
FINISH_SECONDS = 5
PAUSE_SECONDS = 1.0  # where the kernel gives no connection: out of descriptors or memory


class _Protocol(H11Protocol):
    """One connection, with deadlines. `ended`: when it is gone."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        transport.set_write_buffer_limits(PIECE)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._head, self._unread):
            if timer is not None:
                timer.cancel()
        if not self.ended.done():
            self.ended.set_result(None)

    def _look(self) -> None:
        """While no request is being answered, one has to come: octet by octet is not quick enough."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)


class _Server(uvicorn.Server):
    """Takes its connections itself."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        super().__init__(config)
        self._listening = listening
        self._open: Counter[str] = Counter()
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the service's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Instead of uvicorn's listening."""
        await self.lifespan.startup()
        self.servers = []
        self._listening.setblocking(False)
        self._accepting = asyncio.ensure_future(self._accept())
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more; finish what is being answered."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        await super().shutdown(sockets)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            place = counting_key(_host(address))
            if self._has_room(place):
                self._open[place] += 1
                task = asyncio.ensure_future(self._serve_one(connection, place))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)
            else:
                connection.close()

    def _has_room(self, place: str) -> bool:
        if place.startswith("127.") or place == counting_key("::1"):
            return self._open.total() < CONNECTIONS
        return self._open[place] < PER_ADDRESS and self._open.total() < CONNECTIONS - FOR_LOOPBACK

    async def _serve_one(self, connection: socket.socket, place: str) -> None:
        """From the handshake to the end."""
        tls: dict[str, Any] = {"ssl": self.config.ssl, "ssl_handshake_timeout": HANDSHAKE_SECONDS} if self.config.ssl is not None else {}
        protocol = _Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        try:
            with contextlib.suppress(OSError):  # ssl.SSLError is one, and a handshake that takes too long
                transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection, **tls)
                try:
                    await protocol.ended
                finally:
                    transport.abort()
        finally:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]


class Pieces:
    """Sends long answers piece by piece: a request is being answered until nearly all is taken, since a slow line is no idle one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_pieces(message: Message) -> None:
            body, begin = message.get("body", b""), 0
            while len(body) - begin > PIECE:
                await send({**message, "body": body[begin : begin + PIECE], "more_body": True})
                begin += PIECE
            await send({**message, "body": body[begin:]} if begin else message)

        await self._app(scope, receive, in_pieces)


class _Closed:
    """The open pages only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api"):
            text = "the API is served over TLS, or on a loopback address: give the listener certificate and private_key"
            await answer(ApiError(403, text))(scope, receive, send)
            return
        await self._app(scope, receive, send)


class AdminServer:
    """One listener. `pair`: certificate and key files, None for plain HTTP; then the API is closed unless the address is a loopback one, by
    the settings and of the socket, which systemd may have passed.
    """

    def __init__(self, app: ASGIApp, listener: ListenerSettings, listening: socket.socket, pair: tuple[Path, Path] | None) -> None:
        addresses = (listener.address, _host(listening.getsockname()))
        is_open = pair is not None or all(ipaddress.ip_address(address).is_loopback for address in addresses)
        self._pair = pair
        self._config = uvicorn.Config(
            Pieces(app if is_open else _Closed(app)),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # a line for each request that is none would let anybody fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=FINISH_SECONDS,
            h11_max_incomplete_event_size=HEAD_OCTETS,
        )
        self._listening = listening
        self._server = _Server(self._config, listening)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer from now on. :raises OSError, ssl.SSLError: the certificate cannot be used."""
        self._config.load()
        if self._pair is not None:
            self._config.ssl = _context(self._pair)
        self._running = asyncio.ensure_future(self._server.serve(sockets=[self._listening]))

    def reload(self) -> None:
        """Use the files as they are now, for new connections. :raises OSError, ssl.SSLError: the old ones stay."""
        if self._pair is not None:
            self._config.ssl = _context(self._pair)

    async def close(self) -> None:
        """Finish what is being answered."""
        self._server.should_exit = True
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)


def _host(address: Any) -> str:
    """The IP address; whoever comes over a socket in a folder is on this machine."""
    return str(address[0]) if isinstance(address, tuple) else "127.0.0.1"


def _context(pair: tuple[Path, Path]) -> ssl.SSLContext:
    """As mail listeners have it. A new one each time: OpenSSL forgets the old key where a new one does not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SERVER_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(*pair)
    return context
