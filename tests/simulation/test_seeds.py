"""Random mail, random faults. All faults are temporary, so nothing may bounce but what goes to a domain that does not exist.

MAILWYE_SIMULATION_SEEDS=n plays n seeds; MAILWYE_SIMULATION_FIRST=s begins with seed s. A failure names its seed:
`MAILWYE_SIMULATION_FIRST=<seed> MAILWYE_SIMULATION_SEEDS=1 pytest tests/simulation/test_seeds.py` plays it again.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from mailwye.testing.checkers import Fate, check_all, notices
from mailwye.testing.mischief import Mischief
from mailwye.testing.workload import NOBODY, send_mail
from mailwye.testing.world import World

FIRST = int(os.environ.get("MAILWYE_SIMULATION_FIRST", "1000"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("MAILWYE_SIMULATION_SEEDS", "25")))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_whatever_happens(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)

    async def story(world: World) -> None:
        gateway = await world.begin(tls=seed % 5 == 0)
        mischief = Mischief(world, gateway, rng, faults=rng.randrange(1, 8))
        send_mail(world, rng, messages=rng.randrange(5, 40), seconds=rng.choice((1.0, 60.0, 1200.0)), tls=seed % 5 == 0)
        try:
            await mischief.until_well()
            await world.settle(seconds=6 * 3600.0)
            tally = await check_all(world)
            for (token, recipient), fates in tally.fates.items():
                kinds = {fate for fate, _ in fates}
                unreachable = recipient == NOBODY
                assert unreachable == bool(kinds & {Fate.BOUNCED, Fate.FAILED_SILENTLY}), f"{token} to {recipient}: {kinds}"
            assert not [one for one in notices(world) if one.status.startswith("5.4.3") or one.status == "4.4.7"], "expired before its time"
            assert not world.ledger.refused, world.ledger.refused
        except BaseException as error:
            error.add_note(f"MAILWYE_SIMULATION_FIRST={seed} MAILWYE_SIMULATION_SEEDS=1 plays it again")
            error.add_note("; ".join(mischief.played))
            error.add_note(f"alerts: {gateway.alerts[-5:]}")
            raise

    World.run(seed, tmp_path, story)
