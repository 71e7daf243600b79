"""The port of what sessions met, by UTC day, and of which reports are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mailwye.transport.tls_report import PolicyResults, SessionResult

Counts = Mapping[tuple[str, SessionResult], int]
"""(UTC day, what was met) → how often."""


class ResultStore(Protocol):
    """Shared by all workers. Every method :raises PolicyStoreError: the file cannot be used."""

    def add(self, counts: Counts) -> None:
        """Count more. A domain has at most a named number of different failures a day; further ones are dropped."""
        ...

    def days(self) -> Sequence[str]:
        """Days with results, oldest first."""
        ...

    def domains(self, day: str) -> Sequence[str]:
        """Policy domains of one day, in order."""
        ...

    def results(self, day: str, domain: str) -> Sequence[PolicyResults]:
        """What was met at one domain on one day."""
        ...

    def is_done(self, day: str, domain: str, address: str) -> bool:
        """Whether the report to `address` needs nothing more; address "": nobody wants one."""
        ...

    def mark_done(self, day: str, domain: str, address: str) -> None:
        """It was sent, or given up."""
        ...

    def forget_before(self, day: str) -> None:
        """Delete what is older."""
        ...


def in_order(counted: Sequence[tuple[SessionResult, int]]) -> list[PolicyResults]:
    """Counts of one day and domain → one PolicyResults for each policy."""
    found: dict[object, PolicyResults] = {}
    for result, count in counted:
        one = found.setdefault(result.policy, PolicyResults(result.policy))
        if result.failure is None:
            one.successes += count
        else:
            one.failures[result] = one.failures.get(result, 0) + count
    return list(found.values())


class MemoryResultStore:
    """A ResultStore that forgets at the end of the process."""

    def __init__(self, failures_per_domain: int = 1_000) -> None:
        self._limit = failures_per_domain
        self._counts: dict[tuple[str, SessionResult], int] = {}
        self._done: set[tuple[str, str, str]] = set()

    def add(self, counts: Counts) -> None:
        """See ResultStore."""
        for (day, result), count in counts.items():
            key = day, result
            if key not in self._counts and result.failure is not None:
                alike = sum(1 for d, r in self._counts if d == day and r.policy.domain == result.policy.domain and r.failure is not None)
                if alike >= self._limit:
                    continue
            self._counts[key] = self._counts.get(key, 0) + count

    def days(self) -> Sequence[str]:
        """See ResultStore."""
        return sorted({day for day, _ in self._counts})

    def domains(self, day: str) -> Sequence[str]:
        """See ResultStore."""
        return sorted({result.policy.domain for d, result in self._counts if d == day})

    def results(self, day: str, domain: str) -> Sequence[PolicyResults]:
        """See ResultStore."""
        return in_order([(result, n) for (d, result), n in self._counts.items() if d == day and result.policy.domain == domain])

    def is_done(self, day: str, domain: str, address: str) -> bool:
        """See ResultStore."""
        return (day, domain, address) in self._done

    def mark_done(self, day: str, domain: str, address: str) -> None:
        """See ResultStore."""
        self._done.add((day, domain, address))

    def forget_before(self, day: str) -> None:
        """See ResultStore."""
        self._counts = {key: count for key, count in self._counts.items() if key[0] >= day}
        self._done = {key for key in self._done if key[0] >= day}
