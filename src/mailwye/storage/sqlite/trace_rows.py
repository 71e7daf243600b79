"""Events to the rows of a trace file and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from mailwye.trace.event import TraceEvent, each
from mailwye.trace.summary import ARRIVALS, Summary

Row = tuple[str, str, float, str, str, str, bytes]  # the columns of `entry` after id

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[TraceEvent]).decode


def entries(events: Iterable[TraceEvent]) -> Iterator[Row]:
    """One row for each message (or session) and session among `events`; within a row and among those of a key in their order."""
    rows: list[list[TraceEvent]] = []
    latest: dict[str, list[TraceEvent]] = {}
    for event in events:
        key = event.message or event.session
        row = latest.get(key)
        if row is not None and row[0].session == event.session:
            row.append(event)
        else:
            row = latest[key] = [event]
            rows.append(row)
    return map(_entry, rows)


def _entry(events: list[TraceEvent]) -> Row:
    arrived, message_id, sender = 0.0, "", ""
    recipients: dict[str, None] = {}
    for event in events:
        if event.kind in ARRIVALS:
            arrived = arrived or event.at
            message_id = event.data.get("message_id") or message_id
        sender = sender or event.sender
        if event.recipient:
            recipients[event.recipient] = None
            if event.also:
                recipients.update(dict.fromkeys(event.also))
    first = events[0]
    names = "\n".join(("", *recipients, "")).lower()
    return first.message or first.session, first.session, arrived, message_id, sender.lower(), names, _encode(events)


def events_of(packed: bytes) -> Iterator[TraceEvent]:
    """The events of a row, one for each recipient."""
    for event in _decode(packed):
        yield from each(event)


def folded(packed: Iterable[bytes]) -> Summary:
    """The summary of rows, oldest first."""
    summary = Summary()
    for one in packed:
        for event in _decode(one):
            summary.apply(event)
    return summary
