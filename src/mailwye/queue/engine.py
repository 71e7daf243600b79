"""The port of the queue: domain verbs, no SQL, no paths. Implementations: queue/memory.py, storage/sqlite, (later) storage/postgres.

Every implementation passes tests/conformance/test_queue_engine.py.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mailwye.message.content import Content
from mailwye.queue.item import Lease, NewMessage, QueueQuery, QueueRow, Receipt, Redirect, Settlement
from mailwye.runtime.store_error import StoreError

Room = Callable[[str], int]
"""How many leases a next hop may be given now; 0 or less leaves it out."""


def unlimited(_hop: str) -> int:
    """A Room without end."""
    return sys.maxsize


class QueueError(StoreError):
    """The engine could not do it. The caller answers 4xx; nothing was acknowledged."""


class QueueFull(QueueError):
    """No room: a named limit, or the disk. The caller answers 452 4.3.1."""


class LeaseLost(QueueError):
    """The token is no longer known: the lease expired and somebody else may be at work."""


class ContentWriter(Protocol):
    """Takes the content of one message as it arrives. Small content stays in memory; large content is staged in the store, so
    that memory stays bounded. Nothing staged outlives `discard`, or a restart without `accept`.
    """

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Append. Returns None where the data was taken at once; an awaitable where the caller must wait (back-pressure).

        :raises QueueError: (from the awaitable) staging failed; the content is lost, answer 4xx.
        """
        ...

    def finish(self) -> Content:
        """The whole content, to put into a NewMessage. No `write` after it."""
        ...

    def discard(self) -> None:
        """Forget what was written. Harmless after `finish` was accepted, and when repeated."""
        ...


class QueueEngine(Protocol):
    """The durable queue of one worker."""

    def content_writer(self) -> ContentWriter:
        """A writer for the content of one incoming message."""
        ...

    def why_no_room(self, octets: int) -> str:
        """Why a message of about `octets` (0: not known) could not be accepted now, as a sentence; empty where it could. Cheap.

        Asked at MAIL, so that a client hears 452 4.3.1 before he sends content in vain. It promises nothing, and what is queued goes on.
        """
        ...

    def accept(self, message: NewMessage) -> Awaitable[Receipt]:
        """Make `message` durable with all its deliveries and its content. Many callers share one commit.

        The awaitable is an asyncio.Future in live engines, so that a caller may attach a callback instead of a task.
        :raises QueueFull: no room. :raises QueueError: not durable; nothing was kept.
        """
        ...

    def lease(self, now: float, *, limit: int, room: Room = unlimited, seconds: float = 3600) -> Awaitable[Sequence[Lease]]:
        """Up to `limit` leases on due deliveries, of each next hop as many as `room` has for it, oldest message first.

        Deliveries of one message with the same next hop come in one lease.
        """
        ...

    def renew(self, lease: Lease, until: float) -> Awaitable[None]:
        """Keep a lease longer. :raises LeaseLost: it is gone."""
        ...

    def settle(self, lease: Lease, settlements: Sequence[Settlement], bounces: Sequence[NewMessage] = ()) -> Awaitable[None]:
        """End deliveries of a lease, and accept the DSNs that this causes, in one commit. Content without deliveries left is removed.

        A lease may be settled in parts. :raises LeaseLost: nothing was changed.
        """
        ...

    def hold(self, query: QueueQuery) -> Awaitable[int]:
        """Hold the matching queued deliveries; how many."""
        ...

    def release(self, query: QueueQuery) -> Awaitable[int]:
        """Release the matching held deliveries: due at once; how many."""
        ...

    def retry(self, query: QueueQuery, now: float) -> Awaitable[int]:
        """Make the matching queued deliveries due now; how many. Attempts already counted stay counted."""
        ...

    def hurry(self, next_hop: str, now: float) -> Awaitable[int]:
        """Make what waits for `next_hop` ("": whatever waits) due now, in the order of acceptance; how many. It need not be stored: after a
        restart they may be due when they were before. Cheap with any number of deliveries, and the loop goes on meanwhile.
        """
        ...

    def redirect(self, redirects: Sequence[Redirect]) -> Awaitable[frozenset[int]]:
        """Give waiting or held deliveries another way, durably (queue/transitions.redirected says how each then stands). → the ids of those
        that took it; what is not as the redirect says, or is under way, is left alone, so that it may be repeated.
        """
        ...

    def delete(self, query: QueueQuery) -> Awaitable[Sequence[QueueRow]]:
        """Delete the matching queued or held deliveries without a DSN; the rows that went. Those set aside as corrupt only where the query
        asks for that state.
        """
        ...

    def inspect(self, query: QueueQuery) -> Awaitable[Sequence[QueueRow]]:
        """The matching deliveries, oldest first."""
        ...

    def read_content(self, message_id: str) -> Awaitable[Content | None]:
        """The content of a queued message, None where it is gone."""
        ...

    def counts(self) -> Awaitable[dict[str, dict[str, int]]]:
        """How many deliveries per next hop and state: {"connector:A": {"queued": 3}}."""
        ...

    def next_due(self, *, exclude: frozenset[str] = frozenset()) -> Awaitable[float | None]:
        """When the earliest queued delivery is due (0.0 and the past mean: now), None where none is queued.

        With `exclude` (next hops that `lease` would leave out as well) it may name the due time of an excluded one, but only a future one.
        """
        ...

    def on_work(self, callback: Callable[[], None]) -> None:
        """Call `callback` (in the event loop) whenever deliveries may have become due: after accept, release, retry, settle."""
        ...

    def close(self) -> Awaitable[None]:
        """Finish waiting commits and close. Leases stay in the store as such and are queued again at the next start."""
        ...
