"""Takes renewed certificates into use when their files change, without being told. A pair that is half written, or wrong, changes nothing:
the old one stays in use, and one alert names the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from mailwye.runtime.channel import ChannelError
from mailwye.runtime.files import FileState, file_states
from mailwye.runtime.tls_certificates import TlsError

LOOK_SECONDS = 2.0
"""Between two looks at the files. They are read when two looks agree, so certificate and key have as long to be replaced together."""


class CertificateWatch:
    """Looks at `files`. `check` reads them all as a worker would and raises TlsError; it runs in a thread. `reload` lets all workers read
    them. `log` has info and error (runtime/logs.py).
    """

    def __init__(self, files: Sequence[Path], *, check: Callable[[], None], reload: Callable[[], Awaitable[Any]], log: Any) -> None:
        self._files = files
        self._check = check
        self._reload = reload
        self._log = log
        self._in_force: dict[Path, FileState] = file_states(files)
        self._before = self._in_force
        self._refused: dict[Path, FileState] | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while self._files:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next change must still be seen
                self._log.error("internal error", what="changed certificates", error=repr(error))

    async def look(self) -> None:
        """Look once, and act where what the last look saw has stayed."""
        states = await asyncio.to_thread(file_states, self._files)
        settled, self._before = states == self._before, states
        if states == self._in_force:
            self._refused = None
            return
        if not settled or states == self._refused:
            return
        try:
            await asyncio.to_thread(self._check)
            await self._reload()
        except (TlsError, ChannelError) as error:
            self._refused = states
            self._log.error("alert", text=f"changed certificates are not taken, the old ones stay in use: {error}")
        else:
            changed = [str(path) for path in self._files if states[path] != self._in_force[path]]
            self._in_force, self._refused = states, None
            self._log.info("certificates reloaded", files=", ".join(changed))
