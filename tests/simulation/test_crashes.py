"""Power cuts at every step of accepting and delivering: nothing that was acknowledged is lost, and what is repeated was in flight."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from mailwye.smtp.reply import Reply
from mailwye.testing.checkers import Fate, Tally, check_all
from mailwye.testing.gateway import Gateway
from mailwye.testing.world import BOB, JOHN, MOON, SUN, World

NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
COPIES = 6
_numbers = itertools.count()


def small_workload(world: World) -> None:
    """Every kind of way: two recipients on two ways, one of them refused with a notice, and content that is staged on the disk."""
    world.moon.script.rcpt = lambda _recipient: NO_SUCH_USER
    world.mail(JOHN, (SUN, MOON))
    world.mail(SUN, (JOHN, BOB), after=0.01)
    world.mail(SUN, (BOB,), body=b"0123456789abcde\r\n" * 20_000, after=0.02)
    world.mail(JOHN, (BOB,), after=0.03)


def play(seed: int, directory: Path, prepare: Callable[[Gateway], None], *, cut_at: int = 0) -> tuple[World, Tally]:
    """One run with one cut."""
    tallies: list[Tally] = []

    async def story(world: World) -> None:
        gateway = await world.begin(cut_at=cut_at)
        prepare(gateway)
        small_workload(world)
        await world.settle(step=1.0, seconds=3600.0)
        tallies.append(await check_all(world))

    place = directory / f"run-{next(_numbers)}"
    place.mkdir()
    return World.run(seed, place, story), tallies[0]


def nothing(_gateway: Gateway) -> None:
    """No cut at the disk."""


def fates(tally: Tally) -> tuple[int, int]:
    return tally.count(Fate.DELIVERED), tally.count(Fate.BOUNCED)


@pytest.fixture(scope="module")
def steps_of_a_calm_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """(steps of the gateway, operations of its disk) until all is delivered."""
    counted: list[tuple[int, int]] = []

    async def story(world: World) -> None:
        gateway = await world.begin()
        small_workload(world)
        await world.settle(step=0.1, seconds=600.0)
        counted.append((gateway.power.steps, gateway.disk.operations))
        tally = await check_all(world)
        assert tally.duplicates == 0
        assert fates(tally) == (COPIES - 1, 1)

    World.run(1, tmp_path_factory.mktemp("calm"), story)
    return counted[0]


@pytest.mark.parametrize("part", range(4))
def test_a_cut_before_every_step(tmp_path: Path, steps_of_a_calm_run: tuple[int, int], part: int) -> None:
    duplicates = 0
    for cut_at in range(1 + part, steps_of_a_calm_run[0] + 2, 4):
        world, tally = play(1, tmp_path, nothing, cut_at=cut_at)
        delivered, bounced = fates(tally)
        assert delivered + bounced >= COPIES, f"cut before step {cut_at}"
        assert len(world.gateways[0].cuts) <= 1
        duplicates += tally.duplicates
    assert duplicates > 0, "no cut met a delivery in flight: they were not where they should have been"


@pytest.mark.parametrize("part", range(2))
def test_a_cut_before_every_operation_of_the_disk(tmp_path: Path, steps_of_a_calm_run: tuple[int, int], part: int) -> None:
    for cut_at in range(1 + part, steps_of_a_calm_run[1] + 2, 2):

        def prepare(gateway: Gateway, cut_at: int = cut_at) -> None:
            gateway.disk.cut_at = cut_at

        _, tally = play(cut_at, tmp_path, prepare)
        assert sum(fates(tally)) >= COPIES, f"cut before operation {cut_at}"
