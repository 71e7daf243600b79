"""A simulated network: machines with addresses, seeded latency, machines that are down, silent or slow, and connections that break.

Every callback of a protocol runs in the context of its own machine (see loop.Power), never in that of the machine that sent something.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

WRITE_BUFFER_HIGH = 65_536
SEGMENT_OCTETS = 16_384


class Reachability(Enum):
    """How a machine meets a connection attempt."""

    UP = "up"
    REFUSES = "refuses"
    SILENT = "silent"  # packets vanish: the caller's timeout decides


@dataclass(slots=True)
class Wire:
    """The network as a whole. One per world; machines see it through `SimulatedNetwork`.

    `taps` see (sender's address, octets) of everything at the moment it is written. `attempts`: connection attempts by called address;
    `peaks`: (caller, called) → the most connections that were open at a time.
    """

    loop: asyncio.AbstractEventLoop
    rng: random.Random
    latency: tuple[float, float] = (0.000_2, 0.002)
    listeners: dict[tuple[str, int], SimulatedServer] = field(default_factory=dict)
    reachability: dict[str, Reachability] = field(default_factory=dict)
    transports: dict[str, dict[SimulatedTransport, None]] = field(default_factory=dict)
    taps: list[Callable[[str, bytes], None]] = field(default_factory=list)
    ports: int = 40_000
    attempts: dict[str, int] = field(default_factory=dict)
    peaks: dict[tuple[str, str], int] = field(default_factory=dict)

    def delay(self) -> float:
        """One packet's way, in seconds."""
        return self.rng.uniform(*self.latency)

    def segments(self, octets: bytes) -> list[bytes]:
        """How `octets` arrive: large writes in pieces, and now and then a small one is torn too."""
        if len(octets) > SEGMENT_OCTETS:
            return [octets[at : at + SEGMENT_OCTETS] for at in range(0, len(octets), SEGMENT_OCTETS)]
        if len(octets) > 1 and self.rng.random() < 1 / 8:
            at = self.rng.randrange(1, len(octets))
            return [octets[:at], octets[at:]]
        return [octets]

    def set_reachability(self, address: str, state: Reachability) -> None:
        """From now on the machine at `address` is up, refuses, or is silent. Open connections live on."""
        self.reachability[address] = state

    def connections(self, address: str) -> int:
        """How many connections the machine at `address` has open."""
        return len(self.transports.get(address, ()))

    def break_connections(self, address: str) -> None:
        """All connections of the machine at `address` are lost, for both sides."""
        for transport in list(self.transports.get(address, ())):
            transport.lose(ConnectionResetError("connection reset"))

    def power_off(self, address: str, *, reset: bool = True) -> None:
        """The machine stops at once: its own programs are told nothing any more. Its peers see resets, or without `reset` nothing at
        all until their own patience ends.
        """
        for transport in list(self.transports.get(address, ())):
            transport.die(reset=reset)
        for key in [key for key in self.listeners if key[0] == address]:
            del self.listeners[key]


class SimulatedServer:
    """A listening socket of the simulated network."""

    def __init__(self, wire: Wire, key: tuple[str, int], factory: Callable[[], asyncio.Protocol]) -> None:
        self._wire = wire
        self._key = key
        self.factory = factory
        self.context = copy_context()

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
        wire.attempts[host] = wire.attempts.get(host, 0) + 1
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
        near = SimulatedTransport(wire, ours, (host, port), copy_context())
        far = SimulatedTransport(wire, (host, port), ours, server.context)
        near.peer, far.peer = far, near
        open_now = sum(1 for one in wire.transports[ours[0]] if one.get_extra_info("peername") == (host, port))
        wire.peaks[ours[0], host] = max(open_now, wire.peaks.get((ours[0], host), 0))
        wire.loop.call_later(wire.delay(), far.start, server.factory, context=server.context)
        return near.start(factory)

    async def listen(self, factory: Callable[[], asyncio.Protocol], listening: socket.socket | tuple[str, int]) -> SimulatedServer:
        """See runtime.network.Network; only addresses, no real sockets."""
        assert isinstance(listening, tuple), "a simulated machine has no real sockets"
        if listening in self._wire.listeners:
            raise OSError(98, f"{listening[0]}:{listening[1]}: address already in use")
        server = SimulatedServer(self._wire, listening, factory)
        self._wire.listeners[listening] = server
        return server


class SimulatedTransport(asyncio.Transport):
    """One end of a connection. What is written arrives at the other end after the wire's delay, in order, in pieces.

    `context`: that of this end's machine.
    """

    def __init__(self, wire: Wire, ours: tuple[str, int], theirs: tuple[str, int], context: Context) -> None:
        super().__init__({"sockname": ours, "peername": theirs})
        self._wire = wire
        self._protocol: asyncio.Protocol | None = None  # None until `start`
        self._address = ours[0]
        self._context = context
        self.peer: SimulatedTransport | None = None
        self._arrives_at = 0.0
        self._in_flight = 0
        self._paused_writing = False
        self._reading = True
        self._waiting: list[bytes] = []
        self._eof_waits = False
        self._closing = False
        self._lost = False
        wire.transports.setdefault(self._address, {})[self] = None

    def start(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """Make the protocol and tell it that it is connected."""
        protocol = factory()
        if not self._lost:
            self._protocol = protocol
            protocol.connection_made(self)
            self._drain_waiting()
        return protocol

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self._lost or not data or self.peer is None:
            return
        octets = bytes(data)
        for tap in self._wire.taps:
            tap(self._address, octets)
        self._in_flight += len(octets)
        for segment in self._wire.segments(octets):
            self._schedule(self.peer.receive, segment)
        if self._in_flight > WRITE_BUFFER_HIGH and not self._paused_writing and self._protocol is not None:
            self._paused_writing = True
            self._protocol.pause_writing()

    def close(self) -> None:
        if self._closing or self._lost:
            return
        self._closing = True
        if self.peer is not None:
            self._schedule(self.peer.receive_eof)
        self._wire.loop.call_soon(self.lose_here, None, context=self._context)

    def abort(self) -> None:
        self.lose(None)

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._wire.loop.call_soon(self._drain_waiting, context=self._context)

    def is_reading(self) -> bool:
        return self._reading

    def get_write_buffer_size(self) -> int:
        return self._in_flight

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    # the wire's side

    def receive(self, octets: bytes) -> None:
        """Octets arrived at this end."""
        if not self._lost and not self._closing:
            self._waiting.append(octets)
            self._drain_waiting()

    def receive_eof(self) -> None:
        """The other end closed."""
        if self._lost or self._closing:
            return
        if self._waiting or self._protocol is None:
            self._eof_waits = True
        elif not self._protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None) -> None:
        """Both ends lose the connection now."""
        if self._lost:
            return
        self.lose_here(error)
        if self.peer is not None:
            self.peer.lose_here(ConnectionResetError("connection reset by peer"))

    def lose_here(self, error: Exception | None) -> None:
        """This end loses it; its protocol hears of it in the loop's next turn, as from asyncio."""
        if self._lost:
            return
        self._lost = True
        self._forget()
        if self._protocol is not None:
            self._wire.loop.call_soon(self._protocol.connection_lost, error, context=self._context)

    def die(self, *, reset: bool) -> None:
        """This end's machine is gone: nobody here is told; the other end is reset, or hears nothing any more."""
        self._lost = True
        self._forget()
        if self.peer is not None and reset:
            self.peer.lose_here(ConnectionResetError("connection reset by peer"))

    def _forget(self) -> None:
        self._wire.transports.get(self._address, {}).pop(self, None)

    def _schedule(self, action: Callable[..., Any], *arguments: Any) -> None:
        """Run `action` of the other end after the wire's delay, never before what was sent earlier."""
        assert self.peer is not None
        loop = self._wire.loop
        # Later than what was sent before by more than the loop's resolution: timers that are due together run in no order.
        self._arrives_at = max(self._arrives_at + 1e-5, loop.time() + self._wire.delay())
        loop.call_at(self._arrives_at, action, *arguments, context=self.peer._context)

    def taken(self, octets: int) -> None:
        """The other end's protocol took so many octets."""
        self._in_flight -= octets
        if self._paused_writing and self._in_flight <= WRITE_BUFFER_HIGH // 4 and not self._lost and self._protocol is not None:
            self._paused_writing = False
            self._wire.loop.call_soon(self._protocol.resume_writing, context=self._context)

    def _drain_waiting(self) -> None:
        while self._waiting and self._reading and self._protocol is not None and not self._lost and not self._closing:
            octets = self._waiting.pop(0)
            if self.peer is not None:
                self.peer.taken(len(octets))
            self._protocol.data_received(octets)
        if self._eof_waits and not self._waiting:
            self._eof_waits = False
            self.receive_eof()
