"""An event loop whose time is its own: when nothing is ready it jumps to the next timer. A day passes in milliseconds, and the same seed
gives the same run. When nothing is ready and no timer waits, nothing can ever happen again: that is a deadlock, and it raises.

Several simulated machines share the loop. What runs on behalf of a machine runs under its `Power`: when that is cut, none of its
callbacks, tasks and timers runs any more, in the middle of whatever they were doing.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BURIALS = 5  # a cancelled task may wait once more in its `finally`

_power: ContextVar[Power | None] = ContextVar("power", default=None)


class SimulationDeadlock(RuntimeError):
    """Nothing is ready, nothing is timed: somebody waits for what cannot come."""


class Power:
    """The supply of one machine, from its start to its end. `steps` counts the callbacks that ran under it; before step number `cut_at`
    the power is cut, which calls `on_cut` once.
    """

    def __init__(self, on_cut: Callable[[], None], *, cut_at: int = 0) -> None:
        self.on = True
        self.steps = 0
        self.cut_at = cut_at
        self._on_cut = on_cut

    def context(self) -> Context:
        """A copy of the current context in which everything that is scheduled belongs to this machine."""
        context = copy_context()
        context.run(_power.set, self)
        return context

    def cut(self) -> None:
        """The power is gone. Harmless when repeated."""
        if self.on:
            self.on = False
            self._on_cut()

    def step(self) -> bool:
        """Whether one more callback may run."""
        if not self.on:
            return False
        self.steps += 1
        if self.steps == self.cut_at:
            self.cut()
        return self.on


class _IdleSelector(selectors.BaseSelector):
    """Never finds I/O; instead of waiting it moves the loop's time."""

    def __init__(self) -> None:
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.advance: Callable[[float], None] = lambda _seconds: None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        # The loop registers its own wake-up pipe; nothing else may.
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
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
    """asyncio on virtual time. Work for threads runs at once in the loop: no thread can be reached from here.

    `steps` counts the callbacks of all machines and of none. `faults`: what callbacks and forgotten tasks raised.
    """

    def __init__(self) -> None:
        selector = _IdleSelector()
        self._now = 0.0
        self.steps = 0
        self.faults: list[str] = []
        self._burying = False
        self._stopped: list[asyncio.Task[Any]] = []
        self._parked: list[tuple[Callable[..., object], tuple[Any, ...], Context]] = []  # what found no power
        super().__init__(selector)
        selector.advance = self._advance
        self._clock_resolution = 1e-6  # timers that differ by rounding only are due together
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        return super().call_soon(self._run_step, _power_of(context), callback, *args, context=context)

    def call_soon_threadsafe(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        # There are no threads here.
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.TimerHandle:
        return super().call_at(when, self._run_step, _power_of(context), callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # same use
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    def keep_tasks(self) -> None:
        """A machine's power was cut: its tasks stay as they are until the end, since nothing may run on its behalf, no `finally` either."""
        self._stopped += asyncio.all_tasks(self)

    def bury(self) -> None:
        """End all tasks that are left, those of machines without power too. What they raise now is not noted."""
        self._burying = True
        for _ in range(BURIALS):
            left = asyncio.all_tasks(self)
            if not left:
                break
            for task in left:
                task.cancel()
            # Without the step that found no power a cancelled task would never hear of it.
            parked, self._parked = self._parked, []
            for callback, args, context in parked:
                self.call_soon(callback, *args, context=context)
            self.run_until_complete(asyncio.wait(left, timeout=3600.0))
        self._stopped.clear()

    def _advance(self, seconds: float) -> None:
        self._now += seconds

    def _run_step(self, power: Power | None, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        self.steps += 1
        if power is None or self._burying or power.step():
            callback(*args)
        else:
            self._parked.append((callback, args, copy_context()))

    def _note_fault(self, _loop: asyncio.AbstractEventLoop, fault: dict[str, Any]) -> None:
        if not self._burying:
            self.faults.append(f"{fault.get('message')}: {fault.get('exception')!r}")


def _power_of(context: Context | None) -> Power | None:
    return _power.get() if context is None else context.get(_power)


class VirtualClock:
    """The clock of a simulated machine: `jump` moves its wall clock only, as a wrong time server would."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, epoch: float = 1_795_500_000.0) -> None:
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
            loop.bury()
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
