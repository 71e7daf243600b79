"""Routes that let nobody pass before it is known who he is and that he may; only then the body is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from mailwye.access.audit import AuditError, Event
from mailwye.admin.api.answers import Page, declared_by
from mailwye.admin.api.caller import Caller
from mailwye.admin.api.permissions import ROUTES
from mailwye.admin.api.problems import RESPONSES, ApiError
from mailwye.admin.api.reading import StrictRequest
from mailwye.admin.api.segments import names_in, readable
from mailwye.admin.api.services import Services
from mailwye.config.problem import PROBLEMS_LIMIT, Problem, cut, did_you_mean

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
        known = _query_of(self.dependant)

        async def guarded(request: Request) -> Response:
            _expect_no_other_site(request)
            caller: Caller = await request.app.state.gatekeeper.caller(request)
            if not wanted & caller.permissions:
                names = " or ".join(sorted(permission.value for permission in wanted)) or "that nobody has"
                raise ApiError(403, f"{caller.name} may not do this: it needs the permission {names}")
            _expect_known(request, known)
            request.state.caller = caller
            request.scope["path_params"] = names_in(request.path_params)
            return await handler(StrictRequest(request.scope, request.receive))

        return guarded


def _expect_no_other_site(request: Request) -> None:
    """A page of another site must not make a browser act for who has logged in with it before (Fetch Metadata). :raises ApiError: 403."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ApiError(403, "a page of another site asked for this; the API is for programs, and for pages of its own")


def _query_of(dependant: Dependant) -> frozenset[str]:
    """The parameters of a handler's query, those of what it depends on too."""
    own = frozenset(field.alias for field in dependant.query_params)
    return own.union(*(_query_of(one) for one in dependant.dependencies))


def _expect_known(request: Request, known: Collection[str]) -> None:
    """Who misspells `dry_run` has to hear of it before anything is saved. :raises ApiError: 422: a parameter is unknown, or given twice."""
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [
        Problem("is given twice", "Keep one of them", object="query", field=cut(name))
        if name in known
        else Problem("there is no such parameter", did_you_mean(name, known), object="query", field=cut(name))
        for name in dict.fromkeys(given)
        if name not in known or given.count(name) > 1
    ]
    if wrong:
        raise ApiError(422, "the request does not fit the description: see the problems", wrong[:PROBLEMS_LIMIT])


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
