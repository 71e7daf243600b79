"""`queue pin` and `queue follow`: deliveries that stay on the way they have, and those that follow the settings again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mailwye.admin.queue_operations import WAY_OPERATIONS
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.pins import pin_of
from mailwye.connectors.selection import RouteKind
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import DeliveryState, QueueRow, Redirect
from mailwye.whatif.queued import route_of

ATTEMPTS = 3  # at those whose attempt just ends


class Ways:
    """What one operation does to pages of rows. `snapshot`: the settings in force. `hops`: only deliveries that wait by one of these next
    hops; empty: by any.

    :raises ValueError: the operation is about ways, and nobody knows the settings.
    """

    def __init__(self, operation: str, snapshot: Snapshot | None, hops: frozenset[str] = frozenset()) -> None:
        if operation in WAY_OPERATIONS and snapshot is None:
            raise ValueError(f"queue {operation} needs the settings in force")
        self._pins = operation == "pin"
        self._snapshot = snapshot
        self._hops = hops

    async def change(self, rows: Sequence[QueueRow], engine: QueueEngine, now: float) -> list[QueueRow]:
        """Pin `rows`, or let them follow; those that took it, as they were."""
        left = {row.delivery.id: row for row in rows if not self._hops or row.delivery.next_hop in self._hops}
        done: list[QueueRow] = []
        for _ in range(ATTEMPTS):
            redirects = list(self._redirects(left.values(), now))
            if not redirects:
                break
            done += [left.pop(number) for number in sorted(await engine.redirect(redirects))]
        return done

    def _redirects(self, rows: Iterable[QueueRow], now: float) -> Iterator[Redirect]:
        assert self._snapshot is not None, "asked for in __init__"
        for row in rows:
            one = row.delivery
            if self._pins:
                pin = pin_of(route_of(self._snapshot, row.message, one))
                if pin and pin != one.pinned:
                    hop = route_of(self._snapshot, row.message, replace(one, pinned=pin)).next_hop
                    yield Redirect(one.id, one.next_hop, hop, pinned=pin)
            elif one.pinned or one.rule_connector:
                route = route_of(self._snapshot, row.message, replace(one, pinned="", rule_connector=""))
                hop = one.next_hop if route.kind is RouteKind.NONE else route.next_hop
                due = now if one.due > now and one.state is DeliveryState.QUEUED else None
                yield Redirect(one.id, one.next_hop, hop, due, pinned="", rule_connector="")
