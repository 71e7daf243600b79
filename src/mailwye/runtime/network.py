"""Sockets as a port, so that the simulated world can stand in for them. Transports and protocols are asyncio's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from mailwye.runtime.accepting import PausingServer


class Server(Protocol):
    """A listening server."""

    def close(self) -> None:
        """Stop accepting; open connections live on."""
        ...


class Network(Protocol):
    """Connect and listen. Plain TCP: TLS is a layer above (runtime/tls.py), so it works over a simulated network too."""

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, *, source: str = "", timeout: float
    ) -> asyncio.Protocol:
        """Connect to the IP address `host` (never a name), or to the Unix socket whose absolute path it is. Returns the protocol that
        `factory` made, connected.

        :raises OSError: refused, unreachable; TimeoutError (an OSError) after `timeout` seconds.
        """
        ...

    async def listen(self, factory: Callable[[], asyncio.Protocol], listening: socket.socket | tuple[str, int]) -> Server:
        """Accept on a bound listening socket, or bind address and port first. :raises OSError: the address is taken or not ours."""
        ...


class SystemNetwork:
    """The machine's network through the running event loop."""

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, *, source: str = "", timeout: float
    ) -> asyncio.Protocol:
        """See Network."""
        loop = asyncio.get_running_loop()
        local = (source, 0) if source else None
        async with asyncio.timeout(timeout):
            if host.startswith("/"):
                _, protocol = await loop.create_unix_connection(factory, host)
                return protocol
            _, protocol = await loop.create_connection(factory, host, port, local_addr=local)
        return protocol

    async def listen(self, factory: Callable[[], asyncio.Protocol], listening: socket.socket | tuple[str, int]) -> Server:
        """See Network."""
        if isinstance(listening, tuple):
            return await asyncio.get_running_loop().create_server(factory, listening[0], listening[1], backlog=1024)
        server = PausingServer(factory, listening)
        await server.start()
        return server
