from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailwye.app import Worker, id_factory
from mailwye.certificates import ClientTls, check_tls, server_tls
from mailwye.config.installation import Installation, ListenerSettings, TlsFileSettings
from mailwye.config.parse import read_organization
from mailwye.config.plan import plan_file
from mailwye.config.store import ConfigStore, ConfigStoreError
from mailwye.inbound.listener import ListenerError
from mailwye.queue.item import QueueQuery
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.tls import TlsError
from mailwye.stores import open_config_store, open_result_store, open_trace, open_vault
from mailwye.testing.authority import Authority
from mailwye.testing.versions import save_whole
from mailwye.trace.recorder import TraceQuery
from mailwye.transport.report_mail import ReportMail
from mailwye.transport.tls_report import ReportedPolicy, SessionResult


def installation(directory: Path, *, tls: TlsFileSettings | None = None, kind: str = "mx") -> Installation:
    return Installation("mx.example", directory / "data", (ListenerSettings(kind, kind, "127.0.0.1", 0),), tls=tls or TlsFileSettings())


def save(store: ConfigStore, domain: str) -> int:
    organization = read_organization(f"AcceptedDomain: [{{DomainName: {domain}}}]\n", "test").value
    assert organization is not None
    return save_whole(store, organization, expected_version=store.version(), author="test", at=0.0)


def pair(directory: Path, name: str) -> tuple[Path, Path]:
    issued = Authority(directory, now=SystemClock().now()).issue(name, ["mx.example"])
    return issued.certificate, issued.private_key


def silent(_text: str) -> None:
    return


# --- versions


async def test_a_version_is_prepared_then_put_in_force(tmp_path: Path) -> None:
    worker = Worker(installation(tmp_path), alert=silent)
    store = open_config_store(worker.installation)
    first = save(store, "contoso.com")
    await worker.prepare(first)
    assert worker.version == 0  # loaded, not in force
    second = save(store, "fabrikam.com")
    worker.commit(first)  # what was prepared, not what is newest
    assert worker.version == first
    assert worker.snapshot.current.directory.accepted_domain("contoso.com") is not None
    worker.commit(second)  # never prepared: nothing happens
    assert worker.version == first
    await worker.prepare(second)
    worker.commit(second)
    await worker.prepare(first)  # older: never back
    worker.commit(first)
    assert worker.version == second
    store.close()
    await worker.stop(1)


async def test_a_version_that_does_not_exist_is_not_prepared(tmp_path: Path) -> None:
    worker = Worker(installation(tmp_path), alert=silent)
    with pytest.raises(ConfigStoreError, match="7"):
        await worker.prepare(7)
    worker.commit(7)
    assert worker.version == 0
    await worker.stop(1)


async def test_a_worker_starts_and_stops_twice_on_one_directory(tmp_path: Path) -> None:
    for _ in range(2):
        worker = Worker(installation(tmp_path), alert=silent)
        await worker.start()
        assert worker.sessions == 0
        async with asyncio.timeout(10):
            await worker.stop(1)


# --- certificates


async def test_a_worker_says_at_its_start_whose_password_cannot_be_opened(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    store = open_config_store(settings)
    text = "{Name: Relay, RecipientDomains: '*', UseMXRecord: false, SmartHosts: smtp.example.com, TlsSettings: CertificateValidation, "
    login = "SmartHostAuthMechanism: BasicAuthRequireTLS, AuthenticationCredential: {UserName: u, Password: p}}"
    plan = plan_file(store.current(), read_organization(f"OutboundConnector: {text}{login}"), vault=open_vault(settings))
    plan.save(store, author="test", at=0.0)
    store.close()
    for lost in (False, True):
        if lost:
            (settings.data_directory / "credentials.key").unlink()
        alerts: list[str] = []
        worker = Worker(settings, alert=alerts.append)
        await worker.start()
        await worker.stop(0.0)
        assert [alert.partition(":")[0] for alert in alerts] == (
            ['the password of connector "Relay" cannot be used, so its mail waits'] if lost else []
        )


async def test_submissions_needs_a_certificate(tmp_path: Path) -> None:
    with pytest.raises(ListenerError, match=r"set certificate and private_key in \[tls\]"):
        Worker(installation(tmp_path, kind="submissions"), alert=silent)


async def test_a_bad_renewed_certificate_leaves_the_old_one(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path, "mx")
    worker = Worker(installation(tmp_path, tls=TlsFileSettings(certificate, key)), alert=silent)
    before = worker.tls.of("mx")
    certificate.write_text("rubbish")
    with pytest.raises(TlsError, match=str(certificate)):
        await worker.reload_tls()
    assert worker.tls.of("mx") is before
    pair(tmp_path, "mx")
    await worker.reload_tls()
    assert worker.tls.of("mx") is not before
    await worker.stop(1)


def test_without_certificate_there_is_no_tls(tmp_path: Path) -> None:
    assert server_tls(installation(tmp_path)) == {}
    check_tls(installation(tmp_path))


def test_client_certificates_are_checked_before_they_are_needed(tmp_path: Path) -> None:
    missing = {"partner": (tmp_path / "no.pem", tmp_path / "no.key")}
    with pytest.raises(TlsError, match=r"no\.pem"):
        check_tls(installation(tmp_path, tls=TlsFileSettings(client_certificates=missing)))


def test_client_contexts_are_made_once_until_forgotten(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path, "mx")
    contexts = ClientTls(installation(tmp_path, tls=TlsFileSettings(certificate, key, client_certificates={"a": (certificate, key)})))
    first = contexts("a")
    assert contexts("a") is first
    assert contexts("") is not first
    contexts.forget()
    assert contexts("a") is not first
    with pytest.raises(TlsError, match=r"client certificate 'b' is not in \[tls\.client_certificates\]"):
        contexts("b")


# --- ids


class BackwardClock:
    """A clock that is set back."""

    def __init__(self) -> None:
        self._times = iter((100.0, 50.0, 50.0, 101.0))

    def now(self) -> float:
        return next(self._times)

    def monotonic(self) -> float:
        return 0.0


def test_ids_do_not_repeat_when_the_clock_is_set_back() -> None:
    new_id = id_factory(BackwardClock(), 3)
    made = [new_id() for _ in range(4)]
    assert len(set(made)) == 4
    assert made == sorted(made)


# --- transport security


async def test_a_report_mail_is_queued_and_only_the_first_worker_reports(tmp_path: Path) -> None:
    first = Worker(installation(tmp_path), alert=silent)
    second = Worker(installation(tmp_path), 1, queues=(1,), alert=silent)
    assert first.transport.reporter is not None
    assert second.transport.reporter is None
    await first._submit_report(ReportMail("Q1", first.clock.now(), "2026-11-27", "example.com", "reports@example.com", b"packed"))
    (row,) = await first.engines[0].inspect(QueueQuery())
    assert (str(row.delivery.recipient), row.message.sender) == ("reports@example.com", None)
    await first.trace.flush()
    (found,) = open_trace(first.installation).search(TraceQuery(recipient="reports@example.com"))
    assert (found.message, found.status, found.sender) == ("Q1", "Pending", "<>")
    second.transport.results.record(SessionResult(ReportedPolicy("example.com")))
    await second.stop(1)
    await first.stop(1)
    store = open_result_store(first.installation)
    (day,) = store.days()
    assert store.results(day, "example.com")[0].successes == 1
    store.close()
