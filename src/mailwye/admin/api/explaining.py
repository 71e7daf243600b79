"""/explain and /replay: what would happen, and why, by the functions that decide about real mail."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import JSONResponse, Response

from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import NUMBER_LIMIT, Body
from mailwye.admin.api.saving import conflict_for
from mailwye.admin.explain import Question, explain, listener_of
from mailwye.config.parse import read_organization
from mailwye.config.plan import Plan, draft_version, plan_draft, plan_file
from mailwye.config.schema import Organization
from mailwye.config.snapshot import Snapshot
from mailwye.config.store import StoredVersion
from mailwye.smtp.address import AddressError

_Text = Annotated[str, Field(max_length=512)]
_Number = Annotated[int | None, Field(ge=0, le=NUMBER_LIMIT)]


class Message(Body):
    """A message to think through, as `mailwye explain` takes it. `sender`: <> for the null sender."""

    sender: _Text
    recipient: _Text
    ip: _Text = ""
    certificate_name: _Text = ""
    auth: _Text = ""
    helo: _Text = ""
    tls: bool = False
    listener: _Text = ""
    header: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=100)] = ()
    version: _Number = None
    draft: _Text = ""


class OtherSettings(Body):
    """One of them. `seconds`: how far back."""

    file: Annotated[str, Field(max_length=8_388_608)] = ""
    prune: bool = False
    version: _Number = None
    draft: _Text = ""
    seconds: Annotated[int, Field(ge=1, le=31_622_400)] = 86_400
    examples: Annotated[int, Field(ge=0, le=100)] = 3


def explaining() -> APIRouter:
    """The routes."""
    api = router("what would happen")

    @api.post("/explain", summary="Say what would happen to a message, and why")
    async def ask(context: Ctx, message: Message) -> Response:
        if message.draft and message.version is not None:
            raise ApiError(422, "version and draft are two different settings: give one of them")
        snapshot = await context.services.with_settings(_snapshot, context, message)
        return JSONResponse(await asyncio.to_thread(_answer, context, message, snapshot))

    @api.post("/replay", summary="Say what other settings would do to recent traffic and to the queue")
    async def replay(context: Ctx, settings: OtherSettings) -> Response:
        if [bool(settings.file), settings.version is not None, bool(settings.draft)].count(True) != 1:
            raise ApiError(422, "say which settings: file, draft or version, one of them")
        services = context.services
        base, organization = await services.with_settings(_candidate, context, settings)
        since = services.clock.now() - settings.seconds
        answer = await asyncio.to_thread(services.what_if.replay, base, organization, since=since, examples=settings.examples)
        return JSONResponse(answer)

    return api


def _snapshot(context: Context, message: Message) -> Snapshot:
    store = context.services.store
    if message.draft:
        stored = draft_version(store, store.draft(message.draft))
    else:
        stored = store.current() if message.version is None else store.load(message.version)
    return context.services.tables.compiled(stored.organization, stored.version)


def _answer(context: Context, message: Message, snapshot: Snapshot) -> dict[str, Any]:
    try:
        kind, local = listener_of(context.services.installation, "submission" if message.auth else "mx", message.listener)
        question = Question(
            message.sender,
            message.recipient,
            message.ip,
            message.certificate_name,
            message.auth,
            message.helo,
            kind,
            message.tls or bool(message.auth),
            header=message.header,
            local=local,
        )
        unwrap = context.services.unwrap() if message.recipient[:3].lower() == "srs" else None
        return explain(snapshot, question, None, unwrap).to_dict()
    except (AddressError, ValueError) as error:
        raise ApiError(422, str(error)) from error


def _candidate(context: Context, settings: OtherSettings) -> tuple[StoredVersion, Organization]:
    services = context.services
    base = services.store.current()
    if settings.version is not None:
        return base, services.store.load(settings.version).organization
    if settings.draft:
        plan = plan_draft(services.store, services.store.draft(settings.draft), **services.planning)
        if not isinstance(plan, Plan):
            raise ApiError(409, str(plan), conflict=conflict_for(context, plan))
    else:
        parsed = read_organization(settings.file, "request")
        plan = plan_file(base, parsed, prune=settings.prune, **services.planning)
    if plan.has_errors:
        raise ApiError(422, "it cannot be put in force: nothing was compared", plan.problems)
    return base, plan.organization
