"""What every trace does: record events, find messages, tell their story."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from mailwye.storage.sqlite.trace_reader import TraceReader
from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.memory import MemoryTrace
from mailwye.trace.recorder import TraceQuery, TraceRow, TraceSearch

DAY = 86_400.0
T0 = 20_000 * DAY + 43_200  # noon

Store = Callable[[Sequence[TraceEvent]], Awaitable[TraceSearch]]


@pytest.fixture(params=["memory", "sqlite", "sqlite-one-by-one"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A function that records events, in one batch or each in its own, and gives what searches them."""

    async def keep(events: Sequence[TraceEvent]) -> TraceSearch:
        if request.param == "memory":
            memory = MemoryTrace()
            for event in events:
                memory.record(event)
            await memory.close()
            return memory
        recorder = SqliteTraceRecorder(tmp_path, 0, free_space_minimum=0)
        for event in events:
            recorder.record(event)
            if request.param == "sqlite-one-by-one":
                await recorder.flush()
        await recorder.close()
        assert (recorder.dropped, recorder.written) == (0, len(events))
        return TraceReader(tmp_path)

    return keep


def story(name: str, at: float = T0, *, sender: str = "john@contoso.com", recipient: str = "sun@example.org") -> list[TraceEvent]:
    """A message that was received, routed and sent."""
    data = {"size": "4096", "message_id": f"<{name}@contoso.com>", "subject": "hello", "peer_address": "192.0.2.1"}
    session = f"session-{name}"
    return [
        TraceEvent(at, EventKind.RECEIVE, session, name, sender, data=data, config_version=7, reasons=("250 2.0.0 queued",)),
        TraceEvent(at + 1, EventKind.ROUTE, session, name, sender, recipient, "Out", "Pending", reasons=("exact domain", "no rule")),
        TraceEvent(at + 2, EventKind.SEND, session, name, "", recipient, "Out", "Delivered", "250 2.0.0 ok"),
    ]


async def test_a_sent_message(store: Store) -> None:
    search = await store(story("A"))
    assert search.search(TraceQuery()) == [
        TraceRow(
            received_at=T0,
            message="A",
            session="session-A",
            message_id="<A@contoso.com>",
            subject="hello",
            sender="john@contoso.com",
            recipient="sun@example.org",
            status="Delivered",
            connector="Out",
            detail="250 2.0.0 ok",
            size=4096,
            peer_address="192.0.2.1",
        )
    ]


async def test_events_are_told_by_message_and_by_session(store: Store) -> None:
    connect = TraceEvent(T0 - 1, EventKind.CONNECT, "session-A", data={"tls": "TLSv1.3"})
    search = await store([connect, *story("A"), *story("B")])
    assert search.events("A") == story("A")
    assert search.events("session-A") == [connect, *story("A")]
    assert search.events("nobody") == []
    assert search.events("") == []


async def test_events_of_a_message_are_found_by_an_outbound_session_too(store: Store) -> None:
    sent = TraceEvent(T0 + 2, EventKind.SEND, "out-1", "A", recipient="sun@example.org", status="Delivered")
    search = await store([*story("A")[:2], sent])
    assert search.events("out-1") == [sent]


async def test_newest_first_and_limited(store: Store) -> None:
    search = await store([*story("A"), *story("C", T0 + 20), *story("B", T0 + 10)])
    assert [row.message for row in search.search(TraceQuery())] == ["C", "B", "A"]
    assert [row.message for row in search.search(TraceQuery(limit=2))] == ["C", "B"]


async def test_questions(store: Store) -> None:
    events = [
        *story("A"),
        *story("B", T0 + 10, sender="Bob@Contoso.com", recipient="sun@sub.example.org"),
        *story("C", T0 + 20, sender="eve@evil.example", recipient="john@contoso.com")[:2],
    ]
    search = await store(events)

    def found(query: TraceQuery) -> list[str]:
        return [row.message for row in search.search(query)]

    assert found(TraceQuery(sender="JOHN@contoso.com")) == ["A"]
    assert found(TraceQuery(sender="*@contoso.COM")) == ["B", "A"]
    assert found(TraceQuery(recipient="*@example.org")) == ["A"]
    assert found(TraceQuery(recipient="sun@sub.example.org")) == ["B"]
    assert found(TraceQuery(message_id="<B@contoso.com>")) == ["B"]
    assert found(TraceQuery(message_id="B")) == ["B"]
    assert found(TraceQuery(status="pending")) == ["C"]
    assert found(TraceQuery(status="Delivered", limit=1)) == ["B"]
    assert found(TraceQuery(since=T0 + 10)) == ["C", "B"]
    assert found(TraceQuery(until=T0 + 10)) == ["A"]
    assert found(TraceQuery(since=T0 + 5, until=T0 + 15, sender="*@contoso.com")) == ["B"]
    assert found(TraceQuery(sender="*@example.org")) == []


async def test_a_pattern_is_no_wildcard_of_the_database(store: Store) -> None:
    search = await store([*story("A", recipient="a_b%c@example.org"), *story("B", recipient="axbyc@example.org")])
    assert [row.message for row in search.search(TraceQuery(recipient="a_b%c@example.org"))] == ["A"]


async def test_one_row_for_each_recipient(store: Store) -> None:
    first = story("A")
    other = TraceEvent(T0 + 3, EventKind.FAIL, "session-A", "A", recipient="b@example.org", status="Failed", reply="550 5.1.1 no such user")
    search = await store([*first, other])
    assert {row.recipient: (row.status, row.detail) for row in search.search(TraceQuery())} == {
        "sun@example.org": ("Delivered", "250 2.0.0 ok"),
        "b@example.org": ("Failed", "550 5.1.1 no such user"),
    }


async def test_an_event_without_status_leaves_it(store: Store) -> None:
    held = TraceEvent(T0 + 3, EventKind.DSN, "session-A", "A", recipient="sun@example.org", reasons=("a notice was queued",))
    search = await store([*story("A"), held])
    assert [(row.status, row.detail) for row in search.search(TraceQuery())] == [("Delivered", "a notice was queued")]


async def test_an_event_of_the_whole_message_gives_all_recipients_its_status(store: Store) -> None:
    deleted = TraceEvent(T0 + 3, EventKind.DELETE, "", "A", status="Deleted", reasons=("by an administrator",))
    more = TraceEvent(T0 + 1, EventKind.ROUTE, "session-A", "A", recipient="b@example.org", status="Pending")
    search = await store([*story("A")[:2], more, deleted])
    assert [row.status for row in search.search(TraceQuery())] == ["Deleted", "Deleted"]


async def test_a_refused_message_has_a_row_of_its_session(store: Store) -> None:
    refused = TraceEvent(T0, EventKind.REJECT, "session-9", "", "eve@evil.example", status="Rejected", reply="550 5.7.64 no")
    named = TraceEvent(T0 + 5, EventKind.REJECT, "session-8", "", "eve@evil.example", "x@contoso.com", status="Rejected", reply="550 5.4.1")
    search = await store([refused, named])
    rows = search.search(TraceQuery(status="Rejected"))
    assert [(row.message, row.session, row.recipient, row.detail) for row in rows] == [
        ("", "session-8", "x@contoso.com", "550 5.4.1"),
        ("", "session-9", "", "550 5.7.64 no"),
    ]


async def test_one_event_for_several_recipients_is_found_for_each(store: Store) -> None:
    names = ("sun@example.org", "Moon@example.org", "star@example.net")
    receive, route, sent = story("A")
    shared = msgspec.structs.replace(route, also=names[1:])
    ended = msgspec.structs.replace(sent, also=names[2:])  # one of them still waits
    search = await store([receive, shared, ended])
    assert {row.recipient: row.status for row in search.search(TraceQuery())} == dict(
        zip(names, ("Delivered", "Pending", "Delivered"), strict=True)
    )
    assert [row.recipient for row in search.search(TraceQuery(recipient="moon@EXAMPLE.org"))] == ["Moon@example.org"]
    assert [row.recipient for row in search.search(TraceQuery(recipient="*@example.net"))] == ["star@example.net"]
    told = [(event.kind, event.recipient, event.also) for event in search.events("A")]
    assert told == [
        (EventKind.RECEIVE, "", ()),
        *((EventKind.ROUTE, name, ()) for name in names),
        *((EventKind.SEND, name, ()) for name in names[::2]),
    ]


async def test_events_of_two_sessions_keep_their_order(store: Store) -> None:
    receive, route, sent = story("A")
    elsewhere = msgspec.structs.replace(route, session="out-1", status="", reply="421 busy")
    search = await store([receive, route, elsewhere, sent])
    assert [(row.status, row.detail) for row in search.search(TraceQuery())] == [("Delivered", "250 2.0.0 ok")]


async def test_a_message_over_midnight_has_one_row(store: Store) -> None:
    later = TraceEvent(T0 + DAY, EventKind.DEFER, "session-A", "A", recipient="sun@example.org", status="Pending", reply="451 later")
    last = TraceEvent(T0 + 2 * DAY, EventKind.SEND, "session-A", "A", recipient="sun@example.org", status="Delivered", reply="250 at last")
    search = await store([*story("A")[:2], later, last])
    rows = search.search(TraceQuery())
    assert [(row.received_at, row.status, row.detail) for row in rows] == [(T0, "Delivered", "250 at last")]
    assert search.search(TraceQuery(status="Pending")) == []
    assert len(search.events("A")) == 4


async def test_an_empty_trace(store: Store) -> None:
    search = await store([])
    assert list(search.search(TraceQuery())) == []
