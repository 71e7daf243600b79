"""kill -9 and SIGTERM under load, with every book held against the others."""

from __future__ import annotations

import pytest

from tests.torture.short import bad, lost, options
from torture import kill, restart

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("workers", ["0", "2"])
async def test_nothing_acknowledged_is_lost_by_kill_9(workers: str) -> None:
    kills = "20" if workers == "0" else "4"
    assert bad(await kill.run(options("kill", "--kills", kills, "--longest", "0.5", "--workers", workers))) == set()


async def test_a_restart_loses_nothing_and_repeats_nothing() -> None:
    assert bad(await restart.run(options("restart", "--times", "4", "--longest", "0.5"))) == set()


@pytest.mark.parametrize("sabotage", ["early", "forgetful"])
async def test_the_harness_sees_the_loss(sabotage: str) -> None:
    assert lost(await kill.run(options("kill", "--kills", "5", "--longest", "0.5", "--sabotage", sabotage)))
