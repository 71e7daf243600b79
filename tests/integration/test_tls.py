"""TLS that cannot be had as asked for: the mail waits, and the exact cause is said (SEMANTICS section 8)."""

from __future__ import annotations

import pytest

from tests.integration.conftest import World
from tests.integration.messages import id_of, message
from tests.integration.test_story import BOB

pytestmark = pytest.mark.counterpart("postfix")


@pytest.mark.parametrize(
    ("domain", "code", "causes"),
    [
        ("wrong-name.example", "450 4.7.320", ("expected name mail.contoso.com, presented mail.fabrikam.example", "TlsDomain")),
        ("expired.example", "450 4.7.320", ("expired", "CertificateValidation")),
        ("self-signed.example", "450 4.7.320", ("self-signed", "CertificateValidation")),
        ("no-tls.example", "450 4.4.317", ("STARTTLS is required", "does not offer it", "EncryptionOnly")),
    ],
)
def test_cause(world: World, domain: str, code: str, causes: tuple[str, ...]) -> None:
    recipient = f"john@{domain}"
    content = message(BOB, recipient)
    with world.junction.bob() as client:
        client.sendmail(BOB, [recipient], content)
    row = world.junction.deferred(recipient)
    events = world.junction.events(id_of(content))
    deferred = next(event for event in events if event["kind"] == "Defer")
    for text in (row["last_error"], deferred["reply"]):
        assert code in text
        for cause in (*causes, f'connector "To {domain}"'):
            assert cause in text
    assert deferred["connector"] == f"To {domain}"
    assert not list(world.own.mailbox("john", domain).glob("new/*"))
    world.junction.run("queue", "delete", "--recipient", recipient)
    assert world.junction.queued(recipient) == []
