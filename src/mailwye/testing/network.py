"""A simulated network: machines with addresses, seeded latency, machines that are down, silent or slow, and connections that break."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

WRITE_BUFFER_HIGH = 65_536


class Reachability(Enum):
    """How a machine meets a connection attempt."""

    UP = "up"
    REFUSES = "refuses"
    SILENT = "silent"  # packets vanish: the caller's timeout decides


@dataclass(slots=True)
class Wire:
    """The network as a whole. One per world; machines see it through `SimulatedNetwork`."""

    loop: asyncio.AbstractEventLoop
    rng: random.Random
    latency: tuple[float, float] = (0.000_2, 0.002)
    listeners: dict[tuple[str, int], SimulatedServer] = field(default_factory=dict)
    reachability: dict[str, Reachability] = field(default_factory=dict)
    transports: dict[str, set[SimulatedTransport]] = field(default_factory=dict)
    ports: int = 40_000

    def delay(self) -> float:
        """One packet's way, in seconds."""
        return self.rng.uniform(*self.latency)

    def set_reachability(self, address: str, state: Reachability) -> None:
        """From now on the machine at `address` is up, refuses, or is silent. Open connections live on."""
        self.reachability[address] = state

    def break_connections(self, address: str) -> None:
        """All connections of the machine at `address` are lost, for both sides."""
        for transport in list(self.transports.get(address, ())):
            transport.lose(ConnectionResetError("connection reset"))

    def power_off(self, address: str) -> None:
        """The machine stops at once: its own programs are told nothing any more, its peers see resets."""
        for transport in list(self.transports.get(address, ())):
            transport.die()
        for key in [key for key in self.listeners if key[0] == address]:
            del self.listeners[key]


class SimulatedServer:
    """A listening socket of the simulated network."""

    def __init__(self, wire: Wire, key: tuple[str, int], factory: Callable[[], asyncio.Protocol]) -> None:
        self._wire = wire
        self._key = key
        self.factory = factory

    def close(self) -> None:
        """Stop accepting."""
        if self._wire.listeners.get(self._key) is self:
            del self._wire.listeners[self._key]


class SimulatedNetwork:
    """One machine's view of the wire: implements runtime.network.Network."""

    def __init__(self, wire: Wire, address: str) -> None:
        self._wire = wire
        self.address = address

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, *, source: str = "", timeout: float
    ) -> asyncio.Protocol:
        """See runtime.network.Network."""
        wire = self._wire
        state = wire.reachability.get(host, Reachability.UP)
        if state is Reachability.SILENT:
            await asyncio.sleep(timeout)
            raise TimeoutError(f"connect to {host}:{port} timed out")
        await asyncio.sleep(wire.delay())
        server = wire.listeners.get((host, port))
        if state is Reachability.REFUSES or server is None:
            raise ConnectionRefusedError(111, f"connect to {host}:{port}: connection refused")
        wire.ports += 1
        ours = (source or self.address, wire.ports)
        client, remote = factory(), server.factory()
        near = SimulatedTransport(wire, client, ours, (host, port))
        far = SimulatedTransport(wire, remote, (host, port), ours)
        near.peer, far.peer = far, near
        wire.loop.call_later(wire.delay(), far.start)
        near.start()
        return client

    async def listen(self, factory: Callable[[], asyncio.Protocol], listening: socket.socket | tuple[str, int]) -> SimulatedServer:
        """See runtime.network.Network; only addresses, no real sockets."""
        assert isinstance(listening, tuple), "a simulated machine has no real sockets"
        if listening in self._wire.listeners:
            raise OSError(98, f"{listening[0]}:{listening[1]}: address already in use")
        server = SimulatedServer(self._wire, listening, factory)
        self._wire.listeners[listening] = server
        return server


class SimulatedTransport(asyncio.Transport):
    """One end of a connection. What is written arrives at the other end after the wire's delay, in order."""

    def __init__(self, wire: Wire, protocol: asyncio.Protocol, ours: tuple[str, int], theirs: tuple[str, int]) -> None:
        super().__init__({"sockname": ours, "peername": theirs})
        self._wire = wire
        self._protocol = protocol
        self._address = ours[0]
        self.peer: SimulatedTransport | None = None
        self._arrives_at = 0.0
        self._in_flight = 0
        self._paused_writing = False
        self._reading = True
        self._started = False
        self._waiting: list[bytes] = []
        self._eof_waits = False
        self._closing = False
        self._lost = False
        wire.transports.setdefault(self._address, set()).add(self)

    def start(self) -> None:
        """Tell the protocol that it is connected."""
        if self._lost:
            return
        self._started = True
        self._protocol.connection_made(self)
        self._drain_waiting()

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._lost or not data or self.peer is None:
            return
        octets = bytes(data)
        self._in_flight += len(octets)
        self._schedule(self._arrive_at_peer, octets)
        if self._in_flight > WRITE_BUFFER_HIGH and not self._paused_writing:
            self._paused_writing = True
            self._protocol.pause_writing()

    def close(self) -> None:
        if self._closing or self._lost:
            return
        self._closing = True
        if self.peer is not None:
            self._schedule(self.peer.receive_eof)
        self._wire.loop.call_soon(self.lose_here, None)

    def abort(self) -> None:
        if not self._lost:
            self.lose(None)

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._wire.loop.call_soon(self._drain_waiting)

    def is_reading(self) -> bool:
        return self._reading

    def get_write_buffer_size(self) -> int:
        return self._in_flight

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    # the wire's side

    def receive(self, octets: bytes) -> None:
        """Octets arrived at this end."""
        if self._lost or self._closing:
            return
        if self._reading and self._started and not self._waiting:
            self._protocol.data_received(octets)
        else:
            self._waiting.append(octets)

    def receive_eof(self) -> None:
        """The other end closed."""
        if self._lost or self._closing:
            return
        if self._waiting or not self._started:
            self._eof_waits = True
            return
        self._protocol.eof_received()
        if not self._closing:
            self.close()

    def lose(self, error: Exception | None) -> None:
        """Both ends lose the connection now."""
        self.lose_here(error)
        if self.peer is not None:
            self.peer.lose_here(ConnectionResetError("connection reset by peer"))

    def lose_here(self, error: Exception | None) -> None:
        """This end loses it."""
        if self._lost:
            return
        self._lost = True
        self._forget()
        if self._started:
            self._protocol.connection_lost(error)

    def die(self) -> None:
        """This end's machine is gone: nobody here is told; the other end is reset."""
        self._lost = True
        self._forget()
        if self.peer is not None:
            self.peer.lose_here(ConnectionResetError("connection reset by peer"))

    def _forget(self) -> None:
        self._wire.transports.get(self._address, set()).discard(self)

    def _schedule(self, action: Callable[..., Any], *arguments: Any) -> None:
        """Run `action` after the wire's delay, never before what was sent earlier."""
        loop = self._wire.loop
        self._arrives_at = max(self._arrives_at, loop.time() + self._wire.delay())
        loop.call_at(self._arrives_at, action, *arguments)

    def _arrive_at_peer(self, octets: bytes) -> None:
        self._in_flight -= len(octets)
        if self._paused_writing and self._in_flight <= WRITE_BUFFER_HIGH // 4 and not self._lost:
            self._paused_writing = False
            self._protocol.resume_writing()
        if self.peer is not None:
            self.peer.receive(octets)

    def _drain_waiting(self) -> None:
        while self._waiting and self._reading and self._started and not self._lost and not self._closing:
            self._protocol.data_received(self._waiting.pop(0))
        if self._eof_waits and not self._waiting:
            self._eof_waits = False
            self.receive_eof()
