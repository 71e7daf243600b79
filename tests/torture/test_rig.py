"""The rig itself: its sinks fail as they are told, and it finds what became of the mail."""

from __future__ import annotations

import pytest

from torture.receiver import Faults
from torture.rig import rig

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(180)]


async def test_faults_are_seen_in_the_verdict() -> None:
    async with rig() as world:
        gateway = world.gateway(settings={"queue": {"retry_delays": [1], "delay_notice_after": 3600}})
        sinks = world.receiver.sinks
        sinks["a"].faults = Faults(end="550 5.7.1 Not wanted")  # returned to the sender
        sinks["b"].faults = Faults(end="451 4.3.0 Later")  # stays queued
        sinks["c"].faults = Faults(drop="taken")  # taken, and not told: comes again
        await gateway.start()
        sender = world.sender(gateway, seed=1, sessions=4)
        sender.start(40)
        await sender.finish()
        await world.drain(gateway, 3)
        sinks["c"].faults = Faults()
        verdict = await world.verdict(gateway)
        assert verdict.kept, verdict
        assert verdict.returned
        assert verdict.queued
        assert verdict.duplicates
        sinks["b"].faults = Faults()
        await world.drain(gateway)
        verdict = await world.verdict(gateway)
        assert verdict.kept, verdict
        assert not verdict.queued
        await gateway.stop()
