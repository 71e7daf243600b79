"""What the supervisor and the control socket may ask of one worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict

from mailwye.admin import queue_operations
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.queue.engine import QueueEngine
from mailwye.runtime.clock import Clock
from mailwye.trace.recorder import TraceRecorder


class FlushingRecorder(TraceRecorder, Protocol):
    """A recorder that can store at once what it buffers."""

    dropped: int

    async def flush(self) -> None:
        """Everything recorded so far can be found by a search."""
        ...


class FlushingTraffic(Protocol):
    """Recorded traffic that can be stored at once."""

    @property
    def dropped(self) -> int:
        """Kinds of envelopes that could not be stored."""
        ...

    async def flush(self) -> None:
        """Everything seen so far can be read."""
        ...


class RestingHops(Protocol):
    """The outbound side, as far as administrators steer it."""

    def end_rests(self) -> None:
        """Try next hops again that failed a moment ago."""
        ...


class ServingWorker(Protocol):
    """The worker as these operations see it (app.Worker)."""

    @property
    def number(self) -> int:
        """Which one."""
        ...

    @property
    def clock(self) -> Clock:
        """Its time."""
        ...

    @property
    def trace(self) -> FlushingRecorder:
        """Where its events go."""
        ...

    @property
    def traffic(self) -> FlushingTraffic | None:
        """Where it counts traffic for replays."""
        ...

    @property
    def engines(self) -> Sequence[QueueEngine]:
        """Its queues."""
        ...

    @property
    def dispatcher(self) -> RestingHops:
        """Its outbound side."""
        ...

    @property
    def sessions(self) -> int:
        """Open inbound connections."""
        ...

    @property
    def version(self) -> int:
        """The version of the settings in force."""
        ...

    @property
    def snapshot(self) -> ActiveSnapshot:
        """The settings in force."""
        ...

    async def prepare(self, version: int) -> None:
        """Load that version of the settings."""
        ...

    def commit(self, version: int) -> None:
        """Put it in force."""
        ...

    async def reload_tls(self) -> None:
        """Read certificates again."""
        ...


class WorkerStatus(TypedDict):
    """One worker. `sessions`: open inbound connections. `trace_events_dropped`, `traffic_dropped`: events of the trace, and kinds of
    envelopes, that could not be stored.
    """

    number: int
    sessions: int
    version: int
    trace_events_dropped: int
    traffic_dropped: int


async def handle(worker: ServingWorker, operation: str, arguments: dict[str, Any]) -> Any:
    """Do `operation`; its result in plain values. :raises ValueError: no such operation."""
    match operation:
        case "status":
            return _status(worker)
        case "prepare":
            return await worker.prepare(int(arguments["version"]))
        case "commit":
            return worker.commit(int(arguments["version"]))
        case "reload_tls":
            return await worker.reload_tls()
        case "flush":
            if worker.traffic is not None:
                await worker.traffic.flush()
            return await worker.trace.flush()
        case _ if operation.startswith("queue."):
            name = operation.removeprefix("queue.")
            if name in ("retry", "release", "follow"):
                worker.dispatcher.end_rests()
            return await queue_operations.run(
                name,
                arguments,
                worker.engines,
                clock=worker.clock,
                trace=worker.trace,
                place=str(worker.number),
                snapshot=worker.snapshot.current,
            )
        case _:
            raise ValueError(f"no such operation: {operation}")


def _status(worker: ServingWorker) -> WorkerStatus:
    return {
        "number": worker.number,
        "sessions": worker.sessions,
        "version": worker.version,
        "trace_events_dropped": worker.trace.dropped,
        "traffic_dropped": worker.traffic.dropped if worker.traffic is not None else 0,
    }
