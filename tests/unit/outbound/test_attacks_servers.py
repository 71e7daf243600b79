"""Attacks by the servers that we deliver to, through the real courier (catalogue rows R8, W5, W15 and what no row names)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from mailwye.outbound.courier import Stage
from mailwye.outbound.outcomes import judge
from mailwye.outbound.ticket import REPLY_KEPT
from mailwye.queue.item import Result
from tests.unit.outbound.scripted_server import BOB, JOHN, Peer, Talk, carry, courier_to, scripted, work_for


def says(*talk: bytes) -> Talk:
    """After each line that comes, the next of `talk`; then it holds the connection."""

    async def play(peer: Peer) -> None:
        first, *rest = talk
        await peer.send(first)
        for data in rest:
            await peer.line()
            await peer.send(data)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await peer.reader.read()

    return play


@pytest.mark.parametrize("farewell", [b"421 4.3.2 go away\r\n", b"250 unasked\r\n", b"garbage\r\n", b"999 x\r\n"])
async def test_a_server_that_leaves_behind_ehlo_is_not_dialled_again_and_again(farewell: bytes) -> None:
    async with scripted(says(b"220 hi\r\n", b"250 hi\r\n" + farewell)) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for())
        assert judge(attempt).result is Result.DEFERRED
        assert server.connections == 1


@pytest.mark.parametrize(
    "talk",
    [
        (b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n250 2.0.0 early\r\n"),  # before the dot
        (b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 2.0.0 no 354\r\n"),
        (b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n250 2.1.5 unasked\r\n", b"354 go\r\n"),
        (b"220 hi\r\n", b"250 hi\r\n", b"999 x\r\n"),
        (b"220 hi\r\n", b"250 hi\r\n", b"250-half\r\n550 other code\r\n"),
        (b"220 hi\r\n", b"250 hi\r\n", b"550\n5.1.1 bare\n"),
        (b"220 hi\r\n", b"250 hi\r\n", b"x" * 1_000_000),
        (b"220 hi\r\n", b"250 hi\r\n", b"250-more\r\n" * 100_000),
        (b"220 " + b"x" * 3_000 + b"\r\n",),
    ],
    ids=["early 250", "no 354", "unasked 250", "999", "two codes", "bare LF", "no line end", "1 MB reply", "long greeting"],
)
async def test_garbage_never_bounces_and_never_delivers(talk: tuple[bytes, ...]) -> None:
    async with scripted(says(*talk)) as server, courier_to(server.host()) as courier:
        content = b"Subject: x\r\n\r\n" + b"x\r\n" * 200_000  # too large to be all sent by the time of the early answer
        (attempt,) = await carry(courier, work_for(content=content))
        assert judge(attempt).result is Result.DEFERRED


async def test_a_long_answer_is_kept_in_part_only() -> None:
    answer = b"".join(b"550-5.7.1 " + b"x" * 500 + b"\r\n" for _ in range(100)) + b"550 5.7.1 end\r\n"
    async with scripted(says(b"220 hi\r\n", b"250 hi\r\n", answer)) as server, courier_to(server.host()) as courier:
        attempts = await carry(courier, work_for(JOHN, BOB))
    for attempt in attempts:
        assert attempt.reply.enhanced == "5.7.1"
        assert len(attempt.reply.text) == REPLY_KEPT
        assert judge(attempt).result is Result.FAILED


async def test_control_characters_of_an_answer_are_gone_before_anybody_shows_them() -> None:
    answer = b"550-5.1.1 \x1b[2Jno\x00\r\n550 5.1.1 \xe2\x80\xaebody\x7f\xff\r\n"
    async with scripted(says(b"220 hi\r\n", b"250 hi\r\n", answer)) as server, courier_to(server.host()) as courier:
        (attempt,) = await carry(courier, work_for())
    assert attempt.stage is Stage.MAIL
    assert attempt.reply.text.replace("\n", "").isprintable()


async def test_the_size_that_is_announced_is_that_of_what_is_sent() -> None:
    async def talk(peer: Peer) -> None:
        await peer.hello(b"SIZE 1000000")
        await peer.serve()

    content = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + b"\xc3\xa4" * 100 + b"\r\n"
    async with scripted(talk) as server, courier_to(server.host()) as courier:
        await carry(courier, work_for(content=content, requires_8bit=True))
        (sent,) = server.contents
        (mail,) = [line for line in server.lines if line.startswith("MAIL")]
        assert f"SIZE={len(sent) - 3}" in mail
        assert b"=C3=A4" in sent


async def test_closing_does_not_wait_for_a_server_that_says_nothing() -> None:
    async with scripted(says(b"")) as server, courier_to(server.host()) as courier:
        carried = asyncio.ensure_future(courier.deliver(work_for()))
        await server.until(lambda: server.connections == 1)
        carried.cancel()
        async with asyncio.timeout(1):  # its greeting may take five minutes
            await courier.close()
