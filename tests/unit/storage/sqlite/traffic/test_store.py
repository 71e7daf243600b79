"""Recorded traffic on disk: counted by the hour, merged over files, forgotten in time, never in the way of mail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from mailwye.storage.sqlite.connection import DatabaseError
from mailwye.storage.sqlite.trace_files import trace_files
from mailwye.storage.sqlite.traffic.reader import TrafficReader
from mailwye.storage.sqlite.traffic.store import SqliteTraffic
from mailwye.whatif.answers import Answer, Way
from mailwye.whatif.traffic import Envelope, Occurrence, Part, Peer, Recorded

DAY = 86_400.0
NOON = 1_790_000_000 // DAY * DAY + DAY / 2
PEER = Peer("mx", "mx", "192.0.2.7", "TLSv1.3")
TAKEN = Answer("anonymous", "250 2.1.5", (Way("", "mailbox"),))
REFUSED = Answer("anonymous", "550 5.4.1")


@dataclass(frozen=True, slots=True)
class Seen:
    one: Occurrence

    def occurrence(self) -> Occurrence:
        return self.one


def seen(
    recipient: str = "bob", *, at: float = NOON, answer: Answer = TAKEN, version: int = 1, times: int = 1, peer: Peer = PEER
) -> Occurrence:
    return Occurrence(peer, Envelope(("sun", "example.net"), (recipient, "contoso.com"), ()), answer, version, times, at, f"M{at:.0f}")


async def store(directory: Path, occurrences: Iterable[Occurrence], worker: int = 0, **settings: int) -> list[str]:
    """Store them; what the administrator heard."""
    alerts: list[str] = []
    recorder = SqliteTraffic(directory, worker, free_space_minimum=0, on_alert=alerts.append, **settings)
    recorder.add([Seen(one) for one in occurrences])
    await recorder.close()
    return alerts


def read(directory: Path, since: float = 0.0, part: Part | None = None) -> dict[str, list[tuple[str, int, int, str]]]:
    reader = TrafficReader(directory)
    found: Iterable[Recorded] = reader.read(since) if part is None else reader.read(since, part)
    return {
        one.envelope.recipient[0]: sorted((each.answer.reply, each.version, each.times, each.trace_id) for each in one.answered)
        for one in found
        if one.envelope.recipient is not None
    }


async def test_what_is_alike_is_counted_by_answer_and_version(tmp_path: Path) -> None:
    occurrences = [seen(times=3), seen(at=NOON + 60, times=2), seen(version=2), seen(answer=REFUSED, version=2), seen("john")]
    assert not await store(tmp_path, occurrences)
    assert read(tmp_path) == {
        "bob": [("250 2.1.5", 1, 5, f"M{NOON + 60:.0f}"), ("250 2.1.5", 2, 1, f"M{NOON:.0f}"), ("550 5.4.1", 2, 1, f"M{NOON:.0f}")],
        "john": [("250 2.1.5", 1, 1, f"M{NOON:.0f}")],
    }


class Faulty:
    def occurrence(self) -> Occurrence:
        raise RuntimeError("a bug at this envelope")


async def test_one_envelope_that_breaks_the_software_does_not_end_the_recording(tmp_path: Path) -> None:
    alerts: list[str] = []
    recorder = SqliteTraffic(tmp_path, 0, free_space_minimum=0, on_alert=alerts.append)
    recorder.add([Seen(seen()), Faulty(), Seen(seen("john"))])
    await recorder.flush()
    recorder.add([Seen(seen("sun")), Faulty()])
    await recorder.close()
    assert set(read(tmp_path)) == {"bob", "john", "sun"}
    assert recorder.dropped == 2
    assert alerts == ["Internal error: envelopes that cannot be recorded for replays: RuntimeError('a bug at this envelope')"]


async def test_counts_add_up_over_hours_days_workers_and_restarts(tmp_path: Path) -> None:
    for worker in (0, 1):
        for day in range(3):
            await store(tmp_path, [seen(at=NOON + day * DAY), seen(at=NOON + day * DAY + 7200)], worker)
    assert read(tmp_path)["bob"][0][2] == 12
    assert read(tmp_path, since=NOON + DAY)["bob"][0][2] == 8
    assert read(tmp_path, since=NOON + 2 * DAY + 3600)["bob"][0][2] == 2
    assert read(tmp_path, since=NOON + 9 * DAY) == {}


async def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    one = seen(peer=Peer("submission", "submission", "2001:db8::1", "", "bob@contoso.com"))
    odd = Occurrence(PEER, Envelope(None, None, None), REFUSED, 3, 1, NOON, "S1")
    quoted = Occurrence(PEER, Envelope(('"a b"', "x.example"), ("ü", "contoso.com"), ("+subject:00", "0x-site")), TAKEN, 3, 1, NOON, "M")
    await store(tmp_path, [one, odd, quoted])
    found = {(each.peer, each.envelope, each.answered[0].answer) for each in TrafficReader(tmp_path).read(0)}
    assert found == {(each.peer, each.envelope, each.answer) for each in (one, odd, quoted)}


async def test_parts_are_everything_once(tmp_path: Path) -> None:
    await store(tmp_path, [seen(f"user{number}") for number in range(400)])
    parts = [set(read(tmp_path, part=Part(number, 3))) for number in range(3)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 400
    assert min(map(len, parts)) > 80
    assert TrafficReader(tmp_path).envelopes(0) == 400


async def test_old_days_are_forgotten(tmp_path: Path) -> None:
    for day in range(5):
        await store(tmp_path, [seen(at=NOON + day * DAY)], retention_days=2)
    assert len(trace_files(tmp_path)) == 2
    assert read(tmp_path)["bob"][0][2] == 2


async def test_too_much_pushes_out_old_days_first_then_stops_and_says_so(tmp_path: Path) -> None:
    await store(tmp_path, [seen(f"user{number}") for number in range(2_000)])
    many = [seen(f"user{number}", at=NOON + DAY) for number in range(5_000)]
    alerts = await store(tmp_path, many, octets=300_000)
    assert len(trace_files(tmp_path)) == 1
    assert len(alerts) == 1
    assert "no more is recorded today (replay.octets)" in alerts[0]
    assert 500 <= len(read(tmp_path)) < 5_000


async def test_a_disk_that_cannot_be_written_is_told_once_and_nobody_waits(tmp_path: Path) -> None:
    alerts: list[str] = []
    recorder = SqliteTraffic(tmp_path, 0, free_space_minimum=1 << 60, on_alert=alerts.append)
    for _ in range(3):
        recorder.add([Seen(seen())])
        await recorder.flush()
    await recorder.close()
    assert recorder.dropped == 3
    assert len(alerts) == 1
    assert "less free space than free_space_minimum" in alerts[0]


async def test_what_comes_faster_than_the_disk_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwye.storage.sqlite.traffic.store.WAITING_LIMIT", 2)
    recorder = SqliteTraffic(tmp_path, 0, free_space_minimum=0)
    recorder.add([Seen(seen())] * 3)
    await recorder.close()
    assert (recorder.dropped, read(tmp_path)) == (3, {})


async def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "2026-11-28-worker-0.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DatabaseError, match=r"2026-11-28-worker-0\.sqlite is damaged"):
        read(tmp_path)


@pytest.mark.parametrize("damage", ["x'c1'", "x''", "'text'", "7", "substr(%s, 1, length(%s) - 1)", "x'93'"])
@pytest.mark.parametrize(("table", "column"), [("peer", "facts"), ("envelope", "facts"), ("answer", "answer")])
async def test_a_damaged_row_names_its_file(tmp_path: Path, table: str, column: str, damage: str) -> None:
    await store(tmp_path, [seen()])
    (file,) = trace_files(tmp_path)
    connection = apsw.Connection(str(file.path))
    connection.execute(f"UPDATE {table} SET {column} = {damage.replace('%s', column)}")
    connection.close()
    with pytest.raises(DatabaseError, match=f"{file.path.name} is damaged"):
        read(tmp_path)
