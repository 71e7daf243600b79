"""The application of the admin listeners: the API, and the open pages /healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailwye.access.accounts import AccountError, NoSuchAccount
from mailwye.access.audit import AuditError
from mailwye.admin.api.accounts import accounts
from mailwye.admin.api.answers import Answer
from mailwye.admin.api.auditing import auditing
from mailwye.admin.api.body_limit import BodyLimit
from mailwye.admin.api.caller import Gatekeeper
from mailwye.admin.api.description import describe
from mailwye.admin.api.explaining import explaining
from mailwye.admin.api.guarded import GuardedRoute, router
from mailwye.admin.api.mail.queue import queue
from mailwye.admin.api.mail.spool import spool
from mailwye.admin.api.mail.traces import traces
from mailwye.admin.api.mail.transport import transport
from mailwye.admin.api.problems import ApiError, answer
from mailwye.admin.api.segments import Segments, readable
from mailwye.admin.api.service import service
from mailwye.admin.api.services import NotAllowedYet, Services
from mailwye.admin.api.settings.drafts import drafts
from mailwye.admin.api.settings.files import files
from mailwye.admin.api.settings.mailboxes import mailboxes
from mailwye.admin.api.settings.objects import objects
from mailwye.admin.api.settings.scripts import scripts
from mailwye.admin.api.settings.secrets import secrets
from mailwye.admin.api.settings.versions import versions
from mailwye.config.problem import PROBLEMS_LIMIT, Problem, cut
from mailwye.config.secrets import SecretError
from mailwye.config.store import ConfigStoreError, DraftConflict, DraftExists, NoSuchDraft, NoSuchVersion, VersionConflict
from mailwye.runtime.channel import ChannelError

Metrics = Callable[[], Awaitable[str]]
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def application(services: Services, *, is_ready: Callable[[], bool], metrics: Metrics) -> FastAPI:
    """An ASGI application. It keeps no cookies and answers no other origin, so that a browser cannot be made to act for its user."""
    app = FastAPI(title="Mailwye", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    app.state.gatekeeper = Gatekeeper(services)
    app.state.declared = {}  # method and path → what it answers with, for the description
    _pages(app, is_ready, metrics)
    for routes in (
        objects,
        versions,
        files,
        scripts,
        drafts,
        secrets,
        mailboxes,
        explaining,
        spool,
        queue,
        traces,
        transport,
        service,
        accounts,
        auditing,
        partial(_description, app),
    ):
        router_ = routes()
        app.state.declared |= {route.key: route.declared for route in router_.routes if isinstance(route, GuardedRoute)}
        app.include_router(router_)
    _errors(app, services)
    app.add_middleware(BodyLimit)
    app.add_middleware(Segments)
    return app


def _pages(app: FastAPI, is_ready: Callable[[], bool], metrics: Metrics) -> None:
    """For those who watch: no input used."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("alive\n", headers=SAFE)

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        return PlainTextResponse("ready\n", headers=SAFE) if is_ready() else PlainTextResponse("not taking mail\n", 503, SAFE)

    @app.get("/metrics", include_in_schema=False)
    async def numbers() -> Response:
        try:
            return PlainTextResponse(await metrics(), headers=SAFE, media_type="text/plain; version=0.0.4; charset=utf-8")
        except ChannelError as error:  # a worker is just being started again
            return PlainTextResponse(f"{error}\n", 503, SAFE)


def _description(app: FastAPI) -> APIRouter:
    api = router("description")

    @api.get("/openapi.json", summary="This description")
    async def document() -> Answer[dict[str, Any]]:
        if not hasattr(app.state, "description"):
            app.state.description = describe(app)
        return Answer(app.state.description)

    return api


def _errors(app: FastAPI, services: Services) -> None:
    def handle(kind: type[Exception], status: int) -> None:
        @app.exception_handler(kind)
        async def handler(_request: Request, error: Exception) -> Response:
            return answer(ApiError(status, str(error)))

    for missing in (NoSuchVersion, NoSuchDraft, NoSuchAccount):
        handle(missing, 404)
    for conflict in (VersionConflict, DraftConflict, DraftExists):
        handle(conflict, 409)
    handle(NotAllowedYet, 422)
    unusable: tuple[type[Exception], ...] = (ConfigStoreError, AccountError, AuditError, ChannelError, SecretError, *services.errors)
    for broken in unusable:
        handle(broken, 503)

    @app.exception_handler(ApiError)
    async def on_api_error(_request: Request, error: ApiError) -> Response:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> Response:
        return _invalid(error)

    @app.exception_handler(HTTPException)
    async def on_http(_request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(ApiError(404, "there is no such page; /api/v1/openapi.json lists those of the API"))
        return answer(ApiError(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(Exception)
    async def on_anything(request: Request, error: Exception) -> Response:
        services.log.error("internal error", path=readable(request.scope["path"]), error=repr(error))
        return answer(ApiError(500, "internal error: the log says more. Please report it"))


def _invalid(error: RequestValidationError) -> Response:
    """What does not fit the description, each place by itself. What was sent is not repeated: it may be a password."""
    found, status = [], 422
    for fault in error.errors()[:PROBLEMS_LIMIT]:
        place = [str(part) for part in fault.get("loc", ())]
        if fault["type"] == "json_invalid":
            status = 400
        message = "there is no such field" if fault["type"] == "extra_forbidden" else cut(str(fault["msg"]))
        found.append(Problem(message, object=place[0] if place else "", field=cut(".".join(place[1:]))))
    return answer(ApiError(status, "the request does not fit the description: see the problems", found))
