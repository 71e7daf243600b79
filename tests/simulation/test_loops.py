"""Two gateways that send each other the same mail: it stops at the hop limit, with one notice, and nothing goes on turning."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.testing.checkers import Fate, check_all, notices
from mailwye.testing.world import GATEWAY, SUN, World
from mailwye.trace.event import EventKind

OTHER = "192.0.2.3"
RELAY = """\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, DomainType: InternalRelay, Default: true}}
OutboundConnector:
  - {{Name: To the other, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: ["{address}"]}}
"""


@pytest.mark.parametrize("recipients", [1, 3])
def test_a_loop_ends_at_the_hop_limit_with_one_notice(tmp_path: Path, recipients: int) -> None:
    async def story(world: World) -> None:
        first = await world.begin(organization=RELAY.format(address=OTHER))
        other = world.gateway(RELAY.format(address=GATEWAY), name="mx2.mailwye.example", address=OTHER)
        await other.start()
        world.mail(SUN, tuple(f"user{number}@contoso.com" for number in range(recipients)))
        await world.settle(step=1.0, seconds=120.0)

        hops = sum(event.kind is EventKind.RECEIVE and event.sender == SUN for one in (first, other) for event in one.trace.recorded)
        assert hops == InboundLimits().received_headers + 1
        assert len(world.sun.messages) == 1
        told = notices(world)
        assert {(one.action, one.status, one.to) for one in told} == {("failed", "5.4.14", SUN)}
        assert len(told) == recipients
        tally = await check_all(world)
        assert tally.count(Fate.BOUNCED) == recipients

    World.run(20, tmp_path, story)
