"""Counts what sessions met, off the delivery path: in memory, and to the store every some seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from mailwye.runtime.clock import Clock
from mailwye.transport.policy_store import PolicyStoreError
from mailwye.transport.result_store import ResultStore
from mailwye.transport.tls_report import SessionResult, day_of

FLUSH_SECONDS = 30.0
WAITING_LIMIT = 100_000
"""Different results that wait for the store; further ones are dropped."""


class TlsResults:
    """Takes results at once. `start` begins the storing, `close` stores the rest."""

    def __init__(self, *, store: ResultStore, clock: Clock, alert: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._alert = alert
        self._waiting: Counter[tuple[str, SessionResult]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def record(self, result: SessionResult) -> None:
        """Count one."""
        key = day_of(self._clock.now()), result
        if len(self._waiting) < WAITING_LIMIT or key in self._waiting:
            self._waiting[key] += 1

    def start(self) -> None:
        """Store what waits, again and again."""
        self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._tick)

    def flush(self) -> None:
        """Store what waits, now. What cannot be stored waits on."""
        if not self._waiting:
            return
        try:
            self._store.add(self._waiting)
        except PolicyStoreError as error:
            self._alert(f"TLS results could not be stored: {error}")
        else:
            self._waiting = Counter()

    def close(self) -> None:
        """The last ones."""
        if self._timer is not None:
            self._timer.cancel()
        self.flush()

    def _tick(self) -> None:
        self.flush()
        self.start()
