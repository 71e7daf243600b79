"""Starting the processes of flood_clients.py, and what is looked at beside them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]


class Crowd:
    """One process of flood_clients.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self) -> dict[str, Any]:
        """The next thing that it says. :raises RuntimeError: it ended instead."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a flood client ended before it said anything; its error is on standard error")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def tell(self) -> None:
        """It shall come to its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def end(self) -> None:
        """It is gone."""
        self.tell()
        await self._process.wait()


@asynccontextmanager
async def crowd(settings: dict[str, Any]) -> AsyncIterator[Crowd]:
    """A process with these options. It is gone after the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "torture.flood_clients", json.dumps(settings)),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    one = Crowd(process)
    try:
        yield one
    finally:
        await one.end()


def p99(values: list[float]) -> float:
    """The value that 99 of 100 do not pass. `values` are sorted."""
    return values[min(len(values) - 1, len(values) * 99 // 100)]


def resident(pid: int) -> int:
    """Octets of memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
