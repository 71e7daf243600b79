"""Retry, notice of delay, expiry, and clocks that jump."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailwye.message.envelope import BodyType, Notify
from mailwye.queue.item import Delivery, DeliveryState, Origin, QueuedMessage
from mailwye.queue.schedule import Expire, QueueScheduleSettings, Retry, decide_after_failure
from mailwye.smtp.address import Address

SETTINGS = QueueScheduleSettings()
SUN = Address("sun", "example.org")
T0 = 1_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
MESSAGE = QueuedMessage("A", T0, None, 1, Origin("", "anonymous"), 1, BodyType.SEVEN_BIT, False, "", "", "", "", False, False)
FRESH = Delivery(1, "A", SUN, SUN, "mx:example.org", Notify.DEFAULT, "", DeliveryState.LEASED, 0.0)


def tried(one: Delivery, now: float, *, notice: bool = False) -> Delivery:
    return replace(one, attempts=one.attempts + 1, last_attempt_at=now, delay_notice_sent=one.delay_notice_sent or notice)


def run(start: float = T0) -> tuple[list[float], list[float], Expire]:
    """Fail every attempt: the spans between attempts, the ages at which a notice was due, the end."""
    one, now = FRESH, start
    spans: list[float] = []
    notices: list[float] = []
    while True:
        decision = decide_after_failure(one, MESSAGE, now, SETTINGS)
        if isinstance(decision, Expire):
            return spans, notices, decision
        spans.append(decision.due - now)
        if decision.delay_notice:
            notices.append(now - T0)
        one, now = tried(one, now, notice=decision.delay_notice), decision.due


def test_the_whole_life_of_a_message_that_nobody_takes() -> None:
    spans, notices, end = run()
    assert [span / 60 for span in spans[:10]] == [1, 2, 4, 8, 15, 30, 60, 60, 60, 60]
    assert set(spans[6:]) == {HOUR}
    assert notices == [4 * HOUR]
    assert end == Expire(DAY)


def test_the_last_attempt_comes_when_the_time_is_up() -> None:
    one = tried(FRESH, T0 + DAY - 2 * HOUR)
    one = replace(one, attempts=20)
    assert decide_after_failure(one, MESSAGE, T0 + DAY - 600, SETTINGS) == Retry(T0 + DAY, delay_notice=True)


def test_a_first_attempt_never_expires() -> None:
    assert decide_after_failure(FRESH, MESSAGE, T0 + 30 * DAY, SETTINGS) == Retry(T0 + 30 * DAY + 60)


def test_six_days_at_once_bounce_nothing() -> None:
    one = tried(FRESH, T0 + 60)
    now = T0 + 6 * DAY
    decision = decide_after_failure(one, MESSAGE, now, SETTINGS)
    assert decision == Retry(now + 120, delay_notice=False)
    assert decide_after_failure(tried(one, now), MESSAGE, now + 120, SETTINGS) == Expire(6 * DAY + 120)


def test_a_jump_that_the_caller_saw_needs_an_attempt_after_it() -> None:
    one = replace(tried(FRESH, T0 + DAY - 60), attempts=9)
    now = T0 + DAY + 60
    assert isinstance(decide_after_failure(one, MESSAGE, now, SETTINGS, clock_stepped_at=T0 + DAY), Retry)
    assert isinstance(decide_after_failure(one, MESSAGE, now, SETTINGS, clock_stepped_at=T0 + DAY - 61), Expire)


def test_a_clock_that_went_back_expires_nothing() -> None:
    one = replace(tried(FRESH, T0 + 2 * DAY), attempts=9)
    assert isinstance(decide_after_failure(one, MESSAGE, T0 + DAY + 1, SETTINGS), Retry)


@given(st.lists(st.floats(-10 * DAY, 10 * DAY), max_size=30))
def test_whatever_the_clock_does_the_next_attempt_is_near(jumps: list[float]) -> None:
    one, now = FRESH, T0
    for jump in jumps:
        decision = decide_after_failure(one, MESSAGE, now, SETTINGS)
        if isinstance(decision, Expire):
            assert one.attempts > 0
            return
        assert 0 <= decision.due - now <= HOUR + 1e-6  # the sum of two floats is rounded
        one, now = tried(one, now, notice=decision.delay_notice), decision.due + jump


def test_what_the_clock_jumped_over_is_no_age() -> None:
    """A jump of six days that the caller saw: the second attempt after it came minutes later and bounced everything."""
    jump = 6 * DAY
    one = tried(tried(FRESH, T0), T0 + jump + 240)
    now, stepped_at = T0 + jump + 300, T0 + jump + 200
    assert isinstance(decide_after_failure(one, MESSAGE, now, SETTINGS, clock_stepped_at=stepped_at), Expire)
    assert decide_after_failure(one, MESSAGE, now, SETTINGS, clock_stepped_at=stepped_at, jumped_over=jump) == Retry(now + 240)
