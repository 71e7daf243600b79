"""What comes in with a request: JSON read strictly, preconditions, cursors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import HTTPException, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from mailwye.admin.api.cursors import LENGTH
from mailwye.admin.api.problems import ApiError
from mailwye.admin.strict_json import read_json

BODY_LIMIT = 16 * 1024 * 1024  # octets
NUMBER_LIMIT = 2**53 - 1
JSON_TYPES = ("application/json", "application/merge-patch+json")

Limit = Annotated[int, Query(ge=1, le=1000, description="How many of them.")]
Cursor = Annotated[str, Query(max_length=LENGTH, description="Where the page before ended: its `next`.")]
Text = Annotated[str, Query(max_length=512)]


class Body(BaseModel):
    """What a request says in its body. A field that is none of its own is refused: who sends `role` and not `roles` has to hear of it."""

    model_config = ConfigDict(extra="forbid")


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. :raises ApiError: 415, 422. :raises HTTPException: 400: see StrictRequest."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in JSON_TYPES:
        raise ApiError(415, f"send {' or '.join(JSON_TYPES)}", headers={"Accept": ", ".join(JSON_TYPES)})
    value = await request.json()
    if not isinstance(value, dict):
        raise ApiError(422, "the body is JSON, but no object: begin with {")
    return value


class StrictRequest(Request):
    """A request whose JSON says one thing only, whoever reads it."""

    async def json(self) -> Any:
        """:raises HTTPException: 400, as FastAPI lets through: no JSON, a key twice, a number or a text that JSON has no room for."""
        try:
            return read_json(await self.body())
        except ValueError as error:
            raise HTTPException(400, f"the body is no JSON that can be used: {error}") from error


@dataclass(frozen=True, slots=True)
class Precondition:
    """`base`: the version (or the draft's revision) that the change was made from; None: whatever is current. `exists`: the object has to
    be there (If-Match: *) or must not (If-None-Match: *).
    """

    base: int | None
    exists: bool | None


def etag(number: int, *, draft: bool = False) -> str:
    """The version of the settings, or the revision of a draft."""
    return f'"draft-{number}"' if draft else f'"{number}"'


def precondition(request: Request, *, draft: bool = False, may_create: bool = False) -> Precondition:
    """RFC 9110 section 13.1. :raises ApiError: 428 where there is none, 400 where it is in no form of ours."""
    match, none_match = request.headers.get("if-match", "").strip(), request.headers.get("if-none-match", "").strip()
    if match == "*":
        return Precondition(None, exists=True)
    if match:
        found = re.fullmatch(r'"(draft-)?([0-9]{1,15})"', match)
        if found is None or bool(found[1]) is not draft:
            kind = 'the revision of the draft, as in "draft-3"' if draft else 'the version, as in "12"'
            raise ApiError(400, f"If-Match has to be the ETag that came with what is changed: {kind}; or *")
        return Precondition(int(found[2]), exists=None)
    if none_match == "*" and may_create:
        return Precondition(None, exists=False)
    create = "; or If-None-Match: * to make it new" if may_create else ""
    raise ApiError(
        428, f"send If-Match with the ETag that came with what is changed, or If-Match: * to overwrite whatever is there{create}"
    )
