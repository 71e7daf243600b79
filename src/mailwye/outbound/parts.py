"""A lease → the works in it: which deliveries go together now, by the configuration of now."""

from __future__ import annotations

from dataclasses import replace

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.courier import Work
from mailwye.queue.item import Delivery, Lease, QueuedMessage
from mailwye.value import dataclass

RECIPIENTS_PER_WORK = 100
"""Every server takes as many in one transaction (RFC 5321 section 4.5.3.1.8)."""

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
        # (caller, next hop) → (local part, domain) → route and its next hop
        self._known: dict[tuple[str, str], dict[tuple[str, str], tuple[Route, str]]] = {}
        self._count = 0

    def split(self, snapshot: Snapshot, lease: Lease) -> Parts:
        """By `snapshot`, which is the one of the moment."""
        deliveries, message = lease.deliveries, lease.message
        known = self._known_of(snapshot, message.origin.caller_kind, deliveries[0].next_hop)
        if len(deliveries) == 1:
            route, _ = self._way(known, message, deliveries[0])
            if route.kind is RouteKind.NONE:
                return Parts((), ((deliveries[0], route),))
            return Parts((Work(lease, route, (route.recipient,)),))
        ways: dict[str, list[tuple[Delivery, Route]]] = {}
        without_way: list[tuple[Delivery, Route]] = []
        for delivery in deliveries:
            route, hop = self._way(known, message, delivery)
            if route.kind is RouteKind.NONE:
                without_way.append((delivery, route))
            elif (way := ways.get(hop)) is not None:
                way.append((delivery, route))
            else:
                ways[hop] = [(delivery, route)]
        works = tuple(
            _work(lease, way[at : at + RECIPIENTS_PER_WORK]) for way in ways.values() for at in range(0, len(way), RECIPIENTS_PER_WORK)
        )
        return Parts(works, tuple(without_way))

    def _known_of(self, snapshot: Snapshot, caller_kind: str, next_hop: str) -> dict[tuple[str, str], tuple[Route, str]]:
        if snapshot is not self._snapshot or self._count >= REMEMBERED_WAYS:
            self._snapshot, self._known, self._count = snapshot, {}, 0
        asked = caller_kind, next_hop  # beside the recipient all that route_of looks at; deliveries of one lease share it
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = {}
        return known

    def _way(self, known: dict[tuple[str, str], tuple[Route, str]], message: QueuedMessage, delivery: Delivery) -> tuple[Route, str]:
        recipient = delivery.recipient
        key = recipient.local, recipient.domain
        way = known.get(key)
        if way is None:
            assert self._snapshot is not None
            route = route_of(self._snapshot, message, delivery)
            way = known[key] = route, route.next_hop
            self._count += 1
        return way


def _work(lease: Lease, way: list[tuple[Delivery, Route]]) -> Work:
    part = lease if len(way) == len(lease.deliveries) else replace(lease, deliveries=tuple([delivery for delivery, _ in way]))
    return Work(part, way[0][1], tuple([route.recipient for _, route in way]))


def route_of(snapshot: Snapshot, message: QueuedMessage, delivery: Delivery) -> Route:
    """The way of one delivery by `snapshot`, with what the queue remembers of where the message came from."""
    kind = message.origin.caller_kind
    return decide_route(
        snapshot.directory,
        snapshot.connectors,
        delivery.recipient,
        from_on_premises=kind == "connector",
        # Our own notices are for the mailbox itself, like mail between mailboxes: no detour over the own servers.
        from_mailbox=kind in ("mailbox", "internal"),
        rule_connector=_rule_connector(snapshot, delivery),
    )


def _rule_connector(snapshot: Snapshot, delivery: Delivery) -> str:
    """Only a rule can have chosen a connector that is scoped to rules, and the rule is not asked again: the way is kept."""
    scheme, _, name = delivery.next_hop.partition(":")
    if scheme != "connector":
        return ""
    connector = snapshot.connectors.outbound_by_name.get(name.lower())
    if connector is None and ":" in name:  # "connector:NAME:DOMAIN" where it uses MX records
        connector = snapshot.connectors.outbound_by_name.get(name.rpartition(":")[0].lower())
    return connector.name if connector is not None and connector.is_transport_rule_scoped else ""
