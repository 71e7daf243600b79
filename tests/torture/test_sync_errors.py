"""Short forms of the failing disk, and proof that they can fail."""

from __future__ import annotations

import pytest

from tests.counterparts.process import program
from torture.sync_errors import one_case


@pytest.fixture(autouse=True)
def strace() -> None:
    program("strace")


@pytest.mark.parametrize("inject", ["fsync,fdatasync:error=EIO:when=12", "pwrite64:error=ENOSPC:when=120"])
async def test_what_could_not_be_saved_was_not_acknowledged(inject: str) -> None:
    one = await one_case(inject, seed=1, where=None, after=0.3)
    assert one.errors
    assert one.acknowledged
    assert one.saved, (one.findings, one.missing, one.verdict)
    assert one.told, (one.replies, one.refused, one.unanswered)
    assert one.recovered_by_itself


async def test_a_start_on_a_failing_disk_says_what_to_do() -> None:
    one = await one_case("fsync,fdatasync:error=EIO:when=1", seed=1, where=None)
    assert "Check the disk" in one.refused_start
    assert "late" not in one.refused_start


async def test_a_failed_commit_that_is_called_a_good_one_is_found() -> None:
    one = await one_case("fsync,fdatasync:error=EIO:when=12", seed=1, where=None, sabotage="lying", after=0.3)
    assert one.errors
    assert not one.saved
