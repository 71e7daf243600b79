"""Names in paths, whatever is in them: an encoded slash (%2F) belongs to a name, and parts no path (RFC 3986 sections 2.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from mailwye.admin.api.problems import ApiError, answer

_SLASH = "\udc2f"  # half of a surrogate pair: no text in UTF-8 decodes to it


class Segments:
    """ASGI middleware: routes are found by the path as it was sent, part by part."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and b"%" in scope["raw_path"]:
            try:
                parts = [unquote_to_bytes(part).decode() for part in scope["raw_path"].split(b"/")]
            except UnicodeDecodeError:
                await answer(ApiError(400, "the path is not UTF-8; names are percent-encoded as UTF-8"))(scope, receive, send)
                return
            scope = {**scope, "path": "/".join(part.replace("/", _SLASH) for part in parts)}
        await self._app(scope, receive, send)


def names_in(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a path, as they are called."""
    return {name: value.replace(_SLASH, "/") if isinstance(value, str) else value for name, value in parameters.items()}


def readable(path: str) -> str:
    """For people and logs: a slash of a name as it was sent."""
    return path.replace(_SLASH, "%2F")


def segment(name: str) -> str:
    """`name` as a part of a path."""
    return quote(name, safe="@")
