"""/status, /certificates, /reload, /events, and the passwords of mailboxes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from mailwye.access.mailbox_passwords import PasswordRefused, check_mailbox_password
from mailwye.admin.api.event_feed import EventFeed, FeedEvent
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.objects import find
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import NUMBER_LIMIT, Body
from mailwye.smtp.address import AddressError, parse_address

Address = Annotated[str, Path(max_length=320)]
STILL_HERE = 15.0  # seconds between lines that only keep a connection open


class NewPassword(Body):
    """Written, never read back."""

    password: Annotated[str, Field(max_length=1024, json_schema_extra={"writeOnly": True})]


def service() -> APIRouter:
    """The routes."""
    api = router("service")

    @api.get("/status", summary="How the service is")
    async def status(context: Ctx) -> Response:
        return JSONResponse(await context.services.control("status", {}))

    @api.get("/certificates", summary="Certificates, and when they expire")
    async def certificates(context: Ctx) -> Response:
        rows = (await context.services.control("certificates", {}))["rows"]
        return JSONResponse({"items": rows, "next": None})

    @api.post("/reload", summary="Read certificates and settings again")
    async def reload(context: Ctx) -> Response:
        answer = await context.services.control("reload", {})
        context.audit("service.reload", "certificates and settings", f"version {answer['version']}")
        return JSONResponse(answer)

    @api.get(
        "/events",
        summary="Versions put in force and alerts, as server-sent events",
        response_class=StreamingResponse,
        openapi_extra={"x-endless": True},
    )
    async def events(
        context: Ctx,
        after: Annotated[int | None, Query(ge=0, le=NUMBER_LIMIT, description="Begin after this event; also Last-Event-ID.")] = None,
    ) -> Response:
        feed = context.services.feed
        if feed.is_full:
            raise ApiError(503, "too many listen already", headers={"Retry-After": "30"})
        last = context.request.headers.get("last-event-id", "")
        begin = int(last) if last.isascii() and last.isdigit() and len(last) < 17 else after
        lines = _lines(feed, feed.latest if begin is None else begin)
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    _passwords(api)
    return api


def _passwords(api: APIRouter) -> None:
    @api.put("/mailboxes/{address}/password", summary="Set the password of a mailbox", status_code=204)
    async def set_password(context: Ctx, address: Address, new: NewPassword) -> Response:
        mailbox = await _mailbox(context, address)
        try:
            check_mailbox_password(new.password)
        except PasswordRefused as error:
            raise ApiError(422, str(error)) from error
        services = context.services
        hashed = await asyncio.to_thread(services.hash_password, new.password)
        await services.with_settings(services.store.set_password, mailbox, hashed)
        context.audit("mailbox.password", mailbox, "set")
        return Response(status_code=204)

    @api.delete("/mailboxes/{address}/password", summary="Let nobody log in to a mailbox", status_code=204)
    async def remove_password(context: Ctx, address: Address) -> Response:
        mailbox, services = await _mailbox(context, address), context.services
        if not await services.with_settings(services.store.remove_password, mailbox):
            raise not_found(f"password of {mailbox}")
        context.audit("mailbox.password", mailbox, "removed")
        return Response(status_code=204)


async def _mailbox(context: Context, address: str) -> str:
    try:
        canonical = str(parse_address(address))
    except AddressError as error:
        raise ApiError(400, str(error)) from error
    current = await context.services.with_settings(context.services.store.current)
    if find(current.organization, "Mailbox", canonical) is None:
        raise not_found(f"mailbox {canonical}")
    return canonical


async def _lines(feed: EventFeed, number: int) -> AsyncIterator[bytes]:
    """The form of server-sent events (HTML, section 9.2)."""
    yield b": mailwye\n\n"
    events = feed.after(number)
    waiting: asyncio.Future[FeedEvent] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait((waiting,), timeout=STILL_HERE)
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
