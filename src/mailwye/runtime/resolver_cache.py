"""What the resolver remembers: each answer until its time to live is over, never longer. Bounded."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringCache(Generic[K, V]):
    """At most `limit` values, each until a time of a clock that only grows (seconds). When it is full the oldest entry goes."""

    __slots__ = ("_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[K, tuple[float, V]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """The value, None where there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: K, value: V, until: float, now: float) -> None:
        """Remember `value` until `until`; nothing where that is not later than `now`."""
        entries = self._entries
        entries.pop(key, None)
        if until <= now or self._limit <= 0:
            return
        if len(entries) >= self._limit:
            del entries[next(iter(entries))]
        entries[key] = (until, value)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
