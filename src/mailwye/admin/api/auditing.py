"""/audit: who changed what, who read whose mail."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from mailwye.admin.api.guarded import Ctx, router
from mailwye.admin.api.reading import Cursor, Limit

Word = Annotated[str, Query(max_length=128)]


def auditing() -> APIRouter:
    """The routes."""
    api = router("audit")

    @api.get("/audit", summary="The audit log, newest first")
    async def log(context: Ctx, limit: Limit = 100, cursor: Cursor = "", who: Word = "", action: Word = "") -> Response:
        before = context.position(cursor) or 0
        ask = partial(context.services.audit.entries, before=before, limit=limit + 1, who=who, action=action)
        entries = await asyncio.to_thread(ask)
        items = [{"number": entry.number, **asdict(entry.event), "digest": entry.digest} for entry in entries]
        return JSONResponse(context.page(items, limit, lambda: entries[limit - 1].number))

    @api.get("/audit/verification", summary="Whether every entry follows from the one before it")
    async def verify(context: Ctx) -> Response:
        broken = await asyncio.to_thread(context.services.audit.verify)
        return JSONResponse({"intact": not broken, "broken_at": broken})

    return api
