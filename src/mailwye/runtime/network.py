"""Sockets as a port, so that the simulated world can stand in for them, transports and protocols are asyncio's; and which IP addresses no
host of the Internet has, and which belong together.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from mailwye.runtime.accepting import PausingServer

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/127", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


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


def counting_key(address: str) -> str:
    """The key under which limits count an address: itself for IPv4, mapped too; its /64 for IPv6, since one customer has at least that."""
    if ":" not in address:
        return address
    ip = ipaddress.IPv6Address(address.partition("%")[0])  # without the zone of a link-local address
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((ip, 64), strict=False))


@lru_cache(maxsize=1024)
def is_private(address: str) -> bool:
    """True for addresses that no Internet host has, also where IPv6 wraps an IPv4 address (mapped, NAT64, 6to4)."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_private(str(inner))
    return any(ip in network for network in _PRIVATE)
