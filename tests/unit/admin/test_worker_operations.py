"""What a worker does when it is asked."""

from __future__ import annotations

from typing import cast

import pytest

from mailwye.admin.worker_operations import ServingWorker, handle
from mailwye.config.compile import compile_snapshot
from mailwye.config.schema import Organization
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.queue.engine import QueueEngine
from mailwye.runtime.clock import SystemClock
from mailwye.trace.memory import MemoryTrace


class _Hops:
    def __init__(self) -> None:
        self.ended = 0

    def end_rests(self) -> None:
        self.ended += 1


class _Worker:
    """Without queues."""

    def __init__(self) -> None:
        self.number = 0
        self.clock = SystemClock()
        self.trace = MemoryTrace()
        self.engines: list[QueueEngine] = []
        self.dispatcher = _Hops()
        self.snapshot = ActiveSnapshot(compile_snapshot(Organization(), 1))
        self.traffic = _Traffic()


class _Traffic:
    def __init__(self) -> None:
        self.flushed = 0
        self.dropped = 0

    async def flush(self) -> None:
        self.flushed += 1


@pytest.mark.parametrize(
    ("operation", "times"), [("retry", 1), ("release", 1), ("follow", 1), ("hold", 0), ("pin", 0), ("list", 0), ("counts", 0)]
)
async def test_what_is_to_be_tried_now_is_not_passed_over(operation: str, times: int) -> None:
    """A hop that failed a moment ago rests; an administrator who asks for an attempt gets one."""
    worker = _Worker()
    await handle(cast("ServingWorker", worker), f"queue.{operation}", {})
    assert worker.dispatcher.ended == times
