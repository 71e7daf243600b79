"""When a delivery is tried again, when its sender is told of the delay, and when it expires (SEMANTICS section 11). Pure.

Times are Unix seconds of a clock that may jump, spans are seconds. Nothing here needs to know that a clock jumped: an attempt proves
the time, and two attempts a plausible span apart prove that the time between them passed.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.queue.item import Delivery, QueuedMessage


@dataclass(frozen=True, slots=True)
class QueueScheduleSettings:
    """`retry_delays`: span after the first, second… failed attempt, the last one repeats; not empty."""

    retry_delays: tuple[float, ...] = (60, 120, 240, 480, 900, 1800, 3600)
    delay_notice_after: float = 14_400.0
    expire_after: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at `due`; where `delay_notice` is set, the sender is owed his one notice of delay (RFC 3464 action "delayed")."""

    due: float
    delay_notice: bool = False


@dataclass(frozen=True, slots=True)
class Expire:
    """Give up: the message is `age` seconds old and was tried in this time."""

    age: float


def decide_after_failure(
    delivery: Delivery,
    message: QueuedMessage,
    now: float,
    settings: QueueScheduleSettings,
    *,
    clock_stepped_at: float | None = None,
    jumped_over: float = 0.0,
) -> Retry | Expire:
    """What follows the temporary failure, at `now`, of an attempt on `delivery` (as it was leased: without this attempt).

    Age alone decides nothing: expiry and the notice of delay also need an earlier attempt since the clock last jumped (reliability D10),
    so that a jump of six days, or six days of standstill, bounces nothing that was not tried again before and after.
    `clock_stepped_at`: the new time just after the last jump that the caller saw, None when it saw none; jumps that nobody saw show
    in the span between two attempts. `jumped_over`: seconds since the message came that the clock counted and nobody lived through,
    as far as the caller saw.
    """
    received_at = message.received_at + jumped_over
    age = now - received_at
    believed = _time_passed(delivery, now, settings, clock_stepped_at)
    if believed and age >= settings.expire_after:
        return Expire(age)
    notice = believed and age >= settings.delay_notice_after and not delivery.delay_notice_sent
    due = now + settings.retry_delays[min(delivery.attempts, len(settings.retry_delays) - 1)]
    expires_at = received_at + settings.expire_after
    if now < expires_at < due:
        due = expires_at  # the last attempt comes when the time is up, not up to an hour later
    return Retry(due, notice)


def _time_passed(delivery: Delivery, now: float, settings: QueueScheduleSettings, clock_stepped_at: float | None) -> bool:
    """Whether an earlier attempt proves that `now` was reached by waiting, not by a jump of the clock."""
    if not delivery.attempts:
        return False
    since = now - delivery.last_attempt_at
    if not 0 <= since <= 2 * max(settings.retry_delays):
        return False
    return clock_stepped_at is None or delivery.last_attempt_at >= clock_stepped_at
