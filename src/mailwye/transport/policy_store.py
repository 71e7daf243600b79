"""The port of the MTA-STS policies that outlive a restart: who strips the DNS must not undo what is known (RFC 8461 section 10.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailwye.runtime.store_error import StoreError
from mailwye.transport.mta_sts import CachedPolicy


class PolicyStoreError(StoreError):
    """The store cannot be read or written; the text names the file and the remedy."""


class PolicyStore(Protocol):
    """One policy for each domain. Small and quick: callers do not wait for a disk to be sure."""

    def get(self, domain: str) -> CachedPolicy | None:
        """What is kept for `domain`, expired or not. :raises PolicyStoreError: it cannot be read."""
        ...

    def put(self, policy: CachedPolicy) -> None:
        """Keep it, instead of what was there; beyond the limit the policy that expires first goes. :raises PolicyStoreError: not kept."""
        ...

    def older_than(self, fetched_before: float, now: float, limit: int) -> Sequence[CachedPolicy]:
        """At most `limit` unexpired policies that were fetched before then, oldest first. :raises PolicyStoreError: see get."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class MemoryPolicyStore:
    """A PolicyStore that forgets at the end of the process."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._policies: dict[str, CachedPolicy] = {}

    def get(self, domain: str) -> CachedPolicy | None:
        """See PolicyStore."""
        return self._policies.get(domain)

    def put(self, policy: CachedPolicy) -> None:
        """See PolicyStore."""
        self._policies[policy.domain] = policy
        if len(self._policies) > self._limit:
            del self._policies[min(self._policies.values(), key=lambda one: (one.expires_at, one.domain)).domain]

    def older_than(self, fetched_before: float, now: float, limit: int) -> Sequence[CachedPolicy]:
        """See PolicyStore."""
        due = [one for one in self._policies.values() if one.fetched_at < fetched_before and one.expires_at > now]
        return sorted(due, key=lambda one: (one.fetched_at, one.domain))[:limit]

    def close(self) -> None:
        """See PolicyStore."""
        return
