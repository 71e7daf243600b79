"""/versions, /export, /apply, /cmdlets: the settings as a whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from mailwye.admin.api.guarded import Ctx, router
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import NUMBER_LIMIT, Cursor, Limit, etag, precondition
from mailwye.admin.api.saving import save
from mailwye.admin.api.wishes import Comment, DryRun, Wish
from mailwye.config.diff import as_dicts, changes_of
from mailwye.config.plan import Plan, plan_version
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict

Version = Annotated[int, Path(ge=0, le=NUMBER_LIMIT)]


def versions() -> APIRouter:
    """The routes."""
    api = router("versions")

    @api.get("/versions", summary="List versions, newest first")
    async def log(context: Ctx, limit: Limit = 100, cursor: Cursor = "") -> Response:
        store = context.services.store
        rows = await context.services.with_settings(store.history, limit + 1, before=context.position(cursor))
        return JSONResponse(context.page([asdict(info) for info in rows], limit, lambda: rows[limit - 1].version))

    @api.get("/versions/{version}", summary="Show who saved a version, and what it changed")
    async def show(context: Ctx, version: Version) -> Response:
        store = context.services.store

        def read() -> dict[str, Any]:
            info = store.load(version).info
            saves = [asdict(one) for one in store.saves(version)]
            return {**asdict(info), "saves": saves, "changes": as_dicts(changes_of(store.changes(info.parent, info.version)))}

        return JSONResponse(await context.services.with_settings(read), headers={"ETag": etag(version)})

    @api.get("/versions/{version}/difference", summary="What makes a version out of another one")
    async def difference(
        context: Ctx,
        version: Version,
        to: Annotated[int | None, Query(ge=0, le=NUMBER_LIMIT, description="Default: the current one.")] = None,
    ) -> Response:
        store = context.services.store

        def read() -> dict[str, Any]:
            other = store.version() if to is None else to
            return {"from": version, "to": other, "changes": as_dicts(changes_of(store.changes(version, other)))}

        return JSONResponse(await context.services.with_settings(read))

    @api.post("/versions/{version}/activate", summary="Make the content of a version current again")
    async def activate(context: Ctx, version: Version, dry_run: DryRun = False, comment: Comment = "") -> Response:
        condition, services = precondition(context.request), context.services

        def plan() -> tuple[Plan | Conflict, ChangeSet]:
            current = services.store.current()
            if condition.base is not None and condition.base != current.version:
                raise ApiError(409, f"the settings are at version {current.version} now: look at it, and repeat this")
            found = plan_version(current, services.store.load(version), installation=services.installation, vault=services.vault)
            return found, found.change_set

        return await save(context, plan, Wish(dry_run, comment, goes_back=True))

    return api
