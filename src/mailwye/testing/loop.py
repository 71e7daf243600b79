"""An event loop whose time is its own: when nothing is ready it jumps to the next timer. A day passes in milliseconds, and the same seed
gives the same run. When nothing is ready and no timer waits, nothing can ever happen again: that is a deadlock, and it raises.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class SimulationDeadlock(RuntimeError):
    """Nothing is ready, nothing is timed: somebody waits for what cannot come."""


class _IdleSelector(selectors.BaseSelector):
    """Never finds I/O; instead of waiting it moves the loop's time."""

    def __init__(self) -> None:
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.advance: Callable[[float], None] = lambda _seconds: None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        # The loop registers its own wake-up pipe; nothing else may.
        key = selectors.SelectorKey(fileobj, fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise SimulationDeadlock("nothing is ready and no timer waits")
        if timeout > 0:
            self.advance(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys[fileobj]


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio on virtual time. Work for threads runs at once in the loop: no thread can be reached from here."""

    def __init__(self) -> None:
        selector = _IdleSelector()
        self._now = 0.0
        super().__init__(selector)
        selector.advance = self._advance
        self._clock_resolution = 1e-6  # timers that differ by rounding only are due together

    def time(self) -> float:
        return self._now

    def _advance(self, seconds: float) -> None:
        self._now += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # same use
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


class VirtualClock:
    """The clock of a simulated machine: `jump` moves its wall clock only, as a wrong time server would."""

    def __init__(self, loop: VirtualLoop, *, epoch: float = 1_795_500_000.0) -> None:
        self._loop = loop
        self._epoch = epoch

    def now(self) -> float:
        """Unix seconds."""
        return self._epoch + self._loop.time()

    def monotonic(self) -> float:
        """The loop's own time."""
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Let the wall clock jump."""
        self._epoch += seconds


def run_virtual(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main(loop)` on a new virtual loop, cancel what it left behind, and return its result.

    :raises SimulationDeadlock: `main` waits for something that cannot come.
    """
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(main(loop))
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
