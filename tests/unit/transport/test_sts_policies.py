"""Which policy holds, from DNS, cache and fetch: what an attacker hides does not undo what is known (R5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mailwye.config.installation import TransportSettings
from mailwye.testing.resolver import StaticResolver
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.mta_sts import CachedPolicy, StsMode
from mailwye.transport.policy_fetch import PolicyFetchError
from mailwye.transport.policy_store import MemoryPolicyStore, PolicyStoreError
from mailwye.transport.sts_policies import REFRESH_PAUSE, StsPolicies

DAY = 86_400.0


def body(mode: str = "enforce", mx: str = "mx.example.com", age: int = 604_800) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {age}\n".encode()


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Fetcher:
    """Serves `body`, or fails where it is None."""

    def __init__(self) -> None:
        self.body: bytes | None = body()
        self.fetched: list[str] = []
        self.gate: asyncio.Event | None = None

    async def fetch(self, domain: str) -> bytes:
        self.fetched.append(domain)
        if self.gate is not None:
            await self.gate.wait()
        if self.body is None:
            raise PolicyFetchError(Failure(FailureType.STS_POLICY_FETCH_ERROR, "status 404"))
        return self.body


class World:
    def __init__(self) -> None:
        self.clock, self.fetcher, self.store = Clock(), Fetcher(), MemoryPolicyStore()
        self.resolver = StaticResolver()
        self.alerts: list[str] = []
        self.announce("1")
        self.policies = StsPolicies(
            resolver=self.resolver,
            fetcher=self.fetcher,
            store=self.store,
            clock=self.clock,
            settings=TransportSettings(),
            alert=self.alerts.append,
        )

    def announce(self, identity: str) -> None:
        self.resolver.zone["_mta-sts.example.com"] = {"TXT": [f"v=STSv1; id={identity};"]}

    async def mode(self) -> StsMode | None:
        found = await self.policies.find("example.com")
        return found.policy.policy.mode if found.policy is not None else None


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.policies.close()


async def test_a_domain_without_a_record_is_not_asked_further(world: World) -> None:
    found = await world.policies.find("nothing.example")
    assert (found.policy, found.reasons, found.failure) == (None, (), None)
    assert world.fetcher.fetched == []


async def test_a_policy_is_fetched_once_and_kept(world: World) -> None:
    for _ in range(3):
        found = await world.policies.find("example.com")
        assert found.policy is not None
        assert found.policy.policy.mx == ("mx.example.com",)
        world.clock.time += 7_200
    assert world.fetcher.fetched == ["example.com"]
    (reason,) = found.reasons
    assert "mode enforce, id 1, mx mx.example.com" in reason
    assert "https://mta-sts.example.com/.well-known/mta-sts.txt, fetched 4 h ago, valid for 7 d more" in reason


async def test_many_ask_at_once_and_one_fetches(world: World) -> None:
    world.fetcher.gate = asyncio.Event()
    asking = [asyncio.ensure_future(world.policies.find("example.com")) for _ in range(5)]
    await asyncio.sleep(0)
    world.fetcher.gate.set()
    found = await asyncio.gather(*asking)
    assert all(one.policy is not None for one in found)
    assert len(world.fetcher.fetched) == 1


async def test_a_new_id_fetches_again(world: World) -> None:
    assert await world.mode() is StsMode.ENFORCE
    world.fetcher.body = body("none")
    assert await world.mode() is StsMode.ENFORCE
    world.announce("2")
    assert await world.mode() is StsMode.NONE


@pytest.mark.parametrize("hidden", ["no record", "no answer", "garbage", "two records"])
async def test_stripped_dns_does_not_undo_a_cached_policy(world: World, hidden: str) -> None:
    assert await world.mode() is StsMode.ENFORCE
    match hidden:
        case "no record":
            del world.resolver.zone["_mta-sts.example.com"]
        case "no answer":
            world.resolver.unknown["_mta-sts.example.com"] = "SERVFAIL"
        case "garbage":
            world.resolver.zone["_mta-sts.example.com"] = {"TXT": ["v=STSv1; id=???"]}
        case _:
            world.resolver.zone["_mta-sts.example.com"] = {"TXT": ["v=STSv1; id=1", "v=STSv1; id=2"]}
    world.fetcher.body = None
    world.clock.time += 6 * DAY
    found = await world.policies.find("example.com")
    assert found.policy is not None
    assert found.policy.policy.mode is StsMode.ENFORCE
    assert "The policy is kept" in found.reasons[1]
    world.clock.time += 2 * DAY  # its max_age is over: nothing holds any more
    assert await world.mode() is None


@pytest.mark.parametrize("served", [None, b"<html>", body("enforce", "*.com")])
async def test_a_failed_fetch_keeps_the_cached_policy(world: World, served: bytes | None) -> None:
    assert await world.mode() is StsMode.ENFORCE
    world.announce("2")
    world.fetcher.body = served
    found = await world.policies.find("example.com")
    assert found.policy is not None
    assert found.policy.id == "1"
    assert found.failure is not None
    assert found.failure.type is (FailureType.STS_POLICY_FETCH_ERROR if served is None else FailureType.STS_POLICY_INVALID)


async def test_a_failed_fetch_is_not_repeated_for_a_while(world: World) -> None:
    world.fetcher.body = None
    for _ in range(5):
        found = await world.policies.find("example.com")
        assert found.policy is None
        assert found.failure is not None
        assert "so none holds: status 404" in found.reasons[0]
    assert len(world.fetcher.fetched) == 1
    world.clock.time += 301
    world.fetcher.body = body()
    assert await world.mode() is StsMode.ENFORCE


async def test_policies_are_refreshed_before_they_expire(world: World) -> None:
    assert await world.mode() is StsMode.ENFORCE
    assert await world.policies.refresh() == 0
    world.clock.time += DAY + 1
    del world.resolver.zone["_mta-sts.example.com"]  # hidden: the policy itself is what counts
    assert await world.policies.refresh() == 1
    kept = world.store.get("example.com")
    assert kept is not None
    assert (kept.id, kept.fetched_at) == ("1", world.clock.time)


async def test_a_refresh_that_fails_pauses_and_takes_nothing_away(world: World) -> None:
    await world.mode()
    fetched_at = world.clock.time
    world.clock.time += DAY + 1
    world.fetcher.body = None
    assert await world.policies.refresh() == 1
    assert await world.policies.refresh() == 0
    world.clock.time += REFRESH_PAUSE + 1
    assert await world.policies.refresh() == 1
    kept = world.store.get("example.com")
    assert kept is not None
    assert kept.fetched_at == fetched_at
    assert await world.mode() is StsMode.ENFORCE


async def test_a_refresh_takes_the_new_id(world: World) -> None:
    await world.mode()
    world.clock.time += DAY + 1
    world.announce("2")
    await world.policies.refresh()
    kept = world.store.get("example.com")
    assert kept is not None
    assert kept.id == "2"


async def test_a_broken_store_is_told_and_does_not_stop_mail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> CachedPolicy | None:
        raise PolicyStoreError("transport.sqlite: the disk is full")

    monkeypatch.setattr(world.store, "get", broken)
    monkeypatch.setattr(world.store, "put", broken)
    monkeypatch.setattr(world.store, "older_than", broken)
    assert await world.mode() is StsMode.ENFORCE
    assert await world.policies.refresh() == 0
    assert set(world.alerts) == {"transport.sqlite: the disk is full"}
