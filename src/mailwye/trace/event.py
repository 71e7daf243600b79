"""One typed event per decision or effect. The same reasons that the deciding function returned."""

from __future__ import annotations

from enum import Enum

import msgspec


class EventKind(Enum):
    """Exchange's event names where it has one."""

    CONNECT = "Connect"  # session events: no message yet
    REJECT = "Reject"  # refused in the session: at MAIL, RCPT or content
    RECEIVE = "Receive"  # accepted, durable
    RESOLVE = "Resolve"  # what the recipient is; alias or external address applied
    EXPAND = "Expand"  # a group became its members
    ROUTE = "Route"  # which way out, and why
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


class TraceEvent(msgspec.Struct, frozen=True, gc=False):
    """`at` Unix seconds; `message` the queue id ("" for session events); `recipient` "" for events of the whole message.

    `status` is the trace status that the event gives its recipient: "Pending", "Delivered", "Failed", "Expanded", "Rejected",
    "Deleted"; "" leaves it. `reply`: the SMTP reply seen or given; `reasons`: sentences for people; `data`: more facts by name
    (host, tls, size, message_id, subject, sender…).
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
