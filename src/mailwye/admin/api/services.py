"""What the API works with, given by whoever starts it (cli/serve.py; tests)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

from mailwye.access.accounts import AccountStore
from mailwye.access.audit import AuditLog
from mailwye.admin.api.cursors import Cursors
from mailwye.admin.api.event_feed import EventFeed
from mailwye.admin.api.settings.wishes import Wish
from mailwye.admin.explain import Resolved
from mailwye.config.compile import KeptTables
from mailwye.config.installation import Installation
from mailwye.config.problem import Problem
from mailwye.config.schema import Organization
from mailwye.config.secrets import Vault
from mailwye.config.secrets.changes import KeyedVault
from mailwye.config.store import ConfigStore, StoredVersion
from mailwye.connectors.mailflow import Unwrap
from mailwye.connectors.selection import Route
from mailwye.queue.audit import QueueAudit
from mailwye.runtime.clock import Clock
from mailwye.trace.recorder import TraceSearch
from mailwye.transport.result_store import ResultStore
from mailwye.whatif.rows import QueuePreviewRow, ReplayedTraffic

if TYPE_CHECKING:
    from mailwye.admin.openid.gate import OpenIdGate  # needs an extra that not everybody has

T = TypeVar("T")


class OpenedResults(ResultStore, Protocol):
    """What sessions met, until it is closed."""

    def close(self) -> None:
        """No more questions."""
        ...


class Planning(TypedDict):
    """Of config/plan.py."""

    installation: Installation
    known: KeptTables
    vault: KeyedVault


class NotAllowedYet(Exception):
    """[replay] keeps settings from being put in force; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a change would do. `kept_back`: why it would not be put in force, and what to do; "": it would be. `warnings`: what could not be
    looked at.
    """

    queue: QueuePreviewRow
    kept_back: str
    warnings: tuple[str, ...]


class WhatIf(Protocol):
    """Other settings against recorded traffic and queued mail. All block: for a thread."""

    def replay(self, base: StoredVersion, organization: Organization, *, since: float, examples: int) -> ReplayedTraffic:
        """What `mailwye replay --json` prints."""
        ...

    def check(self, base: StoredVersion, organization: Organization, wish: Wish) -> Callable[[], int]:
        """What [replay] require and the wish ask for. → what pins the queued mail that the wish wants to stay on its way, just before the
        save, and says how many deliveries those are. Both :raises NotAllowedYet:
        """
        ...

    def look(self, base: StoredVersion, organization: Organization, wish: Wish) -> Looked:
        """What `mailwye apply --dry-run` says beside the difference: queued mail, and the same gate."""
        ...


@dataclass
class Services:
    """`control`: the operations of the control socket. `settings_lock`: one request at a time works on the settings and with `tables`, what
    was built of them last. Blocking, for threads: `resolve` (the hosts of a route as the DNS has them), `tls_results`, `check_files`
    (mailwye.toml and what of the machine it names), `fsck` (contents, with the trace, flush: see storage/sqlite/audit/queues.py),
    `export_content` (message id, file → octets written), `pinned_passwords` (deliveries whose password only their pin holds).
    `vault_of_file`: with the keys that its file holds now; `vault` opens too what it could open once.
    """

    installation: Installation
    store: ConfigStore
    vault: KeyedVault
    accounts: AccountStore
    audit: AuditLog
    trace: TraceSearch
    clock: Clock
    control: Callable[[str, dict[str, Any]], Awaitable[Any]]
    unwrap: Callable[[], Unwrap]
    what_if: WhatIf
    feed: EventFeed
    cursors: Cursors
    resolve: Callable[[Route], Resolved]
    tls_results: Callable[[], OpenedResults]
    check_files: Callable[[], list[Problem]]
    vault_of_file: Callable[[], Vault]
    fsck: Callable[[bool, bool, Callable[[], bool]], QueueAudit]
    export_content: Callable[[str, Any], int]
    pinned_passwords: Callable[[StoredVersion], int]
    log: Any
    secret: Callable[[int], bytes]
    hash_password: Callable[[str], str]
    verify_password: Callable[[str | None, str], bool]
    openid: OpenIdGate | None = None  # where there is [oidc]
    errors: tuple[type[Exception], ...] = ()  # what the stores raise, with words for people
    settings_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    tables: KeptTables = field(default_factory=KeptTables)

    @property
    def planning(self) -> Planning:
        """What every plan is made with."""
        return Planning(installation=self.installation, known=self.tables, vault=self.vault)

    async def with_settings(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Carry out something that reads or changes settings, in a thread, alone."""
        async with self.settings_lock:
            return await asyncio.to_thread(partial(work, *arguments, **named))
