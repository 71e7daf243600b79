"""The administrator's operations on queues, over any number of engines: list, show, retry, hold, release, pin, follow, delete. Plain values
in and out, so that the control socket, the command line without a service, and later the API share them.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypedDict

from mailwye.connectors.pins import pin_in_words
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import DeliveryState, QueueQuery, QueueRow
from mailwye.queue.transitions import REDIRECTED, Move, found_by
from mailwye.trace.event import EventKind, TraceEvent

if TYPE_CHECKING:
    from mailwye.admin.queue_ways import Ways
    from mailwye.config.snapshot import Snapshot
    from mailwye.runtime.clock import Clock
    from mailwye.trace.recorder import TraceRecorder

OPERATIONS = ("list", "show", "retry", "hold", "release", "delete", "pin", "follow", "counts")
CHANGES = frozenset(OPERATIONS) - {"list", "show", "counts"}
WAY_OPERATIONS = frozenset({"pin", "follow"})  # queue_ways.py
HEADER_OCTETS = 16_384  # how much of a message `show` prints
ROWS_ANSWERED = 1_000  # how many of the changed deliveries an answer names; `count` counts them all
ROWS_TRACED = 100_000  # how many of the changed deliveries get an event of their own in the trace, by one operation

PAGE = 250  # deliveries that are changed in one commit: the event loop waits for so many
TURN_SECONDS = 5.0  # after which a change answers, unfinished: the channel to a worker serves one request after the other
_DONE = 1 << 62  # above every id

_EVENTS = {
    "retry": EventKind.RETRY,
    "hold": EventKind.HOLD,
    "release": EventKind.RELEASE,
    "delete": EventKind.DELETE,
    "pin": EventKind.REROUTE,
    "follow": EventKind.REROUTE,
}


class DeliveryRow(TypedDict):
    """One delivery with its message. `message`: the queue id. Times in Unix seconds; `due`: of the next attempt. `pinned`: the way that it
    keeps whatever the settings say, in words. `connector`: by which it came in. `config_version`: of the settings when it came.
    """

    message: str
    received_at: float
    size: int
    sender: str
    recipient: str
    state: str
    next_hop: str
    rule_connector: str
    pinned: str
    due: float
    attempts: int
    last_error: str
    message_id: str
    subject: str
    connector: str
    config_version: int


class ListedRow(DeliveryRow):
    """Of a list. `place`: the worker and its queue; `delivery`: its number there."""

    place: str
    delivery: int


class ShownMessage(TypedDict):
    """One message: a row for each delivery. `header`: the beginning of its header section."""

    rows: list[DeliveryRow]
    header: str


def query_from(arguments: dict[str, Any]) -> QueueQuery:
    """A query from plain values. :raises ValueError: an unknown state, or a limit that is no number."""
    return QueueQuery(
        message_id=str(arguments.get("message_id", "")),
        sender=str(arguments.get("sender", "")),
        recipient=str(arguments.get("recipient", "")),
        next_hop=str(arguments.get("next_hop", "")),
        states=frozenset(DeliveryState(state) for state in arguments.get("states", ())),
        limit=int(arguments.get("limit", 1000)),
    )


async def run(
    operation: str,
    arguments: dict[str, Any],
    engines: Sequence[QueueEngine],
    *,
    clock: Clock,
    trace: TraceRecorder | None,
    place: str = "",
    snapshot: Snapshot | None = None,
) -> dict[str, Any]:
    """One operation over all engines. `list` and `show` give rows; `list` with the `place` and the number (`delivery`) of each, whose pairs
    are the `after` of the next page. Changes give a count and some rows, and where there is much to change, `unfinished` and `after`: ask
    again with that `after` for the rest. `place`: where the engines are, in `after`. `snapshot`: the settings in force, for `pin` (which
    may name several `hops`) and `follow`.

    :raises ValueError: no such operation, or arguments that make no sense.
    """
    query = query_from(arguments)
    if operation == "list":
        return {"rows": in_turn([await _listed(query, *one) for one in _asked(engines, arguments, place)], query.limit)}
    if operation == "show":
        return {**await _show(query, engines)}
    if operation == "counts":
        return {"counts": merged_counts([await engine.counts() for engine in engines])}
    if operation not in OPERATIONS:
        raise ValueError(f"no such queue operation: {operation}; there are {', '.join(OPERATIONS)}")
    from mailwye.admin.queue_ways import Ways  # with all that decides on ways: who looks at a queue does not wait for it

    ways = Ways(operation, snapshot, frozenset(map(str, arguments.get("hops", ()))))
    asked = _asked(engines, arguments, place)
    after = {name: last for name, _, last in asked if last >= 0}
    return await _change(operation, query, {name: engine for name, engine, _ in asked}, after, clock, trace, ways)


def _asked(engines: Sequence[QueueEngine], arguments: Mapping[str, Any], place: str) -> list[tuple[str, QueueEngine, int]]:
    """Each engine with its name in `after`, and the id after which to go on there."""
    after = {str(name): int(last) for name, last in arguments.get("after", ())}
    named = [(f"{place}/{number}", engine) for number, engine in enumerate(engines)]
    return [(name, engine, after.get(name, -1)) for name, engine in named]


async def _listed(query: QueueQuery, place: str, engine: QueueEngine, after: int) -> list[ListedRow]:
    found = await engine.inspect(replace(query, after=after))
    return [{**as_dict(row), "place": place, "delivery": row.delivery.id} for row in found]


def in_turn(queues: Iterable[Sequence[ListedRow]], limit: int) -> list[ListedRow]:
    """The first `limit` rows of several queues by arrival. What is taken of each is its beginning, also where the clock was set back, so
    that the last row of each says where to go on.
    """

    def keyed(number: int, rows: Sequence[ListedRow]) -> Iterator[tuple[tuple[float, int, int], ListedRow]]:
        latest = 0.0
        for index, row in enumerate(rows):
            latest = max(latest, row["received_at"])
            yield (latest, number, index), row

    merged = heapq.merge(*(keyed(number, rows) for number, rows in enumerate(queues)), key=itemgetter(0))
    return [row for _, row in islice(merged, limit)]


async def _change(
    operation: str,
    query: QueueQuery,
    engines: Mapping[str, QueueEngine],
    after: dict[str, int],
    clock: Clock,
    trace: TraceRecorder | None,
    ways: Ways,
) -> dict[str, Any]:
    """Page by page: mail goes on between them, however much there is to change."""
    now, end = clock.now(), clock.monotonic() + TURN_SECONDS
    count = 0
    rows: list[QueueRow] = []

    def answer(*, unfinished: bool) -> dict[str, Any]:
        places = [(name, after[name]) for name in engines if name in after]  # ours only: other workers have theirs
        return {"count": count, "rows": [as_dict(row) for row in rows], "unfinished": unfinished, "after": places}

    for name, engine in engines.items():
        traced = 0
        async for affected, changed, last in _pages(operation, replace(query, after=after.get(name, -1)), engine, now, ways):
            count += changed
            after[name] = last
            if changed:
                if trace is not None:
                    for row in affected[: ROWS_TRACED - traced]:
                        trace.record(_event(operation, row, now))
                    traced += len(affected)
                rows += affected[: ROWS_ANSWERED - len(rows)]
            if last != _DONE and clock.monotonic() > end:
                return answer(unfinished=True)
    return answer(unfinished=False)


async def _pages(
    operation: str, query: QueueQuery, engine: QueueEngine, now: float, ways: Ways
) -> AsyncIterator[tuple[Sequence[QueueRow], int, int]]:
    """Change what `query` means in one engine. For each page: deliveries, how many of them were changed (some may have been leased in
    between), and the id after which to go on.
    """
    left = query.limit
    states = REDIRECTED if operation in WAY_OPERATIONS else found_by(Move(operation), query.states)
    page = replace(query, states=states)
    while left > 0 and states:
        page = replace(page, limit=min(left, PAGE))
        found = await engine.inspect(page)
        if not found:
            break
        last = found[-1].delivery.id
        match operation:
            case "hold":
                yield found, await engine.hold(page), last
            case "release":
                yield found, await engine.release(page), last
            case "retry":
                yield found, await engine.retry(page, now), last
            case "pin" | "follow":
                moved = await ways.change(found, engine, now)
                yield moved, len(moved), last
            case _:
                gone = await engine.delete(page)
                yield gone, len(gone), last
        left -= len(found)
        page = replace(page, after=last)
    yield (), 0, _DONE


async def _show(query: QueueQuery, engines: Sequence[QueueEngine]) -> ShownMessage:
    for engine in engines:
        rows = await engine.inspect(query)
        if not rows:
            continue
        content = await engine.read_content(query.message_id)
        start = b""
        if content is not None:
            async for piece in content.chunks():
                start += piece
                if len(start) >= HEADER_OCTETS:
                    break
        header = start.partition(b"\r\n\r\n")[0][:HEADER_OCTETS]
        return {"rows": [as_dict(row) for row in rows], "header": header.decode("utf-8", "replace")}
    return {"rows": [], "header": ""}


def nothing_of(operation: str) -> dict[str, Any]:
    """The answer of a worker that has nothing; where all are just being started again it is the only one."""
    match operation:
        case "list":
            return {"rows": []}
        case "show":
            return {"rows": [], "header": ""}
        case "counts":
            return {"counts": {}}
        case _:
            return {"count": 0, "rows": [], "unfinished": False, "after": []}


def merged(answers: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
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
                    merged[key] = merged_counts((merged.get(key, {}), value))
                case _:
                    merged[key] = value
    if "rows" in merged:
        merged["rows"] = in_turn([answer["rows"] for answer in answers if "rows" in answer], int(arguments.get("limit", 1000)))
    return merged


def merged_counts(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Deliveries per next hop and state, added up: {"connector:A": {"queued": 3}}."""
    total: dict[str, dict[str, int]] = {}
    for one in counts:
        for hop, states in one.items():
            there = total.setdefault(hop, {})
            for state, number in states.items():
                there[state] = there.get(state, 0) + number
    return total


def _event(operation: str, row: QueueRow, now: float) -> TraceEvent:
    return TraceEvent(
        at=now,
        kind=_EVENTS[operation],
        session=row.message.origin.session_id,
        message=row.message.id,
        sender=str(row.message.sender or "<>"),
        recipient=str(row.delivery.recipient),
        status="Deleted" if operation == "delete" else "",
        reasons=(f"An administrator asked for it: mailwye queue {operation}.",),
        config_version=row.message.config_version,
    )


def as_dict(row: QueueRow) -> DeliveryRow:
    """One delivery with its message, as plain values."""
    message, delivery = row.message, row.delivery
    return {
        "message": message.id,
        "received_at": message.received_at,
        "size": message.size,
        "sender": str(message.sender) if message.sender is not None else "<>",
        "recipient": str(delivery.recipient),
        "state": delivery.state.value,
        "next_hop": delivery.next_hop,
        "rule_connector": delivery.rule_connector,
        "pinned": pin_in_words(delivery.pinned),
        "due": delivery.due,
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
        "message_id": message.message_id,
        "subject": message.subject,
        "connector": message.origin.connector,
        "config_version": message.config_version,
    }
