"""The issuer's keys as they are known now: fetched when they are needed, kept for a while where the issuer does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mailwye.admin.openid.documents import DocumentError, Documents, discovery_url, keys_url
from mailwye.admin.openid.keys import Keys, PublicKey, key_for, read_keys
from mailwye.admin.openid.provider_status import ProviderStatus
from mailwye.admin.openid.token import UnprovedToken
from mailwye.config.installation import OidcSettings
from mailwye.runtime.clock import Clock

ASK_EVERY = 30.0
"""Seconds from one question to the next at least: tokens of strangers that name keys nobody has cannot make us ask more often."""


class KeysUnknown(Exception):
    """Whether there is such a key cannot be told now; the text says why."""


@dataclass(frozen=True, slots=True)
class _Known:
    """`since`: monotonic seconds; `at`: Unix seconds."""

    keys: Keys
    since: float
    at: float


class Provider:
    """The keys of one issuer. A key that it withdraws counts for `keys_refresh` seconds more at most, for `keys_keep` where it cannot be
    asked. No timers: keys are asked for when a token comes.
    """

    def __init__(self, settings: OidcSettings, documents: Documents, clock: Clock, tell: Callable[[str], None]) -> None:
        """`tell`: hears of each attempt that failed, one in ASK_EVERY seconds at most."""
        self._settings = settings
        self._tell = tell
        self._documents = documents
        self._clock = clock
        self._known: _Known | None = None
        self._error = ""
        self._asked = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def key(self, token: UnprovedToken, *, may_ask: bool = True) -> PublicKey | None:
        """The key that the token names; None: the issuer has none of this name for this algorithm. `may_ask`: False where the issuer
        is not to be bothered on behalf of whoever brings the token.

        :raises KeysUnknown: the issuer cannot be asked, and what is known does not say.
        """
        found = self._found(token)
        if found is not None and not self._is_due:
            return found
        if may_ask:
            await self.ask()
            found = self._found(token)
        if found is None and (self._error or self._known is None or self._is_due):
            raise KeysUnknown(self._error or f"the keys of {self._settings.issuer} were not fetched yet")
        return found

    async def ask(self) -> None:
        """Fetch the keys now, unless that was done a moment ago. Never raises for what the issuer does: `status` tells."""
        if self._asking is None:
            now = self._clock.monotonic()
            if now < self._asked + ASK_EVERY:
                return
            self._asked = now
            self._asking = asyncio.ensure_future(self._fetch())
            self._asking.add_done_callback(self._done)
        await asyncio.shield(self._asking)  # others wait for the same answer

    def status(self) -> ProviderStatus:
        """For `mailwye status` and GET /status."""
        known = self._known
        return {
            "issuer": self._settings.issuer,
            "keys": sorted(name for name, _ in known.keys) if known is not None else [],
            "keys_fetched": known.at if known is not None else 0.0,
            "error": self._error,
        }

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    @property
    def _is_due(self) -> bool:
        """Time to ask again."""
        return self._known is None or self._clock.monotonic() >= self._known.since + self._settings.keys_refresh

    def _found(self, token: UnprovedToken) -> PublicKey | None:
        known = self._known
        if known is None or self._clock.monotonic() >= known.since + self._settings.keys_keep:
            return None
        return key_for(known.keys, token)

    async def _fetch(self) -> None:
        issuer = self._settings.issuer
        try:
            url = keys_url(await self._documents.read(discovery_url(issuer)), issuer)
            document = await self._documents.read(url)
            try:
                keys = read_keys(document)
            except ValueError as error:
                raise DocumentError(f"{url}: {error}") from error
        except DocumentError as error:
            self._error = str(error)
            self._tell(self._error)
            return
        self._known, self._error = _Known(keys, self._clock.monotonic(), self._clock.now()), ""

    def _done(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # whoever waits has it
