"""The simulated network: order, back-pressure, lost connections, machines that are gone."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from mailwye.testing.loop import Power, VirtualLoop, run_virtual
from mailwye.testing.network import Reachability, SimulatedNetwork, Wire

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Recorder(asyncio.Protocol):
    """Notes what happens to it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.pieces = 0
        self.events: list[str] = []
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.pieces += 1

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(f"lost {type(exc).__name__}")


class Pair:
    """A listening machine and one that connects to it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.wire = Wire(loop, random.Random(1))
        self.servers: list[Recorder] = []

    def serve(self) -> Recorder:
        self.servers.append(Recorder())
        return self.servers[-1]

    async def connect(self) -> tuple[Recorder, Recorder]:
        await SimulatedNetwork(self.wire, THERE).listen(self.serve, (THERE, 25))
        client = await SimulatedNetwork(self.wire, HERE).connect(Recorder, THERE, 25, timeout=1)
        await tick(0.1)
        assert isinstance(client, Recorder)
        return client, self.servers[0]


async def tick(seconds: float = 0.001) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    await loop.pass_time(seconds)


def test_octets_arrive_in_order_and_in_pieces() -> None:
    async def main(loop: VirtualLoop) -> None:
        client, server = await Pair(loop).connect()
        sent = random.Random(2).randbytes(300_000)
        for at in range(0, len(sent), 999):
            client.transport.write(sent[at : at + 999])
        await tick(10)
        assert server.received == sent
        assert server.pieces > 300, "some writes were torn"
        assert client.events == ["pause", "resume"]

    run_virtual(main)


def test_who_does_not_read_stops_who_writes() -> None:
    async def main(loop: VirtualLoop) -> None:
        client, server = await Pair(loop).connect()
        server.transport.pause_reading()
        client.transport.write(bytes(100_000))
        await tick(100)
        assert (len(server.received), client.events) == (0, ["pause"])
        server.transport.resume_reading()
        await tick(100)
        assert (len(server.received), client.events) == (100_000, ["pause", "resume"])

    run_virtual(main)


def test_a_close_arrives_behind_the_last_octets() -> None:
    async def main(loop: VirtualLoop) -> None:
        client, server = await Pair(loop).connect()
        client.transport.write(b"last words")
        client.transport.close()
        await tick(1)
        assert (bytes(server.received), server.events) == (b"last words", ["eof", "lost NoneType"])
        assert client.events == ["lost NoneType"]

    run_virtual(main)


@pytest.mark.parametrize("reset", [True, False])
def test_a_machine_without_power_is_told_nothing(reset: bool) -> None:
    async def main(loop: VirtualLoop) -> None:
        pair = Pair(loop)
        client, server = await pair.connect()
        pair.wire.power_off(THERE, reset=reset)
        client.transport.write(b"anybody there?")
        await tick(100)
        assert server.events == []
        assert server.received == b""
        assert client.events == (["lost ConnectionResetError"] if reset else [])
        with pytest.raises(ConnectionRefusedError):
            await SimulatedNetwork(pair.wire, HERE).connect(Recorder, THERE, 25, timeout=1)

    run_virtual(main)


@pytest.mark.parametrize(("state", "error"), [(Reachability.REFUSES, ConnectionRefusedError), (Reachability.SILENT, TimeoutError)])
def test_machines_that_cannot_be_reached(state: Reachability, error: type[Exception]) -> None:
    async def main(loop: VirtualLoop) -> float:
        pair = Pair(loop)
        client, server = await pair.connect()
        pair.wire.set_reachability(THERE, state)
        before = loop.time()
        with pytest.raises(error):
            await SimulatedNetwork(pair.wire, HERE).connect(Recorder, THERE, 25, timeout=30)
        passed = loop.time() - before
        client.transport.write(b"open connections live on")
        await tick(1)
        assert server.received == b"open connections live on"
        return passed

    assert run_virtual(main) == pytest.approx(30 if state is Reachability.SILENT else 0, abs=0.1)


def test_what_arrives_runs_under_the_power_of_the_machine_where_it_arrives() -> None:
    """What a client sends starts timers of the server: they must end with the server's power, not with the client's."""

    async def main(loop: VirtualLoop) -> None:
        wire = Wire(loop, random.Random(1))
        power = Power(lambda: wire.power_off(THERE))
        fired: list[str] = []

        class Timed(Recorder):
            def data_received(self, data: bytes) -> None:
                loop.call_later(5, fired.append, data.decode())

        async def serve() -> None:
            await SimulatedNetwork(wire, THERE).listen(Timed, (THERE, 25))

        await loop.create_task(serve(), context=power.context())
        client = await SimulatedNetwork(wire, HERE).connect(Recorder, THERE, 25, timeout=1)
        assert isinstance(client, Recorder)
        client.transport.write(b"early")
        loop.call_later(3, client.transport.write, b"late")
        loop.call_later(6, power.cut)
        await tick(60)
        assert fired == ["early"]
        assert client.events == ["lost ConnectionResetError"]

    run_virtual(main)
