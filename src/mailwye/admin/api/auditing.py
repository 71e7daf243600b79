"""/audit: who changed what, who read whose mail."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, TypedDict

from fastapi import APIRouter, Query

from mailwye.access.audit import AuditRow
from mailwye.admin.api.answers import Answer, Page
from mailwye.admin.api.guarded import Ctx, router
from mailwye.admin.api.reading import Cursor, Limit

Word = Annotated[str, Query(max_length=128)]


class Verification(TypedDict):
    """`broken_at`: the number of the first entry that does not follow from the one before it, 0: none."""

    intact: bool
    broken_at: int


def auditing() -> APIRouter:
    """The routes."""
    api = router("audit")

    @api.get("/audit", summary="The audit log, newest first")
    async def log(context: Ctx, limit: Limit = 100, cursor: Cursor = "", who: Word = "", action: Word = "") -> Answer[Page[AuditRow]]:
        before = context.position(cursor) or 0
        ask = partial(context.services.audit.entries, before=before, limit=limit + 1, who=who, action=action)
        entries = await asyncio.to_thread(ask)
        items = [entry.to_dict() for entry in entries]
        return Answer(context.page(items, limit, lambda: entries[limit - 1].number))

    @api.get("/audit/verification", summary="Whether every entry follows from the one before it")
    async def verify(context: Ctx) -> Answer[Verification]:
        broken = await asyncio.to_thread(context.services.audit.verify)
        return Answer({"intact": not broken, "broken_at": broken})

    return api
