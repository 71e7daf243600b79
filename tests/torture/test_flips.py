"""Two organizations in turn under load, in small."""

from __future__ import annotations

import pytest

from tests.torture.short import bad, options
from torture import flips

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(120)]


async def test_no_message_has_decisions_of_two_versions() -> None:
    result = await flips.run(options("flips", "--flips", "40", "--kills", "4", "--workers", "2"))
    assert {one for one in bad(result) if "in force in all workers, p50" not in one} == set()


async def test_the_harness_sees_a_mixture() -> None:
    """A transaction that looks at the newest settings again at each recipient."""
    result = await flips.run(options("flips", "--flips", "40", "--kills", "0", "--workers", "0", "--sabotage", "restless"))
    assert any("checked by two versions" in one for one in bad(result))
