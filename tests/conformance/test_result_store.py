"""What every store of TLS results does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailwye.storage.sqlite.transport.results import SqliteResultStore
from mailwye.transport.failures import FailureType
from mailwye.transport.policy_store import PolicyStoreError
from mailwye.transport.result_store import MemoryResultStore, ResultStore
from mailwye.transport.tls_report import PolicyResults, PolicyType, ReportedPolicy, SessionResult

STS = ReportedPolicy("example.com", PolicyType.STS, ("version: STSv1", "mode: enforce"), ("mx.example.com",))
NONE = ReportedPolicy("example.net")
GOOD = SessionResult(STS)
BAD = SessionResult(STS, FailureType.CERTIFICATE_EXPIRED, "mx.example.com", "192.0.2.9", "", "expired")
OTHER = SessionResult(NONE, FailureType.STARTTLS_NOT_SUPPORTED, "mx.example.net", "192.0.2.8")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResultStore]:
    if request.param == "memory":
        yield MemoryResultStore(3)
        return
    made = SqliteResultStore(tmp_path / "transport.sqlite", failures_per_domain=3)
    yield made
    made.close()


def test_results_add_up_by_day_domain_and_policy(store: ResultStore) -> None:
    store.add({("2026-11-27", GOOD): 2, ("2026-11-27", BAD): 1, ("2026-11-28", OTHER): 4})
    store.add({("2026-11-27", GOOD): 3, ("2026-11-27", BAD): 1, ("2026-11-27", SessionResult(ReportedPolicy("example.com"))): 1})
    assert list(store.days()) == ["2026-11-27", "2026-11-28"]
    assert list(store.domains("2026-11-27")) == ["example.com"]
    assert list(store.results("2026-11-27", "example.com")) == [
        PolicyResults(STS, 5, {BAD: 2}),
        PolicyResults(ReportedPolicy("example.com"), 1),
    ]
    assert list(store.results("2026-11-28", "example.net")) == [PolicyResults(NONE, 0, {OTHER: 4})]
    assert list(store.results("2026-11-28", "example.com")) == []


def test_different_failures_of_a_domain_are_bounded(store: ResultStore) -> None:
    many = {("2026-11-27", SessionResult(STS, FailureType.VALIDATION_FAILURE, reason=str(n))): 1 for n in range(10)}
    store.add(many)
    store.add(dict(many))
    store.add({("2026-11-27", GOOD): 1, ("2026-11-28", BAD): 1})
    (found,) = store.results("2026-11-27", "example.com")
    assert found.successes == 1
    assert list(found.failures.values()) == [2, 2, 2]
    (found,) = store.results("2026-11-28", "example.com")
    assert list(found.failures.values()) == [1]


def test_what_is_done_is_kept_and_old_days_go(store: ResultStore) -> None:
    store.add({("2026-11-27", GOOD): 1, ("2026-11-28", GOOD): 1})
    assert not store.is_done("2026-11-27", "example.com", "mailto:a@b.example")
    for _ in range(2):
        store.mark_done("2026-11-27", "example.com", "mailto:a@b.example")
    assert store.is_done("2026-11-27", "example.com", "mailto:a@b.example")
    assert not store.is_done("2026-11-27", "example.com", "")
    store.forget_before("2026-11-28")
    assert list(store.days()) == ["2026-11-28"]
    assert not store.is_done("2026-11-27", "example.com", "mailto:a@b.example")


def test_workers_share_the_file(tmp_path: Path) -> None:
    first, second = (SqliteResultStore(tmp_path / "transport.sqlite") for _ in range(2))
    first.add({("2026-11-27", GOOD): 1})
    second.add({("2026-11-27", GOOD): 2})
    assert first.results("2026-11-27", "example.com")[0].successes == 3
    first.close()
    second.close()
    with pytest.raises(PolicyStoreError, match=r"transport\.sqlite"):
        first.days()
