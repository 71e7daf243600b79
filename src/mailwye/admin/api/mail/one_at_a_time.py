"""Long work, for one request at a time: in a thread of its own, so that it keeps nobody's place, nor the end of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from mailwye.admin.api.problems import ApiError

T = TypeVar("T")


class OneAtATime(Generic[T]):
    """`what`: the work in words, for who has to wait."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_busy = False

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, which only reads: the end of the process does not wait for it. A caller who goes away does not end it.

        :raises ApiError: 503: it is being done already.
        """
        if self._is_busy:
            raise ApiError(503, f"{self._what} is under way already; ask again when it has ended", headers={"Retry-After": "10"})
        self._is_busy = True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()

        def done(result: T | None, error: BaseException | None) -> None:
            self._is_busy = False
            if ended.cancelled():
                return
            if error is None:
                ended.set_result(result)  # type: ignore[arg-type]  # T may be None
            else:
                ended.set_exception(error)

        def body() -> None:
            result: T | None = None
            failure: BaseException | None = None
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - the caller's answer
                failure = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(done, result, failure)

        threading.Thread(target=body, name=self._what, daemon=True).start()
        return await ended
