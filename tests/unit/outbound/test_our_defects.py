"""One message on its way out does not disturb another, nor waits for ever: not by a defect of ours, and not by its late end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from mailwye.outbound.courier import Work
from mailwye.outbound.departure import Border, Departure
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.engine import QueueError
from tests.unit.outbound.scripted_server import BOB, JOHN, Peer, Talk, courier_to, scripted, work_for


class BrokenBorder:
    """Breaks at mail for bob, with an exception that nobody foresaw."""

    def depart(self, work: Work, block: bytes) -> Departure:
        if work.lease.deliveries[0].recipient == BOB:
            raise KeyError("a bug")
        return Departure(work.lease.message.sender, b"")


class BrokenContent:
    """Streamed content that breaks after its first piece."""

    inline = None
    size = 100_000

    def __init__(self) -> None:
        self.passes = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        self.passes += 1
        yield b"line of text\r\n"
        if self.passes > 1:
            raise KeyError("a bug")


def good(*offers: bytes) -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.hello(*offers)
        await peer.serve()

    return talk


async def outcomes(courier: SmtpCourier, *works: Work) -> list[Any]:
    async with asyncio.timeout(10):
        return list(await asyncio.gather(*(courier.deliver(work) for work in works), return_exceptions=True))


@pytest.fixture
async def complaints() -> list[dict[str, Any]]:
    """What nobody caught in callbacks of the loop."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: found.append(context))
    return found


@pytest.mark.parametrize("bob_at", [0, 1, 2], ids=["first", "between", "last"])
async def test_an_exception_that_nobody_foresaw_ends_at_its_message(bob_at: int, complaints: list[dict[str, Any]]) -> None:
    recipients = [JOHN, JOHN, JOHN]
    recipients[bob_at] = BOB
    border = cast("Border", BrokenBorder())
    async with scripted(good(b"PIPELINING")) as server, courier_to(server.host(), border=border) as courier:
        results = await outcomes(courier, *(work_for(recipient) for recipient in recipients))
        assert [type(one) for one in results] == [KeyError if one == BOB else list for one in recipients]
        (again,) = await outcomes(courier, work_for(JOHN))
        assert again[0].reply.code == 250
    assert not complaints


@pytest.mark.parametrize("offers", [(), (b"PIPELINING",)])
async def test_content_that_breaks_under_way_ends_its_connection(offers: tuple[bytes, ...], complaints: list[dict[str, Any]]) -> None:
    async with scripted(good(*offers)) as server, courier_to(server.host()) as courier:
        results = await outcomes(courier, work_for(content=BrokenContent()), work_for())
        assert [type(one) for one in results] == [KeyError, list]
        assert server.contents == [b"Subject: x\r\n\r\n..hello\r\n.\r\n"]
    assert not complaints


class Deleted:
    """Streamed content that can be read until its message is `gone`."""

    inline = None
    size = 100_000

    def __init__(self) -> None:
        self.gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.gone:
            raise QueueError("no such message")
        yield b"line of text\r\n"


@pytest.mark.parametrize("offers", [(), (b"PIPELINING",)])
async def test_what_was_refused_does_not_disturb_the_next_message(offers: tuple[bytes, ...]) -> None:
    """Nobody asks for the content of the first one, which is deleted then; the second one is asked for."""
    refused, taken = Deleted(), Deleted()
    replies = {b"RCPT TO:<BOB": b"550 5.1.1 unknown\r\n"}
    if offers:
        replies[b"DATA"] = b"554 5.5.1 no valid recipients\r\n"

    async def refuses(peer: Peer) -> None:
        await peer.hello(*offers)
        await peer.serve(replies)

    async with scripted(refuses) as server, courier_to(server.host()) as courier:
        ((first,),) = await outcomes(courier, work_for(BOB, content=refused))
        assert first.reply.code == 550
        refused.gone = True
        replies.clear()
        ((second,),) = await outcomes(courier, work_for(JOHN, content=taken))
        assert second.reply.code == 250
        assert server.connections == 1
