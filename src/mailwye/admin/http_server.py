"""The admin listeners: uvicorn on the service's own loop and its own sockets, without its signals and its logging."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from mailwye.admin.api.problems import ApiError, answer
from mailwye.config.installation import ListenerSettings

CONNECTIONS = 200  # at once, on one listener; more are answered 503
KEEP_ALIVE = 10  # seconds
HEAD_OCTETS = 32_768
FINISH_SECONDS = 5


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the service's."""
        yield


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
    """One listener. `pair`: certificate and key files, None for plain HTTP; then the API is closed unless the address is a loopback one."""

    def __init__(self, app: ASGIApp, listener: ListenerSettings, listening: socket.socket, pair: tuple[Path, Path] | None) -> None:
        is_open = pair is not None or ipaddress.ip_address(listener.address).is_loopback
        self._pair = pair
        self._socket = listening
        self._config = uvicorn.Config(
            app if is_open else _Closed(app),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=FINISH_SECONDS,
            h11_max_incomplete_event_size=HEAD_OCTETS,
            ssl_certfile=str(pair[0]) if pair else None,
            ssl_keyfile=str(pair[1]) if pair else None,
        )
        self._server = _Server(self._config)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer from now on. :raises OSError, ssl.SSLError: the certificate cannot be used."""
        self._config.load()
        if self._config.ssl is not None:
            self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._running = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))

    def reload(self) -> None:
        """Use the files as they are now, for new connections. :raises OSError, ssl.SSLError: the old ones stay."""
        if self._pair is not None and self._config.ssl is not None:
            self._config.ssl.load_cert_chain(*self._pair)

    async def close(self) -> None:
        """Finish what is being answered."""
        self._server.should_exit = True
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
