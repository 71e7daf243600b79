"""The parts of transport security that live in one worker, with one beginning and one end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailwye.transport.reporter import Reporter
from mailwye.transport.results import TlsResults
from mailwye.transport.sts_policies import StsPolicies


class Closable(Protocol):
    """A store."""

    def close(self) -> None:
        """Release it."""
        ...


@dataclass(frozen=True, slots=True)
class TransportSecurity:
    """`reporter` None: another worker of the installation sends the reports. `store` is closed last."""

    policies: StsPolicies
    results: TlsResults
    reporter: Reporter | None
    store: Closable

    def start(self) -> None:
        """Refresh policies, store results, send reports."""
        self.policies.start()
        self.results.start()
        if self.reporter is not None:
            self.reporter.start()

    async def close(self) -> None:
        """End everything; what was counted is stored."""
        if self.reporter is not None:
            await self.reporter.close()
        self.results.close()
        self.store.close()
        await self.policies.close()
