"""The plan of a pool, and the names of connection failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.outbound.courier import Host
from mailwye.outbound.smtp_pool import PoolState, PoolStep, connect_failure, plan


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (PoolState(waiting=0, idle=2, busy=0, opening=0, limit=10), PoolStep(0, 0)),
        (PoolState(waiting=500, idle=0, busy=0, opening=0, limit=10), PoolStep(0, 1)),  # the first one finds out
        (PoolState(waiting=500, idle=0, busy=0, opening=1, limit=10), PoolStep(0, 0)),
        (PoolState(waiting=500, idle=1, busy=0, opening=0, limit=10), PoolStep(1, 1)),
        (PoolState(waiting=500, idle=0, busy=4, opening=0, limit=10), PoolStep(0, 4)),
        (PoolState(waiting=500, idle=0, busy=8, opening=0, limit=10), PoolStep(0, 2)),
        (PoolState(waiting=2, idle=0, busy=8, opening=1, limit=20), PoolStep(0, 1)),
        (PoolState(waiting=3, idle=3, busy=4, opening=0, limit=10), PoolStep(3, 0)),
        (PoolState(waiting=500, idle=0, busy=4, opening=0, limit=10, may_grow=False), PoolStep(0, 0)),
        (PoolState(waiting=500, idle=0, busy=0, opening=0, limit=10, may_grow=False), PoolStep(0, 1)),
    ],
)
def test_plan(state: PoolState, step: PoolStep) -> None:
    assert plan(state) == step


@given(*(st.integers(0, 30) for _ in range(4)), st.integers(1, 20), st.booleans())
def test_a_plan_never_breaks_the_limit_and_never_leaves_work_alone(
    waiting: int, idle: int, busy: int, opening: int, limit: int, may_grow: bool
) -> None:
    step = plan(PoolState(waiting, idle, busy, opening, limit, may_grow))
    assert 0 <= step.assign <= min(waiting, idle)
    assert step.open >= 0
    if step.open:
        assert idle + busy + opening + step.open <= limit
    if waiting and not (idle or busy or opening):
        assert step.open == 1


@pytest.mark.parametrize(
    ("error", "enhanced", "words"),
    [
        (TimeoutError(), "4.4.315", "did not answer within 30 s"),
        (ConnectionRefusedError(111, "Connection refused"), "4.4.316", "Connection refused"),
        (OSError(113, "No route to host"), "4.4.316", "No route to host"),
    ],
)
def test_connection_failures_name_host_and_cause(error: OSError, enhanced: str, words: str) -> None:
    reply = connect_failure(Host("mail.contoso.com", "192.0.2.1", 25), error, 30.0)
    assert (reply.code, reply.enhanced) == (450, enhanced)
    assert words in reply.text
    assert "mail.contoso.com[192.0.2.1]:25" in reply.text
