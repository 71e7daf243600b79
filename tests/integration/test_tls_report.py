"""An independent parser reads the TLS reports that Mailwye sends, as JSON and as mail (RFC 8460)."""

from __future__ import annotations

import gzip

import pytest

from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.message.content import InlineContent
from mailwye.transport.failures import FailureType
from mailwye.transport.report_mail import ReportMail
from mailwye.transport.report_message import report_message, submitter_of
from mailwye.transport.tls_report import PolicyResults, PolicyType, ReportedPolicy, SessionResult, encode, report, start_of
from tests.counterparts.parsedmarc import read_report
from tests.unit.transport.test_tls_report import DAY, ORGANIZATION, RESULTS, STS, SUBMITTER

pytestmark = pytest.mark.counterpart("parsedmarc")


def test_a_third_party_reads_the_report() -> None:
    found = read_report(encode(report(DAY, "example.com", RESULTS, SUBMITTER)), form="json")
    assert found["organization_name"] == "Contoso"
    assert (found["begin_date"], found["end_date"]) == ("2026-11-28T00:00:00Z", "2026-11-28T23:59:59Z")
    assert found["contact_info"] == "postmaster@contoso.com"
    by_sts, without = found["policies"]
    assert (by_sts["policy_domain"], by_sts["policy_type"]) == ("example.com", "sts")
    assert (by_sts["successful_session_count"], by_sts["failed_session_count"]) == (5_326, 103)
    assert by_sts["policy_strings"] == list(STS.strings)
    expired, hidden = by_sts["failure_details"]
    assert expired["result_type"] == "certificate-expired"
    assert expired["receiving_mx_hostname"] == "mx.example.com"
    assert (expired["sending_mta_ip"], expired["receiving_ip"], expired["failed_session_count"]) == ("192.0.2.1", "192.0.2.9", 100)
    assert hidden["result_type"] == "sts-policy-fetch-error"
    assert (without["policy_type"], without["successful_session_count"]) == ("no-policy-found", 7)


def test_a_third_party_knows_every_failure() -> None:
    policy = ReportedPolicy("example.com", PolicyType.TLSA, ("3 1 1 " + "00" * 32,), ("mx.example.com",))
    every = {SessionResult(policy, kind, "mx.example.com", "192.0.2.9"): 1 for kind in FailureType}
    found = read_report(encode(report(DAY, "example.com", [PolicyResults(policy, 0, every)], SUBMITTER)), form="json")
    assert {detail["result_type"] for detail in found["policies"][0]["failure_details"]} == {kind.value for kind in FailureType}


def test_a_third_party_reads_the_mail() -> None:
    parsed = read_organization(ORGANIZATION, "f.yaml")
    assert parsed.value is not None
    snapshot = compile_snapshot(parsed.value, 3)
    submitter = submitter_of(snapshot, "mx.contoso.com", "")
    packed = gzip.compress(encode(report(DAY, "example.com", RESULTS, submitter)), mtime=0)
    mail = ReportMail("Q1", start_of(DAY) + 90_000, DAY, "example.com", "reports@example.com", packed)
    message = report_message(mail, submitter, snapshot)
    assert isinstance(message.content, InlineContent)
    assert message.content.inline is not None
    found = read_report(message.content.inline, form="email")
    assert found["report_id"] == f"{DAY}T00:00:00Z_example.com@mx.contoso.com"
    assert found["policies"][0]["failed_session_count"] == 103
