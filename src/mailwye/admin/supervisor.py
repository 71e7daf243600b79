"""The control process: keeps the workers alive, activates settings in all of them together, answers the control socket.

It carries no mail itself (with `workers = 0` its only worker lives in the same process, behind the same handle).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NotRequired, Protocol, TypedDict

from mailwye.admin.openid.provider_status import ProviderStatus
from mailwye.admin.queue_operations import merged, nothing_of
from mailwye.admin.worker_operations import WorkerStatus
from mailwye.config.store import ConfigStore, ConfigStoreError
from mailwye.runtime.channel import ChannelError, ChannelGone

LOOK_SECONDS = 0.5  # how often the store is asked for a version that was saved without telling us
RESTART_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
CALL_SECONDS = 50.0  # that a worker may take to answer, below what the command line waits
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


class ServiceStatus(TypedDict):
    """`version`: of the settings in force. `ready`: all workers serve. `missing`: those that are being started again. `openid`: where
    there is [oidc].
    """

    version: int
    workers: list[WorkerStatus]
    ready: bool
    restarts: int
    missing: list[int]
    openid: NotRequired[ProviderStatus]


class VersionInForce(TypedDict):
    """`missing`: workers that are being started again, with that version."""

    version: int
    missing: list[int]


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
        self._refused = -1  # the version in force when an activation failed: said once, tried on
        self.restarts = 0
        self.version = -1
        self.on_activated: Callable[[int], None] = lambda _version: None

    @property
    def is_ready(self) -> bool:
        """All workers serve."""
        return len(self._workers) == len(self._numbers) and not self._stopping

    async def start(self) -> None:
        """Start all workers at once. What the start of one raises is raised here: a service that cannot serve must not look as if it did.
        The others are ended by `stop`.
        """
        self.version = self._store.version()  # asked first: what is saved meanwhile is found as a newer one
        started = await asyncio.gather(*(self._start_worker(number) for number in self._numbers), return_exceptions=True)
        self._workers = {
            number: worker for number, worker in zip(self._numbers, started, strict=True) if not isinstance(worker, BaseException)
        }
        for failure in started:
            if isinstance(failure, BaseException):
                raise failure
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
                workers = await self._all("status")
                return self._status(workers)
            case "activate":
                return await self._put_in_force()
            case "reload":
                await self._all("reload_tls")
                return await self._put_in_force()
            case "reload_tls":
                await self._all("reload_tls")
                return {}
            case "flush":
                await self._all("flush")
                return {}
            case _ if operation.startswith("queue."):
                answers = [nothing_of(operation.removeprefix("queue.")), *await self._all(operation, **arguments)]
                return {**merged(answers, arguments), "missing": self.missing}
            case _:
                raise ValueError(f"no such operation: {operation}")

    def _status(self, workers: list[WorkerStatus]) -> ServiceStatus:
        return {
            "version": self.version,
            "workers": workers,
            "ready": self.is_ready,
            "restarts": self.restarts,
            "missing": self.missing,
        }

    async def _put_in_force(self) -> VersionInForce:
        return {"version": await self.activate(), "missing": self.missing}

    @property
    def missing(self) -> list[int]:
        """Workers that ended and do not serve again yet: what they would say is not in an answer, their queues wait."""
        return [number for number in self._numbers if number not in self._workers]

    async def activate(self) -> int:
        """The newest saved version in force in all workers: first all of them load it, then all of them switch. A worker that cannot
        load it stops the switch everywhere; one that is gone does not, as it loads the newest when it is started again. The number is
        decided here, so that a save in between gives no two workers two versions.

        :raises ChannelError: a worker could not load it; the old version stays in force. :raises ConfigStoreError: nobody can.
        """
        async with self._activation:
            version = self._store.version()
            await self._all("prepare", version=version)
            await self._all("commit", version=version)
            if version != self.version:
                self._log.info("configuration activated", version=version)
                self.on_activated(version)
            self.version = version
            return version

    async def _all(self, operation: str, **arguments: Any) -> list[Any]:
        """The answers of the workers that are there. :raises ChannelError: the first error of one that is, after all have answered."""
        asked = dict(self._workers)
        answers = await asyncio.gather(
            *(self._ask(number, worker, operation, arguments) for number, worker in asked.items()), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, ChannelGone):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def _ask(self, number: int, worker: WorkerHandle, operation: str, arguments: Mapping[str, Any]) -> Any:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await worker.call(operation, **arguments)
        except TimeoutError as error:
            raise ChannelError(f"worker {number} did not answer {operation} within {CALL_SECONDS:.0f} s; look at the log") from error

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
            del self._workers[number]  # from now on it is missing
            self.restarts += 1
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
        except (ChannelError, ConfigStoreError) as error:
            if self._refused != self.version:
                self._log.error("configuration not activated, the old one stays in force", version=self.version, error=str(error))
            self._refused = self.version
        else:
            self._refused = -1
