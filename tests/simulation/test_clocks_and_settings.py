"""Clocks that jump make nothing bounce early (D10); a change of settings between two attempts takes the new way."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.testing.checkers import Fate, check_all, notices
from mailwye.testing.network import Reachability
from mailwye.testing.world import JOHN, MOONS, ORGANIZATION, OWN, SUN, World

HOUR, DAY = 3600.0, 86_400.0


# Days ahead and a restart: cannot be told from days without power, see the test after this one.
@pytest.mark.parametrize("after", [1.0, 30.0, 1000.0, 5 * HOUR])
@pytest.mark.parametrize(
    ("jump", "crash"), [(-DAY, False), (-DAY, True), (-HOUR, False), (-HOUR, True), (HOUR, False), (HOUR, True), (6 * DAY, False)]
)
def test_a_jump_bounces_nothing(tmp_path: Path, jump: float, after: float, crash: bool) -> None:
    """With mail in the queue; also across a restart, after which nobody knows how far the clock jumped."""

    async def story(world: World) -> None:
        gateway = await world.begin()
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        for number in range(5):
            world.mail(SUN, (JOHN,), after=number * 0.2)
        await world.sleep(after)
        gateway.clock.jump(jump)
        if crash:
            gateway.crash()
        await world.sleep(2.5 * HOUR)
        assert [one for one in notices(world) if one.action == "failed"] == []
        world.wire.set_reachability(OWN, Reachability.UP)
        await world.settle(seconds=2 * HOUR)
        tally = await check_all(world)
        assert (tally.count(Fate.DELIVERED), tally.duplicates) == (5, 0)
        assert len(notices(world)) == len({one.token for one in notices(world)}), "more than one notice of delay"

    World.run(40, tmp_path, story)


def test_after_days_without_power_mail_is_tried_twice_before_it_expires(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        gateway = await world.begin()
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        world.mail(SUN, (JOHN,))
        await world.sleep(HOUR / 2)
        gateway.clock.jump(6 * DAY)
        before = world.wire.attempts[OWN]
        gateway.crash()
        await world.settle(seconds=26 * HOUR)
        assert world.wire.attempts[OWN] - before >= 2
        assert (await check_all(world)).count(Fate.EXPIRED) == 1

    World.run(43, tmp_path, story)


def test_a_jump_that_stays_does_not_keep_mail_for_ever(tmp_path: Path) -> None:
    """After a jump of six days mail still expires, when a day has passed."""

    async def story(world: World) -> None:
        began = world.clock.now()
        gateway = await world.begin()
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        world.mail(SUN, (JOHN,))
        await world.sleep(HOUR / 2)
        gateway.clock.jump(6 * DAY)
        await world.settle(seconds=26 * HOUR)
        told = [one for one in notices(world) if one.action == "failed"]
        assert len(told) == 1
        assert told[0].at - began == pytest.approx(DAY, abs=HOUR), "a day as it was lived"
        tally = await check_all(world)
        assert tally.count(Fate.EXPIRED) == 1

    World.run(41, tmp_path, story)


def test_mail_that_waits_takes_the_way_that_was_saved_meanwhile(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        gateway = await world.begin()
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        for number in range(10):
            world.mail(SUN, (JOHN,), after=number * 10.0)
        await world.sleep(200.0)
        gateway.activate(ORGANIZATION.replace(f'SmartHosts: ["{OWN}"]', f'SmartHosts: ["{MOONS}"]'))
        await world.settle(seconds=HOUR)
        assert len(world.moon.messages) == 10
        assert world.own.messages == []
        assert (await check_all(world)).count(Fate.DELIVERED) == 10

    World.run(42, tmp_path, story)
