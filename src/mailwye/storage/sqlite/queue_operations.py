"""The operations that wait for a commit of the queue: what each writes, and what follows when it is durable or never will be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from zlib import crc32

import apsw

from mailwye.message.content import Content
from mailwye.queue.engine import QueueError, QueueFull
from mailwye.queue.item import FINAL_STATES, Delivery, DeliveryState, NewMessage, QueuedMessage, Receipt, Result, Settlement
from mailwye.queue.transitions import RESULT_MOVES, after, settled
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.committer import Statement
from mailwye.storage.sqlite.content_store import StoredContent
from mailwye.storage.sqlite.queue_codec import pack_delivery, pack_message, pack_new_delivery
from mailwye.storage.sqlite.queue_index import QUEUED
from mailwye.storage.sqlite.queue_state import LeaseRecord, QueueState


def commit_error(error: Exception) -> QueueError:
    """What the caller of `accept` gets for a commit that failed."""
    if isinstance(error, apsw.FullError):
        return QueueFull(f"the disk is full: {error}")
    return QueueError(f"the queue could not be written: {error}")


def message_rows(seq: int, new: NewMessage) -> list[Statement]:
    """The rows of a new message.

    :raises QueueError: no recipient, too many, or a text that is not Unicode. :raises TypeError: the content is neither inline nor ours.
    """
    content = new.content
    data, staging = content.inline, 0
    if data is None:
        if not isinstance(content, StoredContent):
            raise TypeError("content of another store must be copied first")
        staging = content.staging
    if not 0 < len(new.deliveries) <= sql.PLACES:
        raise QueueError(f"message {new.id} has {len(new.deliveries)} recipients; 1 to {sql.PLACES} are possible")
    due = 0.0 if new.first_attempt_at is None else new.first_attempt_at
    sender = None if new.sender is None else new.sender.key
    try:
        checksum = 0 if data is None else crc32(data)
        rows: list[Statement] = [
            (sql.ADD_MESSAGE, (seq, new.id, staging, sender, checksum, pack_message(new, seq, staging, checksum), data))
        ]
        number = seq << sql.PLACE_BITS
        for one in new.deliveries:
            rows.append((sql.ADD_DELIVERY, (number, QUEUED, due, one.next_hop, one.recipient.key, pack_new_delivery(one, number))))
            number += 1
    except UnicodeEncodeError as error:
        raise QueueError(f"message {new.id} has a text that cannot be stored: {error}") from error
    if staging:
        rows.append((sql.END_STAGING, (staging,)))
    return rows


def keep(state: QueueState, seq: int, new: NewMessage) -> None:
    """A new message is durable: its deliveries can be leased."""
    count = len(new.deliveries)
    first = seq << sql.PLACE_BITS
    due = 0.0 if new.first_attempt_at is None else new.first_attempt_at
    state.index.add_new(seq, [one.next_hop for one in new.deliveries], due)
    content = new.content
    if content.inline is not None:
        state.fresh.add(seq, new, range(first, first + count))
    elif isinstance(content, StoredContent) and content.writer is not None:
        content.writer.accepted()
        content.writer = None


def end_deliveries(state: QueueState, numbers: list[int]) -> list[Statement]:
    """The rows that go with deliveries of one message that are final (at least one); they leave the index now."""
    first = last = numbers[0]
    if len(numbers) > 1:
        first, last = min(numbers), max(numbers)
    seq = first >> sql.PLACE_BITS
    rows: list[Statement]
    if last - first == len(numbers) - 1:  # neighbours go at once
        rows = [(sql.END_DELIVERIES, (first, last))]
    else:
        rows = [(sql.END_DELIVERIES, (number, number)) for number in numbers]
    state.leased.difference_update(numbers)
    state.fresh.forget(seq, numbers)
    if state.index.remove(numbers):
        rows.append((sql.END_MESSAGE, (seq,)))
    return rows


class Nothing:
    """An operation that nobody waits for."""

    def committed(self) -> None:
        """Nothing follows."""

    def failed(self, error: Exception) -> None:
        """Nothing follows."""


class Acceptance:
    """`accept`: tentative. The receipt is made here and nowhere else."""

    __slots__ = ("_future", "_new", "_seq", "_state", "_undo")

    def __init__(
        self,
        state: QueueState,
        seq: int,
        new: NewMessage,
        future: asyncio.Future[Receipt],
        undo: Callable[[int, NewMessage, Exception], None],
    ) -> None:
        self._state = state
        self._seq = seq
        self._new = new
        self._future = future
        self._undo = undo

    def committed(self) -> None:
        """Durable. A caller who no longer waits changes nothing: the message is in the queue."""
        keep(self._state, self._seq, self._new)
        self._state.wake()
        if not self._future.done():
            self._future.set_result(Receipt(self._new.id))

    def failed(self, error: Exception) -> None:
        """Not durable, or nobody knows: see to it that it is not."""
        self._undo(self._seq, self._new, error)
        if not self._future.done():
            self._future.set_exception(commit_error(error))


class Settling:
    """`settle`: lasting. What is final left the index when it was asked for; what waits again comes back when that is durable."""

    __slots__ = ("_bounces", "_future", "_state", "_waiting")

    def __init__(
        self, state: QueueState, waiting: list[Delivery], bounces: list[tuple[int, NewMessage]], future: asyncio.Future[None]
    ) -> None:
        self._state = state
        self._waiting = waiting
        self._bounces = bounces
        self._future = future

    def committed(self) -> None:
        """Durable."""
        state = self._state
        for one in self._waiting:
            state.leased.discard(one.id)
            state.index.place(one.id, QUEUED, one.due, one.next_hop)
        for seq, new in self._bounces:
            keep(state, seq, new)
        if self._waiting or self._bounces:
            state.wake()
        if not self._future.done():
            self._future.set_result(None)

    def failed(self, error: Exception) -> None:
        """Only at the end of the engine's life: the deliveries are queued again at the next start."""
        if not self._future.done():
            self._future.set_exception(commit_error(error))


def settlement_rows(state: QueueState, record: LeaseRecord, settlements: Sequence[Settlement]) -> tuple[list[Statement], list[Delivery]]:
    """The rows of `settlements`, and the deliveries that will wait again. Takes the deliveries out of the lease."""
    rows: list[Statement] = []
    waiting: list[Delivery] = []
    ended: list[int] = []
    alike: list[int] = []  # of `ended`, those with the same result in a row
    result: Result | None = None
    final = False
    for settlement in settlements:
        before = record.deliveries.pop(settlement.delivery_id)
        if settlement.result is not result:  # under a lease all are leased, so the result alone decides
            if alike:
                state.ledger.end(alike, result)
                ended += alike
            result, alike = settlement.result, []
            final = after(before.state, RESULT_MOVES[result]) in FINAL_STATES
        if final:
            alike.append(before.id)
        else:
            one = settled(before, settlement)
            state.index.make_busy(one.id)
            waiting.append(one)
            rows.append((sql.SET_DELIVERY, (QUEUED, one.due, one.next_hop, pack_delivery(one), one.id)))
    if alike:
        state.ledger.end(alike, result)
        ended += alike
    if ended:
        rows += end_deliveries(state, ended)
    return rows, waiting


class Change:
    """`hold`, `release`, `retry`: lasting. `moves`: (delivery, due) that come into the state `to`."""

    __slots__ = ("_future", "_moves", "_state", "_to")

    def __init__(self, state: QueueState, to: int, moves: list[tuple[int, float]], future: asyncio.Future[None]) -> None:
        self._state = state
        self._to = to
        self._moves = moves
        self._future = future

    def committed(self) -> None:
        """Durable."""
        for number, due in self._moves:
            hop, _ = self._state.index.hop_and_due(number)
            self._state.index.place(number, self._to, due, hop)
        self._state.wake()
        if not self._future.done():
            self._future.set_result(None)

    def failed(self, error: Exception) -> None:
        """Only at the end of the engine's life."""
        if not self._future.done():
            self._future.set_exception(commit_error(error))


class Placing:
    """`redirect`: lasting. `moves`: (delivery, state, due, next hop) as it stands from then on."""

    __slots__ = ("_future", "_moves", "_state")

    def __init__(self, state: QueueState, moves: list[tuple[int, int, float, str]], future: asyncio.Future[None]) -> None:
        self._state = state
        self._moves = moves
        self._future = future

    def committed(self) -> None:
        """Durable."""
        for number, state, due, hop in self._moves:
            self._state.index.place(number, state, due, hop)
        self._state.wake()
        if not self._future.done():
            self._future.set_result(None)

    def failed(self, error: Exception) -> None:
        """Only at the end of the engine's life: each has the old way or the new one."""
        if not self._future.done():
            self._future.set_exception(commit_error(error))


def fresh_deliveries(state: QueueState, new: NewMessage, numbers: Sequence[int]) -> tuple[Delivery, ...]:
    """Deliveries of a message that is still as it came, as leased for their first attempt."""
    found: list[Delivery] = []
    hop_and_due, first, leased = state.index.hop_and_due, numbers[0] & ~(sql.PLACES - 1), DeliveryState.LEASED
    for number in numbers:
        one = new.deliveries[number - first]
        hop, due = hop_and_due(number)
        delivery = Delivery(number, new.id, one.recipient, one.original, hop, one.notify, one.orcpt, leased, due)
        found.append(replace(delivery, rule_connector=one.rule_connector) if one.rule_connector else delivery)
    return tuple(found)


def fresh_message(new: NewMessage) -> tuple[QueuedMessage, Content]:
    """A message that is still as it came, without and with its content."""
    message = QueuedMessage(
        new.id,
        new.received_at,
        new.sender,
        new.content.size,
        new.origin,
        new.config_version,
        new.body,
        new.smtputf8,
        new.ret,
        new.envid,
        new.message_id,
        new.subject,
        new.auto_submitted,
        new.requires_8bit,
        new.plain,
        new.tls,
    )
    return message, new.content
