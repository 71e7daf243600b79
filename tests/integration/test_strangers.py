"""Somebody with a certificate that nobody knows: he is merely anonymous (SEMANTICS sections 3 and 4)."""

from __future__ import annotations

import smtplib
import subprocess

import pytest

from tests.counterparts.process import program
from tests.integration.conftest import World
from tests.integration.messages import arrived, assert_same_octets, id_of, message
from tests.integration.test_story import BOB, JOHN, SUN


def test_he_delivers_to_bob(world: World) -> None:
    content = message(SUN, BOB)
    with world.junction.client(world.place.stranger) as client:
        client.starttls(context=world.junction.trusting(world.certificates.strangers))
        client.sendmail(SUN, [BOB], content)
    assert_same_octets(arrived(world.junction.bobs_maildir(), id_of(content)), content)
    receive = next(event for event in world.junction.events(id_of(content)) if event["kind"] == "Receive")
    assert receive["connector"] == ""


@pytest.mark.parametrize("sender", ["eve@evil.example", JOHN])
def test_he_relays_nothing(world: World, sender: str) -> None:
    """His certificate even says mail.contoso.com; nobody whom we trust has signed it."""
    with world.junction.client(world.place.stranger) as client:
        client.starttls(context=world.junction.trusting(world.certificates.strangers))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail(sender, [SUN], message(sender, SUN))
    code, text = refused.value.recipients[SUN]
    assert code == 550
    assert text.startswith(b"5.7.64 TenantAttribution; Relay Access Denied")
    assert b'Connector "From our servers" nearly matched' in text


@pytest.mark.counterpart("openssl")
def test_openssl_speaks_with_us(world: World) -> None:
    """Another TLS implementation's client, with the stranger's certificate, and it checks our name."""
    pair = world.certificates.strangers
    junction = world.junction
    done = subprocess.run(
        [
            *(program("openssl"), "s_client", "-quiet", "-starttls", "smtp", "-connect", f"{junction.address}:{junction.ports.mx}"),
            *("-CAfile", str(world.certificates.authority), "-verify_return_error", "-verify_hostname", "mx.mailwye.example"),
            *("-cert", str(pair.certificate), "-key", str(pair.private_key)),
        ],
        input=b"QUIT\r\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"221 2.0.0" in done.stdout, done.stderr.decode()
