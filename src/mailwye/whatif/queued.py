"""What waits in the queue, and a change of the settings: which way each delivery has by a snapshot, and what becomes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import field

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import NO_WAY, decide_route
from mailwye.connectors.selection import Route, RouteKind
from mailwye.queue.item import Delivery, DeliveryState, QueuedMessage, QueueRow, Redirect
from mailwye.value import dataclass
from mailwye.whatif.answers import way_of
from mailwye.whatif.differences import Aspect, way_aspects

WITHOUT_WAY = "none"
"""The next hop of a delivery that never had a way."""

EXAMPLES = 3
GROUPS = 1_000  # kinds of change that are told apart


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
        # The rule is not asked again: what it chose is kept with the delivery, how that connector delivers is the settings of now.
        rule_connector=delivery.rule_connector,
        pinned=delivery.pinned,
    )


def has_a_password_of_then(snapshot: Snapshot, row: QueueRow) -> bool:
    """Whether the delivery is pinned to a way that logs in with a password which the settings of `snapshot` do not hold any more."""
    if not row.delivery.pinned:
        return False
    route = route_of(snapshot, row.message, row.delivery)
    connector = snapshot.connectors.outbound_by_name.get(route.connector.lower())
    return route.credential is not None and (connector is None or connector.login != route.credential)


def has_lost_its_way(delivery: Delivery, route: Route) -> bool:
    """It was on a way, and the settings have none for it any more: another setting may, so it waits. Who never had one hears so at once."""
    return route.kind is RouteKind.NONE and route.failure_enhanced == NO_WAY and delivery.next_hop != WITHOUT_WAY


def dials_alike(one: Route, other: Route) -> bool:
    """Whether an attempt by one route would meet what an attempt by the other meets."""
    return one.next_hop == other.next_hop and one.dials_like(other)


def followed(delivery: Delivery, before: Route | None, after: Route, now: float) -> Redirect | None:
    """What a change of the settings does to a delivery that waits, None where nothing. `before`: its way until then, None where not known.

    It goes where mail for the new next hop waits. What was tried in vain is tried by the new way at once, in the order of arrival; what was
    not tried yet keeps its time. Without a way it stays where it is: `has_lost_its_way` says whether it waits there.
    """
    if after.kind is RouteKind.NONE:
        return None
    hop = after.next_hop
    due = now if delivery.attempts and delivery.due > now and delivery.state is DeliveryState.QUEUED else None
    if hop != delivery.next_hop:
        return Redirect(delivery.id, delivery.next_hop, hop, due)
    if due is not None and before is not None and not dials_alike(before, after):
        return Redirect(delivery.id, hop, hop, due)
    return None


@dataclass(frozen=True, slots=True)
class Waiting:
    """One delivery as an example: enough to find it with `mailwye queue show`."""

    message: str
    sender: str
    recipient: str
    next_hop: str


@dataclasses.dataclass(slots=True)
class QueueGroup:
    """Deliveries to which a change does the same. `aspects`: what changes, from what to what. `waits`: they would wait for a way, `fails`:
    the next attempt would be their last. `hops`: their next hops until now.
    """

    aspects: tuple[Aspect, ...]
    waits: bool = False
    fails: bool = False
    count: int = 0
    examples: list[Waiting] = field(default_factory=list)
    hops: set[str] = field(default_factory=set)


@dataclasses.dataclass(slots=True)
class QueuePreview:
    """What a change does to the queue. `others`: changed in more ways than are told apart."""

    groups: list[QueueGroup]
    unchanged: int
    others: int = 0

    @property
    def changed(self) -> int:
        """Deliveries that go another way, or none."""
        return sum(group.count for group in self.groups) + self.others


def preview(rows: Iterable[QueueRow], before: Snapshot, after: Snapshot) -> QueuePreview:
    """What `after` in the place of `before` would do to `rows`, most frequent first."""
    groups: dict[tuple[object, ...], QueueGroup] = {}
    known: dict[tuple[object, ...], tuple[tuple[Aspect, ...], bool, bool]] = {}
    found = QueuePreview([], 0)
    for row in rows:
        message, delivery = row.message, row.delivery
        if delivery.state is DeliveryState.CORRUPT:
            continue
        key = (message.origin.caller_kind, delivery.recipient, delivery.rule_connector, delivery.pinned, delivery.next_hop == WITHOUT_WAY)
        if key not in known:
            if len(known) >= 100_000:
                known.clear()
            known[key] = _change(message, delivery, before, after)
        aspects, waits, fails = known[key]
        if not aspects:
            found.unchanged += 1
            continue
        group = groups.get((aspects, waits, fails))
        if group is None:
            if len(groups) >= GROUPS:
                found.others += 1
                continue
            group = groups[aspects, waits, fails] = QueueGroup(aspects, waits, fails)
        group.count += 1
        group.hops.add(delivery.next_hop)
        if len(group.examples) < EXAMPLES:
            sender = str(message.sender) if message.sender is not None else "<>"
            group.examples.append(Waiting(message.id, sender, str(delivery.recipient), delivery.next_hop))
    found.groups = sorted(groups.values(), key=lambda group: (-group.count, group.aspects))
    return found


def _change(message: QueuedMessage, delivery: Delivery, before: Snapshot, after: Snapshot) -> tuple[tuple[Aspect, ...], bool, bool]:
    """What changes, and whether it then waits for a way or fails."""
    old, new = route_of(before, message, delivery), route_of(after, message, delivery)
    aspects = way_aspects(way_of(old), way_of(new))
    if not aspects or new.kind is not RouteKind.NONE:
        return aspects, False, False
    waits = has_lost_its_way(delivery, new)
    return (*aspects, Aspect("because", "", new.failure)), waits, not waits


def words_of(preview_: QueuePreview) -> list[str]:
    """For people, line by line; empty where nothing waits that changes."""
    if not preview_.changed:
        return []
    total = preview_.changed + preview_.unchanged
    lines = [f"Queued mail: {preview_.changed} of {total} {'delivery' if total == 1 else 'deliveries'} would be affected"]
    for group in preview_.groups:
        what = "wait for a way" if group.waits else "fail at the next attempt" if group.fails else "go another way"
        lines.append(f"  {group.count} would {what}:")
        lines += [f"    {aspect}" for aspect in group.aspects]
        lines += [f"      {one.message}  {one.sender} → {one.recipient}" for one in group.examples]
        if group.count > len(group.examples):
            lines.append(f"      and {group.count - len(group.examples)} more")
    if preview_.others:
        lines.append(f"  and {preview_.others} in other ways")
    return lines
