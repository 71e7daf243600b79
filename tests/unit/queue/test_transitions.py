"""The table of legal moves, and what an attempt leaves behind."""

from __future__ import annotations

import itertools

import pytest

from mailwye.message.envelope import Notify
from mailwye.queue.item import FINAL_STATES, Delivery, DeliveryState, Result, Settlement
from mailwye.queue.transitions import RESULT_MOVES, TRANSITIONS, IllegalTransition, Move, after, found_by, settled
from mailwye.smtp.address import Address

SUN = Address("sun", "example.org")


def leased(**changes: object) -> Delivery:
    facts = {"attempts": 0, "state": DeliveryState.LEASED} | changes
    return Delivery(1, "A", SUN, SUN, "mx:example.org", Notify.DEFAULT, "", due=5.0, **facts)  # type: ignore[arg-type]  # facts vary


@pytest.mark.parametrize(("state", "move"), list(itertools.product(DeliveryState, Move)))
def test_the_table_is_the_law(state: DeliveryState, move: Move) -> None:
    if (state, move) in TRANSITIONS:
        assert after(state, move) is TRANSITIONS[state, move]
    else:
        with pytest.raises(IllegalTransition, match=state.value):
            after(state, move)


def test_nothing_leaves_a_final_state() -> None:
    leaving = {(state, move) for state, move in TRANSITIONS if state in FINAL_STATES}
    assert leaving == {(DeliveryState.CORRUPT, Move.DELETE)}, "a person looked at what was set aside"
    assert set(TRANSITIONS.values()) >= FINAL_STATES


def test_every_result_is_a_move_of_a_leased_delivery() -> None:
    assert {TRANSITIONS[DeliveryState.LEASED, RESULT_MOVES[result]] for result in Result} == {
        DeliveryState.QUEUED,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.EXPIRED,
    }


def test_a_deferral_is_remembered() -> None:
    one = settled(leased(), Settlement(1, Result.DEFERRED, 90.0, "451 later", "connector:B", True, 30.0))
    assert (one.state, one.due, one.next_hop, one.attempts) == (DeliveryState.QUEUED, 90.0, "connector:B", 1)
    assert (one.first_failed_at, one.last_attempt_at, one.last_error, one.delay_notice_sent) == (30.0, 30.0, "451 later", True)
    again = settled(leased(attempts=1, first_failed_at=30.0, delay_notice_sent=True), Settlement(1, Result.DEFERRED, attempted_at=99.0))
    assert (again.attempts, again.first_failed_at, again.last_attempt_at, again.delay_notice_sent) == (2, 30.0, 99.0, True)


def test_a_release_counts_nothing() -> None:
    one = settled(leased(attempts=3, last_error="451", last_attempt_at=7.0), Settlement(1, Result.RELEASED, due=8.0, attempted_at=9.0))
    assert (one.state, one.due, one.attempts, one.last_error, one.last_attempt_at) == (DeliveryState.QUEUED, 8.0, 3, "451", 7.0)


def test_only_leased_deliveries_are_settled() -> None:
    with pytest.raises(IllegalTransition, match="held"):
        settled(leased(state=DeliveryState.HELD), Settlement(1, Result.DELIVERED))


@pytest.mark.parametrize(
    ("move", "asked", "found"),
    [
        (Move.HOLD, set(), {"queued"}),
        (Move.RETRY, {"held"}, set()),
        (Move.RELEASE, set(), {"held"}),
        (Move.DELETE, set(), {"queued", "held"}),
        (Move.DELETE, {"corrupt"}, {"corrupt"}),
        (Move.DELETE, {"held", "corrupt", "leased"}, {"held", "corrupt"}),
        (Move.DELETE, {"leased"}, set()),
    ],
)
def test_what_an_administrator_finds(move: Move, asked: set[str], found: set[str]) -> None:
    assert {state.value for state in found_by(move, frozenset(map(DeliveryState, asked)))} == found
