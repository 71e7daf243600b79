"""Workers as the supervisor handles them: in a process of their own, or (workers = 0) in this one."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mailwye.admin.worker_operations import handle
from mailwye.app import Worker
from mailwye.config.installation import Installation
from mailwye.runtime import channel, logs, loops
from mailwye.runtime.channel import ChannelError
from mailwye.runtime.processes import ChildProcess

START_SECONDS = 120.0
STOP_MARGIN_SECONDS = 15.0


def start_error(error: BaseException) -> str:
    """Why a worker did not start, in one line."""
    return str(error) or type(error).__name__


class LocalWorker:
    """A worker in this process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.number = worker.number

    @classmethod
    async def start(cls, installation: Installation, queues: Sequence[int], sockets: Mapping[str, socket.socket], log: Any) -> LocalWorker:
        """Build it and let it serve."""
        worker = Worker(installation, queues=queues, alert=lambda text: log.error("alert", text=text))
        await worker.start(sockets)
        return cls(worker)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """See admin/supervisor.WorkerHandle."""
        try:
            return await handle(self._worker, operation, arguments)
        except Exception as error:
            raise ChannelError(start_error(error)) from error

    async def ended(self) -> str:
        """It ends with this process."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def stop(self, timeout: float) -> None:
        """Finish what is in flight."""
        await self._worker.stop(timeout)


class ProcessWorker:
    """A worker in a process of its own."""

    def __init__(self, number: int, process: ChildProcess) -> None:
        self.number = number
        self._process = process

    @classmethod
    async def start(
        cls, installation: Installation, number: int, queues: Sequence[int], sockets: Mapping[str, socket.socket]
    ) -> ProcessWorker:
        """Spawn it and wait until it serves. :raises ChannelError: it does not; with its words."""
        process = ChildProcess(run_worker, installation, number, tuple(queues), sockets=sockets)
        answering = await process.connect()
        try:
            async with asyncio.timeout(START_SECONDS):
                await answering.call("started")
        except (ChannelError, TimeoutError) as error:
            await process.end(STOP_MARGIN_SECONDS)
            raise ChannelError(f"worker {number} did not start: {start_error(error)}") from error
        return cls(number, process)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """See admin/supervisor.WorkerHandle."""
        assert self._process.channel is not None
        return await self._process.channel.call(operation, **arguments)

    async def ended(self) -> str:
        """See admin/supervisor.WorkerHandle."""
        return await self._process.ended()

    async def stop(self, timeout: float) -> None:
        """Closing its channel tells it to finish and end."""
        await self._process.end(timeout + STOP_MARGIN_SECONDS)


def run_worker(
    installation: Installation, number: int, queues: tuple[int, ...], sockets: dict[str, socket.socket], ours: socket.socket
) -> None:
    """The main function of a worker process. It ends when the supervisor closes the channel, or is gone."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the supervisor gets them and decides
    logs.set_up()
    sys.exit(loops.run(_serve(installation, number, queues, sockets, ours)))


async def _serve(
    installation: Installation, number: int, queues: tuple[int, ...], sockets: dict[str, socket.socket], ours: socket.socket
) -> int:
    log = logs.logger(f"worker {number}")
    reader, writer = await asyncio.open_connection(sock=ours, limit=channel.LINE_LIMIT)
    try:
        worker = Worker(installation, number, queues=queues, alert=lambda text: log.error("alert", text=text))
        await worker.start(sockets)
    except Exception as error:  # noqa: BLE001 - the supervisor says it
        failure = start_error(error)

        async def refuse(_operation: str, _arguments: dict[str, Any]) -> Any:
            raise ChannelError(failure)

        await channel.serve(reader, writer, refuse)
        return 1

    async def answer(operation: str, arguments: dict[str, Any]) -> Any:
        return None if operation == "started" else await handle(worker, operation, arguments)

    await channel.serve(reader, writer, answer)
    await worker.stop(installation.shutdown_timeout)
    return 0
