"""/secrets: the passwords with which connectors log in at smart hosts, and the key under which they are saved. Nothing reads one back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path
from pydantic import Field

from mailwye.admin.api.answers import Answer, Done, Page
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Body, precondition
from mailwye.admin.api.settings.chosen import chosen
from mailwye.admin.api.settings.objects import Changer
from mailwye.admin.api.settings.saving import TRIES, Saved, SavedInDraft, in_force
from mailwye.admin.api.settings.wishes import Wish, WishedMaybeInDraft
from mailwye.config.plan import plan_organization
from mailwye.config.schema import ConfigObject
from mailwye.config.secrets import FIELD, SecretError, check_secrets
from mailwye.config.secrets.changes import (
    PINNED,
    Login,
    NoSuchLogin,
    drafts_with_passwords,
    find_connector,
    logins,
    name_of,
    open_factors,
    seal_factors,
    sealed_anew,
    with_password,
    without_password,
)
from mailwye.config.store import VersionConflict
from mailwye.config.versions.changes import ChangeSet, ObjectChange

Connector = Annotated[str, Path(min_length=1, max_length=320)]


class NewSecret(Body):
    """Written, never read back. `user_name`: the saved one where left out."""

    password: Annotated[str, Field(max_length=4096, json_schema_extra={"writeOnly": True})]
    user_name: Annotated[str | None, Field(max_length=1024)] = None


class Rotation(Body):
    """`drop_old_keys`: older versions of the settings lose their passwords."""

    drop_old_keys: bool = False


class Rotated(TypedDict):
    """`version`: with every password sealed anew. `dropped_keys`: how many old keys are gone."""

    version: int
    in_force: bool
    dropped_keys: int


def secrets() -> APIRouter:
    """The routes."""
    api = router("secrets")

    @api.get("/secrets", summary="Which connectors log in, as whom, and whether the saved password can be opened")
    async def list_secrets(context: Ctx) -> Answer[Page[Login]]:
        services = context.services
        rows = await services.with_settings(lambda: logins(services.store.current().organization, services.vault_of_file()))
        return Answer({"items": rows, "next": None})

    @api.put("/secrets/{connector}", summary="Let a connector log in with this password")
    async def set_secret(context: Ctx, connector: Connector, new: NewSecret, wish: WishedMaybeInDraft) -> Done[Saved | SavedInDraft]:
        def make(old: ConfigObject) -> ConfigObject:
            try:
                return with_password(old, new.user_name, new.password)
            except ValueError as error:
                raise ApiError(422, f"{error}; nothing was changed") from error

        return await _change(context, connector, wish, make, "set")

    @api.delete("/secrets/{connector}", summary="Let a connector log in no more")
    async def remove(context: Ctx, connector: Connector, wish: WishedMaybeInDraft) -> Done[Saved | SavedInDraft]:
        def make(old: ConfigObject) -> ConfigObject:
            if getattr(old, FIELD) is None:
                raise not_found(f"password of {name_of(old)}")
            return without_password(old)

        return await _change(context, connector, wish, make, "remove")

    @api.post("/secrets/rotation", summary="Make a new key and seal every saved password with it")
    async def rotate(context: Ctx, rotation: Rotation) -> Answer[Rotated]:
        services = context.services
        try:
            version, changed, dropped = await services.with_settings(_rotate, context, drop_old_keys=rotation.drop_old_keys)
        except SecretError as error:
            raise ApiError(409, str(error)) from error
        context.audit("secrets.rotate", "credentials key", f"version {version}" + (f", {dropped} old keys dropped" if dropped else ""))
        active = await in_force(context, version) if changed else False
        return Answer({"version": version, "in_force": active, "dropped_keys": dropped})

    return api


async def _change(context: Context, connector: str, wish: Wish, make: Callable[[ConfigObject], ConfigObject], verb: str) -> Done[Any]:
    condition = precondition(context.request, draft=bool(wish.draft))
    stored, _ = await context.services.with_settings(chosen, context, None, wish.draft)
    try:
        kind, found = find_connector(stored.organization, connector)
    except NoSuchLogin as error:
        raise ApiError(404, str(error)) from error

    def change(old: ConfigObject | None) -> ChangeSet:
        if old is None:
            raise not_found(f"{kind} {name_of(found)}")
        return ChangeSet.of([ObjectChange(kind, old.identity, old, make(old))])

    wish = replace(wish, comment=wish.comment or f"secrets {verb} {name_of(found)}")
    return await Changer(context, kind, found.identity, condition, wish).run(change)


def _rotate(context: Context, *, drop_old_keys: bool) -> tuple[int, bool, int]:
    """(version, whether it is new, dropped keys). The key comes first: where the save fails, the old one still opens what is saved."""
    services = context.services
    store, vault = services.store, services.vault
    with vault.alone():
        if closed := check_secrets(store.current().organization, services.vault_of_file()):
            raise ApiError(409, "a saved password cannot be opened, so the key was not changed: see the problems", closed)
        drafts = drafts_with_passwords(store) if drop_old_keys else []
        if drafts:
            text = f"passwords in the draft {', '.join(drafts)} would be lost with the old keys: activate or discard it first"
            raise ApiError(409, f"{text}. The key was not changed")
        if drop_old_keys and (pinned := services.pinned_passwords(store.current())):
            raise ApiError(409, f"{PINNED.format(count=pinned)}. The key was not changed")
        factors = open_factors(services.accounts, vault)
        vault.rotate()
        seal_factors(services.accounts, vault, factors)
        version, changed = _save_anew(context)
        return version, changed, vault.drop_old_keys() if drop_old_keys else 0


def _save_anew(context: Context) -> tuple[int, bool]:
    services = context.services
    for _ in range(TRIES):
        current = services.store.current()
        wanted = sealed_anew(current.organization, services.vault)
        plan = plan_organization(current, wanted, **services.planning)
        if plan.has_errors:
            raise ApiError(422, "there is a new key, but the passwords are still sealed with the old one: see the problems", plan.problems)
        try:
            version = plan.save(services.store, author=context.caller.who, at=services.clock.now(), comment="secrets rotate")
            return version, bool(plan.changes)
        except VersionConflict:
            continue
    raise ApiError(503, "others save all the time; repeat it", headers={"Retry-After": "1"})
