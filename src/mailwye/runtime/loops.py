"""The event loop of the service: uvloop where it is installed, plain asyncio otherwise or where MAILWYE_LOOP=asyncio asks for it."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the loop."""
    if os.environ.get("MAILWYE_LOOP", "uvloop") != "asyncio":
        try:
            import uvloop
        except ImportError:
            return asyncio.new_event_loop
        return uvloop.new_event_loop
    return asyncio.new_event_loop


GARBAGE_THRESHOLD = 20_000
"""Containers made before the collector looks for cycles among them (CPython's own: 700). Serving mail makes hardly any cycle, and a look
at every few messages cost one percent of the time (perf: gc_collect_main and what it visits).
"""


def settle_down() -> None:
    """All that serves is built: what is there now lives as long as the process, so the collector needs not look at it again."""
    gc.collect()
    gc.freeze()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main`, a service, to its end."""
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
