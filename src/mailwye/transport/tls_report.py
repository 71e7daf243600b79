"""TLS reports: what was met at which policy, the record that asks for them, and their JSON (RFC 8460). Pure."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NotRequired, TypedDict

from mailwye.transport.failures import FailureType

ADDRESSES_LIMIT = 5
"""To how many addresses of one domain a report goes."""

TEXT_LIMIT = 200
"""Characters of a reason code."""

POLICY_LIMIT = 8_192
"""Characters of one policy's strings, and of its mx patterns, that are counted and reported. Each different failure is stored with them,
and who owns the domain makes them as long as he likes.
"""

_VERSION = re.compile(r"v=TLSRPTv1[ \t]*;")
_GRAPHIC = re.compile(r"[!-~]+").fullmatch  # a URI holds no blanks (RFC 3986)


class PolicyType(Enum):
    """RFC 8460 section 4.4."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@dataclass(frozen=True, slots=True)
class ReportedPolicy:
    """The policy that a session was held against. `strings`: TLSA records or lines of the MTA-STS policy; `mx`: its patterns."""

    domain: str
    type: PolicyType = PolicyType.NONE
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What became of one session, or of the attempt to have one. `failure` None: it was as secure as asked for. The rest says where it
    failed; `reason` is for people.
    """

    policy: ReportedPolicy
    failure: FailureType | None = None
    mx: str = ""
    receiving_ip: str = ""
    sending_ip: str = ""
    reason: str = ""


@dataclass(slots=True)
class PolicyResults:
    """All sessions of one day at one policy."""

    policy: ReportedPolicy
    successes: int = 0
    failures: dict[SessionResult, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who reports: the organization's name and an address for questions; `hostname` makes report ids unique."""

    organization: str
    contact: str
    hostname: str


def within_limit(strings: Iterable[str]) -> tuple[str, ...]:
    """As many as fit into POLICY_LIMIT."""
    kept: list[str] = []
    room = POLICY_LIMIT
    for one in strings:
        room -= len(one)
        if room < 0:
            break
        kept.append(one)
    return tuple(kept)


def record_name(domain: str) -> str:
    """Where the TXT record of `domain` stands (section 3)."""
    return f"_smtp._tls.{domain}"


def report_addresses(records: Sequence[bytes]) -> tuple[str, ...]:
    """The `rua` addresses (mailto: and https:) of the TXT records; none where the domain wants no reports (not exactly one record)."""
    texts = [record.decode("ascii", "replace") for record in records]
    ours = [text for text in texts if _VERSION.match(text)]
    if len(ours) != 1:
        return ()
    fields = [entry.strip(" \t") for entry in ours[0].split(";")[1:]]
    found = [entry[4:] for entry in fields if entry.startswith("rua=")]
    if len(found) != 1:
        return ()
    addresses = [one.strip(" \t") for one in found[0].split(",")]
    good = [one for one in addresses if one.lower().startswith(("mailto:", "https://")) and _GRAPHIC(one) is not None]
    return tuple(dict.fromkeys(good))[:ADDRESSES_LIMIT]


def day_of(now: float) -> str:
    """The UTC day of Unix seconds, 2026-11-28: reports are about whole UTC days (section 4.1)."""
    return datetime.datetime.fromtimestamp(now, tz=datetime.UTC).strftime("%Y-%m-%d")


def start_of(day: str) -> float:
    """Unix seconds of the day's beginning. :raises ValueError: not a day."""
    return datetime.datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=datetime.UTC).timestamp()


def report_id(day: str, domain: str, submitter: Submitter) -> str:
    """The same report has the same id, also where it is sent again."""
    return f"{day}T00:00:00Z_{domain}@{submitter.hostname}"


FailureCount = TypedDict(
    "FailureCount",
    {
        "result-type": str,
        "sending-mta-ip": NotRequired[str],
        "receiving-mx-hostname": NotRequired[str],
        "receiving-ip": NotRequired[str],
        "failure-reason-code": NotRequired[str],
        "failed-session-count": int,
    },
)
PolicyMet = TypedDict(
    "PolicyMet",
    {"policy-type": str, "policy-domain": str, "policy-string": NotRequired[list[str]], "mx-host": NotRequired[list[str]]},
)
SessionCounts = TypedDict("SessionCounts", {"total-successful-session-count": int, "total-failure-session-count": int})
PolicySection = TypedDict(
    "PolicySection", {"policy": PolicyMet, "summary": SessionCounts, "failure-details": NotRequired[list[FailureCount]]}
)
ReportedDays = TypedDict("ReportedDays", {"start-datetime": str, "end-datetime": str})
TlsReport = TypedDict(
    "TlsReport",
    {"organization-name": str, "date-range": ReportedDays, "contact-info": str, "report-id": str, "policies": list[PolicySection]},
)
"""The form of a report (section 4.4)."""


def report(day: str, domain: str, results: Iterable[PolicyResults], submitter: Submitter) -> TlsReport:
    """The report of one day to one domain (section 4.4) as plain values."""
    return {
        "organization-name": submitter.organization,
        "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
        "contact-info": submitter.contact,
        "report-id": report_id(day, domain, submitter),
        "policies": [_policy(one) for one in results],
    }


def _policy(results: PolicyResults) -> PolicySection:
    policy = results.policy
    described: PolicyMet = {"policy-type": policy.type.value, "policy-domain": policy.domain}
    if policy.strings:
        described["policy-string"] = list(policy.strings)
    if policy.mx:
        described["mx-host"] = list(policy.mx)
    found: PolicySection = {
        "policy": described,
        "summary": {
            "total-successful-session-count": results.successes,
            "total-failure-session-count": sum(results.failures.values()),
        },
    }
    if results.failures:
        found["failure-details"] = [_failure(result, count) for result, count in results.failures.items()]
    return found


def _failure(result: SessionResult, count: int) -> FailureCount:
    assert result.failure is not None
    told: FailureCount = {"result-type": result.failure.value, "failed-session-count": count}
    if result.sending_ip:
        told["sending-mta-ip"] = result.sending_ip
    if result.mx:
        told["receiving-mx-hostname"] = result.mx
    if result.receiving_ip:
        told["receiving-ip"] = result.receiving_ip
    if result.reason:
        told["failure-reason-code"] = result.reason[:TEXT_LIMIT]
    return told


def encode(document: TlsReport) -> bytes:
    """The report as it is sent, before compression."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def file_name(day: str, domain: str, submitter: Submitter) -> str:
    """Section 5.1: submitter, policy domain, begin and end in Unix seconds."""
    begin = int(start_of(day))
    return f"{submitter.hostname}!{domain}!{begin}!{begin + 86_399}!001.json.gz"
