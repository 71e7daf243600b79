"""What the dispatcher remembers beside the queue: how much is under way to each next hop, which hops are down, which messages break it.

All of it is in memory and may be lost: the queue itself forgets nothing. Times are Unix seconds, given by the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from mailwye.connectors.selection import Route
from mailwye.outbound.courier import Attempt
from mailwye.outbound.outcomes import LOGIN_REST_LIMIT, LOGIN_REST_SECONDS, is_failed_login

REST_SECONDS = 5.0
"""How long a next hop that could not be reached is left alone, so that a queue full of mail for it does not hammer it."""

POISON_LIMIT = 3
"""How often a message may break the software before it is held (reliability D11)."""

_REMEMBERED_HOPS = 100_000
_REMEMBERED_MESSAGES = 10_000


class Traffic:
    """Counts leases under way, in all and per next hop. `saturated`: the hops that were at their limit, until a quarter of it is free:
    if they were given one lease for each that ends, each message would be read from the disk by itself.
    """

    __slots__ = ("_concurrency", "_counts", "_enough", "_per_hop", "saturated", "under_way")

    def __init__(self, concurrency: int, per_hop: int) -> None:
        self._concurrency = concurrency
        self._per_hop = per_hop
        self._enough = per_hop - max(1, per_hop // 4)
        self._counts: dict[str, int] = {}
        self.saturated: frozenset[str] = frozenset()
        self.under_way = 0

    @property
    def room(self) -> int:
        """How many leases may be taken now."""
        return self._concurrency - self.under_way

    def room_of(self, hop: str) -> int:
        """How many of them may go to one next hop."""
        return 0 if hop in self.saturated else self._per_hop - self._counts.get(hop, 0)

    def begin(self, hop: str) -> None:
        """One lease more."""
        self.under_way += 1
        count = self._counts.get(hop, 0) + 1
        self._counts[hop] = count
        if count == self._per_hop:
            self.saturated |= {hop}

    def end(self, hop: str) -> bool:
        """One lease less. True where the hop has room again: more of it may be waiting."""
        self.under_way -= 1
        count = self._counts[hop] - 1
        if count:
            self._counts[hop] = count
        else:
            del self._counts[hop]
        if count <= self._enough and hop in self.saturated:
            self.saturated -= {hop}
            return True
        return False


@dataclass(frozen=True, slots=True)
class Failure:
    """The last time a next hop could not be reached. Until `rests_until` it is not tried again. `refusals`: how often in succession the
    login of `route` failed there.
    """

    attempt: Attempt
    at: float
    rests_until: float
    route: Route | None = None
    refusals: int = 0

    def holds_for(self, route: Route) -> bool:
        """False where settings were changed so that a login may succeed now that was refused then."""
        if not self.refusals or self.route is None or self.route is route:
            return True
        return self.route.credential == route.credential and self.route.smart_hosts == route.smart_hosts


class HopHealth:
    """Which next hops are down. After the first success following failures their waiting mail is to be released at once."""

    __slots__ = ("_proven", "failing")

    def __init__(self) -> None:
        self.failing: dict[str, Failure] = {}  # by next hop; empty where all is well: nobody needs to ask about one
        self._proven: set[str] = set()

    def resting(self, hop: str, now: float) -> Failure | None:
        """The failure because of which `hop` is left alone at `now`."""
        failure = self.failing.get(hop)
        if failure is None or not failure.at <= now < failure.rests_until:
            return None
        return failure

    def failed(self, hop: str, attempt: Attempt, now: float, route: Route | None = None) -> None:
        """`hop` could not be reached by `route`."""
        if len(self.failing) >= _REMEMBERED_HOPS:
            self.failing.clear()
        rest, refusals = REST_SECONDS, 0
        if is_failed_login(attempt.stage, attempt.reply):
            before = self.failing.get(hop)
            refusals = 1
            if before is not None and route is not None and before.holds_for(route):
                once_more = before.attempt.reply is not attempt.reply  # many messages may have waited for one login
                refusals = max(1, before.refusals + once_more)
            rest = min(LOGIN_REST_SECONDS * 2.0 ** (min(refusals, 20) - 1), LOGIN_REST_LIMIT)
        self.failing[hop] = Failure(attempt, now, now + rest, route, refusals)

    def end_rests(self) -> None:
        """Try every hop again at once. That they failed stays known, so that their mail is released when they are back."""
        self.failing = {hop: replace(failure, rests_until=failure.at) for hop, failure in self.failing.items()}

    def reached(self, hop: str, *, waited: bool) -> bool:
        """`hop` took something or spoke about it. `waited`: the delivery had failed before. True where the mail that waits for the hop is
        to be released: it was down, or may have been before this process started (asked once per hop, so that it cannot go round).
        """
        if hop in self._proven:
            return self.failing.pop(hop, None) is not None
        if len(self._proven) >= _REMEMBERED_HOPS:
            self._proven.clear()
        self._proven.add(hop)
        return self.failing.pop(hop, None) is not None or waited


class Poison:
    """Messages at which the software itself failed."""

    __slots__ = ("_crashes",)

    def __init__(self) -> None:
        self._crashes: dict[str, int] = {}

    def crashed(self, message_id: str) -> bool:
        """Count one more. True where the message must be held now."""
        count = self._crashes.pop(message_id, 0) + 1
        if count >= POISON_LIMIT:
            return True
        if len(self._crashes) >= _REMEMBERED_MESSAGES:
            del self._crashes[next(iter(self._crashes))]
        self._crashes[message_id] = count
        return False


class ClockWatch:
    """Notices jumps of the wall clock by comparing it with the clock that only grows. Remembers the last few."""

    __slots__ = ("_jumps", "_offset", "stepped_at")

    JUMP_SECONDS = 30.0
    JUMPS_REMEMBERED = 16

    def __init__(self, now: float, monotonic: float) -> None:
        self._offset = now - monotonic
        self._jumps: deque[tuple[float, float]] = deque(maxlen=self.JUMPS_REMEMBERED)  # (the old time, how far)
        self.stepped_at: float | None = None

    def look(self, now: float, monotonic: float, jumped: Callable[[float, float], None]) -> None:
        """Compare; at a jump set `stepped_at` and call `jumped` with the new time and how far it jumped (negative: back)."""
        offset = now - monotonic
        if abs(offset - self._offset) > self.JUMP_SECONDS:
            step = offset - self._offset
            self.stepped_at = now
            self._offset = offset
            self._jumps.append((now - step, step))
            jumped(now, step)

    def jumped_over(self, since: float) -> float:
        """Seconds that the clock counted since the time `since` but that did not pass: it jumped ahead over them, and not back again."""
        if not self._jumps:
            return 0.0
        return max(0.0, sum(step for old_time, step in self._jumps if since <= old_time))
