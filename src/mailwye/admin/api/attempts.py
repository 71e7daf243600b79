"""How often somebody may be wrong: failed logins per address (IPv6: /64) and per user. Pure, but for the clock that it is given.

Strangers who guess at a user's password keep him out only where he never was: an address from which he has logged in since the start, and
this machine itself, have a count of their own.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from mailwye.runtime.clock import Clock
from mailwye.runtime.network import counting_key

PER_USER = 10
PER_ADDRESS = 20
WINDOW = 600.0  # seconds
KNOWN = 10_000  # keys


class Attempts:
    """An attempt counts from its beginning, so that many at once are not free; one that succeeds is taken back."""

    def __init__(self, clock: Clock, *, per_user: int = PER_USER, per_address: int = PER_ADDRESS, window: float = WINDOW) -> None:
        self._clock = clock
        self._limits = {"user": per_user, "address": per_address}
        self._window = window
        self._failed: OrderedDict[tuple[str, str, str], deque[float]] = OrderedDict()
        self._homes: OrderedDict[tuple[str, str], None] = OrderedDict()  # (user, address) of logins that were right

    def wait(self, address: str, user: str) -> float:
        """Seconds until another attempt may be made; 0: now."""
        now = self._clock.monotonic()
        waits = [0.0]
        for key in self._keys(address, user):
            times = self._recent(key, now)
            if len(times) >= self._limits[key[0]]:
                waits.append(times[0] + self._window - now)
        return max(waits)

    def begin(self, address: str, user: str) -> None:
        """An attempt is made."""
        now = self._clock.monotonic()
        for key in self._keys(address, user):
            self._failed.setdefault(key, deque(maxlen=self._limits[key[0]])).append(now)
            self._failed.move_to_end(key)
        while len(self._failed) > KNOWN:
            self._failed.popitem(last=False)

    def taken_back(self, address: str, user: str) -> None:
        """It was right, or could not be told: it does not count."""
        for key in self._keys(address, user):
            times = self._failed.get(key)
            if times:
                times.pop()

    def known(self, address: str, user: str) -> None:
        """The user has logged in from there."""
        home = (user, counting_key(address))
        self._homes[home] = None
        self._homes.move_to_end(home)
        while len(self._homes) > KNOWN:
            self._homes.popitem(last=False)

    def _keys(self, address: str, user: str) -> tuple[tuple[str, str, str], ...]:
        """What an attempt counts for; a token that nobody has belongs to no user."""
        place = counting_key(address)
        if not user:
            return (("address", place, ""),)
        is_home = (user, place) in self._homes or place.startswith("127.") or address == "::1"
        return ("user", user, place if is_home else ""), ("address", place, "")

    def _recent(self, key: tuple[str, str, str], now: float) -> deque[float]:
        times = self._failed.get(key)
        if times is None:
            return deque()
        while times and times[0] <= now - self._window:
            times.popleft()
        if not times:
            del self._failed[key]
        return times
