"""Answers that are there at once, in the form that the port of the queue promises."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


def done(value: T) -> asyncio.Future[T]:
    """A future of the running loop that has its value."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


def failed(error: Exception) -> asyncio.Future[None]:
    """A future of the running loop that has its error."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
