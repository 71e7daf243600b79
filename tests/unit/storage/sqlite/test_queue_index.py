"""The index with very many next hops: no cost and no memory that grows with all that ever were."""

from __future__ import annotations

import time

from mailwye.storage.sqlite.queue_index import HOPS_KEPT, LEASED, QueueIndex
from mailwye.storage.sqlite.queue_schema import PLACE_BITS


def drain(hops: int) -> float:
    """Seconds to lease one message for each of `hops` next hops."""
    index = QueueIndex()
    for seq in range(hops):
        index.add_message(seq, 1)
        index.add(seq << PLACE_BITS, f"mx:d{seq}.example", 0.0)
    begin = time.perf_counter()
    taken = [number for _ in range(hops // 100) for (number,) in index.take(1.0, 100, frozenset())]
    spent = time.perf_counter() - begin
    assert taken == [seq << PLACE_BITS for seq in range(hops)]
    return spent


def test_leasing_does_not_search_through_all_next_hops() -> None:
    assert drain(20_000) < 10 * drain(5_000) + 0.1  # quadratic: 16 times, and 2 s


def test_next_hops_without_mail_are_forgotten() -> None:
    index = QueueIndex()
    for seq in range(5 * HOPS_KEPT):
        number = seq << PLACE_BITS
        index.add_message(seq, 1)
        index.add(number, f"mx:d{seq}.example", 0.0)
        assert list(index.take(1.0, 1, frozenset())) == [[number]]
        assert index.shown_state(number) == LEASED
        if seq:
            index.remove(number)
    assert index.counts() == {"mx:d0.example": {"leased": 1}}
    assert len(index._counts) <= HOPS_KEPT
