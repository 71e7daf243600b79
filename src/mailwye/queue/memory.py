"""The complete queue in memory: the executable specification of queue/engine.py, and the engine of tests and simulations.

It keeps no index: everything is a scan in the order of acceptance, so that it is easy to believe. Nothing is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from mailwye.message.content import Content, InlineContent
from mailwye.queue.engine import LeaseLost, QueueError, QueueFull, Room, unlimited
from mailwye.queue.futures import done, failed
from mailwye.queue.item import (
    FINAL_STATES,
    Delivery,
    DeliveryState,
    Lease,
    NewMessage,
    QueuedMessage,
    QueueQuery,
    QueueRow,
    Receipt,
    Redirect,
    Settlement,
)
from mailwye.queue.select import matches
from mailwye.queue.transitions import Move, after, found_by, redirected, settled

T = TypeVar("T")
CHUNK_OCTETS = 262_144


class ChunkedContent:
    """Content in pieces that are in memory, shown as content that is not (`inline` is None)."""

    __slots__ = ("_pieces", "size")

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces
        self.size = sum(map(len, pieces))

    @property
    def inline(self) -> None:
        """Never at hand."""
        return

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces, each of at most 256 KiB."""
        for piece in self._pieces:
            yield piece


class MemoryContentWriter:
    """Collects content; above `inline_octets` it becomes ChunkedContent. Never makes the caller wait."""

    __slots__ = ("_data", "_inline_octets")

    def __init__(self, inline_octets: int) -> None:
        self._data = bytearray()
        self._inline_octets = inline_octets

    def write(self, data: bytes) -> None:
        """Append."""
        self._data += data

    def finish(self) -> Content:
        """The whole content."""
        data = bytes(self._data)
        if len(data) <= self._inline_octets:
            return InlineContent(data)
        return ChunkedContent(tuple(data[at : at + CHUNK_OCTETS] for at in range(0, len(data), CHUNK_OCTETS)))

    def discard(self) -> None:
        """Forget."""
        self._data.clear()


class _Held:
    """One message with its content and the deliveries that are not final, in their order."""

    __slots__ = ("content", "deliveries", "message")

    def __init__(self, message: QueuedMessage, content: Content, deliveries: dict[int, Delivery]) -> None:
        self.message = message
        self.content = content
        self.deliveries = deliveries


class _LeaseRecord:
    """What the engine knows of a lease: which deliveries are still under it, and until when."""

    __slots__ = ("expires_at", "ids", "serial")

    def __init__(self, serial: int, ids: set[int], expires_at: float) -> None:
        self.serial = serial
        self.ids = ids
        self.expires_at = expires_at


class MemoryQueueEngine:
    """A QueueEngine without durability. `messages`: the limit after which `accept` raises QueueFull.

    Its awaitables are futures that are done when they are returned; callbacks of `on_work` run in the next turn of the loop.
    """

    def __init__(self, *, inline_octets: int = 262_144, messages: int = 5_000_000) -> None:
        self._inline_octets = inline_octets
        self._limit = messages
        self._held: dict[int, _Held] = {}  # by serial number, so in the order of acceptance
        self._leases: dict[int, _LeaseRecord] = {}
        self._served: dict[str, int] = {}  # next hop → when it was served last, for fairness
        self._callbacks: list[Callable[[], None]] = []
        self._serial = 0
        self._delivery_id = 0
        self._token = 0
        self._turn = 0

    # --- in

    def content_writer(self) -> MemoryContentWriter:
        """A writer that keeps everything in memory."""
        return MemoryContentWriter(self._inline_octets)

    def why_no_room(self, octets: int) -> str:
        """See QueueEngine: only the limit of messages."""
        return f"the queue holds its limit of {self._limit} messages" if len(self._held) >= self._limit else ""

    def accept(self, message: NewMessage) -> asyncio.Future[Receipt]:
        """Keep `message`. :raises QueueFull: (from the future) as many messages as the limit. :raises QueueError: no recipients."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if not message.deliveries:
            future.set_exception(QueueError(f"message {message.id} has no recipients"))
            return future
        if why := self.why_no_room(0):
            future.set_exception(QueueFull(why))
            return future
        self._keep(message)
        future.set_result(Receipt(message.id))
        self._work()
        return future

    def _keep(self, new: NewMessage) -> None:
        self._serial += 1
        deliveries: dict[int, Delivery] = {}
        for one in new.deliveries:
            self._delivery_id += 1
            deliveries[self._delivery_id] = Delivery(
                id=self._delivery_id,
                message_id=new.id,
                recipient=one.recipient,
                original=one.original,
                next_hop=one.next_hop,
                notify=one.notify,
                orcpt=one.orcpt,
                state=DeliveryState.QUEUED,
                due=0.0 if new.first_attempt_at is None else new.first_attempt_at,
                rule_connector=one.rule_connector,
            )
        self._held[self._serial] = _Held(queued_message(new), new.content, deliveries)

    # --- out

    def lease(self, now: float, *, limit: int, room: Room = unlimited, seconds: float = 3600) -> asyncio.Future[Sequence[Lease]]:
        """See QueueEngine. Next hops take turns: the one that was served longest ago first, with its oldest message."""
        self._take_back_expired(now)
        waiting: dict[str, list[tuple[int, list[Delivery]]]] = {}
        for serial, held in self._held.items():
            groups: dict[str, list[Delivery]] = {}
            for delivery in held.deliveries.values():
                if delivery.state is DeliveryState.QUEUED and delivery.due <= now:
                    groups.setdefault(delivery.next_hop, []).append(delivery)
            for hop, group in groups.items():
                waiting.setdefault(hop, []).append((serial, group))
        waiting = {hop: some for hop, all_ in waiting.items() if (some := all_[: max(0, room(hop))])}
        leases: list[Lease] = []
        while waiting and len(leases) < limit:
            hop = min(waiting, key=lambda one: self._served.get(one, 0))
            self._turn += 1
            self._served[hop] = self._turn
            serial, group = waiting[hop].pop(0)
            if not waiting[hop]:
                del waiting[hop]
            leases.append(self._grant(serial, group, now + seconds))
        return done(leases)

    def _grant(self, serial: int, group: list[Delivery], expires_at: float) -> Lease:
        held = self._held[serial]
        leased = tuple(replace(one, state=after(one.state, Move.LEASE)) for one in group)
        for one in leased:
            held.deliveries[one.id] = one
        self._token += 1
        self._leases[self._token] = _LeaseRecord(serial, {one.id for one in leased}, expires_at)
        return Lease(self._token, held.message, leased, held.content, expires_at)

    def _take_back_expired(self, now: float) -> None:
        for token in [token for token, record in self._leases.items() if record.expires_at <= now]:
            record = self._leases.pop(token)
            deliveries = self._held[record.serial].deliveries
            for one in record.ids:
                deliveries[one] = replace(deliveries[one], state=after(deliveries[one].state, Move.RETURN))

    def renew(self, lease: Lease, until: float) -> asyncio.Future[None]:
        """See QueueEngine."""
        record = self._leases.get(lease.token)
        if record is None:
            return failed(LeaseLost(f"lease {lease.token} on {lease.message.id} is gone"))
        record.expires_at = until
        return done(None)

    def settle(self, lease: Lease, settlements: Sequence[Settlement], bounces: Sequence[NewMessage] = ()) -> asyncio.Future[None]:
        """See QueueEngine."""
        record = self._leases.get(lease.token)
        ids = {one.delivery_id for one in settlements}
        if record is None or not ids <= record.ids:
            return failed(LeaseLost(f"lease {lease.token} on {lease.message.id} is gone, or these deliveries are settled already"))
        held = self._held[record.serial]
        for one in settlements:
            held.deliveries[one.delivery_id] = settled(held.deliveries[one.delivery_id], one)
        record.ids -= ids
        if not record.ids:
            del self._leases[lease.token]
        self._drop_final(record.serial)
        for bounce in bounces:
            self._keep(bounce)
        self._work()
        return done(None)

    def _drop_final(self, serial: int) -> None:
        held = self._held[serial]
        held.deliveries = {number: one for number, one in held.deliveries.items() if one.state not in FINAL_STATES}
        if not held.deliveries:
            del self._held[serial]

    # --- administration

    def hold(self, query: QueueQuery) -> asyncio.Future[int]:
        """See QueueEngine."""
        return done(self._change(query, DeliveryState.QUEUED, Move.HOLD, None))

    def release(self, query: QueueQuery) -> asyncio.Future[int]:
        """See QueueEngine."""
        return done(self._change(query, DeliveryState.HELD, Move.RELEASE, 0.0))

    def retry(self, query: QueueQuery, now: float) -> asyncio.Future[int]:
        """See QueueEngine."""
        return done(self._change(query, DeliveryState.QUEUED, Move.RETRY, now))

    def hurry(self, next_hop: str, now: float) -> asyncio.Future[int]:
        """See QueueEngine."""
        query = QueueQuery(next_hop=next_hop)
        waiting = [(held, one) for held, one in self._matching(query) if one.state is DeliveryState.QUEUED and one.due > now]
        for held, one in waiting:
            held.deliveries[one.id] = replace(one, due=now)
        if waiting:
            self._work()
        return done(len(waiting))

    def redirect(self, redirects: Sequence[Redirect]) -> asyncio.Future[frozenset[int]]:
        """See QueueEngine."""
        holders = {number: held for held in self._held.values() for number in held.deliveries}
        changed: set[int] = set()
        for one in redirects:
            held = holders.get(one.delivery_id)
            new = redirected(held.deliveries[one.delivery_id], one) if held is not None else None
            if held is not None and new is not None:
                held.deliveries[new.id] = new
                changed.add(new.id)
        if changed:
            self._work()
        return done(frozenset(changed))

    def _change(self, query: QueueQuery, state: DeliveryState, move: Move, due: float | None) -> int:
        found = [(held, one) for held, one in self._matching(query) if one.state is state][: query.limit]
        for held, one in found:
            held.deliveries[one.id] = replace(one, state=after(one.state, move), due=one.due if due is None else due)
        if found:
            self._work()
        return len(found)

    def delete(self, query: QueueQuery) -> asyncio.Future[Sequence[QueueRow]]:
        """See QueueEngine."""
        states = found_by(Move.DELETE, query.states)
        found = [(held, one) for held, one in self._matching(query) if one.state in states]
        rows: list[QueueRow] = []
        for held, one in found[: query.limit]:
            gone = replace(one, state=after(one.state, Move.DELETE))
            held.deliveries[one.id] = gone
            rows.append(QueueRow(held.message, gone))
        for serial in list(self._held):
            self._drop_final(serial)
        return done(rows)

    def inspect(self, query: QueueQuery) -> asyncio.Future[Sequence[QueueRow]]:
        """See QueueEngine."""
        return done([QueueRow(held.message, one) for held, one in self._matching(query)][: query.limit])

    def _matching(self, query: QueueQuery) -> Iterator[tuple[_Held, Delivery]]:
        for held in self._held.values():
            for one in held.deliveries.values():
                if matches(query, held.message, one):
                    yield held, one

    def read_content(self, message_id: str) -> asyncio.Future[Content | None]:
        """See QueueEngine."""
        return done(next((held.content for held in self._held.values() if held.message.id == message_id), None))

    def counts(self) -> asyncio.Future[dict[str, dict[str, int]]]:
        """See QueueEngine."""
        counts: dict[str, dict[str, int]] = {}
        for held in self._held.values():
            for one in held.deliveries.values():
                of_hop = counts.setdefault(one.next_hop, {})
                of_hop[one.state.value] = of_hop.get(one.state.value, 0) + 1
        return done(counts)

    def next_due(self, *, exclude: frozenset[str] = frozenset()) -> asyncio.Future[float | None]:
        """See QueueEngine."""
        dues = (
            one.due
            for held in self._held.values()
            for one in held.deliveries.values()
            if one.state is DeliveryState.QUEUED and one.next_hop not in exclude
        )
        return done(min(dues, default=None))

    # --- life

    def on_work(self, callback: Callable[[], None]) -> None:
        """See QueueEngine."""
        self._callbacks.append(callback)

    def _work(self) -> None:
        loop = asyncio.get_running_loop()
        for callback in self._callbacks:
            loop.call_soon(callback)

    def close(self) -> Awaitable[None]:
        """Nothing waits; the queue is forgotten with the object."""
        return done(None)


def queued_message(new: NewMessage) -> QueuedMessage:
    """What the queue keeps of a new message beside deliveries and content."""
    return QueuedMessage(
        id=new.id,
        received_at=new.received_at,
        sender=new.sender,
        size=new.content.size,
        origin=new.origin,
        config_version=new.config_version,
        body=new.body,
        smtputf8=new.smtputf8,
        ret=new.ret,
        envid=new.envid,
        message_id=new.message_id,
        subject=new.subject,
        auto_submitted=new.auto_submitted,
        requires_8bit=new.requires_8bit,
        plain=new.plain,
        tls=new.tls,
    )
