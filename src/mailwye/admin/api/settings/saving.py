"""From a planned change to the answer: permissions of every object in it, the gate of [replay], one save, one line in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

from mailwye.access.roles import Permission, to_write
from mailwye.admin.api.answers import Done
from mailwye.admin.api.guarded import Context
from mailwye.admin.api.problems import ApiError, FindingRow, findings, printable
from mailwye.admin.api.reading import etag
from mailwye.admin.api.services import NotAllowedYet
from mailwye.admin.api.settings.wishes import Wish
from mailwye.config.diff import ChangeRow, as_dicts, changes_of, summary
from mailwye.config.plan import Plan, draft_version, plan_changes
from mailwye.config.problem import Problem, Severity
from mailwye.config.schema import Organization
from mailwye.config.secrets import all_sealed
from mailwye.config.store import DraftConflict, VersionConflict
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict, ConflictRow
from mailwye.runtime.channel import ChannelError
from mailwye.whatif.rows import QueuePreviewRow

TRIES = 5  # where others save between our plan and our save


class Saved(TypedDict):
    """What a change of the settings did, or would do. `version`: that it became, or that says it already; null: nothing was saved. `base`:
    the version that it was made from. `in_force`: all workers use it. `pinned`: queued deliveries that stay on their ways. With dry_run,
    where something changes: `queue`, what waits and would go another way; `kept_back`, why it would not be put in force, "": it would.
    """

    version: int | None
    base: int
    in_force: bool
    changes: list[ChangeRow]
    problems: list[FindingRow]
    pinned: NotRequired[int]
    queue: NotRequired[QueuePreviewRow]
    kept_back: NotRequired[str]


class SavedInDraft(TypedDict):
    """What a change of a draft did, or would do. `revision`: the draft's, now."""

    draft: str
    revision: int
    changes: list[ChangeRow]
    problems: list[FindingRow]


def permitted(context: Context, changes: ChangeSet) -> None:
    """:raises ApiError: 403: an object among them is of a kind that the caller may not change."""
    for change in changes:
        context.caller.need(to_write(change.kind), f"this change of {change.kind}")


def conflict_for(context: Context, conflict: Conflict) -> ConflictRow:
    """What the caller hears of a conflict: of what others changed only the objects that he may read."""
    theirs = tuple(change for change in conflict.theirs if context.caller.sees(change.object))
    return replace(conflict, theirs=theirs).to_dict()


def changes_for(context: Context, changes: ChangeSet) -> list[ChangeRow]:
    """What the caller hears of changes that others made: of objects that he may read."""
    return as_dicts([change for change in changes_of(changes) if context.caller.sees(change.object)])


def queue_for(context: Context, queue: QueuePreviewRow) -> QueuePreviewRow:
    """What the caller hears of queued mail: numbers only, where he may not read the queue."""
    if context.caller.may(Permission.QUEUE_READ):
        return queue
    return {**queue, "groups": [{**group, "examples": []} for group in queue["groups"]]}


def problems_for(context: Context, problems: Iterable[Problem]) -> list[Problem]:
    """What the caller hears of findings: no warnings about objects that he may not read; an error keeps his change back, so he reads it."""
    return [one for one in problems if one.is_error or not one.object or context.caller.sees(one.object.partition(" ")[0])]


def _wanted(context: Context, found: Plan | Conflict, changes: ChangeSet) -> Plan:
    permitted(context, changes)
    if isinstance(found, Conflict):
        raise ApiError(409, str(found), conflict=conflict_for(context, found))
    permitted(context, found.change_set)
    if found.has_errors:
        raise ApiError(422, "nothing was saved: see the problems", problems_for(context, found.problems))
    return found


async def save(
    context: Context, plan: Callable[[], tuple[Plan | Conflict, ChangeSet]], wish: Wish, *, activates: str = "", **more: Any
) -> Done[Any]:
    """`plan` gives the change and what was asked for; it blocks, and is called again where somebody else saved in between. `activates`: the
    draft that is put in force, for the audit log. → `Saved`, and `more`.
    """
    services = context.services
    target = f"{context.request.method} {context.path}"
    audited = ("draft.activate", activates) if activates else ("settings.save", target)
    with _refusals(context, *audited, wish):
        if wish.pin_queued:
            context.caller.need(Permission.QUEUE_WRITE, "this with pin_queued")
        found, version, pinned = await services.with_settings(_save, context, plan, wish)
    if pinned is not None:
        more["pinned"] = pinned
        context.audit("queue.pin", target, f"{pinned} deliveries")
    if wish.dry_run and found.changes:
        found, told = await _looked_at(context, found, wish)
        more |= told
    active = False
    if version is not None and found.changes:
        context.audit(*audited, f"version {version}: {summary(found.changes)}")
        active = await in_force(context, version)
    return answer(context, found, version, in_force=active, status=wish.status, **more)


async def _looked_at(context: Context, found: Plan, wish: Wish) -> tuple[Plan, dict[str, Any]]:
    """What it would do to queued mail, as `mailwye apply --dry-run` says."""
    services = context.services
    base = await services.with_settings(services.store.load, found.base)
    looked = await asyncio.to_thread(services.what_if.look, base, found.organization, wish)
    warnings = (Problem(text, severity=Severity.WARNING) for text in looked.warnings)
    return replace(found, problems=(*found.problems, *warnings)), {
        "queue": queue_for(context, looked.queue),
        "kept_back": printable(looked.kept_back),
    }


async def in_force(context: Context, version: int) -> bool:
    """Let all workers take what is saved; whether they did. Where not, the supervisor goes on trying."""
    try:
        await context.services.control("activate", {})
    except ChannelError as error:
        context.services.log.error("not activated yet", version=version, error=str(error))
        return False
    return True


def _save(context: Context, plan: Callable[[], tuple[Plan | Conflict, ChangeSet]], wish: Wish) -> tuple[Plan, int | None, int | None]:
    """The plan, the version, and how many queued deliveries were pinned where that was asked for."""
    services = context.services
    pinned = 0  # of all tries: what was pinned stays so
    for _ in range(TRIES):
        found = _wanted(context, *plan())
        if wish.dry_run or not found.changes:
            return found, None if wish.dry_run else found.base, None
        pinned += _pass(context, found, wish)
        try:
            version = found.save(services.store, author=context.caller.who, at=services.clock.now(), comment=wish.comment)
            return found, version, pinned if wish.pin_queued else None
        except VersionConflict:
            continue
        except DraftConflict as error:
            raise ApiError(409, str(error)) from error
    raise ApiError(503, "others save all the time; repeat it", headers={"Retry-After": "1"})


def _pass(context: Context, found: Plan, wish: Wish) -> int:
    """The gate of [replay] and of the wish; how many queued deliveries were pinned."""
    services = context.services
    if not wish.asks and (services.installation.replay.require == "no" or wish.goes_back):
        return 0
    try:
        pin = services.what_if.check(services.store.load(found.base), found.organization, wish)
        return pin() if wish.pin_queued else 0
    except NotAllowedYet as error:
        raise ApiError(422, str(error)) from error


async def save_into_draft(
    context: Context, revision: int | None, make: Callable[[Organization], ChangeSet], wish: Wish, **more: Any
) -> Done[Any]:
    """A draft takes errors too: they keep it from being activated. → `SavedInDraft`, and `more`."""
    services = context.services

    def work() -> tuple[Plan, int]:
        stored = services.store.draft(wish.draft)
        base = draft_version(services.store, stored)
        plan = plan_changes(base, make(base.organization), **services.planning)
        permitted(context, plan.change_set)
        if not all_sealed(plan.organization):
            errors = [problem for problem in plan.problems if problem.is_error]
            raise ApiError(422, "nothing was saved: a draft keeps no password that is not encrypted; see the problems", errors)
        expected = stored.info.revision if revision is None else revision
        if expected != stored.info.revision:
            raise ApiError(409, str(DraftConflict(wish.draft, expected, stored.info.revision)))
        if wish.dry_run or not plan.changes:
            return plan, stored.info.revision
        changes = stored.changes.then(plan.change_set)
        author, at = context.caller.who, services.clock.now()
        info = services.store.save_draft(wish.draft, changes, expected_revision=expected, author=author, at=at, comment=wish.comment)
        return plan, info.revision

    with _refusals(context, "draft.save", wish.draft, wish):
        try:
            plan, saved = await services.with_settings(work)
        except DraftConflict as error:
            raise ApiError(409, str(error)) from error
    if not wish.dry_run and plan.changes:
        context.audit("draft.save", wish.draft, f"save {saved}: {summary(plan.changes)}")
    content: SavedInDraft = {
        "draft": wish.draft,
        "revision": saved,
        "changes": as_dicts(plan.changes),
        "problems": findings(problems_for(context, plan.problems)),
    }
    return Done({**content, **more}, etag(saved, draft=True), wish.status)


def answer(context: Context, plan: Plan, version: int | None, *, in_force: bool, status: int = 200, **more: Any) -> Done[Any]:
    """`version` None: only asked what would be."""
    content: Saved = {
        "version": version,
        "base": plan.base,
        "in_force": in_force,
        "changes": as_dicts(plan.changes),
        "problems": findings(problems_for(context, plan.problems)),
    }
    return Done({**content, **more}, None if version is None else etag(version), status)


@contextmanager
def _refusals(context: Context, action: str, target: str, wish: Wish) -> Iterator[None]:
    """Writes down what is refused, but for errors that somebody asked to hear of."""
    try:
        yield
    except ApiError as error:
        if error.status != 422 or not wish.dry_run:
            context.audit(action, target, f"refused ({error.status})")
        raise
