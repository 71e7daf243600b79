"""One suite for the memory of certificates, over both implementations of trace.sightings.SightingStore."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mailwye.storage.sqlite.certificates.sighting_store import SqliteSightings
from mailwye.storage.sqlite.connection import DatabaseError
from mailwye.trace import sightings
from mailwye.trace.sightings import MemorySightings, Sighting, SightingStore

ONE = Sighting("A", "mail.a.example", ("mail.a.example", "a.example"), "CN=a", "CN=ca", "chain to ca", 1.0, 2e9, "f1", "k1", 100.0, 100.0)


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


def test_a_name_that_identifies_replaces_none(store: SightingStore) -> None:
    for name in ("", "mail.a.example", "", "a.example", ""):
        store.saw(replace(ONE, name=name))
    assert [one.name for one in store.all()] == ["a.example"]


def test_what_was_warned_of_is_kept(store: SightingStore) -> None:
    assert store.warned() == {}
    store.keep_warned({"f1": 30, "f2": 7})
    store.keep_warned({"f1": 14})
    assert store.warned() == {"f1": 14}


def test_all_are_in_order(store: SightingStore) -> None:
    other = replace(ONE, use="B")
    renewed = replace(ONE, fingerprint="f2", first_seen=300.0, last_seen=300.0)
    for one in (other, renewed, ONE):
        store.saw(one)
    assert list(store.all()) == [ONE, renewed, other]


def test_the_oldest_are_forgotten(store: SightingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "SIGHTINGS_LIMIT", 3)
    monkeypatch.setattr("mailwye.storage.sqlite.certificates.sighting_store.SIGHTINGS_LIMIT", 3)
    monkeypatch.setattr("mailwye.storage.sqlite.certificates.sighting_store.FORGET_EVERY", 1)
    for number in range(5):
        store.saw(replace(ONE, fingerprint=f"f{number}", first_seen=float(number), last_seen=float(number)))
    assert [one.fingerprint for one in store.all()] == ["f2", "f3", "f4"]
    # What identified somebody stays, however many others come.
    for number in range(5, 8):
        store.saw(replace(ONE, name="", fingerprint=f"f{number}", first_seen=float(number), last_seen=float(number)))
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


def test_a_file_of_the_first_version_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "certificates.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            "CREATE TABLE sightings (connector TEXT, fingerprint TEXT); INSERT INTO sightings VALUES ('A', 'f'); PRAGMA user_version = 1"
        )
    store = SqliteSightings(path)
    assert list(store.all()) == []
    store.saw(ONE)
    assert list(store.all()) == [ONE]
    store.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "certificates.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DatabaseError, match=r"certificates\.sqlite is damaged"):
        SqliteSightings(path)
