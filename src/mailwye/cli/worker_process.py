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
from mailwye.cli import exit_codes
from mailwye.config.installation import Installation
from mailwye.inbound.listener import ListenerError
from mailwye.runtime import channel, logs, loops
from mailwye.runtime.channel import ChannelError, streams
from mailwye.runtime.processes import ChildProcess
from mailwye.runtime.store_error import StoreError
from mailwye.runtime.tls import TlsError

START_SECONDS = 120.0
STOP_MARGIN_SECONDS = 20.0  # beyond shutdown_timeout: the last commits, QUIT, the trace


class StartFailed(Exception):
    """A worker cannot serve; the text says what is wrong, where, and what to do. `exit_code` as sysexits.h has it."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def start_failed(error: BaseException) -> StartFailed:
    """What kept a worker from starting, as the command line says it."""
    match error:
        case TlsError() | ListenerError() | ValueError():
            code = exit_codes.CONFIGURATION
        case PermissionError():
            code = exit_codes.NO_PERMISSION
        case OSError():
            code = exit_codes.OS_ERROR
        case _ if isinstance(error, StoreError):
            code = exit_codes.IO_ERROR
        case _:
            return StartFailed(f"internal error: {error!r}", exit_codes.SOFTWARE)
    return StartFailed(str(error), code)


class LocalWorker:
    """A worker in this process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.number = worker.number

    @classmethod
    async def start(cls, installation: Installation, queues: Sequence[int], sockets: Mapping[str, socket.socket], log: Any) -> LocalWorker:
        """Build it and let it serve."""
        try:
            worker = Worker(installation, queues=queues, alert=lambda text: log.error("alert", text=text))
            await worker.start(sockets)
        except Exception as error:
            raise start_failed(error) from error
        loops.settle_down()
        return cls(worker)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """See admin/supervisor.WorkerHandle."""
        try:
            return await handle(self._worker, operation, arguments)
        except Exception as error:
            raise ChannelError(str(error) or type(error).__name__) from error

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
        """Spawn it and wait until it serves. :raises StartFailed: it does not; with its words."""
        process = ChildProcess(run_worker, installation, number, tuple(queues), sockets=sockets)
        try:
            answering = await process.connect()
            async with asyncio.timeout(START_SECONDS):
                failure = await answering.call("started")
        except TimeoutError as error:
            await process.kill()
            raise StartFailed(f"worker {number} did not start within {START_SECONDS:.0f} s", exit_codes.SOFTWARE) from error
        except ChannelError as error:
            await process.kill()
            raise StartFailed(f"worker {number} ended while it started: {await process.ended()}", exit_codes.SOFTWARE) from error
        except BaseException:
            await process.kill()
            raise
        if failure is not None:
            await process.end(STOP_MARGIN_SECONDS)
            raise StartFailed(str(failure["text"]), int(failure["exit_code"]))
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
    logs.report_internal_errors(log)
    reader, writer = await asyncio.open_connection(sock=ours, limit=channel.LINE_LIMIT)
    try:
        worker = Worker(installation, number, queues=queues, alert=lambda text: log.error("alert", text=text))
        await worker.start(sockets)
    except Exception as error:  # noqa: BLE001 - the supervisor says it
        failure = start_failed(error)

        async def refuse(_operation: str, _arguments: dict[str, Any]) -> Any:
            return {"text": str(failure), "exit_code": failure.exit_code}

        await streams.serve(reader, writer, refuse)
        return failure.exit_code

    loops.settle_down()

    async def answer(operation: str, arguments: dict[str, Any]) -> Any:
        return None if operation == "started" else await handle(worker, operation, arguments)

    await streams.serve(reader, writer, answer)
    await worker.stop(installation.shutdown_timeout)
    return 0
