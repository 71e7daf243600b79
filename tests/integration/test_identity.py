"""Own servers that prove who they are with certificates: Postfix by a common authority, Exim by its own, which one connector trusts."""

from __future__ import annotations

import json
import smtplib

import pytest

from tests.integration.conftest import World
from tests.integration.messages import arrived, id_of, message
from tests.integration.test_story import BOB, JOHN_AT_SALES, SUN, mailbox, send


@pytest.mark.counterpart("exim")
def test_exim_is_known_by_its_own_authority(world: World) -> None:
    content = message(JOHN_AT_SALES, SUN)
    send(world, content, JOHN_AT_SALES, SUN)
    arrived(mailbox(world, SUN), id_of(content))
    receive = next(event for event in world.junction.events(id_of(content)) if event["kind"] == "Receive")
    assert receive["connector"] == "From sales"
    assert "certificate's name mail.sales.contoso.com matches" in receive["reasons"][0]
    told = json.loads(world.junction.run("trace", "show", receive["session"], "--json"))
    presented = next(event["data"] for event in told if event["kind"] == "Connect")
    assert presented["certificate_authorities_sales"].startswith("chain to the trusted authority CN=Authority of sales")
    assert "not trusted" in presented["certificate_verdict"]
    again = json.loads(world.junction.run("explain", "--session", receive["session"], "--json"))
    assert again["transactions"][0]["now"]["explanation"]["caller"]["connector"] == "From sales"


def test_the_authority_of_sales_identifies_nobody_else(world: World) -> None:
    """The same certificate from another address, and the address without the certificate: the connector asks for both."""
    for source, pair in ((world.place.stranger, world.certificates.sales), (world.place.sales, None)):
        with world.junction.client(source) as client:
            client.starttls(context=world.junction.trusting(pair))
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                client.sendmail(JOHN_AT_SALES, [SUN], message(JOHN_AT_SALES, SUN))
        assert b'Connector "From sales" nearly matched' in refused.value.recipients[SUN][1]


def test_the_session_of_a_refusal_is_explained(world: World) -> None:
    with world.junction.client(world.place.stranger) as client:
        client.starttls(context=world.junction.trusting(world.certificates.strangers))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("eve@evil.example", [SUN], message("eve@evil.example", SUN))
    rows = json.loads(world.junction.run("trace", "--sender", "eve@evil.example", "--json"))
    story = world.junction.run("explain", "--session", rows[0]["session"])
    assert "subject: CN=mail.contoso.com" in story
    assert "verdict: self-signed certificate" in story
    assert refused.value.recipients[SUN][1].decode() in story
    assert BOB not in story
