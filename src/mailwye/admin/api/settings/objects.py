"""/objects: the organization's objects, one kind each: list, get, put, patch, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from mailwye.admin.api.answers import Done, Page, Tagged
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.permissions import path_of
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Cursor, Limit, Precondition, Text, json_object, precondition
from mailwye.admin.api.settings.chosen import OfVersion, chosen, expect_one
from mailwye.admin.api.settings.saving import Saved, SavedInDraft, save, save_into_draft
from mailwye.admin.api.settings.wishes import Draft, Wish, WishedMaybeInDraft
from mailwye.config.parse import validate_object
from mailwye.config.plan import Plan, plan_edit
from mailwye.config.problem import Problem
from mailwye.config.schema import KINDS, ConfigObject, Organization, OrganizationSettings, field_names
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.config.versions.conflict import Conflict
from mailwye.smtp.address import AddressError, parse_address, parse_domain

Identity = Annotated[str, Path(max_length=320, min_length=1)]


One = Tagged[dict[str, Any]] | Response
Change = Done[Saved | SavedInDraft]
NEW: dict[int | str, dict[str, Any]] = {201: {"description": "It is new"}}


def plain(thing: ConfigObject) -> dict[str, Any]:
    """All fields, in the schema's order; passwords as "(saved)"."""
    return thing.plain()


def identity_of(kind: str, text: str) -> str:
    """As objects of the kind are compared: addresses and domains in every form that means the same, names in any case."""
    fields = field_names(KINDS[kind].model)
    try:
        if "PrimarySmtpAddress" in fields:
            return parse_address(text).key
        if "DomainName" in fields:
            return parse_domain(text)
    except AddressError:
        pass
    return text.lower()


def find(organization: Organization, kind: str, identity: str) -> ConfigObject | None:
    """The object; the identity as people write it."""
    if kind == OrganizationSettings.kind:
        return organization.organization
    wanted = identity_of(kind, identity)
    return next((thing for thing in organization.objects(kind) if thing.identity == wanted), None)


async def organization_of(context: Context, draft: str, version: int | None) -> tuple[Organization, str]:
    """The settings that are asked about, and their ETag."""
    expect_one(version, draft)
    stored, tag = await context.services.with_settings(chosen, context, version, draft)
    return stored.organization, tag


def _changed(organization: Organization, kind: str, identity: str, data: dict[str, Any]) -> ChangeSet:
    old = find(organization, kind, identity)
    new, problems = validate_object(kind, data)
    if new is None:
        raise ApiError(422, "nothing was saved: see the problems", problems)
    if old is None and new.identity != identity_of(kind, identity):
        raise ApiError(422, "the path names another object than the body", [Problem("is not the name in the path", object=new.label)])
    if old is None or new.identity == old.identity:
        return ChangeSet.of([ObjectChange(kind, new.identity, old, new)])
    if find(organization, kind, new.identity) is not None:
        raise ApiError(409, f"{new.label} is there already: remove it first, or give this one another name")
    return ChangeSet.of([ObjectChange(kind, old.identity, old, None), ObjectChange(kind, new.identity, None, new)])


def _merged(old: ConfigObject, patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396 for the fields of one object: a field as a whole; null: the default. Unknown fields stay, to be refused."""
    names = {name.lower(): name for name in field_names(type(old))}
    merged = plain(old)
    given: set[str] = set()
    for key, value in patch.items():
        name = names.get(key.lower(), key)
        if name in given:
            raise ApiError(422, "nothing was saved: see the problems", [Problem("is given twice", "Keep one of them", field=name)])
        given.add(name)
        merged[name] = value
    return {key: value for key, value in merged.items() if value is not None}


class Changer:
    """One change of one object, as a request asks for it."""

    def __init__(self, context: Context, kind: str, identity: str, condition: Precondition, wish: Wish) -> None:
        self._context = context
        self._kind = kind
        self._identity = identity
        self._condition = condition
        self._wish = wish

    async def run(self, make: Callable[[ConfigObject | None], ChangeSet]) -> Done[Any]:
        """`make`: from the object as it is (None: there is none) to what is to be changed."""
        return await self.run_all(lambda organization: make(find(organization, self._kind, self._identity)))

    async def run_all(self, make: Callable[[Organization], ChangeSet]) -> Done[Any]:
        """`make`: from the settings as they are to what is to be changed."""
        services, base = self._context.services, self._condition.base

        def changes(organization: Organization) -> ChangeSet:
            old = find(organization, self._kind, self._identity)
            if self._condition.exists is not None and self._condition.exists is not (old is not None):
                raise ApiError(412, "it is not there" if old is None else "it is there already")
            return make(organization)

        def plan() -> tuple[Plan | Conflict, ChangeSet]:
            number = services.store.version() if base is None else base
            if number > services.store.version():
                raise ApiError(412, f"there is no version {number} yet")
            wanted = changes(services.store.load(number).organization)
            return plan_edit(services.store, number, wanted, **services.planning), wanted

        if self._wish.draft:
            return await save_into_draft(self._context, base, changes, self._wish)
        return await save(self._context, plan, self._wish)


def _reading(api: APIRouter, kind: str, path: str) -> None:
    @api.get(path, summary=f"List {kind} objects", operation_id=f"list_{kind}")
    async def list_objects(
        context: Ctx, limit: Limit = 100, cursor: Cursor = "", search: Text = "", draft: Draft = "", version: OfVersion = None
    ) -> Tagged[Page[dict[str, Any]]]:
        organization, tag = await organization_of(context, draft, version)
        after, wanted = context.position(cursor) or "", search.lower()
        rows = sorted(organization.objects(kind), key=lambda thing: thing.identity)
        found = [thing for thing in rows if thing.identity > after and wanted in f"{thing.identity} {getattr(thing, 'name', '')}".lower()]
        page = context.page(found[: limit + 1], limit, lambda: found[limit - 1].identity)
        return Tagged({"items": [plain(thing) for thing in page["items"]], "next": page["next"]}, tag)

    @api.get(path + "/{identity}", summary=f"Get one {kind}", operation_id=f"get_{kind}")
    async def get(context: Ctx, identity: Identity, draft: Draft = "", version: OfVersion = None) -> One:
        return await _one(context, kind, identity, draft, version)


async def _one(context: Context, kind: str, identity: str, draft: str, version: int | None) -> One:
    organization, tag = await organization_of(context, draft, version)
    thing = find(organization, kind, identity)
    if thing is None:
        raise not_found(f'{kind} "{identity}"')
    if context.request.headers.get("if-none-match", "").strip() == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Tagged(plain(thing), tag)


async def _put(context: Context, kind: str, identity: str, wish: Wish) -> Done[Any]:
    condition = precondition(context.request, draft=bool(wish.draft), may_create=bool(identity))
    data = await json_object(context.request)
    status = 201 if condition.exists is False and not wish.dry_run else 200
    wish = replace(wish, status=status)
    return await Changer(context, kind, identity, condition, wish).run_all(lambda now: _changed(now, kind, identity, data))


async def _patch(context: Context, kind: str, identity: str, wish: Wish) -> Done[Any]:
    condition = precondition(context.request, draft=bool(wish.draft))
    data = await json_object(context.request)

    def make(organization: Organization) -> ChangeSet:
        old = find(organization, kind, identity)
        if old is None:
            raise not_found(f'{kind} "{identity}"')
        return _changed(organization, kind, identity, _merged(old, data))

    return await Changer(context, kind, identity, condition, wish).run_all(make)


def _writing(api: APIRouter, kind: str, path: str) -> None:
    @api.put(path + "/{identity}", summary=f"Create or replace a {kind}", operation_id=f"put_{kind}", responses=NEW)
    async def put(context: Ctx, identity: Identity, wish: WishedMaybeInDraft) -> Change:
        return await _put(context, kind, identity, wish)

    @api.patch(path + "/{identity}", summary=f"Change fields of a {kind}", operation_id=f"patch_{kind}")
    async def patch(context: Ctx, identity: Identity, wish: WishedMaybeInDraft) -> Change:
        return await _patch(context, kind, identity, wish)

    @api.delete(path + "/{identity}", summary=f"Remove a {kind}", operation_id=f"delete_{kind}")
    async def delete(context: Ctx, identity: Identity, wish: WishedMaybeInDraft) -> Change:
        condition = precondition(context.request, draft=bool(wish.draft))

        def make(old: ConfigObject | None) -> ChangeSet:
            if old is None:
                raise not_found(f'{kind} "{identity}"')
            return ChangeSet.of([ObjectChange(kind, old.identity, old, None)])

        return await Changer(context, kind, identity, condition, wish).run(make)


def _organization(api: APIRouter) -> None:
    kind, path = OrganizationSettings.kind, "/objects/organization"

    @api.get(path, summary="Get the organization's own settings", operation_id="get_Organization")
    async def get(context: Ctx, draft: Draft = "", version: OfVersion = None) -> One:
        return await _one(context, kind, "", draft, version)

    @api.put(path, summary="Replace the organization's own settings", operation_id="put_Organization")
    async def put(context: Ctx, wish: WishedMaybeInDraft) -> Change:
        return await _put(context, kind, "", wish)

    @api.patch(path, summary="Change fields of the organization's own settings", operation_id="patch_Organization")
    async def patch(context: Ctx, wish: WishedMaybeInDraft) -> Change:
        return await _patch(context, kind, "", wish)


def objects() -> APIRouter:
    """The routes of all kinds."""
    api = router("objects")
    _organization(api)
    for kind in KINDS:
        path = f"/objects/{path_of(kind)}"
        _reading(api, kind, path)
        _writing(api, kind, path)
    return api
