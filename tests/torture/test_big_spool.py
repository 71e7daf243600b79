"""A large queue: everything is there after the start, and nobody waits while it is searched and changed."""

from __future__ import annotations

import pytest

from tests.torture.short import bad, options
from torture import big_spool

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(300)]


async def test_a_large_queue_is_scheduled_served_and_administered() -> None:
    assert bad(await big_spool.run(options("big_spool", "--messages", "50000", "--seconds", "1", "--lenient"))) == set()
