"""When reports are sent, to whom, how often: on a clock of its own, over real HTTPS on loopback."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable

import pytest

from mailwye.config.installation import TransportSettings
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.resolver import StaticResolver
from mailwye.transport.failures import FailureType
from mailwye.transport.policy_store import PolicyStoreError
from mailwye.transport.report_mail import ReportMail
from mailwye.transport.reporter import DAY, JITTER_SECONDS, SETTLED_AFTER, HttpsPoster, Reporter
from mailwye.transport.result_store import MemoryResultStore
from mailwye.transport.results import TlsResults
from mailwye.transport.tls_report import ReportedPolicy, SessionResult, Submitter, start_of
from tests.unit.transport.https_server import https_server, text

YESTERDAY = "2026-11-27"
MIDNIGHT = start_of("2026-11-28")
RECORD = "_smtp._tls.example.com"
REPORTS = "reports.example.com"


class Clock:
    def __init__(self) -> None:
        self.time = MIDNIGHT - 3_600

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("web", [REPORTS])


class World:
    """A store with results of yesterday for example.com, and a reporter."""

    def __init__(self, authority: Authority, rua: str, *, port: int = 443, reports: str = "all", private_allowed: bool = True) -> None:
        self.clock, self.store = Clock(), MemoryResultStore()
        self.mails: list[ReportMail] = []
        self.alerts: list[str] = []
        self.refusal = ""
        self.resolver = StaticResolver({RECORD: {"TXT": [f"v=TLSRPTv1; rua={rua}"]}, REPORTS: {"A": ["127.0.0.1"]}})
        results = TlsResults(store=self.store, clock=self.clock, alert=self.alerts.append)
        results.record(SessionResult(ReportedPolicy("example.com")))
        results.record(SessionResult(ReportedPolicy("example.com"), FailureType.STARTTLS_NOT_SUPPORTED, "mx.example.com"))
        results.close()
        settings = TransportSettings(policy_port=port, tls_reports=reports, policy_timeout=5.0)
        context = ClientTlsContext(trusted_authorities=(str(authority.certificate),))
        self.reporter = Reporter(
            store=self.store,
            resolver=self.resolver,
            poster=HttpsPoster(SystemNetwork(), self.resolver, lambda: context, settings, private_allowed),
            submit=self.submit,
            submitter=lambda: Submitter("contoso", "postmaster@contoso.com", "mx.contoso.com"),
            new_id=lambda: f"R{len(self.mails) + 1}",
            clock=self.clock,
            settings=settings,
            rng=random.Random(1),
            alert=self.alerts.append,
        )

    async def submit(self, mail: ReportMail) -> None:
        if self.refusal:
            raise ValueError(self.refusal)
        self.mails.append(mail)

    async def after(self, seconds: float) -> None:
        """One round, so long after midnight."""
        self.clock.time = MIDNIGHT + seconds
        await self.reporter.round()


LATE = SETTLED_AFTER + JITTER_SECONDS + 1


async def test_a_report_is_sent_once_after_the_day_and_some_more(authority: Authority) -> None:
    world = World(authority, "mailto:reports@example.com?subject=x")
    await world.reporter.round()
    await world.after(SETTLED_AFTER - 1)
    assert world.mails == []
    for later in (LATE, LATE + 300, DAY + LATE):
        await world.after(later)
    (mail,) = world.mails
    assert (mail.day, mail.domain, mail.to, mail.id) == (YESTERDAY, "example.com", "reports@example.com", "R1")
    (policy,) = json.loads(gzip.decompress(mail.packed))["policies"]
    assert policy["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 1}


async def test_reports_go_by_https(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, text(b"", "201 Created")) as server:
        world = World(authority, f"https://{REPORTS}/tls?x=1,mailto:a@example.com", port=server.port, reports="https")
        await world.after(LATE)
        await world.after(LATE + 300)
        (request,) = server.requests
        assert request.startswith(b"POST /tls?x=1 HTTP/1.1\r\n")
        assert b"Content-Type: application/tlsrpt+gzip\r\n" in request
    assert world.mails == []  # unsigned mail only where the setting asks for it
    assert world.store.is_done(YESTERDAY, "example.com", "")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda world: setattr(world, "refusal", "no room"), "no room"),
        (lambda world: world.resolver.unknown.update({RECORD: "SERVFAIL"}), ""),
    ],
    ids=["queue", "dns"],
)
async def test_what_could_not_be_sent_is_tried_for_a_day(authority: Authority, make: Callable[[World], None], says: str) -> None:
    world = World(authority, "mailto:reports@example.com")
    make(world)
    await world.after(LATE)
    assert not world.store.is_done(YESTERDAY, "example.com", "")
    assert world.alerts == []
    await world.after(DAY + 1)
    assert world.store.is_done(YESTERDAY, "example.com", "")
    assert [says in alert and "given up" in alert for alert in world.alerts] == [True] * bool(says)
    assert world.mails == []


async def test_whoever_does_not_take_reports_is_asked_less_and_less(authority: Authority, pair: KeyPair) -> None:
    """Anybody may name anybody's server in his record."""
    async with https_server(pair, text(b"", "500 Internal Server Error")) as server:
        world = World(authority, f"https://{REPORTS}/tls", port=server.port)
        asked: list[int] = []
        for number in range(200):
            await world.after(LATE + 300 * number)
            if len(server.requests) > len(asked):
                asked.append(number)
        assert asked == [0, 1, 3, 7, 15, 31, 63, 127]
        await world.after(DAY + 1)
        assert len(server.requests) == 9
        assert "given up" in world.alerts[0]
        assert world.store.is_done(YESTERDAY, "example.com", "")


async def test_each_address_is_retried_by_itself(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, text(b"", "503 Busy")) as server:
        world = World(authority, f"mailto:reports@example.com,https://{REPORTS}/", port=server.port)
        await world.after(LATE)
        await world.after(LATE + 300)
        assert len(world.mails) == 1
        assert len(server.requests) == 2
        server.answer = text(b"")
        await world.after(LATE + 600)
        await world.after(LATE + 900)
        assert len(server.requests) == 3


async def test_nobody_wants_a_report(authority: Authority) -> None:
    world = World(authority, "mailto:reports@example.com")
    world.resolver.zone[RECORD] = {"TXT": ["nothing"]}
    await world.after(LATE)
    assert world.mails == []
    assert world.store.is_done(YESTERDAY, "example.com", "")


async def test_switched_off(authority: Authority) -> None:
    world = World(authority, f"mailto:reports@example.com,https://{REPORTS}/", reports="off")
    await world.after(LATE)
    assert world.mails == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"https://{REPORTS}:8443/", "port 443"),
        (f"https://user@{REPORTS}/", "is not used"),
        ("https:///x", "is not used"),
        ("https://[::1/", "no address"),
        (f"https://{REPORTS}/", "no address to dial"),  # loopback, and that is not allowed
        ("https://missing.example/", "no address to dial"),
    ],
)
async def test_addresses_that_are_never_posted_to(authority: Authority, url: str, says: str) -> None:
    world = World(authority, url, private_allowed=False)
    await world.after(LATE)
    await world.after(DAY + 1)
    (alert,) = world.alerts
    assert says in alert


async def test_old_results_are_forgotten(authority: Authority) -> None:
    world = World(authority, "mailto:reports@example.com")
    await world.after(31 * DAY)
    assert list(world.store.days()) == []


def test_results_that_cannot_be_stored_wait_on(monkeypatch: pytest.MonkeyPatch) -> None:
    store, clock, alerts = MemoryResultStore(), Clock(), list[str]()
    results = TlsResults(store=store, clock=clock, alert=alerts.append)
    results.record(SessionResult(ReportedPolicy("example.com")))

    def broken(_counts: object) -> None:
        raise PolicyStoreError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "add", broken)
        results.flush()
    assert alerts == ["TLS results could not be stored: disk full"]
    results.flush()
    results.flush()
    assert store.results(YESTERDAY, "example.com")[0].successes == 1
