"""Errors as application/problem+json (RFC 9457), with every finding in `problems`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NotRequired, TypedDict

from starlette.responses import JSONResponse

from mailwye.config.problem import Problem, cut
from mailwye.config.versions.conflict import ConflictRow
from mailwye.runtime.printable import escaped

MEDIA_TYPE = "application/problem+json"


class FindingRow(TypedDict):
    """One finding about settings, or about what was sent. `object`: `OutboundConnector "Connector 1"`. `line`: from 1 in what was sent, or
    in `file` of the service's machine; 0: none.
    """

    object: str
    field: str
    reason: str
    remedy: str
    severity: str
    file: str
    line: int


class ProblemDocument(TypedDict):
    """What went wrong, and what to do (RFC 9457). `conflict`: what others changed meanwhile."""

    type: str
    title: str
    status: int
    detail: str
    problems: list[FindingRow]
    conflict: NotRequired[ConflictRow]


class ApiError(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        problems: Iterable[Problem] = (),
        *,
        headers: Mapping[str, str] | None = None,
        conflict: ConflictRow | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)
        self.headers = dict(headers or {})
        self.conflict = conflict


def findings(problems: Iterable[Problem]) -> list[FindingRow]:
    """Plain values; foreign text in them is cut and escaped already, or is here."""
    return [
        {
            "object": escaped(problem.object),
            "field": escaped(problem.field),
            "reason": escaped(problem.message),
            "remedy": escaped(problem.remedy),
            "severity": problem.severity.value,
            "file": escaped(problem.file),
            "line": problem.line,
        }
        for problem in problems
    ]


def answer(error: ApiError) -> JSONResponse:
    """The response."""
    content: ProblemDocument = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": printable(error.detail),
        "problems": findings(error.problems),
    }
    if error.conflict is not None:
        content["conflict"] = error.conflict
    return JSONResponse(content, error.status, {"Cache-Control": "no-store", **error.headers}, MEDIA_TYPE)


def printable(text: str) -> str:
    """Several lines stay several lines."""
    return "\n".join(escaped(line) for line in text.splitlines())


def not_found(what: str) -> ApiError:
    """404 for something that the caller named."""
    return ApiError(404, f"there is no {cut(what)}")


STATUSES = (400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 428, 429, 503)
PROBLEM_REFERENCE = {"$ref": "#/components/schemas/ProblemDocument"}


def _header(what: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": what}


_RETRY_AFTER = {"Retry-After": _header("Seconds until it may be asked again.")}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {**_header("How to say who one is."), "required": True}},
    415: {"Accept": _header("What may be sent.")},
    429: {"Retry-After": {**_RETRY_AFTER["Retry-After"], "required": True}},
    503: _RETRY_AFTER,
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}},
        **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
    }
    for status in STATUSES
}
"""For the OpenAPI document: any of these may come."""
