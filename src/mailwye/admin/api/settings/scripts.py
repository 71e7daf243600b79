"""/cmdlets: PowerShell lines for Exchange, as administrators paste them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict

from fastapi import APIRouter

from mailwye.access.roles import Permission
from mailwye.admin.api.answers import Done
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import Body, precondition
from mailwye.admin.api.settings.chosen import chosen
from mailwye.admin.api.settings.files import FileText
from mailwye.admin.api.settings.saving import Saved, SavedInDraft, answer, save, save_into_draft
from mailwye.admin.api.settings.wishes import Wish, WishedMaybeInDraft
from mailwye.cmdlets.execute import Execution, execute_text
from mailwye.cmdlets.records import Output, Style
from mailwye.config.plan import Plan, plan_organization
from mailwye.config.schema import Organization
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict


class Script(Body):
    """PowerShell lines."""

    text: FileText


class OutputRow(TypedDict):
    """One piece of what a script prints: text, or rows with plain values by column."""

    text: str
    rows: list[dict[str, Any]]


class Ran(Saved):
    """What a script did."""

    output: list[OutputRow]


class RanInDraft(SavedInDraft):
    """What a script did to a draft."""

    output: list[OutputRow]


def scripts() -> APIRouter:
    """The routes."""
    api = router("scripts")

    @api.post("/cmdlets", summary="Carry out PowerShell lines for Exchange")
    async def cmdlets(context: Ctx, script: Script, wish: WishedMaybeInDraft) -> Done[Ran | RanInDraft]:
        context.caller.need(Permission.RECIPIENTS_READ, "this")  # a script reads what it likes
        return await _carry_out(context, script.text, wish)

    return api


async def _carry_out(context: Context, text: str, wish: Wish) -> Done[Any]:
    services = context.services
    condition = precondition(context.request, draft=bool(wish.draft)) if "if-match" in context.request.headers else None

    def run() -> tuple[Execution, bool]:
        organization = chosen(context, None, wish.draft)[0].organization
        execution = _executed(organization, text)
        return execution, execution.organization is not organization

    def plan() -> tuple[Plan | Conflict, ChangeSet]:
        current = services.store.current()
        if condition is not None and condition.base is not None and condition.base != current.version:
            raise ApiError(409, f"the settings are at version {current.version} now: look at it, and repeat this")
        execution = _executed(current.organization, text)
        found = plan_organization(current, execution.organization, source=execution.touched, **services.planning)
        return replace(found, problems=(*execution.problems, *found.problems)), found.change_set

    execution, is_change = await services.with_settings(run)
    outputs = [_output(output) for output in execution.outputs]
    if not is_change:
        unchanged = Plan(services.store.version(), execution.organization, (), execution.problems)
        return answer(context, unchanged, None, in_force=False, output=outputs)
    if condition is None and not wish.dry_run:
        what = "draft's ETag" if wish.draft else "version that you looked at"
        raise ApiError(428, f"the script changes something: send If-Match with the {what}, or If-Match: *")
    if wish.draft:
        revision = None if condition is None else condition.base
        return await save_into_draft(context, revision, lambda old: _changes(old, text), wish, output=outputs)
    return await save(context, plan, wish, output=outputs)


def _executed(organization: Organization, text: str) -> Execution:
    execution = execute_text(organization, text, "script")
    if execution.has_errors:
        raise ApiError(422, "nothing was saved: see the problems", execution.problems)
    return execution


def _changes(old: Organization, text: str) -> ChangeSet:
    return ChangeSet.between(old, _executed(old, text).organization)


def _output(output: Output) -> OutputRow:
    if output.style is Style.TEXT:
        return {"text": output.text, "rows": []}
    return {"text": "", "rows": [dict(row) for row in output.rows]}
