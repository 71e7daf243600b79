"""The story that must always work (SEMANTICS section 1), in the box."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.testing.checkers import Fate, check_all
from mailwye.testing.world import BOB, JOHN, SUN, World

STORY = ((JOHN, BOB), (BOB, JOHN), (JOHN, SUN), (SUN, JOHN), (BOB, SUN), (SUN, BOB))


def test_every_row_arrives(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(tls=True)
        for sender, recipient in STORY:
            world.mail(sender, (recipient,))
        await world.settle()
        tally = await check_all(world)
        assert tally.count(Fate.DELIVERED) == len(STORY)
        assert [len(end.messages) for end in (world.own, world.mailboxes, world.sun)] == [2, 2, 2]

    World.run(1, tmp_path, story)


def test_strangers_may_not_relay_and_unknown_recipients_are_refused(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin()
        world.mail(SUN, ("moon@example.org", "nobody@contoso.com", BOB))
        await world.settle()
        assert [(recipient, reply.enhanced) for _, recipient, reply in world.ledger.refused] == [
            ("moon@example.org", "5.7.64"),
            ("nobody@contoso.com", "5.4.1"),
        ]
        tally = await check_all(world)
        assert tally.count(Fate.DELIVERED) == 1

    World.run(2, tmp_path, story)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_seed_is_the_same_run(tmp_path: Path, seed: int) -> None:
    def play(name: str) -> tuple[float, int, list[tuple[float, str, str]]]:
        async def story(world: World) -> None:
            await world.begin()
            for number in range(10):
                world.mail((JOHN, SUN)[number % 2], (BOB,), body=b"x" * (number * 20_000), after=world.rng.random())
            await world.settle(step=0.5)

        directory = tmp_path / name
        directory.mkdir()
        world = World.run(seed, directory, story)
        events = [(event.at, event.kind.value, event.message) for gateway in world.gateways for event in gateway.trace.recorded]
        return world.loop.time(), world.loop.steps, events

    assert play("one") == play("two")
