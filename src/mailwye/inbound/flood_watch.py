"""Tells the administrator of connections that were refused or cut, in one sentence a minute at most, however many they are."""

from __future__ import annotations

from collections.abc import Callable

TELL_EVERY = 60.0  # seconds
CUTS_TOLD = 100  # sessions that end by a deadline within TELL_EVERY; fewer are daily life


class FloodWatch:
    """Counts what happens and tells it to `alert`; `describe()` says what is open. Times are monotonic seconds."""

    __slots__ = ("_alert", "_counts", "_cuts", "_describe", "_since", "_told_at")

    def __init__(self, alert: Callable[[str], None], describe: Callable[[], str]) -> None:
        self._alert = alert
        self._describe = describe
        self._counts: dict[str, int] = {}  # reason → connections refused since `_since`
        self._cuts = 0
        self._since = 0.0
        self._told_at: float | None = None

    def refused(self, reason: str, now: float) -> None:
        """A connection was refused for `reason`. The first is told at once."""
        self._begin(now)
        self._counts[reason] = self._counts.get(reason, 0) + 1
        self.look(now)

    def cut(self, now: float) -> None:
        """A session ended because its peer was too slow."""
        self._begin(now)
        self._cuts += 1
        self.look(now)

    def look(self, now: float) -> None:
        """Tell what is not told yet, where it is time to."""
        if not (self._counts or self._cuts):
            return
        if self._told_at is not None and now - self._told_at < TELL_EVERY:
            return
        if not self._counts and self._cuts < CUTS_TOLD:
            if now - self._since >= TELL_EVERY:
                self._cuts = 0
            return
        parts = [f"{count} refused because {reason}" for reason, count in self._counts.items()]
        if self._cuts >= CUTS_TOLD:
            parts.append(f"{self._cuts} cut because they were idle or too slow for the limits of time and rate")
        self._alert(f"Connections within {max(1, round(now - self._since))} s: {'; '.join(parts)}. {self._describe()}")
        self._told_at = now
        self._counts = {}
        self._cuts = 0

    def _begin(self, now: float) -> None:
        if not (self._counts or self._cuts):
            self._since = now
