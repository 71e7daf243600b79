"""/status, /check, /certificates, /reload, /events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from mailwye.access.roles import Permission
from mailwye.admin.api.answers import Answer, Page
from mailwye.admin.api.event_feed import FeedEvent
from mailwye.admin.api.guarded import Ctx, router
from mailwye.admin.api.problems import ApiError, FindingRow, findings
from mailwye.admin.api.reading import NUMBER_LIMIT, Body
from mailwye.admin.api.settings.files import FileText
from mailwye.admin.api.settings.saving import problems_for
from mailwye.admin.expiry import CertificateRow
from mailwye.admin.supervisor import ServiceStatus, VersionInForce
from mailwye.config.check_files import check_candidate, check_saved
from mailwye.config.parse import read_organization
from mailwye.config.problem import Problem

STILL_HERE = 15.0  # seconds between lines that only keep a connection open


class Candidate(Body):
    """A whole file of ours, as `mailwye check -f` takes it."""

    text: FileText


class Findings(TypedDict):
    """Errors and warnings; none: nothing was found."""

    problems: list[FindingRow]


_TEXT = {"type": "string"}
_EVENT = {
    "type": "object",
    "description": "One event; `data` is JSON.",
    "properties": {"id": _TEXT, "event": {"enum": ["version", "alert", "missed"]}, "data": _TEXT},
    "required": ["id", "event", "data"],
    "additionalProperties": False,
}
_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": _EVENT}}}}


def service() -> APIRouter:
    """The routes."""
    api = router("service")

    @api.get("/status", summary="How the service is")
    async def status(context: Ctx) -> Answer[ServiceStatus]:
        return Answer(await context.services.control("status", {}))

    @api.get("/check", summary="Every finding about the settings in force, mailwye.toml and the files that it names")
    async def check(context: Ctx) -> Answer[Findings]:
        services = context.services

        def saved() -> tuple[Problem, ...]:
            organization = services.store.current().organization
            return tuple(check_saved(organization, services.installation, services.vault_of_file(), services.tables))

        found = (*await asyncio.to_thread(services.check_files), *await services.with_settings(saved))
        return Answer({"problems": findings(problems_for(context, found))})

    @api.post("/check", summary="Every finding about a file of settings; nothing is saved")
    async def check_text(context: Ctx, candidate: Candidate) -> Answer[Findings]:
        installation = context.services.installation

        def found() -> tuple[Problem, ...]:
            return tuple(check_candidate(read_organization(candidate.text, "request"), installation))

        return Answer({"problems": findings(await asyncio.to_thread(found))})

    @api.get("/certificates", summary="Certificates, and when they expire")
    async def certificates(context: Ctx) -> Answer[Page[CertificateRow]]:
        rows = (await context.services.control("certificates", {}))["rows"]
        return Answer({"items": rows, "next": None})

    @api.post("/reload", summary="Read certificates and settings again")
    async def reload(context: Ctx) -> Answer[VersionInForce]:
        answer = await context.services.control("reload", {})
        context.audit("service.reload", "certificates and settings", f"version {answer['version']}")
        return Answer(answer)

    _listening(api)
    return api


def _listening(api: APIRouter) -> None:
    @api.get(
        "/events",
        summary="Versions put in force and alerts, as server-sent events",
        response_class=StreamingResponse,
        responses=_EVENTS,
        openapi_extra={"x-endless": True},
    )
    async def events(
        context: Ctx,
        after: Annotated[int | None, Query(ge=0, le=NUMBER_LIMIT, description="Begin after this event; also Last-Event-ID.")] = None,
    ) -> Response:
        feed = context.services.feed
        caller, gatekeeper = context.caller, context.request.app.state.gatekeeper
        if feed.is_full_for(caller.name):
            raise ApiError(503, "too many listen already", headers={"Retry-After": "30"})
        last = context.request.headers.get("last-event-id", "")
        begin = int(last) if last.isascii() and last.isdigit() and len(last) < 17 else after
        may_still = partial(gatekeeper.may_still, caller, Permission.STATUS_READ)
        lines = _lines(feed.after(feed.latest if begin is None else begin, caller.name), may_still)
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _lines(events: AsyncIterator[FeedEvent], may_still: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The form of server-sent events (HTML, section 9.2). Ends where the listener may not listen any more."""
    yield b": mailwye\n\n"
    waiting: asyncio.Future[FeedEvent] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait((waiting,), timeout=STILL_HERE)
            if not may_still():
                return
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await events.aclose()  # type: ignore[attr-defined]  # it is an asynchronous generator
