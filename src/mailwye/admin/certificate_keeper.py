"""Gives the warnings of certificates that are due, all the time that the service runs."""

from __future__ import annotations

import asyncio
from typing import Any

from mailwye.admin.certificate_register import CertificateRegister
from mailwye.admin.expiry import CertificateRow
from mailwye.runtime.clock import Clock

LOOK_SECONDS = 60.0


class CertificateKeeper:
    """`log` has error (runtime/logs.py): each warning is one alert."""

    def __init__(self, register: CertificateRegister, *, clock: Clock, log: Any) -> None:
        self._register = register
        self._clock = clock
        self._log = log
        self._failing = False

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self.work()
            await asyncio.sleep(LOOK_SECONDS)

    async def work(self) -> None:
        """Once. What cannot be looked up is said once, and tried again."""
        try:
            due = await asyncio.to_thread(self._register.warnings, self._clock.now())
        except Exception as error:  # noqa: BLE001 - whatever it is, the next certificate must still be told of
            if not self._failing:
                self._log.error("alert", text=f"nobody can be warned of certificates that expire: {error}")
            self._failing = True
            return
        self._failing = False
        for text in due:
            self._log.error("alert", text=text)

    async def rows(self) -> list[CertificateRow]:
        """For `mailwye certificates` and /metrics; none where the store fails, which `work` says."""
        await self.work()
        if self._failing:
            return []
        return await asyncio.to_thread(self._register.rows, self._clock.now())

    def close(self) -> None:
        """The service ends."""
        self._register.close()
