"""The queue follows the settings, in a whole gateway on virtual time, with power cuts at every step of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mailwye.testing.checkers import Fate, check_all
from mailwye.testing.network import Reachability
from mailwye.testing.world import JOHN, MOONS, OWN, SUN, World
from mailwye.trace.event import EventKind

HOUR = 3600.0
COPIES = 6
OTHER = MOONS
ORGANIZATION = f"""
AcceptedDomain: {{DomainName: contoso.com, Default: true}}
MailUser: {{PrimarySmtpAddress: {JOHN}}}
OutboundConnector: {{Name: Old site, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: "{OWN}"}}
"""
MOVED = ORGANIZATION.replace("Old site", "New site").replace(OWN, OTHER)
_numbers = itertools.count()


async def fill(world: World) -> None:
    """The site is down; mail for it waits, tried again and again."""
    world.wire.set_reachability(OWN, Reachability.REFUSES)
    for number in range(COPIES):
        world.mail(SUN, (JOHN,), after=number * 60.0)
    await world.sleep(2 * HOUR)


def test_mail_for_a_site_that_is_down_goes_to_the_new_one_within_seconds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        gateway = await world.begin(organization=ORGANIZATION)
        await fill(world)
        assert len(await gateway.rows()) == COPIES
        gateway.activate(MOVED)
        await world.settle(seconds=5.0, step=0.1)
        tally = await check_all(world)
        assert (tally.count(Fate.DELIVERED), tally.duplicates) == (COPIES, 0)
        assert len(world.moon.messages) == COPIES
        told = [event for event in gateway.trace.recorded if event.kind is EventKind.REROUTE]
        assert {event.reasons[0] for event in told} == {
            "Re-routed from connector:Old site to connector:New site by version 2 of the settings"
        }

    World.run(70, tmp_path, story)


@pytest.mark.parametrize("part", range(3))
def test_a_power_cut_at_any_moment_of_it_loses_nothing(tmp_path: Path, part: int) -> None:
    """The cut comes so many steps of the gateway after the change; afterwards it starts with the new settings, as a service does."""
    for steps in range(1 + part, 60, 3):

        async def story(world: World, steps: int = steps) -> None:
            gateway = await world.begin(organization=ORGANIZATION)
            await fill(world)
            gateway.power.cut_at = gateway.power.steps + steps
            gateway.activate(MOVED)
            await world.settle(seconds=2 * HOUR)
            tally = await check_all(world)
            assert tally.count(Fate.DELIVERED) == COPIES, f"cut after {steps} steps"
            assert not await gateway.rows()

        place = tmp_path / f"run-{next(_numbers)}"
        place.mkdir()
        World.run(100 + steps, place, story)
