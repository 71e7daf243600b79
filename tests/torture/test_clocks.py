"""The wall clock of the real service jumps, in small."""

from __future__ import annotations

import pytest

from tests.counterparts.process import missing
from tests.torture.short import bad, options
from torture import clocks
from torture.gateway import RigError
from torture.outage_scene import fake_clock

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(120)]


async def test_a_clock_that_is_set_bounces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        fake_clock()
    except RigError as error:
        missing(str(error))
    monkeypatch.setattr(clocks, "JUMPS", {"+6 d": 6 * clocks.DAY})
    monkeypatch.setattr(clocks, "DELAYS", (1, 2))
    monkeypatch.setattr(clocks, "MARGIN_SECONDS", 28.0)  # how soon is for the long form; what waits for the clock waits for days
    result = await clocks.run(options("clocks", "--messages", "200"))
    assert {one for one in bad(result) if "healthy destination meanwhile" not in one} == set()
