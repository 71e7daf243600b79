"""What other settings would do to recorded traffic and to the queue, as JSON has it."""

from __future__ import annotations

from typing import TypedDict

from mailwye.whatif.differences import AspectRow, row_of
from mailwye.whatif.queued import QueuePreview, Waiting


class TrafficExampleRow(TypedDict):
    """One envelope. `messages`: how often it came, `last_at`: when last (Unix seconds), `trace_id`: where that is in the trace. `tls`: its
    version, "": none. `before` and `after`: the reasons of both answers.
    """

    sender: str
    recipient: str
    peer_address: str
    listener: str
    tls: str
    certificate: str
    authenticated: str
    messages: int
    last_at: float
    trace_id: str
    before: list[str]
    after: list[str]


class TrafficGroupRow(TypedDict):
    """Messages that would be answered differently in the same way."""

    difference: str
    messages: int
    envelopes: int
    aspects: list[AspectRow]
    examples: list[TrafficExampleRow]


class TrafficRow(TypedDict):
    """Recorded traffic against other settings. `version`: those in force. `since`: Unix seconds. `undecidable`: messages of which too
    little was recorded; `answered_otherwise_then`: those that older settings answered otherwise. `digest`: names the difference, for
    `acknowledge`; "" where there is none. `more_groups`: messages that differ in further ways.
    """

    version: int
    since: float
    messages: int
    envelopes: int
    changed: int
    unchanged: int
    undecidable: int
    answered_otherwise_then: int
    digest: str
    groups: list[TrafficGroupRow]
    undecidable_groups: list[TrafficGroupRow]
    more_groups: int


class QueueGroupRow(TypedDict):
    """Deliveries to which a change does the same. `waits`: they would wait for a way; `fails`: the next attempt would be their last."""

    aspects: list[AspectRow]
    deliveries: int
    waits: bool
    fails: bool
    examples: list[Waiting]


class QueuePreviewRow(TypedDict):
    """What a change does to what waits in the queue, in deliveries."""

    changed: int
    unchanged: int
    groups: list[QueueGroupRow]


class ReplayedTraffic(TrafficRow):
    """With the queue."""

    queue: QueuePreviewRow


def queue_row(found: QueuePreview) -> QueuePreviewRow:
    """For JSON."""
    groups: list[QueueGroupRow] = [
        {
            "aspects": [row_of(aspect) for aspect in group.aspects],
            "deliveries": group.count,
            "waits": group.waits,
            "fails": group.fails,
            "examples": list(group.examples),
        }
        for group in found.groups
    ]
    return {"changed": found.changed, "unchanged": found.unchanged, "groups": groups}
