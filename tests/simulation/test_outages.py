"""Next hops that are down for hours, and name servers that fail: the schedule is kept, nothing bounces early, others are not disturbed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from mailwye.config.installation import DeliverySettings
from mailwye.testing.checkers import Fate, Notice, check_all, check_arrival_order, check_conservation, notices
from mailwye.testing.network import Reachability
from mailwye.testing.world import BOB, JOHN, MOON, OWN, SUN, SUNS, World
from mailwye.trace.event import EventKind

HOUR = 3600.0
SCHEDULE = [60.0, 120.0, 240.0, 480.0, 900.0, 1800.0] + [HOUR] * 22
CONNECT_SECONDS = DeliverySettings().connect_timeout


def defer_times(world: World, message: str) -> list[float]:
    return [event.at for event in world.gateways[0].trace.recorded if event.kind is EventKind.DEFER and event.message == message]


def told(world: World, action: str) -> list[Notice]:
    return [notice for notice in notices(world) if notice.action == action]


@pytest.mark.parametrize("state", [Reachability.REFUSES, Reachability.SILENT])
def test_a_day_without_the_smart_host(tmp_path: Path, state: Reachability) -> None:
    """Retries by the schedule, one notice of delay at 4 h, expiry with the last error at 24 h; other ways go on meanwhile."""

    async def story(world: World) -> None:
        gateway = await world.begin()
        world.wire.set_reachability(OWN, state)
        world.mail(SUN, (JOHN,))
        for hour in range(23):
            world.mail(JOHN, (SUN, BOB), after=hour * HOUR)
        await world.sleep(25 * HOUR)

        sent = next(event for event in gateway.trace.recorded if event.kind is EventKind.RECEIVE and event.sender == SUN)
        attempts = defer_times(world, sent.message)
        # An attempt ends when the connection was refused, or when patience with it ended; the next one is counted from there.
        patience = CONNECT_SECONDS if state is Reachability.SILENT else 0.0
        for (earlier, later), delay in zip(pairwise(attempts), SCHEDULE, strict=False):
            assert later - earlier == pytest.approx(delay + patience, abs=1.0)
        assert len(attempts) in (len(SCHEDULE), len(SCHEDULE) + 1)

        delays, failures = told(world, "delayed"), told(world, "failed")
        assert [(one.recipient, one.to) for one in delays] == [(JOHN, SUN)]
        assert delays[0].at - sent.at == pytest.approx(4 * HOUR, abs=HOUR / 4)
        assert [(one.recipient, one.to) for one in failures] == [(JOHN, SUN)]
        assert failures[0].at - sent.at == pytest.approx(24 * HOUR, abs=2 * CONNECT_SECONDS)
        notice = next(one.content for one in world.sun.messages if b"Action: failed" in one.content)
        assert (b"4.4.316" if state is Reachability.REFUSES else b"4.4.315") in notice

        # The other destinations saw nothing of it.
        events = gateway.trace.recorded
        arrived = {event.message: event.at for event in events if event.kind is EventKind.SEND and event.sender == JOHN}
        received = {event.message: event.at for event in events if event.kind is EventKind.RECEIVE and event.sender == JOHN}
        assert len(arrived) == 23
        assert max(arrived[message] - received[message] for message in arrived) < 0.1
        tally = await check_all(world)
        assert (tally.count(Fate.EXPIRED), tally.duplicates) == (1, 0)

    World.run(10, tmp_path, story)


def test_twenty_hours_without_the_smart_host_then_all_in_the_order_of_arrival(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(delivery=DeliverySettings(connections_per_destination=1))
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        for number in range(200):
            world.mail(SUN, (JOHN,), after=number * 300.0)
        await world.sleep(20 * HOUR)
        assert world.own.messages == []
        waiting = {row.delivery.attempts for row in await world.gateways[0].rows()}
        world.wire.set_reachability(OWN, Reachability.UP)
        back = world.clock.now()
        await world.settle(step=1.0, seconds=HOUR)

        assert len(world.own.messages) == 200
        # One finds out that the host is back; everything else leaves at once behind it, oldest first.
        check_arrival_order(world, world.own.messages[1:])
        assert world.own.messages[-1].at - world.own.messages[0].at < 5.0
        assert world.own.messages[0].at - back < 300.0
        assert len(waiting) > 5, "messages of many ages were waiting"
        delayed = told(world, "delayed")
        assert len(delayed) == len({one.token for one in delayed}) == len([n for n in range(200) if 20 * HOUR - n * 300.0 > 4 * HOUR])
        assert told(world, "failed") == []
        tally = await check_all(world)
        assert (tally.count(Fate.DELIVERED), tally.duplicates) == (200, 0)

    World.run(11, tmp_path, story)


def test_name_servers_that_fail_for_ten_minutes_bounce_nothing(tmp_path: Path) -> None:
    """D10: SERVFAIL is not NXDOMAIN."""

    async def story(world: World) -> None:
        await world.begin()
        world.resolver.unknown = {"example.net": "SERVFAIL", "mail.example.org": "timed out"}
        for number in range(20):
            world.mail(JOHN, ((SUN, MOON)[number % 2],), after=number * 20.0)
        await world.sleep(600.0)
        assert world.sun.messages == world.moon.messages == []
        world.resolver.unknown = {}
        await world.settle(seconds=HOUR)
        assert (len(world.sun.messages), len(world.moon.messages)) == (10, 10)
        assert notices(world) == []
        tally = await check_all(world)
        assert (tally.count(Fate.DELIVERED), tally.duplicates) == (20, 0)

    World.run(12, tmp_path, story)


def test_a_domain_that_does_not_exist_bounces_at_once(tmp_path: Path) -> None:
    """The control to the test above."""

    async def story(world: World) -> None:
        await world.begin()
        world.mail(JOHN, ("nobody@nowhere.example",))
        await world.settle(seconds=600.0)
        assert [(one.recipient, one.to, one.status) for one in told(world, "failed")] == [("nobody@nowhere.example", JOHN, "5.1.2")]
        tally = await check_all(world)
        assert tally.count(Fate.BOUNCED) == 1

    World.run(13, tmp_path, story)


def test_a_silent_destination_holds_up_nobody_else(tmp_path: Path) -> None:
    """It takes connections and never greets: its mail waits in its own connections only (D11)."""

    async def story(world: World) -> None:
        gateway = await world.begin()
        world.sun.script.silent_at = "greeting"
        for number in range(300):
            world.mail(JOHN, (SUN,), after=number * 0.01)
            world.mail(JOHN, (MOON,), after=number * 0.01)
        await world.sleep(10.0)
        assert len(world.moon.messages) == 300
        assert world.wire.peaks[gateway.settings.address, SUNS] <= gateway.settings.delivery.connections_per_destination
        world.sun.script.silent_at = ""
        await world.settle(seconds=2 * HOUR)
        assert len(world.sun.messages) == 300
        await check_conservation(world)

    World.run(14, tmp_path, story)
