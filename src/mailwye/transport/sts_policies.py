"""Which MTA-STS policy holds for a domain now: TXT record, cached policy, fetch (RFC 8461 sections 3 and 5).

What is known is not undone by what the network hides: without a TXT record, or where a fetch fails, a cached policy holds until its
max_age is over (sections 3.1 and 5.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mailwye.config.installation import TransportSettings
from mailwye.runtime.clock import Clock
from mailwye.runtime.dns_answer import Absent, Answer, Found, Resolver, Unknown
from mailwye.runtime.resolver_cache import ExpiringCache
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.mta_sts import CachedPolicy, PolicyError, StsMode, parse_policy, policy_id, policy_url, record_name
from mailwye.transport.policy_fetch import PolicyFetcher, PolicyFetchError
from mailwye.transport.policy_store import PolicyStore, PolicyStoreError

REFRESH_ROUND = 900.0  # seconds between looks at what is to be refreshed
REFRESHED_AT_ONCE = 100
REFRESH_CANDIDATES = 10_000
REFRESH_PAUSE = 3_600.0  # seconds before a policy that could not be refreshed is tried again, so that it does not keep others waiting
FAILURES_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class StsFinding:
    """The policy in force, None for none, with the reasons; `failure`: why a policy that is announced could not be had. `unknown`: whether
    one is announced could not be looked up, so that none holds just now.
    """

    policy: CachedPolicy | None = None
    reasons: tuple[str, ...] = ()
    failure: Failure | None = None
    unknown: bool = False

    @property
    def is_doubtful(self) -> bool:
        """True where another policy may hold soon."""
        return self.unknown or self.failure is not None


class StsPolicies:
    """Finds policies for the deliveries of one process and keeps them fresh. `start` begins the refreshing, `close` ends it."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        fetcher: PolicyFetcher,
        store: PolicyStore,
        clock: Clock,
        settings: TransportSettings,
        alert: Callable[[str], None],
    ) -> None:
        self._resolver = resolver
        self._fetcher = fetcher
        self._store = store
        self._clock = clock
        self._settings = settings
        self._alert = alert
        self._failed: ExpiringCache[tuple[str, str], Failure] = ExpiringCache(FAILURES_REMEMBERED)  # by domain and id
        self._tried: ExpiringCache[str, bool] = ExpiringCache(REFRESH_CANDIDATES)
        self._fetching: dict[str, asyncio.Task[CachedPolicy | Failure]] = {}
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, domain: str) -> StsFinding:
        """For mail to `domain` (an A-label name), the Policy Domain. Never raises for what the network does."""
        answer = await self._resolver.txt(record_name(domain))
        announced = policy_id(answer.records) if isinstance(answer, Found) else None
        now = self._clock.now()
        cached = self._cached(domain, now)
        if announced is None:
            if cached is None:
                return StsFinding(unknown=isinstance(answer, Unknown))
            return StsFinding(cached, (told(cached, now), f"The policy is kept: {_hidden(answer, domain)} (RFC 8461 section 5.1)"))
        if cached is not None and cached.id == announced:
            return StsFinding(cached, (told(cached, now),))
        fetched = await self._fetch(domain, announced)
        now = self._clock.now()
        if isinstance(fetched, CachedPolicy):
            return StsFinding(fetched, (told(fetched, now),))
        if cached is not None:
            return StsFinding(cached, (told(cached, now), f"The policy with id {announced} could not be had: {fetched.cause}"), fetched)
        reason = f"{domain} announces an MTA-STS policy (id {announced}) that could not be had, so none holds: {fetched.cause}"
        return StsFinding(None, (reason,), fetched)

    def start(self) -> None:
        """Refresh from now on, while nobody sends too: else who can hold up mail could wait for the end of a policy (section 10.2)."""
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh_for_ever())

    async def close(self) -> None:
        """End what is under way and release the store."""
        tasks = [*self._fetching.values(), *((self._refreshing,) if self._refreshing is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._store.close()

    async def refresh(self) -> int:
        """Fetch again what is older than `policy_refresh` seconds; how many were tried."""
        now = self._clock.now()
        try:
            found = self._store.older_than(now - self._settings.policy_refresh, now, REFRESH_CANDIDATES)
        except PolicyStoreError as error:
            self._alert(str(error))
            return 0
        since = self._clock.monotonic()
        due = [policy for policy in found if self._tried.get(policy.domain, since) is None][:REFRESHED_AT_ONCE]
        for policy in due:
            self._tried.put(policy.domain, True, since + REFRESH_PAUSE, since)
            answer = await self._resolver.txt(record_name(policy.domain))
            announced = policy_id(answer.records) if isinstance(answer, Found) else None
            # The record may be hidden just now; the policy itself is what counts, and it comes over a channel that can be trusted.
            await self._fetch(policy.domain, announced or policy.id)
        return len(due)

    # Within

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_ROUND)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - the next round may do better; deliveries do not depend on it
                self._alert(f"MTA-STS policies could not be refreshed: {error!r}")

    def _cached(self, domain: str, now: float) -> CachedPolicy | None:
        try:
            cached = self._store.get(domain)
        except PolicyStoreError as error:
            self._alert(str(error))
            return None
        return cached if cached is not None and now < cached.expires_at else None

    async def _fetch(self, domain: str, announced: str) -> CachedPolicy | Failure:
        """Single flight. A failure is remembered for `policy_retry` seconds for this id (section 3.3 asks for such a pause)."""
        known = self._failed.get((domain, announced), self._clock.monotonic())
        if known is not None:
            return known
        task = self._fetching.get(domain)
        if task is None:
            task = self._fetching[domain] = asyncio.get_running_loop().create_task(self._fetch_now(domain, announced))
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return await asyncio.shield(task)

    async def _fetch_now(self, domain: str, announced: str) -> CachedPolicy | Failure:
        try:
            body = await self._fetcher.fetch(domain)
            policy = CachedPolicy(domain, announced, parse_policy(body), self._clock.now(), body.decode("utf-8"))
        except PolicyFetchError as error:
            return self._remember(domain, announced, error.failure)
        except PolicyError as error:
            return self._remember(domain, announced, Failure(FailureType.STS_POLICY_INVALID, f"{policy_url(domain)}: {error}"))
        try:
            self._store.put(policy)
        except PolicyStoreError as error:
            self._alert(str(error))
        return policy

    def _remember(self, domain: str, announced: str, failure: Failure) -> Failure:
        now = self._clock.monotonic()
        self._failed.put((domain, announced), failure, now + self._settings.policy_retry, now)
        return failure


def told(cached: CachedPolicy, now: float) -> str:
    """Which policy, from where, how old, how long it holds: a sentence."""
    policy = cached.policy
    mode = policy.mode.value if policy.mode is not StsMode.NONE else "none: nothing is asked for"
    age, left = _span(now - cached.fetched_at), _span(cached.expires_at - now)
    mx = f", mx {', '.join(policy.mx[:5])}{' …' if len(policy.mx) > 5 else ''}" if policy.mx else ""
    return (
        f"MTA-STS policy of {cached.domain} (mode {mode}, id {cached.id}{mx}) from {policy_url(cached.domain)}, "
        f"fetched {age} ago, valid for {left} more"
    )


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _hidden(answer: Answer[bytes], domain: str) -> str:
    match answer:
        case Unknown(reason):
            return f"its TXT record cannot be looked up ({reason})"
        case Absent():
            return f"{record_name(domain)} has no TXT record any more"
        case Found():
            return f"{record_name(domain)} holds no valid MTA-STS record"
