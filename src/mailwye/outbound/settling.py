"""From the attempts of one work to what the queue must store and whom to tell. Pure.

`conclude` composes outcomes.judge (what an attempt means), queue/schedule (when to try again) and the duties of RFC 3461 and SEMANTICS
section 11 (who is told).
"""

from __future__ import annotations

from collections.abc import Sequence

from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.courier import Attempt, Stage
from mailwye.outbound.outcomes import Outcome, judge
from mailwye.queue.item import Delivery, QueuedMessage, Result, Settlement
from mailwye.queue.schedule import Expire, QueueScheduleSettings, decide_after_failure
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

_DEFERRED = Result.DEFERRED
_HOP_STAGES = frozenset({Stage.RESOLVE, Stage.CONNECT, Stage.TLS, Stage.AUTH, Stage.GREETING})


@dataclass(frozen=True, slots=True)
class Ended:
    """One attempt with its end: the settlement for the queue and what notices and the trace need to say about it.

    `hop`: the route's next_hop. `reply`: the last word, for EXPIRED the expiry's own. `delay_notice`: the sender is owed his one notice of
    delay.
    """

    attempt: Attempt
    route: Route
    hop: str
    settlement: Settlement
    reply: Reply
    reason: str = ""
    delay_notice: bool = False

    @property
    def delivery(self) -> Delivery:
        """The delivery as it was leased."""
        return self.attempt.delivery


def conclude(
    message: QueuedMessage,
    route: Route,
    attempts: Sequence[Attempt],
    now: float,
    schedule: QueueScheduleSettings,
    *,
    clock_stepped_at: float | None = None,
    jumped_over: float = 0.0,
) -> list[Ended]:
    """One Ended per attempt, in order. `now`: Unix seconds, when the attempts ended; what the clock did: see decide_after_failure."""
    hop = route.next_hop
    ended: list[Ended] = []
    judged: Attempt | None = None
    for attempt in attempts:
        # Most recipients of a work share the words that decided about them.
        if judged is None or attempt.reply is not judged.reply or attempt.stage is not judged.stage or attempt.host is not judged.host:
            judged, outcome = attempt, judge(attempt)
            result, error, reason = outcome.result, outcome.error, outcome.reason
        if result is _DEFERRED:
            ended.append(_deferred(message, route, hop, attempt, outcome, now, schedule, clock_stepped_at, jumped_over))
            continue
        delivery = attempt.delivery
        settlement = Settlement(delivery.id, result, 0.0, error, hop if hop != delivery.next_hop else "", attempted_at=now)
        ended.append(Ended(attempt, route, hop, settlement, attempt.reply, reason))
    return ended


def _deferred(
    message: QueuedMessage,
    route: Route,
    hop: str,
    attempt: Attempt,
    outcome: Outcome,
    now: float,
    schedule: QueueScheduleSettings,
    clock_stepped_at: float | None,
    jumped_over: float,
) -> Ended:
    delivery = attempt.delivery
    # Without a way it waits where it was: there mail goes on that finds its way again.
    moved = hop if hop != delivery.next_hop and route.kind is not RouteKind.NONE else ""
    decision = decide_after_failure(delivery, message, now, schedule, clock_stepped_at=clock_stepped_at, jumped_over=jumped_over)
    if isinstance(decision, Expire):
        reply = expiry_reply(decision.age, outcome.error)
        settlement = Settlement(delivery.id, Result.EXPIRED, error=str(reply), next_hop=moved, attempted_at=now)
        return Ended(attempt, route, hop, settlement, reply, outcome.reason)
    settlement = Settlement(
        delivery.id,
        Result.DEFERRED,
        due=decision.due,
        error=outcome.error,
        next_hop=moved,
        delay_notice_sent=decision.delay_notice,
        attempted_at=now,
    )
    return Ended(attempt, route, hop, settlement, attempt.reply, outcome.reason, decision.delay_notice)


def expiry_reply(age: float, error: str) -> Reply:
    """Exchange's words at expiry, with the last error. `age` in seconds."""
    return Reply(550, "5.4.300", f"Message expired after {age / 3600:.0f} h in the queue; the last error was: {error}")


def hop_failed(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that shows that the next hop itself cannot be reached now, whatever the message; None where it can (or could)."""
    for attempt in attempts:
        if attempt.stage not in _HOP_STAGES or (attempt.reply.is_permanent and attempt.stage is Stage.RESOLVE):
            return None
    return attempts[0] if attempts else None
