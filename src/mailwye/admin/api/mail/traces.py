"""/trace: what happened to messages, and why."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Annotated, TypedDict

import msgspec
from fastapi import APIRouter, Path, Query

from mailwye.admin.api.answers import Answer, Page
from mailwye.admin.api.guarded import Ctx, router
from mailwye.admin.api.problems import not_found
from mailwye.admin.api.reading import Cursor, Limit, Text
from mailwye.trace.event import TraceEvent
from mailwye.trace.presented import for_people
from mailwye.trace.recorder import TracePlace, TraceQuery, TraceRow, place_of

Moment = Annotated[float, Query(ge=0, le=1e11, allow_inf_nan=False, description="Unix seconds; 0: no limit.")]


class Status(Enum):
    """What became of a message for one recipient; "" for any."""

    ANY = ""
    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"
    EXPANDED = "Expanded"
    REJECTED = "Rejected"
    DELETED = "Deleted"


class EventRow(TypedDict):
    """One event of a message or session. `recipient` "": of the whole message; `message` "": of the session. `status`: what the recipient's
    row says from then on, "": as before. `reasons`: sentences. `data`: more facts by name.
    """

    at: float
    kind: str
    session: str
    message: str
    sender: str
    recipient: str
    connector: str
    status: str
    reply: str
    reasons: list[str]
    config_version: int
    data: dict[str, str]


def traces() -> APIRouter:
    """The routes."""
    api = router("trace")

    @api.get("/trace", summary="Find messages: one row for each recipient, newest first")
    async def search(
        context: Ctx,
        limit: Limit = 100,
        cursor: Cursor = "",
        sender: Text = "",
        recipient: Text = "",
        message_id: Text = "",
        status: Status = Status.ANY,
        since: Moment = 0.0,
        until: Moment = 0.0,
    ) -> Answer[Page[TraceRow]]:
        ended = context.position(cursor)
        after = TracePlace(*ended) if ended is not None else None
        query = TraceQuery(sender, recipient, message_id, status.value, since, until, limit + 1, after)
        await context.services.control("flush", {})
        rows = await asyncio.to_thread(context.services.trace.search, query)
        return Answer(context.page(rows, limit, lambda: msgspec.structs.astuple(place_of(rows[limit - 1]))))

    @api.get("/trace/{trace_id}", summary="Every event of one message or session, with its reasons")
    async def events(context: Ctx, trace_id: Annotated[str, Path(max_length=128)]) -> Answer[Page[EventRow]]:
        await context.services.control("flush", {})
        found = await asyncio.to_thread(context.services.trace.events, trace_id)
        if not found:
            raise not_found(f"message or session {trace_id} in the trace")
        return Answer({"items": [_plain(event) for event in found], "next": None})

    return api


def _plain(event: TraceEvent) -> EventRow:
    """Without `also`: a search gives each recipient an event of his own."""
    return {
        "at": event.at,
        "kind": event.kind.value,
        "session": event.session,
        "message": event.message,
        "sender": event.sender,
        "recipient": event.recipient,
        "connector": event.connector,
        "status": event.status,
        "reply": event.reply,
        "reasons": list(event.reasons),
        "config_version": event.config_version,
        "data": for_people(event.data),
    }
