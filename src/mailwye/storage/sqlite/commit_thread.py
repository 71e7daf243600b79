"""Where commits and checkpoints run: in a thread of their own, so that the event loop does not wait for the disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol


class CommitRunner(Protocol):
    """Runs jobs one after the other, apart from what the event loop does meanwhile. The simulated world has one without a thread."""

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` after those submitted before. It reports by itself and raises nothing."""
        ...

    async def stop(self) -> None:
        """Return when all jobs have run. No `submit` after it."""
        ...


class CommitThread:
    """The CommitRunner of live engines."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="queue-commit", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """See CommitRunner."""
        self._jobs.put(job)

    async def stop(self) -> None:
        """See CommitRunner."""
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
