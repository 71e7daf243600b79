"""No body larger than the limit, none slower than it may be: counted as it comes, whatever Content-Length says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailwye.admin.api.problems import ApiError, answer
from mailwye.admin.api.reading import BODY_LIMIT

BODY_SECONDS = 60.0  # for a whole body


class BodyLimit:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced[:20]) > BODY_LIMIT:
            await answer(ApiError(413, f"the body is larger than {BODY_LIMIT} octets"))(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Callable[[], Any]:
    taken, complete = 0, False
    end = asyncio.get_running_loop().time() + BODY_SECONDS

    async def counted() -> Message:
        nonlocal taken, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not come within {BODY_SECONDS:.0f} s") from error
        taken += len(message.get("body", b""))
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        if taken > BODY_LIMIT:
            raise HTTPException(413, f"the body is larger than {BODY_LIMIT} octets")
        return message

    return counted
