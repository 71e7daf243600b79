"""What would happen, over the API: with the DNS, of versions and drafts, of sessions in the trace; TLS reports and DNS records."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.access.roles import Permission, Role
from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder
from mailwye.storage.sqlite.transport.results import SqliteResultStore
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.transport.failures import FailureType
from mailwye.transport.tls_report import ReportedPolicy, SessionResult
from tests.unit.admin.api.office import Office

QUESTION = {"sender": "john@example.com", "recipient": "bob@contoso.com", "ip": "192.0.2.1"}
T0 = 1_789_999_000.0


async def record(office: Office) -> None:
    """A session that was refused a recipient."""
    recorder = SqliteTraceRecorder(office.installation.data_directory / "trace", 0, free_space_minimum=0)
    data = {"peer_address": "192.0.2.1", "hello": "mail.example.com", "listener": "mx"}
    more: dict[str, Any] = {"reply": "550 5.1.1 no such user", "status": "Rejected", "data": data, "config_version": 1}
    recorder.record(TraceEvent(T0, EventKind.REJECT, "s1", "", "john@example.com", "nobody@contoso.com", **more))
    await recorder.close()


def test_hosts_are_looked_up_where_that_is_asked_for(office: Office) -> None:
    way = {"sender": "bob@contoso.com", "recipient": "sun@example.org", "auth": "bob@contoso.com"}
    assert "192.0.2.7" not in office.ask("POST", "/explain", json=way).text
    assert "mail.example.com[192.0.2.7]:25" in office.ask("POST", "/explain", json={**way, "resolve": True}).text


def test_an_answer_by_a_version_or_a_draft(office: Office) -> None:
    office.ask("POST", "/drafts", json={"name": "d"})
    office.ask("DELETE", "/objects/mailboxes/bob@contoso.com?draft=d", headers={"If-Match": "*"})
    assert office.ask("POST", "/explain", json=QUESTION).json()["reply"].startswith("250")
    assert office.ask("POST", "/explain", json={**QUESTION, "draft": "d"}).json()["reply"].startswith("550")
    assert office.ask("POST", "/explain", json={**QUESTION, "version": 0}).json()["reply"].startswith("5")
    assert office.ask("POST", "/explain", json={**QUESTION, "version": 9}).status_code == 404
    assert office.ask("POST", "/explain", json={**QUESTION, "version": 1, "draft": "d"}).status_code == 422


async def test_a_session_is_decided_again(office: Office) -> None:
    await record(office)
    again = office.ask("POST", "/explain/session", json={"session": "s1"})
    assert again.status_code == 200, again.text
    (one,) = again.json()["transactions"]
    assert (one["recipient"], one["then"]["answer"], one["now"]["reply"][:3]) == ("nobody@contoso.com", "550 5.1.1 no such user", "550")
    made = {"PrimarySmtpAddress": "nobody@contoso.com"}
    office.ask("PUT", "/objects/mailboxes/nobody@contoso.com", json=made, headers={"If-Match": "*", "If-None-Match": "*"})
    office.ask("PUT", "/objects/mailboxes/nobody@contoso.com", json=made, headers={"If-None-Match": "*"})
    now = office.ask("POST", "/explain/session", json={"session": "s1", "resolve": True}).json()["transactions"][0]["now"]
    assert now["reply"].startswith("250")
    assert office.ask("POST", "/explain/session", json={"session": "s1", "version": 1}).json()["config_version"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"session": ""}, 422),
        ({"session": "nothing"}, 404),
        ({"session": "x" * 200}, 422),
        ({"session": "s1", "version": 99}, 404),
        ({"session": "s1", "draft": "no"}, 404),
        ({"session": "s1", "version": 1, "draft": "d"}, 422),
        ({"session": "s1", "sender": "a@b.example"}, 422),
    ],
)
async def test_sessions_that_cannot_be_asked_about(office: Office, body: dict[str, Any], status: int) -> None:
    await record(office)
    assert office.ask("POST", "/explain/session", json=body).status_code == status


def test_a_session_shows_what_the_trace_shows(office: Office) -> None:
    token = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.EXPLAIN)
    assert office.ask("POST", "/explain/session", json={"session": "s1"}, token=token).status_code == 403


def met(office: Office, *domains: str) -> None:
    store = SqliteResultStore(office.installation.data_directory / "transport.sqlite", failures_per_domain=10)
    for domain in domains:
        failed = SessionResult(ReportedPolicy(domain), FailureType.STARTTLS_NOT_SUPPORTED, mx=f"mx.{domain}")
        store.add({("2026-11-27", failed): 2, ("2026-11-27", SessionResult(ReportedPolicy(domain))): 5})
    store.close()


def test_tls_reports_of_a_day_page_by_page(office: Office) -> None:
    met(office, "example.com", "example.org", "example.net")
    first = office.ask("GET", "/tls-reports?date=2026-11-27&limit=2").json()
    assert [one["policies"][0]["policy"]["policy-domain"] for one in first["items"]] == ["example.com", "example.net"]
    assert first["items"][0]["policies"][0]["summary"]["total-failure-session-count"] == 2
    rest = office.ask("GET", "/tls-reports", params={"date": "2026-11-27", "cursor": first["next"]}).json()
    assert ([one["report-id"] for one in rest["items"]], rest["next"]) == (["2026-11-27T00:00:00Z_example.org@mx.contoso.com"], None)
    assert len(office.ask("GET", "/tls-reports?date=2026-11-27&domain=EXAMPLE.org").json()["items"]) == 1
    assert office.ask("GET", "/tls-reports").json()["items"] == []
    for day in ("yesterday", "2026-13-01", "2026-11", "1-1-1", "٢٠٢٦-11-27"):
        assert office.ask("GET", "/tls-reports", params={"date": day}).status_code == 422, day


def test_records_for_the_zones_of_accepted_domains(office: Office) -> None:
    assert office.ask("GET", "/dns-records").json()["items"] == []
    office.ask("PATCH", "/objects/accepted-domains/contoso.com", json={"MtaStsMode": "testing"}, headers={"If-Match": "*"})
    (one,) = office.ask("GET", "/dns-records?domain=CONTOSO.com").json()["items"]
    assert (one["domain"], one["policy"].splitlines()[0]) == ("contoso.com", "version: STSv1")
    assert any("_mta-sts" in line for line in one["records"])
    assert office.ask("GET", "/dns-records?domain=elsewhere.example").status_code == 404
    assert office.ask("GET", "/dns-records?domain=-").status_code == 422
    assert office.ask("GET", "/dns-records", role=Role.HELP_DESK).status_code == 403
