"""/drafts: changes that are built up beside the settings in force."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from mailwye.admin.api.answers import NO_CONTENT, Answer, Done, Made, Page, Tagged, no_content
from mailwye.admin.api.guarded import PREFIX, Ctx, router
from mailwye.admin.api.problems import ApiError, FindingRow, findings, not_found
from mailwye.admin.api.reading import NUMBER_LIMIT, Body, etag, precondition
from mailwye.admin.api.segments import segment
from mailwye.admin.api.settings.saving import Saved, changes_for, conflict_for, permitted, problems_for, save
from mailwye.admin.api.settings.wishes import Wished
from mailwye.config.diff import ChangeRow
from mailwye.config.plan import Plan, plan_draft
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict, ConflictRow
from mailwye.config.versions.drafts import DRAFT_NAME_LIMIT, DraftInfo, DraftRow, DraftSaveRow, draft_name

Name = Annotated[str, Path(min_length=1, max_length=DRAFT_NAME_LIMIT)]


class NewDraft(Body):
    """`base`: the version to begin from; the current one otherwise."""

    name: Annotated[str, Field(min_length=1, max_length=DRAFT_NAME_LIMIT)]
    base: Annotated[int | None, Field(ge=0, le=NUMBER_LIMIT)] = None
    comment: Annotated[str, Field(max_length=1024)] = ""


class DraftShown(DraftRow):
    """A draft as in the list, with what it changes of the version that it was begun from. `problems`, `conflict`: what activating it now
    would meet.
    """

    saves: list[DraftSaveRow]
    changes: list[ChangeRow]
    problems: list[FindingRow]
    conflict: ConflictRow | None


def drafts() -> APIRouter:
    """The routes."""
    api = router("drafts")

    @api.get("/drafts", summary="List drafts")
    async def list_drafts(context: Ctx) -> Answer[Page[DraftInfo]]:
        found = await context.services.with_settings(context.services.store.drafts)
        return Answer({"items": list(found), "next": None})

    @api.post("/drafts", summary="Begin a draft", status_code=201)
    async def new(context: Ctx, draft: NewDraft) -> Made[DraftInfo]:
        services = context.services
        try:
            name = draft_name(draft.name)
        except ValueError as error:
            raise ApiError(422, str(error)) from error

        def work() -> DraftInfo:
            base = services.store.version() if draft.base is None else draft.base
            author, at = context.caller.who, services.clock.now()
            return services.store.new_draft(name, base=base, author=author, at=at, comment=draft.comment)

        info = await services.with_settings(work)
        context.audit("draft.new", name, f"from version {info.base}")
        return Made(info, etag(info.revision, draft=True), f"{PREFIX}/drafts/{segment(info.name)}")

    @api.get("/drafts/{name}", summary="What a draft changes, who saved into it, and what speaks against activating it")
    async def show(context: Ctx, name: Name) -> Tagged[DraftShown]:
        services = context.services

        def work() -> DraftShown:
            stored = services.store.draft(name)
            found = plan_draft(services.store, stored, **services.planning)
            return {
                **stored.info.to_dict(),
                "saves": [save.to_dict() for save in stored.saves],
                "changes": changes_for(context, stored.changes),
                "problems": findings(problems_for(context, found.problems)) if isinstance(found, Plan) else [],
                "conflict": conflict_for(context, found) if isinstance(found, Conflict) else None,
            }

        shown = await services.with_settings(work)
        return Tagged(shown, etag(shown["revision"], draft=True))

    _ending(api)
    return api


def _ending(api: APIRouter) -> None:
    @api.delete("/drafts/{name}", summary="Forget a draft", status_code=NO_CONTENT)
    async def discard(context: Ctx, name: Name) -> Response:
        services = context.services

        def work() -> bool:
            permitted(context, services.store.draft(name).changes)
            return services.store.discard_draft(name)

        if not await services.with_settings(work):
            raise not_found(f"draft {name}")
        context.audit("draft.discard", name, "gone")
        return no_content()

    @api.post("/drafts/{name}/activate", summary="Put a draft in force")
    async def activate(context: Ctx, name: Name, wish: Wished) -> Done[Saved]:
        condition, services = precondition(context.request, draft=True), context.services

        def plan() -> tuple[Plan | Conflict, ChangeSet]:
            stored = services.store.draft(name)
            if condition.base is not None and condition.base != stored.info.revision:
                raise ApiError(409, f"the draft {name} is at revision {stored.info.revision} now: look at it, and repeat this")
            found = plan_draft(services.store, stored, **services.planning)
            return found, stored.changes

        return await save(context, plan, wish, activates=name)
