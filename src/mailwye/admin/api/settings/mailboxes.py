"""/mailboxes: hosted mailboxes and their passwords."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from mailwye.access.mailbox_passwords import PasswordRefused, check_mailbox_password
from mailwye.access.roles import Permission
from mailwye.admin.api.answers import NO_CONTENT, Answer, Done, Page, no_content
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Body, Cursor, Limit, Precondition, precondition
from mailwye.admin.api.settings.objects import Changer, find
from mailwye.admin.api.settings.saving import Saved, answer
from mailwye.admin.api.settings.wishes import Wish, Wished
from mailwye.config.parse import validate_object
from mailwye.config.plan import Plan
from mailwye.config.schema import ConfigObject, Mailbox
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.smtp.address import AddressError, parse_address

KIND = "Mailbox"
Address = Annotated[str, Path(max_length=320)]
_Password = Annotated[str, Field(max_length=1024, json_schema_extra={"writeOnly": True})]


OK: dict[int | str, dict[str, Any]] = {200: {"description": "It was there already; or what would be, with dry_run"}}


class NewPassword(Body):
    """Written, never read back."""

    password: _Password


class NewMailbox(Body):
    """A mailbox with its password."""

    address: Annotated[str, Field(max_length=320)]
    password: _Password


class MailboxRow(TypedDict):
    """A hosted mailbox."""

    PrimarySmtpAddress: str
    EmailAddresses: list[str]
    has_password: bool


def mailboxes() -> APIRouter:
    """The routes."""
    api = router("mailboxes")

    @api.get("/mailboxes", summary="List mailboxes, their aliases, and whether they have a password")
    async def list_mailboxes(context: Ctx, limit: Limit = 100, cursor: Cursor = "") -> Answer[Page[MailboxRow]]:
        return Answer(await context.services.with_settings(_listed, context, limit, context.position(cursor) or ""))

    @api.post("/mailboxes", summary="Add a mailbox, or set a new password where it exists", status_code=201, responses=OK)
    async def add(context: Ctx, new: NewMailbox, wish: Wished) -> Done[Saved]:
        context.caller.need(Permission.PASSWORDS_WRITE, "this")
        return await _add(context, new, wish)

    @api.delete("/mailboxes/{address}", summary="Remove a mailbox with its password; its stored mail stays")
    async def remove(context: Ctx, address: Address, wish: Wished) -> Done[Saved]:
        condition, mailbox = precondition(context.request), canonical(address)

        def make(old: ConfigObject | None) -> ChangeSet:
            if old is None:
                raise not_found(f"mailbox {mailbox}")
            return ChangeSet.of([ObjectChange(KIND, old.identity, old, None)])

        return await Changer(context, KIND, mailbox, condition, wish).run(make)

    _passwords(api)
    return api


def _passwords(api: APIRouter) -> None:
    @api.put("/mailboxes/{address}/password", summary="Set the password of a mailbox", status_code=NO_CONTENT)
    async def set_password(context: Ctx, address: Address, new: NewPassword) -> Response:
        mailbox = await _existing(context, address)
        await _set_password(context, mailbox, new.password)
        return no_content()

    @api.delete("/mailboxes/{address}/password", summary="Let nobody log in to a mailbox", status_code=NO_CONTENT)
    async def remove_password(context: Ctx, address: Address) -> Response:
        mailbox, services = await _existing(context, address), context.services
        if not await services.with_settings(services.store.remove_password, mailbox):
            raise not_found(f"password of {mailbox}")
        context.audit("mailbox.password", mailbox, "removed")
        return no_content()


def canonical(address: str) -> str:
    """As the directory writes it. :raises ApiError: 400: it is no address."""
    try:
        return str(parse_address(address))
    except AddressError as error:
        raise ApiError(400, str(error)) from error


def _listed(context: Context, limit: int, after: str) -> Page[MailboxRow]:
    store = context.services.store
    known = sorted(store.current().organization.mailboxes, key=lambda one: one.identity)
    found = [one for one in known if one.identity > after][: limit + 1]
    page = context.page(found, limit, lambda: found[limit - 1].identity)
    items: list[MailboxRow] = [
        {
            "PrimarySmtpAddress": str(one.primary_smtp_address),
            "EmailAddresses": [str(alias) for alias in one.email_addresses],
            "has_password": store.password_hash(str(one.primary_smtp_address)) is not None,
        }
        for one in page["items"]
    ]
    return {"items": items, "next": page["next"]}


async def _add(context: Context, new: NewMailbox, wish: Wish) -> Done[Any]:
    address = canonical(new.address)
    _check(new.password)
    current = await context.services.with_settings(context.services.store.current)
    unchanged = Plan(current.version, current.organization, (), ())
    told = answer(context, unchanged, None, in_force=False)
    known = find(current.organization, KIND, address)
    if known is None:
        made, problems = validate_object(KIND, {"PrimarySmtpAddress": address})
        if made is None:
            raise ApiError(422, "nothing was saved: see the problems", problems)
        change = ChangeSet.of([ObjectChange(KIND, made.identity, None, made)])
        told = await Changer(context, KIND, made.identity, Precondition(None, exists=False), wish).run(lambda _old: change)
        told.status_code = 200 if wish.dry_run else 201
    if not wish.dry_run:
        await _set_password(context, address if known is None else address_of(known), new.password)
    return told


def _check(password: str) -> None:
    try:
        check_mailbox_password(password)
    except PasswordRefused as error:
        raise ApiError(422, str(error)) from error


async def _set_password(context: Context, mailbox: str, password: str) -> None:
    _check(password)
    services = context.services
    hashed = await asyncio.to_thread(services.hash_password, password)
    await services.with_settings(services.store.set_password, mailbox, hashed)
    context.audit("mailbox.password", mailbox, "set")


async def _existing(context: Context, address: str) -> str:
    """The mailbox as its password is kept."""
    mailbox = canonical(address)
    current = await context.services.with_settings(context.services.store.current)
    found = find(current.organization, KIND, mailbox)
    if found is None:
        raise not_found(f"mailbox {mailbox}")
    return address_of(found)


def address_of(mailbox: ConfigObject) -> str:
    """Its primary address."""
    assert isinstance(mailbox, Mailbox)
    return str(mailbox.primary_smtp_address)
