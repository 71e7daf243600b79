"""The admin listeners of the control process: the API put together with the stores and the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwye.admin.api.application import application
from mailwye.admin.api.cursors import Cursors
from mailwye.admin.api.event_feed import EventFeed
from mailwye.admin.api.services import Looked, NotAllowedYet, Services
from mailwye.admin.http_server import AdminServer
from mailwye.cli.access.openid import open_openid
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.entropy import secret_octets
from mailwye.runtime.passwords import hash_password, verify_password

if TYPE_CHECKING:
    from mailwye.admin.api.settings.wishes import Wish
    from mailwye.admin.openid.provider_status import ProviderStatus
    from mailwye.cli.candidate import Gate
    from mailwye.config.installation import Installation, ListenerSettings
    from mailwye.config.schema import Organization
    from mailwye.config.store import StoredVersion
    from mailwye.queue.audit import QueueAudit
    from mailwye.whatif.rows import ReplayedTraffic


class AdminListeners:
    """All of them, with one application. `config`: mailwye.toml. `control`: the operations of the control socket."""

    def __init__(
        self,
        config: Path,
        installation: Installation,
        sockets: Mapping[str, socket.socket],
        control: Callable[[str, dict[str, Any]], Awaitable[Any]],
        *,
        is_ready: Callable[[], bool],
        metrics: Callable[[], Awaitable[str]],
        log: Any,
    ) -> None:
        """:raises ConfigStoreError, AccountError, AuditError, TlsError: a file cannot be used. :raises ExtraMissing: for [oidc]."""
        from mailwye import stores
        from mailwye.cli.candidate import unwrap_of
        from mailwye.cli.explain import resolve_route
        from mailwye.config.check_files import check_files
        from mailwye.runtime.store_error import StoreError

        clock = SystemClock()
        self._openid = open_openid(installation, lambda text: log.error("the keys of the OpenID provider cannot be fetched", error=text))
        self.feed = EventFeed(int(clock.now() * 1000))
        self._services = Services(
            installation=installation,
            store=stores.open_config_store(installation),
            vault=stores.open_vault(installation),
            accounts=stores.open_accounts(installation),
            audit=stores.open_audit_log(installation),
            trace=stores.open_trace(installation),
            clock=clock,
            control=control,
            unwrap=lambda: unwrap_of(installation),
            what_if=CommandLineWhatIf(installation),
            feed=self.feed,
            cursors=Cursors(hmac.digest(stores.installation_secret(installation), b"cursors of the API", "sha256")),
            log=log,
            resolve=partial(resolve_route, installation),
            tls_results=partial(stores.open_result_store, installation),
            check_files=lambda: check_files(config, now=clock.now()),
            vault_of_file=partial(stores.open_vault, installation),
            fsck=partial(_fsck, installation),
            export_content=partial(stores.export_content, installation),
            pinned_passwords=partial(stores.pinned_passwords, installation),
            secret=secret_octets,
            hash_password=hash_password,
            verify_password=verify_password,
            openid=self._openid.gate if self._openid is not None else None,
            errors=(StoreError,),
        )
        app = application(self._services, is_ready=is_ready, metrics=metrics)
        chosen = [one for one in installation.listeners if one.kind == "admin"]
        self._servers = [AdminServer(app, one, sockets[one.name], _pair(one)) for one in chosen]
        self._log = log

    async def start(self) -> None:
        """Answer from now on."""
        for server in self._servers:
            await server.start()
        if self._openid is not None:
            self._openid.start()

    def openid_status(self) -> ProviderStatus | None:
        """What is known of the issuer's keys; None where there is no [oidc]."""
        return self._openid.gate.status() if self._openid is not None else None

    def reload_tls(self) -> None:
        """Take renewed certificates; where they are bad, the old ones stay."""
        for server in self._servers:
            try:
                server.reload()
            except OSError as error:  # ssl.SSLError is one
                self._log.error("the admin listener keeps its old certificate", error=str(error))

    async def close(self) -> None:
        """Finish what is being answered."""
        self.feed.close()
        await asyncio.gather(*(server.close() for server in self._servers))
        if self._openid is not None:
            await self._openid.close()
        self._services.store.close()
        self._services.accounts.close()
        self._services.audit.close()


def _pair(listener: ListenerSettings) -> tuple[Path, Path] | None:
    if listener.certificate is None or listener.private_key is None:
        return None
    return listener.certificate, listener.private_key


def _fsck(installation: Installation, contents: bool, with_trace: bool, flush: Callable[[], bool]) -> QueueAudit:
    from mailwye.stores import audit_queues

    return audit_queues(installation, contents=contents, with_trace=with_trace, flush=flush)


class CommandLineWhatIf:
    """Implements services.WhatIf with what `mailwye replay` and `mailwye apply` do."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def replay(self, base: StoredVersion, organization: Organization, *, since: float, examples: int) -> ReplayedTraffic:
        """See WhatIf."""
        from mailwye.cli.candidate import Candidate, queue_preview, replay_report
        from mailwye.cli.replay import as_plain

        candidate = Candidate(base, organization)
        with _as_error([]):
            report = replay_report(self._installation, candidate, since=since, examples=examples)
            return as_plain(report, queue_preview(self._installation, candidate))

    def check(self, base: StoredVersion, organization: Organization, wish: Wish) -> Callable[[], int]:
        """See WhatIf."""
        from mailwye.cli.candidate import Candidate

        gate = self._gate(wish)
        said: list[str] = []
        with _as_error(said):
            found = gate.check(Candidate(base, organization), dry_run=False, say=said.append, warn=said.append)

        def pin() -> int:
            with _as_error([]):
                return gate.pin(found)

        return pin

    def look(self, base: StoredVersion, organization: Organization, wish: Wish) -> Looked:
        """See WhatIf."""
        from mailwye.cli.candidate import Candidate
        from mailwye.whatif.queued import QueuePreview
        from mailwye.whatif.rows import queue_row

        gate, candidate = self._gate(wish), Candidate(base, organization)
        found, kept_back = QueuePreview([], 0), ""
        said: list[str] = []
        warned: list[str] = []
        try:
            with _as_error(said):
                found = gate.queued(candidate, dry_run=True, warn=warned.append)
                gate.replayed(candidate, said.append, warned.append)
        except NotAllowedYet as error:
            kept_back = str(error)
        return Looked(queue_row(found), kept_back, tuple(warned))

    def _gate(self, wish: Wish) -> Gate:
        from mailwye.cli.candidate import Gate

        return Gate.of(
            self._installation,
            require_replay=wish.require_replay.value if wish.require_replay is not None else None,
            acknowledge=wish.acknowledge,
            since=f"{wish.seconds}s",
            pin_queued=wish.pin_queued,
            goes_back=wish.goes_back,
        )


@contextlib.contextmanager
def _as_error(said: list[str]) -> Iterator[None]:
    """What would end a command, after what was `said`."""
    from mailwye.cli.candidate import NotPutInForce

    try:
        yield
    except NotPutInForce as error:
        raise NotAllowedYet("\n".join([*said, str(error)])) from error
    except SystemExit as error:  # its words are in the log
        raise NotAllowedYet("the running service cannot be asked about its queue and its traffic: the log says why") from error
