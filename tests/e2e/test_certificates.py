"""Certificates of the running service: chosen by name, renewed without a word to it, kept where the new ones are no good."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ServerTlsContext
from mailwye.testing.authority import Authority
from mailwye.testing.peers import PeerServer
from tests.counterparts.process import free_port
from tests.e2e.installed import ADDRESS, Installed, message, serving, until
from tests.e2e.organizations import BOB, JOHN, SUN, hosted

TLS = """[tls]
certificate = "mx.pem"
private_key = "mx.key"

[[tls.certificates]]
certificate = "fabrikam.pem"
private_key = "fabrikam.key"
"""


def presented(installed: Installed, server_name: str, kind: str = "mx") -> str:
    """The first name of the certificate, or its serial number where no name is asked for."""
    context = ssl.create_default_context(cafile=str(installed.directory / "ca.pem"))
    context.check_hostname = False
    client = installed.client(kind)
    try:
        client.ehlo()
        client.putcmd("STARTTLS")
        assert client.getreply()[0] == 220
        assert client.sock is not None
        with context.wrap_socket(client.sock, server_hostname=server_name or None) as secured:
            certificate = secured.getpeercert()
    finally:
        client.close()
    assert certificate is not None
    return str(certificate["subjectAltName"][0][1]) if server_name else str(certificate["serialNumber"])


@pytest.mark.parametrize("number", [0, 2])
async def test_renewed_files_are_used_without_being_told_and_no_session_ends(tmp_path: Path, number: int) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS])
    authority.issue("fabrikam", ["mx.fabrikam.com", "*.fabrikam.com"])
    installed = Installed(tmp_path, more=TLS, workers=number)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        assert await asyncio.to_thread(presented, installed, "mx.mailwye.example") == "mx.mailwye.example"
        assert await asyncio.to_thread(presented, installed, "a.fabrikam.com") == "mx.fabrikam.com"
        assert await asyncio.to_thread(presented, installed, "unknown.example") == "mx.mailwye.example"
        first = await asyncio.to_thread(presented, installed, "")

        client = await asyncio.to_thread(installed.client)
        await asyncio.to_thread(client.starttls, context=ssl.create_default_context(cafile=str(authority.certificate)))

        whole = (tmp_path / "mx.pem").read_bytes()
        (tmp_path / "mx.pem").write_bytes(whole[:200])
        await until(lambda: "the old ones stay in use" in service.log(), "the alert")
        assert str(tmp_path / "mx.pem") in service.log()
        assert await asyncio.to_thread(presented, installed, "") == first

        authority.issue("mx", ["mx.mailwye.example", ADDRESS])
        await until(lambda: "certificates reloaded" in service.log(), "the renewed certificate")
        assert await asyncio.to_thread(presented, installed, "") != first
        await asyncio.to_thread(client.sendmail, SUN, [BOB], b"Subject: As before\r\n\r\nText.\r\n")
        await asyncio.to_thread(client.quit)
        assert service.log().count("the old ones stay in use") == 1


async def test_a_listener_has_its_own_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS])
    authority.issue("submit", ["submit.mailwye.example", ADDRESS])
    installed = Installed(tmp_path, listeners=("mx", "submission"))
    own = 'kind = "submission"\ncertificate = "submit.pem"\nprivate_key = "submit.key"'
    text = installed.config.read_text().replace('kind = "submission"', own)
    installed.config.write_text(text + '[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n')
    async with serving(installed):
        assert await asyncio.to_thread(presented, installed, "other.example", "submission") == "submit.mailwye.example"
        assert await asyncio.to_thread(presented, installed, "mx.mailwye.example", "submission") == "mx.mailwye.example"
        assert await asyncio.to_thread(presented, installed, "submit.mailwye.example", "mx") == "mx.mailwye.example"


ORGANIZATION = """\
AcceptedDomain: [{DomainName: contoso.com}]
Mailbox: [{PrimarySmtpAddress: bob@contoso.com}]
MailUser: [{PrimarySmtpAddress: john@contoso.com}]
InboundConnector:
  - {Name: From us, ConnectorType: OnPremises, TlsSenderCertificateName: mail.contoso.com}
OutboundConnector:
  - {Name: To us, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: ["%s"]}
"""


async def test_who_expires_when_is_told_once_listed_and_measured(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS], ends_in_days=13.5)
    own = authority.issue("own", ["mail.contoso.com"], ends_in_days=6.5)
    theirs = authority.issue("theirs", ["smart.contoso.com"], ends_in_days=40)
    peer = PeerServer("smart.contoso.com", SystemNetwork(), SystemClock())
    peer.tls = ServerTlsContext(certificate=str(theirs.certificate), private_key=str(theirs.private_key))
    port = free_port("127.0.0.3")
    await peer.start("127.0.0.3", port)
    tls = '[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\ntrusted_authorities = ["ca.pem"]\n'
    installed = Installed(tmp_path, more=tls, listeners=("mx", "admin"), workers=2)
    organization = tmp_path / "organization.yaml"
    organization.write_text(ORGANIZATION % f"127.0.0.3:{port}")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(own.certificate, own.private_key)

    def send() -> None:
        with installed.client() as client:
            client.starttls(context=context)
            client.sendmail("john@contoso.com", [BOB, JOHN], message("john@contoso.com", BOB, "By certificate"))

    def metrics() -> str:
        with urllib.request.urlopen(f"http://{ADDRESS}:{installed.ports['admin']}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    stranger = ssl.create_default_context(cafile=str(authority.certificate))
    stranger.load_cert_chain(theirs.certificate, theirs.private_key)

    def send_as_stranger() -> None:
        with installed.client() as client:
            client.starttls(context=stranger)
            client.sendmail(SUN, [BOB], message(SUN, BOB, "By a stranger"))

    before = await installed.json("certificates")  # without a service: the files
    assert [(row["use"], row["days_left"], row["warned_days_before"]) for row in before] == [
        ("[tls]", 13, None),
        ("trusted authority", 29, None),
    ]
    async with serving(installed) as service:
        await until(lambda: service.log().count("event=alert") == 2, "the warnings of [tls] and of the authority")
        await installed.run("apply", "-f", str(organization))
        await asyncio.to_thread(send)
        await asyncio.to_thread(send_as_stranger)
        assert await peer.arrived(lambda one: "By certificate" in one.content.decode(), seconds=15) is not None
        rows = {row["use"]: row for row in await installed.json("certificates")}
        assert set(rows) == {"[tls]", "trusted authority", 'inbound connector "From us"', 'outbound connector "To us"'}
        seen = rows['inbound connector "From us"']
        assert (seen["names"], seen["days_left"], seen["warned_days_before"], seen["state"]) == (["mail.contoso.com"], 6, 7, "expires soon")
        assert rows["[tls]"]["warned_days_before"] == 14
        assert rows['outbound connector "To us"']["names"] == ["smart.contoso.com"]
        await until(lambda: service.log().count("event=alert") == 3, "the warning of the connector's certificate")
        page = await asyncio.to_thread(metrics)
        assert 'mailwye_certificate_not_after_timestamp_seconds{use="inbound connector \\"From us\\""} ' in page
    peer.stop()
    async with serving(installed) as service:
        again = {row["use"]: row for row in await installed.json("certificates")}
        assert again == {use: {**row, "warned_days_before": again[use]["warned_days_before"]} for use, row in rows.items()}
        assert service.log().count("event=alert") == 3  # of the first run: nothing is told twice
    table = (await installed.run("certificates")).out.splitlines()
    assert table[0].split()[0] == "use"
    assert len(table) == 5
    assert any("mail.contoso.com" in line and "7 days before" in line and "seen on" in line for line in table)
