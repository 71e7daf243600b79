"""/queue/fsck and /queue/corrupt: whether everything is there, and what cannot be read any more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from mailwye.admin.api.answers import Answer
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.mail.one_at_a_time import OneAtATime
from mailwye.admin.api.mail.queue import Count, Deliveries, change_all, expect_all, listed
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Body, Cursor, Limit
from mailwye.queue.audit import QueueAudit, QueueAuditRow, as_dict

MessageId = Annotated[str, Path(max_length=128)]
CORRUPT = {"states": ["corrupt"]}
IN_MEMORY = 1_048_576  # octets of a content, beyond which it waits in a file
PIECE = 262_144
FLUSH_SECONDS = 60.0
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The content as it is stored", "content": {"message/rfc822": {"schema": {"type": "string"}}}}
}


class Audit(Body):
    """`fast`: read no contents, and not all of the file. `trace`: compare with the trace."""

    fast: bool = False
    trace: bool = True


def spool() -> APIRouter:
    """The routes; before those of queue.py, whose {operation} and {message_id} would take them."""
    api = router("queue")
    audits: OneAtATime[QueueAudit] = OneAtATime("an audit of the queue")

    @api.post("/queue/fsck", summary="Prove that nothing that was acknowledged is lost; changes nothing")
    async def fsck(context: Ctx, audit: Audit) -> Answer[QueueAuditRow]:
        services, loop = context.services, asyncio.get_running_loop()

        async def flushed() -> None:
            await services.control("flush", {})

        def flush() -> bool:
            asyncio.run_coroutine_threadsafe(flushed(), loop).result(FLUSH_SECONDS)
            return True

        found = await audits.run(lambda: services.fsck(not audit.fast, audit.trace, flush))
        if not found.spools:
            raise not_found("queue file: has the service ever run?")
        verdict = "clean" if found.is_clean else "not clean"
        context.audit("queue.fsck", "all queues", verdict)
        return Answer(as_dict(found))

    _corrupt(api)
    return api


def _corrupt(api: APIRouter) -> None:
    @api.get("/queue/corrupt", summary="List what was set aside as corrupt")
    async def list_corrupt(context: Ctx, limit: Limit = 100, cursor: Cursor = "") -> Answer[Deliveries]:
        return Answer(await listed(context, CORRUPT, limit, cursor))

    @api.get(
        "/queue/corrupt/{message_id}",
        summary="The content of a corrupt message, damaged as it is",
        response_class=StreamingResponse,
        responses=_CONTENT,
    )
    async def export(context: Ctx, message_id: MessageId) -> Response:
        await _expect_corrupt(context, message_id)
        context.audit("content.read", message_id, "content of a corrupt message", must=True)
        file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed when it was sent
        try:
            octets = await asyncio.to_thread(context.services.export_content, message_id, file)
        except BaseException:
            file.close()
            raise
        if not octets:
            file.close()
            raise not_found(f"content of {message_id}")
        name = re.sub(r"[^A-Za-z0-9.-]", "_", message_id)
        headers = {"Content-Disposition": f'attachment; filename="{name}.eml"', "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(_pieces(file), media_type="message/rfc822", headers=headers)

    @api.delete("/queue/corrupt/{message_id}", summary="Delete a corrupt message; nobody is notified")
    async def delete(context: Ctx, message_id: MessageId) -> Answer[Count]:
        content = await change_all(context, "delete", {"message_id": message_id, **CORRUPT})
        if not content["count"]:
            expect_all(content["missing"])
            raise not_found(f"corrupt message {message_id}")
        return Answer(content)

    @api.delete("/queue/corrupt", summary="Delete all that is corrupt; nobody is notified")
    async def delete_all(context: Ctx, all: Annotated[bool, Query(description="All of it is meant.")] = False) -> Answer[Count]:  # noqa: A002
        if not all:
            raise ApiError(422, "say all=true to delete everything that is corrupt, or name one message in the path")
        return Answer(await change_all(context, "delete", CORRUPT))


async def _expect_corrupt(context: Context, message_id: str) -> None:
    """Nobody reads mail that is whole this way. :raises ApiError: 404."""
    answer = await context.services.control("queue.list", {"message_id": message_id, "limit": 1, **CORRUPT})
    if not answer["rows"]:
        expect_all(answer["missing"])
        raise not_found(f"corrupt message {message_id}")


def _pieces(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece
