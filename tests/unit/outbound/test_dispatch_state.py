"""What the dispatcher remembers beside the queue."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from mailwye.connectors.model import Credential, SmartHost
from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.envelope import Notify
from mailwye.outbound.courier import Attempt, Stage
from mailwye.outbound.dispatch_state import REST_SECONDS, ClockWatch, HopHealth, Poison, Traffic
from mailwye.outbound.outcomes import LOGIN_REFUSED, LOGIN_REST_SECONDS
from mailwye.outbound.settling import hop_failed
from mailwye.queue.item import Delivery, DeliveryState
from mailwye.smtp.address import parse_address
from mailwye.smtp.reply import Reply

SUN = parse_address("sun@example.net")
DELIVERY = Delivery(1, "M1", SUN, SUN, "mx:example.net", Notify.DEFAULT, "", DeliveryState.LEASED, 0.0)
DOWN = Attempt(DELIVERY, Stage.CONNECT, Reply(450, "4.4.316", "Connection refused"))


def test_traffic_counts_and_saturates() -> None:
    traffic = Traffic(5, 2)
    for hop in "aaab":
        traffic.begin(hop)
    assert (traffic.room, traffic.saturated) == (1, frozenset({"a"}))
    assert [traffic.end("a"), traffic.end("a"), traffic.end("a"), traffic.end("b")] == [False, True, False, False]
    assert (traffic.room, traffic.saturated, traffic.under_way) == (5, frozenset(), 0)


def test_a_hop_that_was_full_is_served_again_once_a_quarter_is_free() -> None:
    traffic = Traffic(100, 8)
    for _ in range(8):
        traffic.begin("a")
    seen = [(traffic.room_of("a"), traffic.end("a"), traffic.room_of("a")) for _ in range(3)]
    assert seen == [(0, False, 0), (0, True, 2), (2, False, 3)]
    assert traffic.room_of("b") == 8


def test_a_hop_rests_for_a_moment_after_a_failure() -> None:
    health = HopHealth()
    assert health.resting("a", 100.0) is None
    health.failed("a", DOWN, 100.0)
    assert health.resting("a", 100.0 + REST_SECONDS - 0.1) is not None
    assert health.resting("a", 100.0 + REST_SECONDS) is None
    assert health.resting("a", 50.0) is None  # the clock went back: not for ever
    assert health.resting("b", 100.0) is None


REFUSED = Attempt(DELIVERY, Stage.AUTH, Reply(450, LOGIN_REFUSED, "Authentication failed"))


def relay(sealed: str = "1", host: str = "smtp.example.com") -> Route:
    return Route(RouteKind.CONNECTOR, SUN, "Relay", (SmartHost(host),), credential=Credential("apikey", sealed, "OutboundConnector:relay"))


def again(attempt: Attempt) -> Attempt:
    """The same words of another connection."""
    return replace(attempt, reply=Reply(attempt.reply.code, attempt.reply.enhanced, attempt.reply.text))


def test_a_hop_that_refuses_the_login_is_left_alone_longer_each_time() -> None:
    """Five failures in ten minutes are what locks an account: there are three at most."""
    health, now, tries = HopHealth(), 0.0, []
    while now < 20_000.0:
        failure = health.resting("a", now)
        if failure is None:
            tries.append(now)
            health.failed("a", again(REFUSED), now, relay())
        now += 1.0
    assert tries[:6] == [0.0, 120.0, 360.0, 840.0, 1_800.0, 3_600.0]
    assert all(later - earlier == 1_800.0 for earlier, later in itertools.pairwise(tries[4:]))


@pytest.mark.parametrize(
    ("stage", "reply", "rests"),
    [
        (Stage.AUTH, Reply(450, "4.7.0", "Authentication failed: 454 4.7.0 later"), True),
        (Stage.AUTH, Reply(421, "4.7.0", "too many logins"), True),
        (Stage.AUTH, Reply(450, "4.4.318", "Connection was closed abruptly during AUTH"), True),
        (Stage.AUTH, Reply(450, "4.7.4", "offers no AUTH"), False),
        (Stage.AUTH, Reply(450, "4.3.5", "The password cannot be used"), False),
        (Stage.AUTH, Reply(530, "5.7.0", "Authentication required"), False),
        (Stage.GREETING, Reply(450, "4.7.8", "go away"), False),
    ],
)
def test_only_a_login_that_was_tried_rests_for_long(stage: Stage, reply: Reply, rests: bool) -> None:
    health = HopHealth()
    health.failed("a", Attempt(DELIVERY, stage, reply), 0.0, relay())
    assert health.failing["a"].rests_until == (LOGIN_REST_SECONDS if rests else REST_SECONDS)


def test_many_messages_that_waited_for_one_login_count_once() -> None:
    health = HopHealth()
    for _ in range(200):
        health.failed("a", REFUSED, 100.0, relay())
    assert health.failing["a"].refusals == 1
    assert health.failing["a"].rests_until == 220.0


def test_a_corrected_password_or_another_host_is_tried_at_once() -> None:
    health = HopHealth()
    for at in (0.0, 120.0):
        health.failed("a", again(REFUSED), at, relay())
    failure = health.failing["a"]
    assert failure.refusals == 2
    assert failure.holds_for(relay())
    assert not failure.holds_for(relay("2"))
    assert not failure.holds_for(relay(host="other.example.com"))
    health.failed("a", again(REFUSED), 130.0, relay("2"))
    assert health.failing["a"].refusals == 1
    health.failed("a", DOWN, 140.0, relay("2"))
    assert health.failing["a"].rests_until == 140.0 + REST_SECONDS
    assert health.failing["a"].holds_for(relay("3"))  # nobody answers: the password does not matter


def test_rests_end_when_somebody_asks_for_an_attempt() -> None:
    health = HopHealth()
    health.reached("a", waited=False)
    health.failed("a", DOWN, 100.0)
    health.end_rests()
    assert health.resting("a", 100.0) is None
    assert health.reached("a", waited=True)  # that it failed is still known: what waits for it is released


def test_the_first_success_after_failures_releases_and_only_that_one() -> None:
    health = HopHealth()
    assert not health.reached("a", waited=False)
    health.failed("a", DOWN, 100.0)
    assert health.reached("a", waited=True)
    assert not health.reached("a", waited=True)
    assert health.resting("a", 100.0) is None


def test_after_a_restart_the_first_success_of_what_waited_releases_once() -> None:
    health = HopHealth()
    assert health.reached("a", waited=True)
    assert not health.reached("a", waited=True)


def test_three_crashes_are_enough() -> None:
    poison = Poison()
    assert [poison.crashed("M1"), poison.crashed("M2"), poison.crashed("M1"), poison.crashed("M1")] == [False, False, False, True]
    assert not poison.crashed("M1")  # released by an administrator: it has three tries again


def test_a_jump_of_the_clock_is_noticed_once() -> None:
    jumps: list[tuple[float, float]] = []

    def jumped(now: float, step: float) -> None:
        jumps.append((now, step))

    watch = ClockWatch(1000.0, 0.0)
    watch.look(1010.0, 10.0, jumped)
    watch.look(5000.0, 20.0, jumped)
    watch.look(5010.0, 30.0, jumped)
    watch.look(1050.0, 40.0, jumped)
    assert jumps == [(5000.0, 3980.0), (1050.0, -3970.0)]
    assert watch.stepped_at == 1050.0


def test_what_shows_that_a_hop_is_down() -> None:
    refused = Attempt(DELIVERY, Stage.RCPT, Reply(450, "4.2.1", "Greylisted"))
    gone = Attempt(DELIVERY, Stage.RESOLVE, Reply(550, "5.1.2", "No such domain"))
    assert hop_failed([DOWN, DOWN]) is DOWN
    assert hop_failed([DOWN, refused]) is None
    assert hop_failed([gone]) is None
    assert hop_failed([]) is None


def test_what_a_clock_jumped_over_did_not_pass() -> None:
    watch = ClockWatch(1000.0, 0.0)
    watch.look(500_010.0, 10.0, lambda *_: None)
    assert watch.jumped_over(900.0) == 499_000.0 == watch.jumped_over(1010.0)
    assert watch.jumped_over(500_020.0) == 0.0, "it came after the jump"
    watch.look(1030.0, 30.0, lambda *_: None)
    assert watch.jumped_over(900.0) == 0.0, "the clock went back again"
    assert watch.jumped_over(500_020.0) == 0.0, "never less than nothing"
