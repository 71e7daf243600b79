"""Idle connections and tricklers beside the organization's own mail; and that the harness sees a service without a reserve."""

from __future__ import annotations

import pytest

from tests.torture.short import bad, options
from torture import floods

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(300)]

FEW = ("--idle", "1500", "--tls", "100", "--tricklers", "150", "--seconds", "1", "--command-timeout", "20", "--lenient")


async def test_a_flood_keeps_nobody_out_and_leaves_nothing() -> None:
    assert bad(await floods.run(options("floods", *FEW))) == set()


async def test_the_harness_sees_a_missing_reserve() -> None:
    found = bad(await floods.run(options("floods", *FEW, "--tls", "0", "--no-reserve", "--stop-when-full")))
    assert any(row.startswith("own mail refused when all connections are taken") for row in found)
