"""A lease → the works in it: which deliveries go together now, by the configuration of now."""

from __future__ import annotations

from dataclasses import replace

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.courier import Work
from mailwye.queue.item import Delivery, Lease, QueuedMessage
from mailwye.value import dataclass
from mailwye.whatif.queued import route_of

RECIPIENTS_PER_WORK = 100
"""Every server takes as many in one transaction (RFC 5321 section 4.5.3.1.8)."""

OWN_LINES = 4_096
"""Octets of Received and the like that this installation may have put before a message: who sent it within the limit is not refused for
them.
"""

REMEMBERED_WAYS = 4_096
"""About 2 MB."""


@dataclass(frozen=True, slots=True)
class Parts:
    """`works`: for couriers. `without_way`: each delivery that has no way out any more, with its route of kind NONE."""

    works: tuple[Work, ...]
    without_way: tuple[tuple[Delivery, Route], ...] = ()


class Splitter:
    """Decides the way of each delivery again (SEMANTICS section 6) and puts those together that share one.

    Remembers what the snapshot said of some REMEMBERED_WAYS recipients: the same question to the same snapshot has the same answer.
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        # kind of caller → (local part, domain) → route, and what those have in common who share a transaction
        self._known: dict[str, dict[tuple[str, str], tuple[Route, str]]] = {}
        self._count = 0

    def split(self, snapshot: Snapshot, lease: Lease) -> Parts:
        """By `snapshot`, which is the one of the moment."""
        deliveries, message = lease.deliveries, lease.message
        known = self._known_of(snapshot, message.origin.caller_kind)
        if len(deliveries) == 1:
            route, _ = self._way(known, message, deliveries[0])
            if route.max_message_size:
                route = within_size(route, lease.content.size)
            if route.kind is RouteKind.NONE:
                return Parts((), ((deliveries[0], route),))
            return Parts((Work(lease, route, (route.recipient,), snapshot),))
        ways: dict[str, list[tuple[Delivery, Route]]] = {}
        without_way: list[tuple[Delivery, Route]] = []
        for delivery in deliveries:
            route, shared = self._way(known, message, delivery)
            if route.max_message_size:
                route = within_size(route, lease.content.size)
            if route.kind is RouteKind.NONE:
                without_way.append((delivery, route))
            elif (way := ways.get(shared)) is not None:
                way.append((delivery, route))
            else:
                ways[shared] = [(delivery, route)]
        works = tuple(
            _work(snapshot, lease, way[at : at + RECIPIENTS_PER_WORK])
            for way in ways.values()
            for at in range(0, len(way), RECIPIENTS_PER_WORK)
        )
        return Parts(works, tuple(without_way))

    def way(self, snapshot: Snapshot, message: QueuedMessage, delivery: Delivery) -> Route:
        """The way of one delivery by `snapshot`, alone."""
        return self._way(self._known_of(snapshot, message.origin.caller_kind), message, delivery)[0]

    def _known_of(self, snapshot: Snapshot, caller_kind: str) -> dict[tuple[str, str], tuple[Route, str]]:
        if snapshot is not self._snapshot or self._count >= REMEMBERED_WAYS:
            self._snapshot, self._known, self._count = snapshot, {}, 0
        known = self._known.get(caller_kind)
        if known is None:
            known = self._known[caller_kind] = {}
        return known

    def _way(self, known: dict[tuple[str, str], tuple[Route, str]], message: QueuedMessage, delivery: Delivery) -> tuple[Route, str]:
        if delivery.rule_connector or delivery.pinned:  # seldom, and cheaper to decide than to remember
            assert self._snapshot is not None
            route = route_of(self._snapshot, message, delivery)
            return route, _shared(route)
        recipient = delivery.recipient
        key = recipient.local, recipient.domain
        way = known.get(key)
        if way is None:
            assert self._snapshot is not None
            route = route_of(self._snapshot, message, delivery)
            way = known[key] = route, _shared(route)
            self._count += 1
        return way


def within_size(route: Route, size: int) -> Route:
    """The route, or none where the message is larger than its MaxMessageSize. What was added to the message here does not count."""
    limit = route.max_message_size
    if size <= limit + OWN_LINES:
        return route
    failure = (
        f"ROUTING.SizeLimit; message size exceeds fixed maximum size for route: the message has {size} octets, "
        f'SendConnector "{route.connector}" takes at most {limit} (MaxMessageSize)'
    )
    reasons = (*route.reasons, failure)
    return Route(RouteKind.NONE, route.recipient, route.connector, failure_enhanced="5.3.4", failure=failure, reasons=reasons)


def _shared(route: Route) -> str:
    """Alike for those who share a transaction. It has one sender: who gets it from a rewritten one goes apart."""
    return f"{route.next_hop}\nrewritten" if route.rewrites_sender else route.next_hop


def _work(snapshot: Snapshot, lease: Lease, way: list[tuple[Delivery, Route]]) -> Work:
    part = lease if len(way) == len(lease.deliveries) else replace(lease, deliveries=tuple([delivery for delivery, _ in way]))
    return Work(part, way[0][1], tuple([route.recipient for _, route in way]), snapshot)
