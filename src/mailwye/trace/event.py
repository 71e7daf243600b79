"""One typed event per decision or effect. The same reasons that the deciding function returned."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import msgspec


class EventKind(Enum):
    """Exchange's event names where it has one."""

    CONNECT = "Connect"  # session events: no message yet
    REJECT = "Reject"  # refused in the session: at MAIL, RCPT or content
    RECEIVE = "Receive"  # accepted, durable
    RESOLVE = "Resolve"  # what the recipient is; alias or external address applied
    EXPAND = "Expand"  # a group became its members
    RULE = "Transport rule"  # a mail flow rule matched: what it did, or would have done
    ROUTE = "Route"  # which way out, and why
    REROUTE = "Reroute"  # the settings changed, or an administrator chose: it waits for another way
    SEND = "Send"  # a next hop took it
    DELIVER = "Deliver"  # into a mailbox
    DEFER = "Defer"
    FAIL = "Fail"
    EXPIRE = "Expire"
    DSN = "DSN"  # a delivery status notification was queued
    HOLD = "Hold"
    RELEASE = "Release"
    RETRY = "Retry"
    DELETE = "Delete"

    __hash__ = object.__hash__  # members are unique; Enum's own is Python, called for every event


class TraceEvent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`at` Unix seconds; `message` the queue id ("" for session events); `recipient` "" for events of the whole message.

    `status` is the trace status that the event gives its recipient: "Pending", "Delivered", "Failed", "Expanded", "Rejected",
    "Deleted"; "" leaves it. `reply`: the SMTP reply seen or given; `reasons`: sentences for people; `data`: more facts by name
    (host, tls, size, message_id, subject, sender…). `also`: more recipients of whom every word of it is true; searches give each of them
    an event of his own (`each`). Stored as an array: a later version may append fields, never change or remove one.
    """

    at: float
    kind: EventKind
    session: str
    message: str = ""
    sender: str = ""
    recipient: str = ""
    connector: str = ""
    status: str = ""
    reply: str = ""
    reasons: tuple[str, ...] = ()
    config_version: int = 0
    data: dict[str, str] = {}
    also: tuple[str, ...] = ()


def each(event: TraceEvent) -> Iterator[TraceEvent]:
    """`event` for each of its recipients: one of several recipients becomes several."""
    if not event.also:
        yield event
        return
    for recipient in (event.recipient, *event.also):
        yield msgspec.structs.replace(event, recipient=recipient, also=())
