"""Who is calling, with the installed program: a certificate of an authority that one connector trusts, why another is refused, and
what the administrator sees of both. With two workers, which share the memory of certificates.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority, KeyPair
from tests.e2e.installed import Installed, message, serving, until
from tests.e2e.organizations import BOB, SUN

NAME = "mail.contoso.com"
ORGANIZATION = """\
AcceptedDomain: {DomainName: contoso.com}
Mailbox: {PrimarySmtpAddress: bob@contoso.com}
InboundConnector:
  Name: From our servers
  ConnectorType: OnPremises
  TlsSenderCertificateName: "*.contoso.com"
  TrustedAuthorities: [first, second]
"""
TABLES = """\
[tls]
certificate = "mx.pem"
private_key = "mx.key"
[tls.authorities]
first = "first/ca.pem"
second = ["second/ca.pem"]
"""


def send(installed: Installed, pair: KeyPair, recipient: str) -> None:
    """From John's server, with this certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(pair.certificate, pair.private_key)
    with installed.client() as client:
        client.starttls(context=context)
        client.sendmail("john@contoso.com", [recipient], message("john@contoso.com", recipient))


async def test_from_the_certificate_to_the_explanation(tmp_path: Path) -> None:
    now = SystemClock().now()
    authorities = {name: Authority(tmp_path / name, now=now, name=f"Authority {name}") for name in ("first", "second", "foreign")}
    Authority(tmp_path, now=now).issue("mx", ["mx.mailwye.example"])
    first, second, foreign = (one.issue("mail", [NAME], ends_in_days=6.5) for one in authorities.values())
    installed = Installed(tmp_path, more=TABLES, workers=2)
    (tmp_path / "organization.yaml").write_text(ORGANIZATION)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(tmp_path / "organization.yaml"))
        for pair in (first, second):
            await asyncio.to_thread(send, installed, pair, SUN)
        await until(lambda: "never seen here before" in service.log(), "the alert for another issuer")
        assert "It is accepted" in service.log()
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await asyncio.to_thread(send, installed, foreign, SUN)
        reply = refused.value.recipients[SUN][1].decode()
        assert "TrustedAuthorities first: issued by an authority that is not among them: CN=Authority foreign" in reply

        (row,) = await installed.json("trace", "--status", "Rejected")
        story = (await installed.run("explain", "--session", row["session"])).out
        assert "issuer: CN=Authority foreign" in story
        assert "authorities first: issued by an authority that is not among them" in story
        again = await installed.json("explain", "--session", row["session"])
        assert again["transactions"][0]["then"]["answer"] == again["transactions"][0]["now"]["reply"]

        taken = [one for one in await installed.json("trace", "--sender", "john@contoso.com") if one["status"] != "Rejected"]
        presented = [await installed.json("trace", "show", one["session"]) for one in taken]
        keys = {
            event["data"]["certificate_issuer"]: event["data"]["certificate_public_key_sha256"]
            for events in presented
            for event in events
            if "certificate_issuer" in event["data"]
        }
        assert set(keys) == {"CN=Authority first", "CN=Authority second"}

    pinned = keys["CN=Authority first"]
    (tmp_path / "organization.yaml").write_text(ORGANIZATION + f"  TlsSenderCertificatePins: {pinned}\n")
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(tmp_path / "organization.yaml"))
        await asyncio.to_thread(send, installed, first, BOB)
        await asyncio.to_thread(send, installed, first, SUN)
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="is in TlsSenderCertificatePins"):
            await asyncio.to_thread(send, installed, second, SUN)
        again = await installed.json("explain", "--session", row["session"])
        assert "configuration version 1; what follows is by version 2" in again["notes"][0]
