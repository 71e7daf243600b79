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
    """The machine's clocks: Unix time, and CLOCK_MONOTONIC, which asyncio and uvloop use too."""

    # The functions themselves: each is asked some ten times a message, and a method around it costs more than they do.
    now = staticmethod(time.time)  # noqa: TID251 - this is the one place
    monotonic = staticmethod(time.monotonic)  # noqa: TID251 - this is the one place
