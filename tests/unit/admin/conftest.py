from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Loops = dict[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Listeners on both loops that the service may run on."""
    plain: Loops = {"asyncio": asyncio.new_event_loop}
    return {**plain, "uvloop": uvloop.new_event_loop} if item.path.name == "test_http_server.py" else plain
