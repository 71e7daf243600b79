"""Mailwye as the client of Postfix and Exim with certificates of each kind, by each level of TlsSettings: what arrives, and what the queue,
the notice of delay and the trace say of what does not (SEMANTICS section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.counterparts.process import wait_until
from tests.integration.certificate_world import ATTACKED, BADLY_STAPLED, LEVELS, NAME, SERVED, STAPLED, CertificateWorld, domain_of
from tests.integration.messages import find, id_of, message
from tests.integration.notices import notices_about
from tests.integration.test_story import BOB

pytestmark = [pytest.mark.counterpart("postfix"), pytest.mark.counterpart("exim")]

CASES = [("postfix", kind, level) for kind in (*SERVED, *ATTACKED) for level in LEVELS]
CASES += [("exim", kind, level) for kind in (*SERVED, *STAPLED) for level in LEVELS]
CASES += [("openssl", kind, level) for kind in BADLY_STAPLED for level in LEVELS]

NOT_TRUSTED = {
    "self-signed": "self-signed certificate",
    "expired": "expired on 20",
    "no-intermediate": "CN=Public intermediate, or the peer left out an intermediate certificate",
    "revoked": "is not trusted: revoked; subject CN=mail.contoso.com",
    "staple-revoked": "(key compromise), as the OCSP response says that came with it",
    "must-staple-none": "(must-staple, RFC 7633), and no OCSP response came with it",
    "must-staple-old": "(must-staple, RFC 7633), and the OCSP response that came with it expired on 20",
}


def cause(kind: str, level: str) -> tuple[str, str] | None:
    """The enhanced code and the words of the deferral; None where the mail arrives."""
    if kind == "injected":
        return "4.7.0", "sent plaintext behind its reply to STARTTLS; the connection was dropped"
    if level == "null":
        return None
    if kind in ("none", "stripped"):
        return "4.4.317", "STARTTLS is required"
    if level == "EncryptionOnly":
        return None
    if kind in NOT_TRUSTED:
        return "4.7.320", NOT_TRUSTED[kind]
    if kind == "wrong-name" and level == "DomainValidation":
        return "4.7.320", f"expected name {NAME}, presented mail.fabrikam.example"
    return None


def why_good(kind: str, level: str) -> str:
    """What the trace says of the protection of mail that arrived."""
    if kind in ("none", "stripped"):
        return "plaintext: STARTTLS is not offered"
    if level == "null":
        return "the certificate was not judged (TlsSettings null)"
    if level == "EncryptionOnly":
        return "any certificate is good"
    return {
        "staple-good": "not revoked, as an OCSP response of 20",
        "must-staple": "not revoked, as an OCSP response of 20",
        "staple-old": "whether it is revoked is not known: the OCSP response that came with it expired on 20",
    }.get(kind, "chain to the trusted authority CN=Public authority; whether it is revoked is not known: no OCSP response came with it")


@dataclass(frozen=True)
class Tried:
    """All at its end: the message, the events and the queue's rows by recipient, and the notices of delay by recipient."""

    message_id: str
    events: dict[str, dict[str, Any]]
    queued: dict[str, dict[str, Any]]
    notices: dict[str, tuple[dict[str, str], str]]


@pytest.fixture(scope="module")
def tried(certificates: CertificateWorld) -> Tried:
    """One message of Bob's to everybody. What was deferred is tried once more, so that he is told of the delay."""
    junction = certificates.junction
    recipients = [f"john@{domain_of(*case)}" for case in CASES]
    content = message(BOB, recipients[0])
    late = {f"john@{domain_of(*case)}" for case in CASES if cause(*case[1:])}
    with junction.bob() as client:
        client.sendmail(BOB, recipients, content)

    def queued() -> dict[str, dict[str, Any]]:
        return {row["recipient"]: row for row in junction.json("queue", "list") if row["message_id"] == id_of(content)}

    def all_tried() -> bool:
        rows = queued()
        return set(rows) <= late and all(row["last_error"] for row in rows.values())

    wait_until(all_tried, "an end or a deferral for each", seconds=30)
    rows = queued()
    junction.run("queue", "retry", "--all")

    def notices() -> dict[str, tuple[dict[str, str], str]]:
        found = notices_about(junction.bobs_maildir(), id_of(content))
        return {group["Final-Recipient"].partition(";")[2].strip(): (group, one.text) for one in found for group in one.recipients}

    wait_until(lambda: late <= set(notices()), "a notice of delay for each that waits", seconds=30)
    events = {event["recipient"]: event for event in junction.events(id_of(content)) if event["kind"] in ("Send", "Defer")}
    return Tried(id_of(content), events, rows, notices())


@pytest.mark.parametrize(("server", "kind", "level"), CASES)
def test_level(certificates: CertificateWorld, tried: Tried, server: str, kind: str, level: str) -> None:
    domain = domain_of(server, kind, level)
    recipient = f"john@{domain}"
    event = tried.events[recipient]
    assert event["connector"] == f"To {domain}"
    expected = cause(kind, level)
    if server == "openssl":  # it has no mailboxes
        arrived = expected is None
        assert certificates.staplers[kind].messages == sum(cause(kind, one) is None for one in LEVELS)
    else:
        arrived = find(certificates.server(server).mailbox("john", domain), tried.message_id) is not None
    assert arrived is (expected is None)
    if expected is None:
        assert event["kind"] == "Send"
        assert event["data"].get("tls", "").startswith("" if kind in ("none", "stripped") else "TLSv1.")
        assert bool(event["data"].get("tls")) is (kind not in ("none", "stripped"))
        assert any(why_good(kind, level) in reason for reason in event["reasons"]), event["reasons"]
        assert recipient not in tried.queued
        return
    assert event["kind"] == "Defer"
    code, words = expected
    group, text = tried.notices[recipient]
    assert (group["Action"], group["Status"]) == ("delayed", code)
    asked_by = "" if kind == "injected" else f'connector "To {domain}" (TlsSettings {level}'
    for told in (tried.queued[recipient]["last_error"], event["reply"], " ".join(group["Diagnostic-Code"].split())):
        assert f"450 {code}" in told
        assert words in told
        assert asked_by in told
    assert recipient in text
