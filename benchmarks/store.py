"""What storing one message costs in this process: accept, lease and settle it in the SQLite queue, and write its trace.

CPU by thread, without sessions and couriers: `python benchmarks/store.py [MESSAGES] [--recipients N] [--octets N] [--where FOLDER]`.
Minima of several runs; the machine may be shared, trust ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mailwye.message.content import InlineContent
from mailwye.queue.item import NewDelivery, NewMessage, Origin, Receipt, Result, Settlement
from mailwye.smtp.address import Address
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder
from mailwye.trace.event import EventKind, TraceEvent

SESSIONS = 20  # messages that are waited for at a time
RUNS = 4
FLUSH_MESSAGES = 500


@dataclass(frozen=True)
class Cost:
    """Of one message: microseconds of CPU of the loop's thread and of all others, and commits."""

    loop: float
    others: float
    commits: float


def message(number: int, recipients: int, content: InlineContent) -> NewMessage:
    """A message of a session without TLS."""
    addresses = [Address(f"user{place}", "example.com") for place in range(recipients)]
    origin = Origin("SESSION00000", "anonymous", "", "", "127.0.0.1", "client.example", "mx")
    deliveries = tuple(NewDelivery(one, one, "connector:To the sink") for one in addresses)
    return NewMessage(f"M{number:011d}", time.time(), Address("sender", "example.net"), deliveries, content, origin, 1)


async def through_the_queue(engine: SqliteQueueEngine, messages: list[NewMessage]) -> Cost:
    """Accept SESSIONS at a time, lease what is durable, settle it at once."""
    waiting, left = iter(messages), len(messages)
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def accept(_before: asyncio.Future[Receipt] | None = None) -> None:
        new = next(waiting, None)
        if new is not None:
            engine.accept(new).add_done_callback(accept)

    def settled(_stored: asyncio.Future[None]) -> None:
        nonlocal left
        left -= 1
        if not left:
            finished.set_result(None)

    def work() -> None:
        for lease in engine.lease(time.time(), limit=SESSIONS).result():
            ends = [Settlement(one.id, Result.DELIVERED, error="250 2.0.0 Ok") for one in lease.deliveries]
            engine.settle(lease, ends).add_done_callback(settled)

    engine.on_work(work)
    process, thread = time.process_time(), time.thread_time()
    for _ in range(SESSIONS):
        accept()
    await finished
    process, thread = time.process_time() - process, time.thread_time() - thread
    count = len(messages) / 1e6
    return Cost(thread / count, (process - thread) / count, engine.commits / len(messages))


async def queue_cost(folder: Path, messages: list[NewMessage]) -> Cost:
    """Of a new queue in `folder`."""
    engine = SqliteQueueEngine(folder / "queue.sqlite")
    try:
        return await through_the_queue(engine, messages)
    finally:
        await engine.close()


def events(new: NewMessage) -> list[TraceEvent]:
    """What the trace is told of a message on the straight way out."""
    at, session, data = new.received_at, new.origin.session_id, {"size": "4096", "message_id": "<a@example.net>", "subject": "hello"}
    names = [str(one.recipient) for one in new.deliveries]
    why = ("example.com is an accepted domain: everyone may send to it", 'connector "To the sink" is the most specific one')
    hop = {"next_hop": "connector:To the sink"}
    routes = [TraceEvent(at, EventKind.ROUTE, session, new.id, "s@example.net", name, "Out", "Pending", "", why, 1, hop) for name in names]
    sent = TraceEvent(
        at, EventKind.SEND, session, new.id, "s@example.net", names[0], "Out", "Delivered", "250 Ok", (), 1, hop, tuple(names[1:])
    )
    return [TraceEvent(at, EventKind.RECEIVE, session, new.id, "s@example.net", data=data, config_version=1), *routes, sent]


async def trace_cost(folder: Path, messages: list[NewMessage]) -> float:
    """Microseconds of CPU for the trace of one message, of all threads, without making the events."""
    recorder = SqliteTraceRecorder(folder / "trace", 0)
    told = [events(new) for new in messages]
    before = time.process_time()
    for start in range(0, len(told), FLUSH_MESSAGES):
        for some in told[start : start + FLUSH_MESSAGES]:
            for event in some:
                recorder.record(event)
        await recorder.flush()
    spent = time.process_time() - before
    await recorder.close()
    return spent / len(messages) * 1e6


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("messages", type=int, nargs="?", default=4000)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--where", type=Path, help="a folder on the file system to measure on")
    options = parser.parse_args()
    content = InlineContent(b"x" * options.octets)
    queue: list[Cost] = []
    trace: list[float] = []
    for _ in range(RUNS):
        messages = [message(number, options.recipients, content) for number in range(options.messages)]
        with tempfile.TemporaryDirectory(dir=options.where) as name:
            queue.append(asyncio.run(queue_cost(Path(name), messages)))
            trace.append(asyncio.run(trace_cost(Path(name), messages)))
    best = min(queue, key=lambda one: one.loop)
    total = best.loop + best.others + min(trace)
    print(f"queue: {best.loop:.1f} us in the loop, {best.others:.1f} us in other threads, {best.commits:.3f} commits; ", end="")
    print(f"trace: {min(trace):.1f} us; together {total:.1f} us a message, {total / options.recipients:.1f} us a recipient")


if __name__ == "__main__":
    main()
