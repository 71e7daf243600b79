"""/versions, /export, /apply, /cmdlets: the settings as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mailwye.access.roles import Permission
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError, findings
from mailwye.admin.api.reading import NUMBER_LIMIT, Body, Cursor, Limit, etag, offset_of, page, precondition
from mailwye.admin.api.saving import answer, save, save_into_draft
from mailwye.admin.api.wishes import Comment, DryRun, Wish, Wished, WishedMaybeInDraft
from mailwye.cmdlets.execute import Execution, execute_text
from mailwye.cmdlets.records import Output, Style
from mailwye.config.diff import as_dicts, changes_of
from mailwye.config.export import to_yaml
from mailwye.config.parse import read_organization
from mailwye.config.parsed import Parsed
from mailwye.config.plan import Plan, changes_of_file, plan_edit, plan_file, plan_organization, plan_version
from mailwye.config.schema import Organization
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict

Version = Annotated[int, Path(ge=0, le=NUMBER_LIMIT)]
TEXT_LIMIT = 8_388_608  # characters of a file or a script


class File(Body):
    """A whole file. `prune`: remove objects of the kinds in it that it does not name."""

    text: Annotated[str, Field(max_length=TEXT_LIMIT)]
    prune: bool = False


class Script(Body):
    """PowerShell lines."""

    text: Annotated[str, Field(max_length=TEXT_LIMIT)]


def versions() -> APIRouter:
    """The routes."""
    api = router("versions")

    @api.get("/versions", summary="List versions, newest first")
    async def log(context: Ctx, limit: Limit = 100, cursor: Cursor = "") -> Response:
        offset = offset_of(cursor)
        rows = await context.services.with_settings(context.services.store.history, offset + limit + 1)
        return JSONResponse(page([asdict(info) for info in rows], offset, limit))

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
            found = plan_version(current, services.store.load(version), **services.planning)
            return found, found.change_set

        return await save(context, plan, Wish(dry_run, comment, goes_back=True))

    _files(api)
    return api


def _files(api: APIRouter) -> None:
    @api.get("/export", summary="The settings as the YAML file that /apply takes", response_class=PlainTextResponse)
    async def export(context: Ctx) -> Response:
        context.caller.need(Permission.RECIPIENTS_READ, "this")
        stored = await context.services.with_settings(context.services.store.current)
        text = await asyncio.to_thread(to_yaml, stored.organization)
        return PlainTextResponse(text, headers={"ETag": etag(stored.version)})

    @api.post("/apply", summary="Save the objects of a file")
    async def apply(context: Ctx, file: File, wish: WishedMaybeInDraft) -> Response:
        condition = precondition(context.request, draft=bool(wish.draft))
        parsed = await asyncio.to_thread(read_organization, file.text, "request")
        if parsed.value is None:
            raise ApiError(422, "nothing was saved: see the problems", parsed.problems)
        if wish.draft:
            make = partial(changes_of_file, file=parsed, prune=file.prune, vault=context.services.vault)
            return await save_into_draft(context, condition.base, make, wish)
        return await save(context, lambda: _plan_file(context, condition.base, parsed, prune=file.prune), wish)

    @api.post("/cmdlets", summary="Carry out PowerShell lines for Exchange")
    async def cmdlets(context: Ctx, script: Script, wish: Wished) -> Response:
        return await _carry_out(context, script.text, wish)


def _plan_file(context: Context, base: int | None, parsed: Parsed[Organization], *, prune: bool) -> tuple[Plan | Conflict, ChangeSet]:
    """As `mailwye apply --base`."""
    services = context.services
    current = services.store.version()
    number = current if base is None else base
    if number > current:
        raise ApiError(412, f"there is no version {number} yet")
    plan = plan_file(services.store.load(number), parsed, prune=prune, **services.planning)
    if plan.has_errors or number == current:
        return plan, plan.change_set
    return plan_edit(services.store, number, plan.change_set, source=parsed, **services.planning), plan.change_set


async def _carry_out(context: Context, text: str, wish: Wish) -> Response:
    services = context.services
    condition = precondition(context.request) if "if-match" in context.request.headers else None
    context.caller.need(Permission.RECIPIENTS_READ, "this")  # a script reads what it likes

    def run() -> tuple[Execution, Plan | None]:
        current = services.store.current()
        if condition is not None and condition.base is not None and condition.base != current.version:
            raise ApiError(409, f"the settings are at version {current.version} now: look at it, and repeat this")
        execution = execute_text(current.organization, text, "script")
        if execution.has_errors:
            raise ApiError(422, "nothing was saved: see the problems", execution.problems)
        if execution.organization is current.organization:
            return execution, None
        plan = plan_organization(current, execution.organization, source=execution.touched, **services.planning)
        return execution, plan

    execution, first = await services.with_settings(run)
    outputs = [_output(output) for output in execution.outputs]
    if first is None:
        unchanged = Plan(services.store.version(), execution.organization, (), execution.problems)
        return answer(context, unchanged, None, in_force=False, output=outputs)
    if condition is None and not wish.dry_run:
        raise ApiError(428, "the script changes something: send If-Match with the version that you looked at, or If-Match: *")

    def plan() -> tuple[Plan | Conflict, ChangeSet]:
        _, found = run()
        assert found is not None
        return found, found.change_set

    saved = await save(context, plan, wish)
    return _with_output(saved, outputs, execution)


def _with_output(saved: JSONResponse, outputs: list[dict[str, Any]], execution: Execution) -> JSONResponse:
    import json

    content = json.loads(bytes(saved.body))
    content["problems"] = [*findings(execution.problems), *content["problems"]]
    tag = saved.headers.get("etag")
    return JSONResponse({**content, "output": outputs}, saved.status_code, {"ETag": tag} if tag else {})


def _output(output: Output) -> dict[str, Any]:
    if output.style is Style.TEXT:
        return {"text": output.text, "rows": []}
    return {"text": "", "rows": [dict(row) for row in output.rows]}
