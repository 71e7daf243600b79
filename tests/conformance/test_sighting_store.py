"""One suite for the memory of certificates, over both implementations of trace.sightings.SightingStore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailwye.storage.sqlite.certificates.sighting_store import SqliteSightings
from mailwye.storage.sqlite.connection import DatabaseError
from mailwye.trace import sightings
from mailwye.trace.sightings import MemorySightings, Sighting, SightingStore

ONE = Sighting("A", "mail.a.example", "CN=a", "CN=ca", "chain to ca", 1.0, 2e9, "f1", "k1", 100.0, 100.0)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SightingStore]:
    made: SightingStore = MemorySightings() if request.param == "memory" else SqliteSightings(tmp_path / "certificates.sqlite")
    yield made
    made.close()


def test_what_was_seen_is_kept_once(store: SightingStore) -> None:
    store.saw(ONE)
    store.saw(replace(ONE, first_seen=200.0, last_seen=200.0))
    store.saw(replace(ONE, last_seen=150.0))
    assert list(store.of("A")) == [replace(ONE, last_seen=200.0)]
    assert list(store.of("B")) == []


def test_all_are_in_order(store: SightingStore) -> None:
    other = replace(ONE, connector="B")
    renewed = replace(ONE, fingerprint="f2", first_seen=300.0, last_seen=300.0)
    for one in (other, renewed, ONE):
        store.saw(one)
    assert list(store.all()) == [ONE, renewed, other]


def test_the_oldest_are_forgotten(store: SightingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "SIGHTINGS_LIMIT", 3)
    monkeypatch.setattr("mailwye.storage.sqlite.certificates.sighting_store.SIGHTINGS_LIMIT", 3)
    for number in range(5):
        store.saw(replace(ONE, fingerprint=f"f{number}", first_seen=float(number), last_seen=float(number)))
    assert [one.fingerprint for one in store.all()] == ["f2", "f3", "f4"]


def test_two_processes_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "certificates.sqlite"
    first, second = SqliteSightings(path), SqliteSightings(path)
    first.saw(ONE)
    second.saw(replace(ONE, last_seen=500.0))
    assert list(first.all()) == [replace(ONE, last_seen=500.0)]
    first.close()
    second.close()
    third = SqliteSightings(path)
    assert len(third.all()) == 1
    third.close()
    with pytest.raises(DatabaseError, match="the store was closed"):
        third.all()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "certificates.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DatabaseError, match=r"certificates\.sqlite is damaged"):
        SqliteSightings(path)
