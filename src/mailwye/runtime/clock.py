"""Time from outside. Everything else takes `now` as an argument."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """`now`: Unix seconds, may jump. `monotonic`: seconds that only grow, for deadlines."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; equals the event loop's `time()`."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()  # noqa: TID251 - this is the one place

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC, which asyncio and uvloop use too."""
        return time.monotonic()  # noqa: TID251 - this is the one place
