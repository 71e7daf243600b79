"""Routes that let nobody pass before it is known who he is and that he may; only then the body is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from mailwye.access.audit import AuditError, Event
from mailwye.admin.api.answers import Page, declared_by
from mailwye.admin.api.caller import Caller
from mailwye.admin.api.permissions import ROUTES
from mailwye.admin.api.problems import RESPONSES, ApiError
from mailwye.admin.api.segments import names_in, readable
from mailwye.admin.api.services import Services

PREFIX = "/api/v1"

T = TypeVar("T")


class GuardedRoute(APIRoute):
    """Asks the Gatekeeper and the table of permissions.py. `declared`: what it answers with."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        self.declared = declared_by(endpoint)
        super().__init__(path, endpoint, **{**more, "response_model": None})  # what is answered is not validated, nor made anew

    @property
    def key(self) -> str:
        """Method and path below /api/v1."""
        (method,) = self.methods or {"?"}
        return f"{method} {self.path_format.removeprefix(PREFIX)}"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI behind the guard."""
        handler = super().get_route_handler()
        wanted = ROUTES.get(self.key, frozenset())

        async def guarded(request: Request) -> Response:
            caller: Caller = await request.app.state.gatekeeper.caller(request)
            if not wanted & caller.permissions:
                names = " or ".join(sorted(permission.value for permission in wanted)) or "that nobody has"
                raise ApiError(403, f"{caller.name} may not do this: it needs the permission {names}")
            request.state.caller = caller
            request.scope["path_params"] = names_in(request.path_params)
            return await handler(request)

        return guarded


class Context:
    """One request: who, and what he works with."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.services: Services = request.app.state.services
        self.caller: Caller = request.state.caller

    def position(self, cursor: str) -> Any:
        """Where the page before ended, as `page` was given it; None for the first page. :raises ApiError: 400."""
        return self.services.cursors.open(self._question, cursor) if cursor else None

    def page(self, items: Sequence[T], limit: int, position: Callable[[], Any]) -> Page[T]:
        """The answer for a list. `items`: one more than `limit` where there are more; `position`: that of the last one shown."""
        following = self.services.cursors.seal(self._question, position()) if len(items) > limit else None
        return {"items": list(items[:limit]), "next": following}

    @property
    def _question(self) -> str:
        """What is asked for, without how much of it and from where."""
        asked = sorted((name, value) for name, value in self.request.query_params.multi_items() if name not in ("cursor", "limit"))
        return json.dumps([self.path, asked])

    @property
    def path(self) -> str:
        """What is asked, as people may read it."""
        return readable(self.request.scope["path"])

    def audit(self, action: str, target: str, result: str, *, must: bool = False) -> None:
        """Write it down. `must`: what cannot be written down does not happen (503); otherwise it has happened, and the log tells."""
        event = Event(self.services.clock.now(), self.caller.who, self.caller.origin, action, target, result)
        try:
            self.services.audit.record(event)
        except AuditError as error:
            if must:
                raise ApiError(503, f"the audit log cannot be written, so this is not done: {error}") from error
            self.services.log.error("audit log cannot be written", error=str(error), action=action, who=self.caller.who)
            with suppress(RuntimeError):
                self.services.feed.publish("alert", {"text": f"the audit log cannot be written: {error}"})


def _context(request: Request) -> Context:
    return Context(request)


Ctx = Annotated[Context, Depends(_context)]
"""The parameter of every handler."""


def router(tag: str) -> APIRouter:
    """A router whose routes are guarded and documented."""
    return APIRouter(prefix=PREFIX, route_class=GuardedRoute, tags=[tag], responses=RESPONSES)
