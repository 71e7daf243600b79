"""What the resolver remembers: each answer until its time to live is over, never longer. Bounded."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringCache(Generic[K, V]):
    """At most `limit` values, each until a time of a clock that only grows (seconds). When it is full the oldest entries go. A large
    value counts for several.
    """

    __slots__ = ("_entries", "_limit", "_weight")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._entries: dict[K, tuple[float, V, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """The value, None where there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            self._forget(key)
            return None
        return entry[1]

    def put(self, key: K, value: V, until: float, now: float, *, weight: int = 1) -> None:
        """Remember `value` until `until`; nothing where that is not later than `now`. It counts for `weight` values."""
        entries = self._entries
        if key in entries:
            self._forget(key)
        if until <= now or weight > self._limit:
            return
        while self._weight + weight > self._limit:
            self._forget(next(iter(entries)))
        entries[key] = (until, value, weight)
        self._weight += weight

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._weight = 0

    def _forget(self, key: K) -> None:
        self._weight -= self._entries.pop(key)[2]
