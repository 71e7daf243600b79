"""Sends TLS reports: once a UTC day, to the domains whose TXT records ask for them (RFC 8460), by HTTPS and by mail.

One worker of an installation does it. What was sent is kept, so a restart sends nothing twice; what could not be sent is tried again for a
day, after longer and longer pauses (section 5.4), then given up.
"""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from mailwye.config.installation import TransportSettings
from mailwye.runtime.clock import Clock
from mailwye.runtime.dns_answer import Found, Resolver, Unknown
from mailwye.runtime.https import HttpsError, HttpsRequest, exchange
from mailwye.runtime.network import Network, is_private
from mailwye.runtime.tls import ClientTlsContext, TlsError
from mailwye.transport.policy_fetch import web_certificate_fault
from mailwye.transport.policy_store import PolicyStoreError
from mailwye.transport.report_mail import ReportMail
from mailwye.transport.result_store import ResultStore
from mailwye.transport.tls_report import Submitter, day_of, encode, record_name, report, report_addresses, start_of

DAY = 86_400.0
ROUND_SECONDS = 300.0
SETTLED_AFTER = 120.0  # seconds after midnight: until then other workers may still store results of the day
JITTER_SECONDS = 14_400.0  # section 5.4: spread over some hours, so that not all reports of the world arrive at midnight
ANSWER_OCTETS = 65_536


class Submit(Protocol):
    """Puts a report mail into the queue."""

    def __call__(self, mail: ReportMail) -> Awaitable[None]:
        """:raises Exception: it is not in the queue."""
        ...


@dataclass(frozen=True, slots=True)
class HttpsPoster:
    """Posts reports to https addresses; private ones are never dialled unless `private_allowed` (only in tests)."""

    network: Network
    resolver: Resolver
    context: Callable[[], ClientTlsContext]
    settings: TransportSettings
    private_allowed: bool = False

    async def post(self, url: str, packed: bytes) -> str:
        """Post; "" when it was taken, else why not."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return f"{url} is no address"
        if not host or parts.username is not None or port not in (None, 443):
            return f"{url} is not used: only https://host/path on port 443 is"
        answer = await self.resolver.addresses(host)
        addresses = answer.records if isinstance(answer, Found) else ()
        dialled = [one for one in addresses if self.private_allowed or not is_private(one)]
        if not dialled:
            return f"{host} has no address to dial"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = (("Content-Type", "application/tlsrpt+gzip"), ("User-Agent", "Mailwye"))
        try:
            response = await exchange(
                self.network,
                dialled[0],
                self.settings.policy_port,
                HttpsRequest(host, target, "POST", headers, packed),
                context=self.context(),
                judge=lambda certificate: web_certificate_fault(certificate, host),
                timeout=self.settings.policy_timeout,
                body_limit=ANSWER_OCTETS,
            )
        except (HttpsError, TlsError, ValueError) as error:
            return f"{url}: {error}"
        return "" if 200 <= response.status < 300 else f"{url}: status {response.status}"


class Reporter:
    """`submitter` is asked for each report, since settings change; `submit` takes report mails; `alert` hears what was given up."""

    def __init__(
        self,
        *,
        store: ResultStore,
        resolver: Resolver,
        poster: HttpsPoster,
        submit: Submit,
        submitter: Callable[[], Submitter],
        new_id: Callable[[], str],
        clock: Clock,
        settings: TransportSettings,
        rng: random.Random,
        alert: Callable[[str], None],
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._poster = poster
        self._submit = submit
        self._submitter = submitter
        self._new_id = new_id
        self._clock = clock
        self._settings = settings
        self._rng = rng
        self._alert = alert
        self._delays: dict[str, float] = {}
        self._failed: dict[tuple[str, str], tuple[float, float]] = {}  # (day, domain) → (when, pause before the next attempt)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look for finished days from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End; a report under way is sent again by the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def round(self) -> None:
        """Send what is due now. :raises PolicyStoreError: the results cannot be read."""
        now = self._clock.now()
        self._store.forget_before(day_of(now - self._settings.tls_report_days * DAY))
        for day in self._store.days():
            over_at = start_of(day) + DAY
            delay = self._delays.setdefault(day, SETTLED_AFTER + self._rng.uniform(0, JITTER_SECONDS))
            if now < over_at + delay:
                continue
            for domain in self._store.domains(day):
                last_time = now > over_at + DAY
                failed_at, pause = self._failed.get((day, domain), (now, 0.0))
                if (last_time or now >= failed_at + pause) and not self._store.is_done(day, domain, ""):
                    await self._report(day, domain, last_time=last_time)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self.round()
            except PolicyStoreError as error:
                self._alert(f"TLS reports: {error}")
            except Exception as error:  # noqa: BLE001 - reports are beside the mail's way; the next round may do better
                self._alert(f"TLS reports could not be sent: {error!r}")

    async def _report(self, day: str, domain: str, *, last_time: bool) -> None:
        answer = await self._resolver.txt(record_name(domain))
        if isinstance(answer, Unknown) and not last_time:
            return
        addresses = report_addresses(answer.records) if isinstance(answer, Found) else ()
        packed = b""
        failures: list[str] = []
        for address in addresses:
            if not self._is_sent_to(address) or self._store.is_done(day, domain, address):
                continue
            packed = packed or self._packed(day, domain)
            failure = await self._send(day, domain, address, packed)
            if failure:
                failures.append(failure)
            else:
                self._store.mark_done(day, domain, address)
        if failures and last_time:
            self._alert(f"The TLS report about {day} to {domain} was given up: {'; '.join(failures)}")
        if not failures or last_time:
            self._store.mark_done(day, domain, "")
            self._failed.pop((day, domain), None)
        else:
            _, pause = self._failed.get((day, domain), (0.0, ROUND_SECONDS / 2))
            self._failed[day, domain] = self._clock.now(), pause * 2

    def _is_sent_to(self, address: str) -> bool:
        match self._settings.tls_reports:
            case "all":
                return True
            case "https":
                return address.lower().startswith("https://")
            case _:
                return False

    def _packed(self, day: str, domain: str) -> bytes:
        document = report(day, domain, self._store.results(day, domain), self._submitter())
        return gzip.compress(encode(document), mtime=0)

    async def _send(self, day: str, domain: str, address: str, packed: bytes) -> str:
        """Say why it was not taken, "" where it was."""
        if address.lower().startswith("https://"):
            return await self._poster.post(address, packed)
        to = address[len("mailto:") :].partition("?")[0]
        try:
            await self._submit(ReportMail(self._new_id(), self._clock.now(), day, domain, to, packed))
        except Exception as error:  # noqa: BLE001 - a queue that takes nothing now may take it in the next round
            return f"{address}: {error}"
        return ""
