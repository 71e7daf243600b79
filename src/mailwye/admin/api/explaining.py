"""/explain and /replay: what would happen, and why, by the functions that decide about real mail."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from mailwye.access.roles import Permission
from mailwye.admin.api.answers import Answer
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Body
from mailwye.admin.api.settings.chosen import DraftName, VersionNumber, chosen, expect_one
from mailwye.admin.api.settings.saving import conflict_for, queue_for
from mailwye.admin.explain import explain, listener_of
from mailwye.admin.explain_rows import ExplanationRow
from mailwye.admin.question import Question
from mailwye.admin.replay import ReplayRow
from mailwye.admin.replay import replay as decide_again
from mailwye.config.parse import read_organization
from mailwye.config.plan import Plan, plan_draft, plan_file
from mailwye.config.schema import Organization
from mailwye.config.snapshot import Snapshot
from mailwye.config.store import StoredVersion
from mailwye.smtp.address import AddressError
from mailwye.whatif.rows import ReplayedTraffic, TrafficGroupRow

LOOKUPS = 2  # questions that wait for the DNS at once: each keeps a thread of all

_Text = Annotated[str, Field(max_length=512)]


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
    version: VersionNumber = None
    draft: DraftName = ""
    resolve: bool = False


class Recorded(Body):
    """`session`: a session or queue ID of the trace: what was decided then is decided again. `resolve`: look hosts up in the DNS."""

    session: Annotated[str, Field(min_length=1, max_length=128)]
    version: VersionNumber = None
    draft: DraftName = ""
    resolve: bool = False


class OtherSettings(Body):
    """One of them. `seconds`: how far back."""

    file: Annotated[str, Field(max_length=8_388_608)] = ""
    prune: bool = False
    version: VersionNumber = None
    draft: DraftName = ""
    seconds: Annotated[int, Field(ge=1, le=31_622_400)] = 86_400
    examples: Annotated[int, Field(ge=0, le=100)] = 3


def explaining() -> APIRouter:
    """The routes."""
    api = router("what would happen")
    lookups = asyncio.Semaphore(LOOKUPS)

    @api.post("/explain", summary="Say what would happen to a message, and why")
    async def ask(context: Ctx, message: Message) -> Answer[ExplanationRow]:
        expect_one(message.version, message.draft)
        snapshot = await context.services.with_settings(_snapshot, context, message)
        async with lookups if message.resolve else nullcontext():
            return Answer(await asyncio.to_thread(_answer, context, message, snapshot))

    @api.post("/explain/session", summary="Decide again about a session that is in the trace, and say what differs")
    async def ask_again(context: Ctx, recorded: Recorded) -> Answer[ReplayRow]:
        context.caller.need(Permission.TRACE_READ, "this")
        expect_one(recorded.version, recorded.draft)
        snapshot = await context.services.with_settings(_snapshot, context, recorded)
        await context.services.control("flush", {})
        async with lookups if recorded.resolve else nullcontext():
            return Answer(await asyncio.to_thread(_again, context, recorded, snapshot))

    @api.post("/replay", summary="Say what other settings would do to recent traffic and to the queue")
    async def replay(context: Ctx, settings: OtherSettings) -> Answer[ReplayedTraffic]:
        if [bool(settings.file), settings.version is not None, bool(settings.draft)].count(True) != 1:
            raise ApiError(422, "say which settings: file, draft or version, one of them")
        services = context.services
        base, organization = await services.with_settings(_candidate, context, settings)
        since = services.clock.now() - settings.seconds
        answer = await asyncio.to_thread(services.what_if.replay, base, organization, since=since, examples=settings.examples)
        if not context.caller.may(Permission.TRACE_READ):
            answer = {**answer, "groups": _without_examples(answer["groups"])}
            answer["undecidable_groups"] = _without_examples(answer["undecidable_groups"])
        answer["queue"] = queue_for(context, answer["queue"])
        return Answer(answer)

    return api


def _without_examples(groups: list[TrafficGroupRow]) -> list[TrafficGroupRow]:
    return [{**group, "examples": []} for group in groups]


def _snapshot(context: Context, message: Message | Recorded) -> Snapshot:
    stored, _ = chosen(context, message.version, message.draft)
    return context.services.tables.compiled(stored.organization, stored.version)


def _answer(context: Context, message: Message, snapshot: Snapshot) -> ExplanationRow:
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
        return explain(snapshot, question, context.services.resolve if message.resolve else None, unwrap).to_dict()
    except (AddressError, ValueError) as error:
        raise ApiError(422, str(error)) from error


def _again(context: Context, recorded: Recorded, snapshot: Snapshot) -> ReplayRow:
    services, trace = context.services, context.services.trace
    events = trace.events(recorded.session)
    if events and events[0].session not in ("", recorded.session):  # a queue ID: the session that brought it knows the certificate
        events = trace.events(events[0].session)
    if not events:
        raise not_found(f"message or session {recorded.session} in the trace")
    listeners = {one.name: (one.kind, str(one.binding)) for one in services.installation.listeners}
    try:
        return decide_again(snapshot, events, listeners, services.resolve if recorded.resolve else None, services.unwrap()).to_dict()
    except ValueError as error:
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
