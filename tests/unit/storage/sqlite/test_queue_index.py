"""The index with very many next hops: no cost and no memory that grows with all that ever were."""

from __future__ import annotations

import time

from mailwye.queue.engine import unlimited
from mailwye.storage.sqlite.queue_index import AT_ONCE, HELD, HOPS_KEPT, LEASED, QUEUED, QueueIndex
from mailwye.storage.sqlite.queue_schema import PLACE_BITS


def drain(hops: int) -> float:
    """Seconds to lease one message for each of `hops` next hops."""
    index = QueueIndex()
    for seq in range(hops):
        index.add_message(seq, 1)
        index.add(seq << PLACE_BITS, f"mx:d{seq}.example", 0.0)
    begin = time.perf_counter()
    taken = [number for _ in range(hops // 100) for (number,) in index.take(1.0, 100, unlimited)]
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
        assert list(index.take(1.0, 1, unlimited)) == [[number]]
        assert index.shown_state(number) == LEASED
        if seq:
            index.remove([number])
    assert index.counts() == {"mx:d0.example": {"leased": 1}}
    assert len(index._counts) <= HOPS_KEPT


def waiting(dues: dict[int, tuple[str, float]]) -> QueueIndex:
    index = QueueIndex()
    for seq, (hop, due) in dues.items():
        index.add_message(seq, 1)
        index.add(seq << PLACE_BITS, hop, due)
    return index


def taken(index: QueueIndex, now: float, limit: int = 1_000_000) -> list[int]:
    return [number >> PLACE_BITS for group in index.take(now, limit, unlimited) for number in group]


def test_a_hop_that_is_back_gets_its_mail_in_the_order_of_acceptance() -> None:
    """However many wait, no step goes over more than AT_ONCE of them, and others wait on."""
    count = 3 * AT_ONCE + 7
    index = waiting({seq: ("mx:b" if seq % 10 == 9 else "mx:a", 100.0 + (seq * 7919) % count) for seq in range(count)})
    steps = list(index.hurry("mx:a", 50.0))
    assert sum(steps) == sum(1 for seq in range(count) if seq % 10 != 9)
    assert max(steps) <= AT_ONCE
    assert taken(index, 50.0) == [seq for seq in range(count) if seq % 10 != 9]
    assert index.next_due(frozenset()) == min(100.0 + (seq * 7919) % count for seq in range(9, count, 10))
    assert sum(index.hurry("", 51.0)) == sum(1 for seq in range(count) if seq % 10 == 9)
    assert index.next_due(frozenset()) == 51.0


def test_what_a_broken_off_hurry_did_not_come_to_waits_on() -> None:
    count = 3 * AT_ONCE
    index = waiting({seq: ("mx:a", 100.0 + seq) for seq in range(count)})
    hurry = index.hurry("mx:a", 50.0)
    assert [next(hurry) for _ in range(4)] == [0, 0, 0, AT_ONCE]
    hurry.close()
    assert taken(index, 50.0) == list(range(AT_ONCE))
    assert index.next_due(frozenset()) == 100.0 + AT_ONCE
    rest: list[int] = []
    while some := taken(index, 1e9):
        rest += some
    assert rest == list(range(AT_ONCE, count))


def test_what_was_forgotten_does_not_hide_what_waits() -> None:
    """Very many that were held or deleted before they were due are passed over in steps, and the first that is left is found."""
    count = 2 * AT_ONCE + 1
    index = waiting({seq: ("mx:a", 100.0 + seq) for seq in range(count)})
    for seq in range(count - 1):
        index.place(seq << PLACE_BITS, HELD, 100.0 + seq, "mx:a")
    seen = [index.next_due(frozenset()) for _ in range(4)]
    assert seen == sorted(seen, key=lambda due: due or 0.0)
    assert seen[-1] == 100.0 + count - 1
    assert [one for _ in range(4) for one in taken(index, 1e9)] == [count - 1]


def test_a_delivery_that_moved_to_another_hop_is_due_there_only() -> None:
    index = waiting({1: ("mx:a", 100.0), 2: ("mx:a", 200.0)})
    index.place(1 << PLACE_BITS, QUEUED, 150.0, "mx:b")
    assert index.next_due(frozenset()) == 150.0
    assert taken(index, 160.0) == [1]
    assert taken(index, 210.0) == [2]
    assert index.next_due(frozenset()) is None
