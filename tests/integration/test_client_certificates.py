"""Own servers, Postfix and Exim, with certificates of each kind: whom Mailwye takes them for, what it answers, and what the trace keeps."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.counterparts.exim import Exim
from tests.counterparts.postfix import Postfix
from tests.counterparts.process import wait_until
from tests.integration.certificate_world import NAME, OUTSIDE, PRESENTED, CertificateWorld
from tests.integration.messages import message

pytestmark = [pytest.mark.counterpart("postfix"), pytest.mark.counterpart("exim")]

SENDERS = {"postfix": "john@contoso.com", "exim": "john@sales.contoso.com"}
RELAYED = {
    "valid": "chain to the trusted authority CN=Public authority",
    "own": "chain to the trusted authority CN=Authority of contoso ([tls.authorities] sales)",
    "cn-only": "chain to the trusted authority CN=Public authority",
}
"""Who is attributed to the connector, and by which authority."""

REFUSED = {
    "self-signed": "is not trusted (self-signed certificate",
    "expired": "is not trusted (expired on 20",
    "wrong-name": "names mail.fabrikam.example do not match TlsSenderCertificateName *.contoso.com",
    "no-intermediate": "CN=Public intermediate, or the peer left out an intermediate certificate",
    "revoked": "is not trusted (revoked",
    "foreign": "issued by an authority that is not trusted: CN=Authority of nobody",
    "none": "the client presented no certificate for TlsSenderCertificateName *.contoso.com",
}
"""Who stays anonymous, and what the reply says is missing."""


@dataclass(frozen=True)
class Sent:
    """What came of all the messages: the servers' own words, and the trace's rows by sender and recipient."""

    logs: Mapping[str, str]
    rows: Mapping[tuple[str, str], Mapping[str, Any]]


def hand_in(server: Postfix | Exim, sender: str, recipient: str, content: bytes = b"") -> None:
    with smtplib.SMTP(server.address, server.port, timeout=20, source_address=(server.address, 0)) as client:
        if isinstance(server, Postfix):
            client.starttls(context=ssl._create_unverified_context())
        client.sendmail(sender, [recipient], content or message(sender, recipient))


def ended(name: str, log: str, recipient: str) -> str:
    """What the server's log says of the end of its message to `recipient`, "" before."""
    pattern = rf"to=<{recipient}>,.* status=(?:sent|bounced).*" if name == "postfix" else rf"(?:=>|\*\*) {recipient} .*"
    found = re.search(pattern, log)
    return found[0] if found else ""


@pytest.fixture(scope="module")
def sent(certificates: CertificateWorld) -> Sent:
    """A message of each server with each kind."""
    for name, sender in SENDERS.items():
        for kind in PRESENTED:
            hand_in(certificates.server(name), sender, f"{kind}@{OUTSIDE}")

    def all_ended() -> bool:
        return all(ended(name, certificates.server(name).log(), f"{kind}@{OUTSIDE}") for name in SENDERS for kind in PRESENTED)

    wait_until(all_ended, "both servers having heard an answer to each message", seconds=30)
    rows = certificates.junction.json("trace", "--recipient", f"*@{OUTSIDE}")
    return Sent(
        {name: certificates.server(name).log() for name in SENDERS},
        {(row["sender"], row["recipient"]): row for row in rows},
    )


def explained(world: CertificateWorld, sent: Sent, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts of Postfix's session and its one decision."""
    told = world.junction.json("explain", "--session", sent.rows[SENDERS["postfix"], f"{kind}@{OUTSIDE}"]["session"])
    assert told["notes"] == []
    (one,) = told["transactions"]
    return told["facts"], one


@pytest.mark.parametrize("server", SENDERS)
@pytest.mark.parametrize("kind", RELAYED)
def test_relayed(certificates: CertificateWorld, sent: Sent, server: str, kind: str) -> None:
    told = ended(server, sent.logs[server], f"{kind}@{OUTSIDE}")
    assert "status=sent" in told or "=>" in told, told
    assert sent.rows[SENDERS[server], f"{kind}@{OUTSIDE}"]["status"] == "Pending"  # taken; nobody is there to take it from us


@pytest.mark.parametrize("kind", RELAYED)
def test_why_it_was_relayed(certificates: CertificateWorld, sent: Sent, kind: str) -> None:
    facts, one = explained(certificates, sent, kind)
    certificate = facts["tls"]["certificate"]
    assert certificate["names"] == [NAME]
    assert RELAYED[kind] in (certificate["trust_reason"], *(verdict["reason"] for verdict in certificate["verdicts"]))
    assert one["then"]["answer"].startswith("accepted as ")
    assert one["now"]["explanation"]["caller"]["connector"] == "From our servers"
    assert RELAYED[kind] in str(one["now"]["explanation"]["caller"]["reasons"])


@pytest.mark.parametrize("server", SENDERS)
@pytest.mark.parametrize("kind", REFUSED)
def test_refused(certificates: CertificateWorld, sent: Sent, server: str, kind: str) -> None:
    """The own server's administrator reads in his log what is missing; so does ours, later."""
    told = ended(server, sent.logs[server], f"{kind}@{OUTSIDE}")
    assert "status=bounced" in told or "**" in told, told
    assert "550 5.7.64 TenantAttribution; Relay Access Denied" in told
    assert 'Connector "From our servers" nearly matched' in told
    assert REFUSED[kind] in told
    row = sent.rows[SENDERS[server], f"{kind}@{OUTSIDE}"]
    assert (row["status"], row["connector"]) == ("Rejected", "")
    assert REFUSED[kind] in row["detail"]


@pytest.mark.parametrize("kind", REFUSED)
def test_why_it_was_refused(certificates: CertificateWorld, sent: Sent, kind: str) -> None:
    facts, one = explained(certificates, sent, kind)
    assert (facts["tls"]["certificate"] is None) is (kind == "none")
    assert REFUSED[kind] in one["then"]["answer"]
    assert one["now"]["reply"] == one["then"]["answer"]
    assert one["now"]["explanation"]["caller"]["connector"] in ("", None)


def test_postfix_brings_the_refusal_to_its_user(certificates: CertificateWorld, sent: Sent) -> None:
    folder = certificates.postfix.mailbox("john", "contoso.com")

    def bounced() -> list[str]:
        return [text for path in folder.glob("new/*") if f"revoked@{OUTSIDE}" in (text := path.read_text())]

    wait_until(bounced, "a bounce in John's mailbox")
    assert "nearly matched" in " ".join(bounced()[0].split())
