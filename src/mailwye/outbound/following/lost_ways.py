"""Mail that had a way and has none by the settings of the moment."""

from __future__ import annotations

from mailwye.connectors.selection import Route
from mailwye.queue.item import Delivery
from mailwye.smtp.reply import Reply
from mailwye.whatif.queued import has_lost_its_way

REMEMBERED = 1_000
"""Causes that were told."""


class LostWays:
    """Such mail waits, and the administrator hears of it, once for each cause and version of the settings."""

    def __init__(self) -> None:
        self._told: set[tuple[int, str]] = set()

    def reply(self, delivery: Delivery, route: Route) -> Reply:
        """The reply of an attempt at a delivery whose `route` is NONE: a temporary one where another setting may lead on."""
        if not has_lost_its_way(delivery, route):
            return route.reply
        return Reply(450, "4.4.4", f"{route.failure} Until then the message waits.")

    def alert(self, delivery: Delivery, route: Route, version: int) -> str:
        """The sentence for the administrator; "" where it was said, or need not be."""
        key = version, route.failure
        if not has_lost_its_way(delivery, route) or key in self._told:
            return ""
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told.add(key)
        hop = delivery.next_hop
        return (
            f"Mail waits in the queue for {hop}, which is no way any more: {route.failure} It is tried again, and expires as other mail "
            f"does. `mailwye queue list --next-hop {hop!r}` shows it; `mailwye queue follow --next-hop {hop!r}` lets it go where the "
            "settings lead"
        )
