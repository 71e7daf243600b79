"""TLS reports as values, JSON and mail; see tests/integration/test_tls_report.py for who else reads them (RFC 8460)."""

from __future__ import annotations

import email
import email.policy
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.message.content import InlineContent
from mailwye.message.envelope import TlsWish
from mailwye.runtime.dns_answer import Found, TlsaRecord
from mailwye.transport.failures import FailureType
from mailwye.transport.host_policy import HostPolicy, dane_host_policy, reported_sts
from mailwye.transport.mta_sts import CachedPolicy, parse_policy
from mailwye.transport.report_mail import ReportMail
from mailwye.transport.report_message import report_message, submitter_of
from mailwye.transport.tls_report import (
    POLICY_LIMIT,
    PolicyResults,
    PolicyType,
    ReportedPolicy,
    SessionResult,
    Submitter,
    day_of,
    encode,
    report,
    report_addresses,
    start_of,
)

DAY = "2026-11-28"
SUBMITTER = Submitter("Contoso", "postmaster@contoso.com", "mx.contoso.com")
STS = ReportedPolicy(
    "example.com", PolicyType.STS, ("version: STSv1", "mode: testing", "mx: *.example.com", "max_age: 86400"), ("*.example.com",)
)
NONE = ReportedPolicy("example.com")
EXPIRED = SessionResult(STS, FailureType.CERTIFICATE_EXPIRED, "mx.example.com", "192.0.2.9", "192.0.2.1", "expired on 2026-11-01")
HIDDEN = SessionResult(STS, FailureType.STS_POLICY_FETCH_ERROR, reason="status 404")
RESULTS = (PolicyResults(STS, 5_326, {EXPIRED: 100, HIDDEN: 3}), PolicyResults(NONE, 7))


@pytest.mark.parametrize(
    ("records", "addresses"),
    [
        ([b"v=TLSRPTv1;rua=mailto:reports@example.com"], ("mailto:reports@example.com",)),
        ([b"v=TLSRPTv1; rua=https://r.example/v1/tlsrpt , mailto:a@b.example;"], ("https://r.example/v1/tlsrpt", "mailto:a@b.example")),
        ([b"other", b"v=TLSRPTv1; more=x; rua=mailto:a@b.example"], ("mailto:a@b.example",)),
        ([b"v=TLSRPTv1; rua=ftp://x,mailto:a@b.example,mailto:a@b.example"], ("mailto:a@b.example",)),
        ([b"v=TLSRPTv1; rua=" + b",".join(b"mailto:%d@b.example" % n for n in range(9))], tuple(f"mailto:{n}@b.example" for n in range(5))),
        ([b"v=TLSRPTv1; rua=mailto:a@b.example", b"v=TLSRPTv1; rua=mailto:c@d.example"], ()),
        ([b"v=TLSRPTv1; rua=mailto:a@b\r\nBcc:c@d"], ()),
        ([b"v=TLSRPTv1; rua=https://r.example/a HTTP/1.1,https://r.example/b"], ("https://r.example/b",)),
        ([b"v=TLSRPTv2; rua=mailto:a@b.example"], ()),
        ([b"v=TLSRPTv1"], ()),
        ([b"v=TLSRPTv1; rua="], ()),
        ([], ()),
    ],
)
def test_where_reports_go(records: list[bytes], addresses: tuple[str, ...]) -> None:
    assert report_addresses(records) == addresses


@given(st.lists(st.binary(max_size=100), max_size=3))
def test_any_records_are_taken(records: list[bytes]) -> None:
    assert all(address.isprintable() for address in report_addresses(records))


def test_days_are_utc() -> None:
    start = start_of(DAY)
    assert day_of(start) == day_of(start + 86_399) == DAY
    assert day_of(start - 1) == "2026-11-27"


def test_the_report() -> None:
    document = json.loads(encode(report(DAY, "example.com", RESULTS, SUBMITTER)))
    assert document["report-id"] == f"{DAY}T00:00:00Z_example.com@mx.contoso.com"
    by_sts, without = document["policies"]
    assert by_sts["policy"]["mx-host"] == ["*.example.com"]
    assert by_sts["summary"] == {"total-successful-session-count": 5_326, "total-failure-session-count": 103}
    assert without["policy"] == {"policy-type": "no-policy-found", "policy-domain": "example.com"}
    assert "failure-details" not in without


@pytest.mark.parametrize("kind", FailureType)
def test_every_failure_has_its_place(kind: FailureType) -> None:
    policy = ReportedPolicy("example.com", PolicyType.TLSA, ("3 1 1 " + "00" * 32,), ("mx.example.com",))
    document = report(DAY, "example.com", [PolicyResults(policy, 0, {SessionResult(policy, kind): 1})], SUBMITTER)
    (one,) = json.loads(encode(document))["policies"]
    assert one["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
    assert one["failure-details"] == [{"result-type": kind.value, "failed-session-count": 1}]


ORGANIZATION = "Organization: {Name: contoso}\nAcceptedDomain: [{DomainName: contoso.com, Default: true}]\n"


def test_the_mail() -> None:
    parsed = read_organization(ORGANIZATION, "f.yaml")
    assert parsed.value is not None
    snapshot = compile_snapshot(parsed.value, 3)
    submitter = submitter_of(snapshot, "mx.contoso.com", "")
    assert submitter == Submitter("contoso", "postmaster@contoso.com", "mx.contoso.com")
    packed = gzip.compress(encode(report(DAY, "example.com", RESULTS, submitter)), mtime=0)
    message = report_message(
        ReportMail("Q1", start_of(DAY) + 90_000, DAY, "example.com", "reports@example.com", packed), submitter, snapshot
    )
    assert message.sender is None
    assert message.tls is TlsWish.OPTIONAL
    (delivery,) = message.deliveries
    assert (str(delivery.recipient), delivery.next_hop) == ("reports@example.com", "mx:example.com")
    assert isinstance(message.content, InlineContent)
    octets = message.content.inline
    assert octets is not None
    assert b"\n" not in octets.replace(b"\r\n", b"")
    read = email.message_from_bytes(octets, policy=email.policy.default)
    assert read["TLS-Report-Domain"] == "example.com"
    assert read["TLS-Report-Submitter"] == "mx.contoso.com"
    assert read["TLS-Required"] == "No"
    assert (
        read["Subject"] == f"Report Domain: example.com Submitter: mx.contoso.com Report-ID: <{DAY}T00:00:00Z_example.com@mx.contoso.com>"
    )
    assert read.get_content_type() == "multipart/report"
    assert read.get_param("report-type") == "tlsrpt"
    _, part = read.iter_parts()
    assert part.get_content_type() == "application/tlsrpt+gzip"
    assert part.get_filename() == f"mx.contoso.com!example.com!{int(start_of(DAY))}!{int(start_of(DAY)) + 86_399}!001.json.gz"
    assert part.get_content() == packed


@pytest.mark.parametrize("to", ["nobody", "a@b\r\nBcc: c@d.example", "x@contoso.com"])
def test_addresses_that_lead_nowhere_are_refused(to: str) -> None:
    parsed = read_organization(ORGANIZATION, "f.yaml")
    assert parsed.value is not None
    with pytest.raises(ValueError, match=r"."):
        report_message(ReportMail("Q1", 0.0, DAY, "example.com", to, b""), SUBMITTER, compile_snapshot(parsed.value, 3))


def test_of_a_huge_policy_a_part_is_reported() -> None:
    """It is stored with each different failure: 64 KiB a thousand times a day would fill the disk."""
    names = [f"mx{number}.a-long-name-to-fill-the-policy.example.com" for number in range(900)]
    text = "\r\n".join(["version: STSv1", "mode: enforce", "max_age: 86400", *(f"mx: {name}" for name in names), "more: " + "x" * 9_000])
    policy = parse_policy(text.encode())
    sts = reported_sts(CachedPolicy("example.com", "1", policy, 0.0, text))
    assert sts.strings[:3] == ("version: STSv1", "mode: enforce", "max_age: 86400")
    assert sts.mx[0] == names[0]
    records = tuple(TlsaRecord(3, 1, 0, bytes([number]) * 300) for number in range(200))
    dane = dane_host_policy(Found(records, 60.0, authenticated=True), "mx.example.com", 25, "example.com", ())
    assert isinstance(dane, HostPolicy)
    assert dane.reported is not None
    for reported in (sts, dane.reported):
        assert 0 < sum(map(len, reported.strings)) <= POLICY_LIMIT
        assert sum(map(len, reported.mx)) <= POLICY_LIMIT
