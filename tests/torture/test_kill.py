"""kill -9 and SIGTERM under load, with every book held against the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tests.torture.short import bad, lost, options
from torture import kill, restart
from torture.ledger import Received, Verdict
from torture.sender import Sender

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


@pytest.mark.parametrize(("duplicates", "is_good"), [(40, True), (41, False)])
def test_more_duplicates_than_were_under_way_are_told(duplicates: int, is_good: bool) -> None:
    copies = tuple(Received("a", f"m{number}", ("user1@a.example",), "digest", 9.9) for number in range(duplicates))
    verdict = Verdict(1000, (), (), copies, 0, 0, 0, first_copies=copies)
    sender = cast("Sender", SimpleNamespace(unacknowledged=0, acknowledged=1000, refused=()))
    rows = {row.what: row for row in kill.rows_of(verdict, [kill.Kill(10.0, 10.1, 20, 0.5)], sender, under_way=40)}
    assert rows[kill.MOST].good is is_good
