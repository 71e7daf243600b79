"""The legal moves of a delivery, as a table: what is not in it is an IllegalTransition. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType

from mailwye.queue.item import Delivery, DeliveryState, Redirect, Result, Settlement


class Move(Enum):
    """What can happen to a delivery."""

    LEASE = "lease"
    DELIVER = "deliver"
    DEFER = "defer"
    FAIL = "fail"
    EXPIRE = "expire"
    RETURN = "return"  # the lease ended without an attempt: given back, expired, or the service restarted
    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    DELETE = "delete"
    SET_ASIDE = "set aside"  # its row cannot be read


class IllegalTransition(ValueError):
    """A move that the table does not have: a fault of the caller, never of the mail."""


TRANSITIONS: Mapping[tuple[DeliveryState, Move], DeliveryState] = MappingProxyType(
    {
        (DeliveryState.QUEUED, Move.LEASE): DeliveryState.LEASED,
        (DeliveryState.QUEUED, Move.HOLD): DeliveryState.HELD,
        (DeliveryState.QUEUED, Move.RETRY): DeliveryState.QUEUED,
        (DeliveryState.QUEUED, Move.DELETE): DeliveryState.DELETED,
        (DeliveryState.QUEUED, Move.SET_ASIDE): DeliveryState.CORRUPT,
        (DeliveryState.LEASED, Move.DELIVER): DeliveryState.DELIVERED,
        (DeliveryState.LEASED, Move.DEFER): DeliveryState.QUEUED,
        (DeliveryState.LEASED, Move.FAIL): DeliveryState.FAILED,
        (DeliveryState.LEASED, Move.EXPIRE): DeliveryState.EXPIRED,
        (DeliveryState.LEASED, Move.RETURN): DeliveryState.QUEUED,
        (DeliveryState.LEASED, Move.SET_ASIDE): DeliveryState.CORRUPT,
        (DeliveryState.HELD, Move.RELEASE): DeliveryState.QUEUED,
        (DeliveryState.HELD, Move.DELETE): DeliveryState.DELETED,
        (DeliveryState.HELD, Move.SET_ASIDE): DeliveryState.CORRUPT,
        (DeliveryState.CORRUPT, Move.DELETE): DeliveryState.DELETED,
    }
)

RESULT_MOVES: Mapping[Result, Move] = MappingProxyType(
    {
        Result.DELIVERED: Move.DELIVER,
        Result.DEFERRED: Move.DEFER,
        Result.FAILED: Move.FAIL,
        Result.EXPIRED: Move.EXPIRE,
        Result.RELEASED: Move.RETURN,
    }
)


def after(state: DeliveryState, move: Move) -> DeliveryState:
    """The state that `move` leads to.

    :raises IllegalTransition: the table has no such move.
    """
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise IllegalTransition(f"a delivery that is {state.value} cannot {move.value}") from None


def found_by(move: Move, asked: frozenset[DeliveryState] = frozenset()) -> frozenset[DeliveryState]:
    """The states in which an administrator's `move` finds deliveries; `asked`: those that he named, none for no wish. What was set aside
    as corrupt is found only where he named that state: nobody deletes by accident what a person has to look at.
    """
    possible = frozenset(state for state, known in TRANSITIONS if known is move)
    return possible & asked if asked else possible - {DeliveryState.CORRUPT}


def redirected(delivery: Delivery, redirect: Redirect) -> Delivery | None:
    """`delivery` as it stands after `redirect`; None where that does not concern it (any more).

    Under a lease only what it says of pins and rules counts: the attempt that is under way goes on, and its settlement says how long
    the delivery waits by which next hop.
    """
    if delivery.next_hop != redirect.from_hop or delivery.state not in REDIRECTED:
        return None
    pinned = delivery.pinned if redirect.pinned is None else redirect.pinned
    rule = delivery.rule_connector if redirect.rule_connector is None else redirect.rule_connector
    if delivery.state is DeliveryState.LEASED:
        return replace(delivery, pinned=pinned, rule_connector=rule) if redirect.changes_detail else None
    due = delivery.due if redirect.due is None else redirect.due
    return replace(delivery, next_hop=redirect.next_hop, due=due, pinned=pinned, rule_connector=rule)


REDIRECTED = frozenset({DeliveryState.QUEUED, DeliveryState.HELD, DeliveryState.LEASED})


def settled(delivery: Delivery, settlement: Settlement) -> Delivery:
    """`delivery` (leased) as it stands after one attempt ended with `settlement`.

    An attempt that released counts no attempt and leaves the last error as it was.
    :raises IllegalTransition: the delivery is not leased.
    """
    state = after(delivery.state, RESULT_MOVES[settlement.result])
    # What was pinned while an attempt was under way stays where it was.
    hop = delivery.next_hop if delivery.pinned else settlement.next_hop or delivery.next_hop
    notice = delivery.delay_notice_sent or settlement.delay_notice_sent
    if settlement.result is Result.RELEASED:
        return replace(delivery, state=state, due=settlement.due, next_hop=hop, delay_notice_sent=notice)
    failed_at = delivery.first_failed_at
    if settlement.result is not Result.DELIVERED and not failed_at:
        failed_at = settlement.attempted_at
    return replace(
        delivery,
        state=state,
        due=settlement.due,
        next_hop=hop,
        attempts=delivery.attempts + 1,
        first_failed_at=failed_at,
        last_attempt_at=settlement.attempted_at,
        last_error=settlement.error,
        delay_notice_sent=notice,
    )
