"""Others look at our certificate: Postfix as a server that asks for it, Postfix and Exim as clients that verify it, good and bad."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mailwye.testing.authority import KeyPair
from tests.counterparts.process import wait_until
from tests.integration.certificate_world import VERIFYING, CertificateWorld, domain_of
from tests.integration.messages import find, id_of, message
from tests.integration.test_client_certificates import SENDERS, hand_in
from tests.integration.test_story import BOB

pytestmark = [pytest.mark.counterpart("postfix"), pytest.mark.counterpart("exim")]


# --- smart hosts that relay for whom they know by certificate

CHECKS = {
    ("postfix", "by-fingerprint"): ("service", "554 5.7.1"),
    ("postfix", "by-access-map"): ("service", "554 5.7.1"),
    ("postfix", "by-authority"): ("service", "421 4.7.1"),
    ("postfix", "by-other-authority"): ("other", "421 4.7.1"),
    ("exim", "by-authority"): ("service", "550 "),
    ("exim", "by-other-authority"): ("other", "550 "),
}
"""Which of our certificates each of them knows (that of the installation, or the connector's own), and how it refuses the other one."""

PAIRS = ("service", "other")


@pytest.fixture(scope="module")
def shown(certificates: CertificateWorld) -> dict[str, dict[str, Any]]:
    """The last event about each recipient of one message, which goes to each check with each of our certificates."""
    junction = certificates.junction
    recipients = [f"john@{domain_of(*check, pair)}" for check in CHECKS for pair in PAIRS]
    content = message(BOB, recipients[0])
    with junction.bob() as client:
        client.sendmail(BOB, recipients, content)

    def ends() -> dict[str, dict[str, Any]]:
        return {event["recipient"]: event for event in junction.events(id_of(content)) if event["kind"] in ("Send", "Defer", "Fail")}

    wait_until(lambda: set(recipients) <= set(ends()), "an end for each")
    return ends()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("server", "check"), CHECKS)
def test_they_ask_for_our_certificate(
    certificates: CertificateWorld, shown: dict[str, dict[str, Any]], server: str, check: str, pair: str
) -> None:
    domain = domain_of(server, check, pair)
    event = shown[f"john@{domain}"]
    known, refusal = CHECKS[server, check][0] == pair, CHECKS[server, check][1]
    assert event["connector"] == f"To {domain}"
    assert event["kind"] == ("Send" if known else "Fail" if refusal.startswith("5") else "Defer")
    assert event["reply"].startswith("250 " if known else refusal)
    assert bool(list(certificates.server(server).mailbox("john", domain).glob("new/*"))) is known


# --- Postfix and Exim as clients that verify our name, our authority or our fingerprint


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("verify", ""),
        ("secure", ""),
        ("secure-other-name", "Server certificate not verified"),
        ("fingerprint", ""),
        ("fingerprint-other", "Server certificate not verified"),
        ("exim-verify", ""),
        ("exim-verify-other", "TLS session"),
    ],
)
def test_others_verify_us(certificates: CertificateWorld, kind: str, refusal: str) -> None:
    recipient, name = f"{kind}@fabrikam.com", "exim" if kind.startswith("exim") else "postfix"
    assert name == "exim" or kind in VERIFYING
    server = certificates.server(name)
    hand_in(server, SENDERS[name], recipient)
    pattern = rf"to=<{recipient}>,.* status=.*" if name == "postfix" else rf"(?:=>|==) {recipient} .*"
    wait_until(lambda: re.search(pattern, server.log()), f"what became of it: {pattern}")
    found = re.search(pattern, server.log())
    assert found is not None
    if not refusal:
        assert "status=sent (250 2.0.0" in found[0] or 'C="250' in found[0], found[0]
        return
    assert "status=deferred" in found[0] or "==" in found[0], found[0]
    assert refusal in found[0]


def take_into_use(world: CertificateWorld, pair: KeyPair) -> None:
    """As a renewal does: write over the files, and say so."""
    own = world.kinds.pairs["service"]
    own.certificate.write_bytes(pair.certificate.read_bytes())
    own.private_key.write_bytes(pair.private_key.read_bytes())
    world.junction.run("reload")


def _more_than(count: Callable[[], int], before: int) -> bool:
    return count() > before


def test_mail_waits_at_postfix_for_our_renewal(certificates: CertificateWorld) -> None:
    """Our certificate has expired, then it has another name: Postfix keeps the mail, and it arrives after the renewal, no restart."""
    postfix, junction = certificates.postfix, certificates.junction
    own = certificates.kinds.pairs["service"]
    before = KeyPair(own.certificate.with_name("before.pem"), own.certificate.with_name("before.key"))
    before.certificate.write_bytes(own.certificate.read_bytes())
    before.private_key.write_bytes(own.private_key.read_bytes())
    recipient, pid = "secure@fabrikam.com", junction.pid

    def deferred() -> int:
        return len(re.findall(rf"to=<{recipient}>,.* status=deferred \(Server certificate not verified\)", postfix.log()))

    waiting = []
    for bad in ("expired", "wrong-name"):
        take_into_use(certificates, certificates.kinds.spare[bad])
        content, seen = message(SENDERS["postfix"], recipient), deferred()
        hand_in(postfix, SENDERS["postfix"], recipient, content)
        wait_until(partial(_more_than, deferred, seen), f"Postfix keeping the mail while our certificate is {bad}")
        waiting.append(id_of(content))
    assert not any(find(junction.bobs_maildir(), one) for one in waiting)
    take_into_use(certificates, certificates.kinds.spare["good"])
    postfix.flush()
    wait_until(lambda: all(find(junction.bobs_maildir(), one) for one in waiting), "all that waited")
    assert junction.pid == pid
    take_into_use(certificates, before)
