"""/queue: what waits, and what is done to it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path
from pydantic import Field

from mailwye.admin.api.answers import Answer, Page
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Body, Cursor, Limit, Text
from mailwye.admin.queue_operations import ListedRow, ShownMessage

_Text = Annotated[str, Field(max_length=512)]
ROUNDS = 100_000  # of an operation that goes on page by page
ALL = 10_000_000


class Operation(Enum):
    """Of admin/queue_operations.py, those that change something."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    DELETE = "delete"
    PIN = "pin"
    FOLLOW = "follow"


class Selection(Body):
    """Which deliveries: all of what is given has to fit. `all`: every one there is."""

    message_id: _Text = ""
    sender: _Text = ""
    recipient: _Text = ""
    next_hop: _Text = ""
    all: bool = False


class Deliveries(Page[ListedRow]):
    """`missing`: workers that are just being started again: what waits there is not in it."""

    missing: list[int]


class QueueCounts(TypedDict):
    """Deliveries by next hop and state: {"connector:A": {"queued": 3}}."""

    counts: dict[str, dict[str, int]]
    missing: list[int]


class QueuedMessage(ShownMessage):
    """One message."""

    missing: list[int]


class Count(TypedDict):
    """How many deliveries were changed."""

    count: int
    missing: list[int]


def queue() -> APIRouter:
    """The routes."""
    api = router("queue")

    @api.get("/queue", summary="List queued deliveries, oldest first")
    async def list_deliveries(
        context: Ctx, limit: Limit = 100, cursor: Cursor = "", sender: Text = "", recipient: Text = "", next_hop: Text = ""
    ) -> Answer[Deliveries]:
        wanted = {"sender": sender, "recipient": recipient, "next_hop": next_hop}
        return Answer(await listed(context, wanted, limit, cursor))

    @api.get("/queue/counts", summary="How much waits for each next hop, by state")
    async def counts(context: Ctx) -> Answer[QueueCounts]:
        return Answer(await context.services.control("queue.counts", {}))

    @api.get("/queue/{message_id}", summary="One queued message: its deliveries and its header section")
    async def show(context: Ctx, message_id: Annotated[str, Path(max_length=128)]) -> Answer[QueuedMessage]:
        context.audit("content.read", message_id, "header section", must=True)
        answer = await context.services.control("queue.show", {"message_id": message_id})
        if not answer["rows"]:
            expect_all(answer["missing"])
            raise not_found(f"queued message {message_id}")
        return Answer(answer)

    @api.post("/queue/{operation}", summary="Change queued deliveries")
    async def change(context: Ctx, operation: Operation, selection: Selection) -> Answer[Count]:
        return Answer(await _change(context, operation.value, selection))

    return api


async def listed(context: Context, wanted: dict[str, Any], limit: int, cursor: str) -> Deliveries:
    """One page of deliveries. Ids only grow within a queue, so where a page ended is the last one of each."""
    after = context.position(cursor) or {}
    answer = await context.services.control("queue.list", {**wanted, "limit": limit + 1, "after": list(after.items())})
    rows = answer["rows"]
    page = context.page(rows, limit, lambda: {**after, **{row["place"]: row["delivery"] for row in rows[:limit]}})
    return {**page, "missing": answer["missing"]}


def expect_all(missing: list[int]) -> None:
    """:raises ApiError: 503: what was not found may be with a worker that is not there."""
    if missing:
        who = ", ".join(map(str, missing))
        raise ApiError(503, f"worker {who} is being started again, and it may be there: repeat it", headers={"Retry-After": "2"})


async def _change(context: Context, operation: str, selection: Selection) -> Count:
    wanted = selection.model_dump(exclude={"all"})
    if not selection.all and not any(wanted.values()):
        raise ApiError(422, f"say which: message_id, sender, recipient, next_hop; or all to {operation} everything")
    return await change_all(context, operation, wanted)


async def change_all(context: Context, operation: str, wanted: dict[str, Any]) -> Count:
    """To the end, and into the audit log."""
    count = 0
    after: list[Any] = []
    for _ in range(ROUNDS):
        more = {"after": after} if after else {}
        answer = await context.services.control(f"queue.{operation}", {**wanted, "limit": ALL, **more})
        count, after = count + answer["count"], answer.get("after", [])
        if not answer.get("unfinished"):
            break
    context.audit(
        f"queue.{operation}", ", ".join(f"{key}={_word(value)}" for key, value in wanted.items() if value) or "all", f"{count} deliveries"
    )
    return {"count": count, "missing": answer["missing"]}


def _word(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
