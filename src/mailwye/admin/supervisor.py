"""The control process: keeps the workers alive, activates settings in all of them together, answers the control socket.

It carries no mail itself (with `workers = 0` its only worker lives in the same process, behind the same handle).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from mailwye.config.store import ConfigStore, ConfigStoreError
from mailwye.runtime.channel import ChannelError

LOOK_SECONDS = 0.5  # how often the store is asked for a version that was saved without telling us
RESTART_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STABLE_SECONDS = 60.0  # a worker that lived as long starts over with the shortest pause


class WorkerHandle(Protocol):
    """One worker, in this process or another."""

    number: int

    async def call(self, operation: str, **arguments: Any) -> Any:
        """See admin/worker_operations.py. :raises ChannelError: an error, or the worker is gone."""
        ...

    async def ended(self) -> str:
        """Returns when the worker has ended, with how."""
        ...

    async def stop(self, timeout: float) -> None:
        """Let it finish what is in flight, then end it."""
        ...


StartWorker = Callable[[int], Awaitable[WorkerHandle]]


class Supervisor:
    """`start_worker(number)` starts one and returns when it serves. `log` has info, warning and error (runtime/logs.py)."""

    def __init__(self, start_worker: StartWorker, numbers: Sequence[int], store: ConfigStore, *, log: Any) -> None:
        self._start_worker = start_worker
        self._numbers = numbers
        self._store = store
        self._log = log
        self._workers: dict[int, WorkerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._activation = asyncio.Lock()
        self._stopping = False
        self.version = -1

    @property
    def is_ready(self) -> bool:
        """All workers serve."""
        return len(self._workers) == len(self._numbers) and not self._stopping

    async def start(self) -> None:
        """Start all workers. What their start raises is raised here: a service that cannot serve must not look as if it did."""
        for number in self._numbers:
            self._workers[number] = await self._start_worker(number)
        self.version = self._store.version()
        for number in self._numbers:
            self._keep(self._watch(number))
        self._keep(self._look_for_versions())

    async def stop(self, timeout: float) -> None:
        """Let all workers finish."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop(timeout) for worker in self._workers.values()), return_exceptions=True)

    async def handle(self, operation: str, arguments: dict[str, Any]) -> Any:
        """The control socket's operations. :raises ValueError, ChannelError: said to the caller."""
        match operation:
            case "status":
                return {"version": self.version, "workers": await self._all("status"), "ready": self.is_ready}
            case "activate":
                return {"version": await self.activate()}
            case "reload":
                await self._all("reload_tls")
                return {"version": await self.activate()}
            case "flush":
                await self._all("flush")
                return {}
            case _ if operation.startswith("queue."):
                return _merged(await self._all(operation, **arguments), arguments)
            case _:
                raise ValueError(f"no such operation: {operation}")

    async def activate(self) -> int:
        """The newest saved version in force in all workers: first all of them load it, then all of them switch. A worker that cannot
        load it stops the switch everywhere.

        :raises ChannelError: a worker could not load it; the old version stays in force.
        """
        async with self._activation:
            await self._all("prepare")
            versions = set(await self._all("commit"))
            version = max(versions, default=self.version)
            if version != self.version:
                self._log.info("configuration activated", version=version)
            self.version = version
            return version

    async def _all(self, operation: str, **arguments: Any) -> list[Any]:
        return list(await asyncio.gather(*(worker.call(operation, **arguments) for worker in list(self._workers.values()))))

    # --- keeping watch

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, number: int) -> None:
        """Start a worker again whenever it ends. Its queue file resumes with it."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping:
            started = loop.time()
            how = await self._workers[number].ended()
            del self._workers[number]
            failures = 0 if loop.time() - started > STABLE_SECONDS else failures + 1
            self._log.error("worker ended", worker=number, how=how)
            while number not in self._workers:
                await asyncio.sleep(RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)])
                try:
                    self._workers[number] = await self._start_worker(number)
                except Exception as error:  # noqa: BLE001 - whatever it is, mail of the other workers goes on
                    failures += 1
                    self._log.error("worker cannot be started", worker=number, error=str(error))
            self._log.info("worker serves again", worker=number)
            await self._activate_quietly()

    async def _look_for_versions(self) -> None:
        """Activate versions that were saved by somebody who did not say so: a command line that was killed, another node."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                saved = self._store.version()
            except ConfigStoreError as error:
                self._log.error("configuration store cannot be read", error=str(error))
                continue
            if saved != self.version:
                await self._activate_quietly()

    async def _activate_quietly(self) -> None:
        try:
            await self.activate()
        except ChannelError as error:
            self._log.error("configuration not activated", error=str(error))


def _merged(answers: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One answer of several workers': rows in order of arrival, counts added up."""
    merged: dict[str, Any] = {}
    for answer in answers:
        for key, value in answer.items():
            match value:
                case list():
                    merged.setdefault(key, []).extend(value)
                case bool() | str():
                    merged[key] = merged.get(key) or value
                case int():
                    merged[key] = merged.get(key, 0) + value
                case dict():
                    _add_counts(merged.setdefault(key, {}), value)
                case _:
                    merged[key] = value
    if "rows" in merged:
        merged["rows"].sort(key=lambda row: (row["received_at"], row["message"]))
        merged["rows"] = merged["rows"][: int(arguments.get("limit", 1000))]
    return merged


def _add_counts(total: dict[str, dict[str, int]], counts: Mapping[str, Mapping[str, int]]) -> None:
    for hop, states in counts.items():
        there = total.setdefault(hop, {})
        for state, number in states.items():
            there[state] = there.get(state, 0) + number
