"""Collects what the workers saw and gives the warnings that are due, all the time that the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from mailwye.admin.certificate_register import CertificateRegister
from mailwye.runtime.channel import ChannelError
from mailwye.runtime.clock import Clock

COLLECT_SECONDS = 60.0

Collect = Callable[[], Awaitable[Iterable[Mapping[str, Any]]]]
"""What the workers saw since the last call. :raises ChannelError: one of them did not answer."""


class CertificateKeeper:
    """`log` has error (runtime/logs.py): each warning is one alert."""

    def __init__(self, register: CertificateRegister, *, collect: Collect, clock: Clock, log: Any) -> None:
        self._register = register
        self._collect = collect
        self._clock = clock
        self._log = log
        self._cannot_write = False
        self._working = asyncio.Lock()

    async def run(self) -> None:
        """Work until cancelled."""
        if self._register.damage:
            self._log.error("alert", text=self._register.damage)
        while True:
            try:
                await self.work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next certificate must still be told of
                self._log.error("internal error", what="certificates", error=repr(error))
            await asyncio.sleep(COLLECT_SECONDS)

    async def work(self, *, at_once: bool = False) -> None:
        """Once. `at_once`: write down times that would be written later."""
        async with self._working:
            try:
                presented = await self._collect()
            except ChannelError:  # what the others told is lost with it, until it is presented again
                presented = ()
            for text in await asyncio.to_thread(self._evaluate, presented):
                self._log.error("alert", text=text)
            await self._save(at_once=at_once)

    def _evaluate(self, presented: Iterable[Mapping[str, Any]]) -> list[str]:
        now = self._clock.now()
        self._register.add(presented, now)
        return self._register.warnings(now)

    async def _save(self, *, at_once: bool) -> None:
        try:
            await asyncio.to_thread(self._register.save, self._clock.now(), at_once=at_once)
        except OSError as error:
            if not self._cannot_write:  # a full disk: said once, tried on
                self._log.error("alert", text=f"what is known of certificates cannot be written down: {error}")
            self._cannot_write = True
        else:
            self._cannot_write = False

    async def rows(self) -> list[dict[str, Any]]:
        """For `mailwye certificates` and /metrics, with what was seen a moment ago."""
        await self.work()
        async with self._working:  # the register is used by one thread at a time
            return await asyncio.to_thread(self._register.rows, self._clock.now())
