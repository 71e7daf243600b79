"""Short forms of the order audit, and proof that it can fail."""

from __future__ import annotations

import pytest

from tests.counterparts.process import program
from torture.order import audit


@pytest.fixture(autouse=True)
def strace() -> None:
    program("strace")


async def test_every_250_comes_after_its_sync_and_every_settlement_after_its_delivery() -> None:
    for sessions in (64, 1):
        one = await audit(100, sessions, seed=1, where=None)
        assert one.acknowledged == one.findings.acknowledged == 100
        assert one.findings.good, one.findings
        assert one.findings.settled == 200
        assert one.outstanding == 0
        if sessions > 1:
            assert one.findings.syncs < one.acknowledged, "sessions share commits"


@pytest.mark.parametrize("how", ["early", "unsynced"])
async def test_a_250_before_the_sync_is_found(how: str) -> None:
    one = await audit(20, 4, seed=1, where=None, sabotage=how)
    assert len(one.findings.early) == one.acknowledged == 20


async def test_a_settlement_before_the_delivery_is_found() -> None:
    one = await audit(20, 4, seed=1, where=None, sabotage="forgetful")
    assert one.findings.forgotten
