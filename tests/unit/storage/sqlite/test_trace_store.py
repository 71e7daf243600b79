"""What only the trace on disk does: days, retention, limits, trouble."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailwye.storage.sqlite.connection import DatabaseError, open_database
from mailwye.storage.sqlite.trace_files import day_of, trace_files
from mailwye.storage.sqlite.trace_reader import TraceReader
from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.recorder import TraceQuery

DAY = 86_400.0
T0 = 20_000 * DAY + 43_200


def received(name: str, at: float = T0) -> TraceEvent:
    return TraceEvent(at, EventKind.RECEIVE, f"s-{name}", name, "john@contoso.com", "sun@example.org", status="Pending")


async def test_one_file_for_each_day_and_worker(tmp_path: Path) -> None:
    for worker in (0, 1):
        recorder = SqliteTraceRecorder(tmp_path, worker, free_space_minimum=0)
        for day in (0, 1, 2, 0):
            recorder.record(received(f"{worker}-{day}", T0 + day * DAY))
        await recorder.close()
        assert (recorder.written, recorder.dropped) == (4, 0)
    assert [file.path.name for file in trace_files(tmp_path)] == [
        f"2024-10-0{day}-worker-{worker}.sqlite" for day in (4, 5, 6) for worker in (0, 1)
    ]
    rows = TraceReader(tmp_path).search(TraceQuery(limit=3))
    assert sorted(row.message for row in rows[:2]) == ["0-2", "1-2"]
    assert rows[2].received_at == T0 + DAY


async def test_old_files_go(tmp_path: Path) -> None:
    recorder = SqliteTraceRecorder(tmp_path, 0, retention_days=2, free_space_minimum=0)
    for day in range(5):
        recorder.record(received(str(day), T0 + day * DAY))
        await recorder.flush()
    await recorder.close()
    assert {row.message for row in TraceReader(tmp_path).search(TraceQuery())} == {"2", "3", "4"}
    assert {name[:10] for name in os.listdir(tmp_path)} == {"2024-10-06", "2024-10-07", "2024-10-08"}


async def test_old_files_of_workers_that_are_no_more_go_too(tmp_path: Path) -> None:
    for worker, day in ((3, 0), (0, 5)):
        recorder = SqliteTraceRecorder(tmp_path, worker, retention_days=2, free_space_minimum=0)
        recorder.record(received(str(day), T0 + day * DAY))
        await recorder.close()
    assert [file.worker for file in trace_files(tmp_path)] == [0]


@pytest.mark.parametrize("later", [0.0, DAY])
async def test_another_worker_may_end_what_one_began(tmp_path: Path, later: float) -> None:
    """With fewer workers than before, their queues are served by those that are left."""
    deferred = TraceEvent(T0 + 1, EventKind.DEFER, "s-A", "A", recipient="sun@example.org", status="Pending", reply="451 later")
    settled = TraceEvent(T0 + 2 + later, EventKind.SEND, "s-A", "A", recipient="sun@example.org", status="Delivered", reply="250 at last")
    for worker, events in ((2, [received("A"), deferred]), (1, [deferred]), (0, [settled])):
        recorder = SqliteTraceRecorder(tmp_path, worker, free_space_minimum=0)
        for event in events:
            recorder.record(event)
        await recorder.close()
    (row,) = TraceReader(tmp_path).search(TraceQuery())
    assert (row.status, row.detail) == ("Delivered", "250 at last")


async def test_the_oldest_events_go_when_the_buffer_is_full(tmp_path: Path) -> None:
    recorder = SqliteTraceRecorder(tmp_path, 0, buffer_events=10, free_space_minimum=0)
    with recorder._writing:  # as if the disk took its time
        for number in range(15):
            recorder.record(received(str(number), T0 + number))
    await recorder.close()
    assert (recorder.dropped, recorder.written) == (5, 10)
    assert [row.message for row in TraceReader(tmp_path).search(TraceQuery())] == [str(number) for number in range(14, 4, -1)]


async def test_it_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    recorder = SqliteTraceRecorder(tmp_path, 0, free_space_minimum=0)
    reader = TraceReader(tmp_path)
    assert reader.search(TraceQuery()) == []
    for number in range(3):
        recorder.record(received(str(number), T0 + number))
        await recorder.flush()
        assert len(reader.search(TraceQuery())) == number + 1
    await recorder.close()


async def test_without_room_events_are_dropped_and_one_alert_is_given(tmp_path: Path) -> None:
    alerts: list[str] = []
    recorder = SqliteTraceRecorder(tmp_path, 0, free_space_minimum=1 << 62, on_alert=alerts.append)
    for number in range(3):
        recorder.record(received(str(number)))
        await recorder.flush()
    await recorder.close()
    assert (recorder.dropped, recorder.written, len(alerts)) == (3, 0, 1)
    assert "free_space_minimum" in alerts[0]


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "2024-10-04-worker-0.sqlite").write_bytes(b"no database" * 1000)
    (tmp_path / "readme.txt").write_text("not ours")
    with pytest.raises(DatabaseError, match=r"2024-10-04-worker-0\.sqlite is damaged"):
        TraceReader(tmp_path).search(TraceQuery())
    alerts: list[str] = []
    recorder = SqliteTraceRecorder(tmp_path, 0, free_space_minimum=0, on_alert=alerts.append)
    recorder.record(received("A"))
    await recorder.close()
    assert recorder.dropped == 1
    assert len(alerts) == 1


async def test_a_message_is_one_row_of_a_flush(tmp_path: Path) -> None:
    recorder = SqliteTraceRecorder(tmp_path, 0, free_space_minimum=0)
    ended = TraceEvent(T0 + 1, EventKind.SEND, "s-A", "A", "john@contoso.com", "sun@example.org", status="Delivered")
    for event in (received("A"), received("B"), ended):
        recorder.record(event)
    await recorder.close()
    assert recorder.written == 3
    connection = open_database(trace_files(tmp_path)[0].path, read_only=True)
    rows = connection.execute("SELECT key, session, arrived, sender, recipients FROM entry ORDER BY id").fetchall()
    connection.close()
    assert rows == [(name, f"s-{name}", T0, "john@contoso.com", "\nsun@example.org\n") for name in "AB"]


async def test_a_file_of_the_same_day_by_an_older_version_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "2024-10-04-worker-0.sqlite"
    connection = open_database(path, synchronous="NORMAL")
    connection.execute("CREATE TABLE event(id INTEGER PRIMARY KEY)")
    connection.pragma("user_version", 1)
    connection.close()
    assert TraceReader(tmp_path).search(TraceQuery()) == []
    recorder = SqliteTraceRecorder(tmp_path, 0, free_space_minimum=0)
    recorder.record(received("A"))
    await recorder.close()
    assert [row.message for row in TraceReader(tmp_path).search(TraceQuery())] == ["A"]


def test_times_outside_of_the_calendar_have_a_day() -> None:
    assert day_of(1e18).year == 9999
    assert day_of(-1e18).year == 1
