"""What every store of MTA-STS policies does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailwye.storage.sqlite.transport.policies import SqlitePolicyStore
from mailwye.transport.mta_sts import CachedPolicy, parse_policy
from mailwye.transport.policy_store import MemoryPolicyStore, PolicyStore, PolicyStoreError

Open = Callable[[int], PolicyStore]


def policy(domain: str, fetched_at: float = 0.0, *, age: int = 1_000, identity: str = "1") -> CachedPolicy:
    text = f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: {age}\n"
    return CachedPolicy(domain, identity, parse_policy(text.encode()), fetched_at, text)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PolicyStore]:
    made: PolicyStore = MemoryPolicyStore(3) if request.param == "memory" else SqlitePolicyStore(tmp_path / "transport.sqlite", limit=3)
    yield made
    made.close()


def test_what_is_put_is_there(store: PolicyStore) -> None:
    assert store.get("a.example") is None
    store.put(policy("a.example", 5.5))
    assert store.get("a.example") == policy("a.example", 5.5)
    store.put(policy("a.example", 6.0, identity="2"))
    assert store.get("a.example") == policy("a.example", 6.0, identity="2")


def test_beyond_the_limit_the_one_that_expires_first_goes(store: PolicyStore) -> None:
    for domain, age in (("a.example", 500), ("b.example", 100), ("c.example", 900), ("d.example", 300)):
        store.put(policy(domain, age=age))
    assert store.get("b.example") is None
    assert all(store.get(domain) is not None for domain in ("a.example", "c.example", "d.example"))


def test_what_is_to_be_refreshed(store: PolicyStore) -> None:
    store.put(policy("old.example", 100.0))
    store.put(policy("older.example", 50.0))
    store.put(policy("over.example", 10.0, age=5))
    assert [one.domain for one in store.older_than(200.0, 300.0, 10)] == ["older.example", "old.example"]
    assert [one.domain for one in store.older_than(200.0, 300.0, 1)] == ["older.example"]
    assert [one.domain for one in store.older_than(100.0, 300.0, 10)] == ["older.example"]


def test_policies_survive_a_restart_and_are_shared(tmp_path: Path) -> None:
    path = tmp_path / "transport.sqlite"
    first, second = SqlitePolicyStore(path), SqlitePolicyStore(path)
    first.put(policy("a.example"))
    assert second.get("a.example") == policy("a.example")
    first.close()
    second.close()
    third = SqlitePolicyStore(path)
    assert third.get("a.example") == policy("a.example")
    third.close()


@pytest.mark.parametrize("octets", [b"no database at all, but long enough to be looked at" * 20])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "transport.sqlite"
    path.write_bytes(octets)
    with pytest.raises(PolicyStoreError, match=r"transport\.sqlite"):
        SqlitePolicyStore(path)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqlitePolicyStore(tmp_path / "transport.sqlite")
    store.close()
    with pytest.raises(PolicyStoreError, match=r"transport\.sqlite"):
        store.get("a.example")
