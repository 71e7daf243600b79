"""/versions: who saved what, and back again."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path, Query

from mailwye.access.roles import to_read
from mailwye.admin.api.answers import Answer, Done, Page, Tagged
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import NUMBER_LIMIT, Cursor, Limit, Text, etag, precondition
from mailwye.admin.api.settings.objects import identity_of
from mailwye.admin.api.settings.saving import Saved, changes_for, save
from mailwye.admin.api.settings.wishes import Wish, Wished
from mailwye.config.diff import ChangeRow
from mailwye.config.plan import Plan, before_latest, plan_version
from mailwye.config.problem import cut, did_you_mean
from mailwye.config.schema import KINDS, OrganizationSettings
from mailwye.config.store import ConfigStore, StoredVersion, VersionInfo, VersionRow
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict
from mailwye.config.versions.drafts import DraftSaveRow

Version = Annotated[int, Path(ge=0, le=NUMBER_LIMIT)]
Kind = Annotated[str, Query(max_length=64, description="Only versions that changed this object; a page may have fewer then.")]


class VersionShown(VersionRow):
    """A version as in the list, and what it changed. `saves`: into the draft that became it."""

    saves: list[DraftSaveRow]
    changes: list[ChangeRow]


Difference = TypedDict("Difference", {"from": int, "to": int, "changes": list[ChangeRow]})


def versions() -> APIRouter:
    """The routes."""
    api = router("versions")

    @api.get("/versions", summary="List versions, newest first")
    async def log(context: Ctx, limit: Limit = 100, cursor: Cursor = "", kind: Kind = "", identity: Text = "") -> Answer[Page[VersionInfo]]:
        store, before, place = context.services.store, context.position(cursor), _place(context, kind, identity)

        def read() -> Page[VersionInfo]:
            rows = store.history(limit + 1, before=before)
            page = context.page(rows, limit, lambda: rows[limit - 1].version)
            return {**page, "items": [info for info in page["items"] if place is None or _changes(store, info, place)]}

        return Answer(await context.services.with_settings(read))

    @api.get("/versions/{version}", summary="Show who saved a version, and what it changed")
    async def show(context: Ctx, version: Version) -> Tagged[VersionShown]:
        store = context.services.store

        def read() -> VersionShown:
            info = store.load(version).info
            changes = changes_for(context, store.changes(info.parent, info.version))
            return {**info.to_dict(), "saves": [save.to_dict() for save in store.saves(version)], "changes": changes}

        return Tagged(await context.services.with_settings(read), etag(version))

    @api.get("/versions/{version}/difference", summary="What makes a version out of another one")
    async def difference(
        context: Ctx,
        version: Version,
        to: Annotated[int | None, Query(ge=0, le=NUMBER_LIMIT, description="Default: the current one.")] = None,
    ) -> Answer[Difference]:
        store = context.services.store

        def read() -> Difference:
            other = store.version() if to is None else to
            return {"from": version, "to": other, "changes": changes_for(context, store.changes(version, other))}

        return Answer(await context.services.with_settings(read))

    _back(api)
    return api


def _changes(store: ConfigStore, info: VersionInfo, place: tuple[str, str]) -> bool:
    return any((change.kind, change.identity) == place for change in store.changes(info.parent, info.version))


def _back(api: APIRouter) -> None:
    @api.post("/versions/rollback", summary="Take the latest change back")
    async def rollback(context: Ctx, wish: Wished) -> Done[Saved]:
        return await _activate(context, None, wish)

    @api.post("/versions/{version}/activate", summary="Make the content of a version current again")
    async def activate(context: Ctx, version: Version, wish: Wished) -> Done[Saved]:
        return await _activate(context, version, wish)


async def _activate(context: Context, version: int | None, wish: Wish) -> Done[Any]:
    """`version` None: the one before the latest."""
    condition, services = precondition(context.request), context.services

    def plan() -> tuple[Plan | Conflict, ChangeSet]:
        current = services.store.current()
        if condition.base is not None and condition.base != current.version:
            raise ApiError(409, f"the settings are at version {current.version} now: look at it, and repeat this")
        older = _before_latest(services.store) if version is None else services.store.load(version)
        found = plan_version(current, older, **services.planning)
        return found, found.change_set

    comment = wish.comment or ("rollback" if version is None else f"back to version {version}")
    return await save(context, plan, replace(wish, goes_back=True, comment=comment))


def _before_latest(store: ConfigStore) -> StoredVersion:
    older = before_latest(store) if store.version() else None
    if older is None or not older.version:
        raise ApiError(409, "there is nothing before this version, and without settings all mail is refused; if that is meant, activate 0")
    return older


def _place(context: Context, kind: str, identity: str) -> tuple[str, str] | None:
    """An object, by its kind in any case; None: all of them are meant."""
    if not kind:
        if identity:
            raise ApiError(422, "identity needs a kind")
        return None
    kinds = {each.lower(): each for each in (OrganizationSettings.kind, *KINDS)}
    found = kinds.get(kind.lower())
    if found is None:
        raise ApiError(422, f"{cut(kind)} is no kind of object. {did_you_mean(kind, kinds.values(), otherwise=', '.join(kinds.values()))}")
    context.caller.need(to_read(found))
    return found, "" if found == OrganizationSettings.kind else identity_of(found, identity)
