"""Two installed Mailwyes as processes run the page's story against each other: one in the place of the service, one in the place of
Exchange Server, with the page's own New-SendConnector and Set-ReceiveConnector values. TLS with certificates in both directions; the
names are the page's, and a name server of the test leads them to loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.dns_server import DnsServer
from mailwye.testing.peers import PeerServer
from tests.counterparts.process import free_port
from tests.e2e.installed import Installed, serving, until

pytestmark = pytest.mark.timeout(300)  # two services and many commands, each a process

SERVICE, OWN, SUNS = "127.0.0.2", "127.0.0.3", "127.0.0.4"
SMART_HOST = "contoso-com.mail.protection.outlook.com"
JOHN, BOB, SUN = "john@contoso.com", "bob@contoso.com", "sun@example.net"
PASSWORD = "a password for tests"
OUT, FRONT, TO_OWN, FROM_OWN = "My company to Office 365", "Default Frontend EX1", "To our servers", "From our servers"
ISSUER = "CN=Mailwye demo authority"

AT_SERVICE = """\
Organization: {Name: contoso}
AcceptedDomain: {DomainName: contoso.com, Default: true}
Mailbox: {PrimarySmtpAddress: bob@contoso.com}
MailUser: {PrimarySmtpAddress: john@contoso.com}
InboundConnector:
  - Name: From our servers
    ConnectorType: OnPremises
    TlsSenderCertificateName: "*.contoso.com"
    RequireTls: true
    CloudServicesMailEnabled: true
OutboundConnector:
  - Name: To our servers
    ConnectorType: OnPremises
    RecipientDomains: contoso.com
    UseMXRecord: false
    SmartHosts: mail.contoso.com
    TlsSettings: DomainValidation
    TlsDomain: mail.contoso.com
    CloudServicesMailEnabled: true
"""
# The page: New-SendConnector … and Set-ReceiveConnector …; the bindings are those of this test.
AT_OWN = """\
Organization: {{Name: contoso}}
AcceptedDomain: {{DomainName: contoso.com, Default: true}}
Mailbox: {{PrimarySmtpAddress: john@contoso.com}}
MailUser: {{PrimarySmtpAddress: bob@contoso.com}}
SendConnector:
  - Name: My company to Office 365
    AddressSpaces: "*"
    CloudServicesMailEnabled: true
    Fqdn: mail.contoso.com
    RequireTLS: true
    DNSRoutingEnabled: false
    SmartHosts: contoso-com.mail.protection.outlook.com
    TlsAuthLevel: CertificateValidation
ReceiveConnector:
  - Name: Default Frontend EX1
    Bindings: 127.0.0.3:{mx}
    TlsCertificateName: <I>{issuer}<S>CN=mail.contoso.com
    TlsDomainCapabilities: mail.protection.outlook.com:AcceptCloudServicesMail
    PermissionGroups: AnonymousUsers
  - Name: Client Frontend EX1
    Bindings: 127.0.0.3:{submission}
    AuthMechanism: [Tls, BasicAuth, BasicAuthRequireTLS]
    PermissionGroups: ExchangeUsers
InboundConnector:
  - Name: From our applications
    ConnectorType: OnPremises
    TlsSenderCertificateName: app.contoso.com
    RequireTls: true
    CloudServicesMailEnabled: true
"""


class Side(Installed):
    """One of the two installations. `pairs`: those of [tls], then further ones."""

    def __init__(
        self, directory: Path, address: str, hostname: str, mx: int, mx_port: int, authority: Path, pairs: Sequence[KeyPair], names: str
    ) -> None:
        directory.mkdir()
        self.directory, self.config, self.data = directory, directory / "mailwye.toml", directory / "data"
        self.address = address
        self.ports = {"mx": mx, "submission": free_port(address)}
        first, *others = pairs
        listeners = "".join(
            f'[[listener]]\nname = "{kind}"\nkind = "{kind}"\naddress = "{address}"\nport = {port}\n' for kind, port in self.ports.items()
        )
        further = "".join(f'[[tls.certificates]]\ncertificate = "{one.certificate}"\nprivate_key = "{one.private_key}"\n' for one in others)
        self.config.write_text(
            f'hostname = "{hostname}"\ndata_directory = "data"\nworkers = 0\nshutdown_timeout = 5\n{listeners}'
            f'[tls]\ncertificate = "{first.certificate}"\nprivate_key = "{first.private_key}"\ntrusted_authorities = ["{authority}"]\n'
            f"{further}"
            f'[dns]\nnameservers = ["{names}"]\ntimeout = 2\n'
            f"[delivery]\nsmart_host_port = {mx}\nmx_port = {mx_port}\nallow_private_mx = true\n"
        )

    async def set_up(self, organization: str, user: str) -> None:
        """Apply, and give the user a password. The check of both files has nothing to say about the page's values."""
        path = self.directory / "organization.yaml"
        path.write_text(organization)
        checked = await self.run("check", "-f", str(path))
        assert "SendConnector" not in checked.words, checked.words
        assert "ReceiveConnector" not in checked.words, checked.words
        assert "OutboundConnector" not in checked.words, checked.words
        await self.run("apply", "-f", str(path))
        await self.run("mailbox", "add", user, "--password-stdin", stdin=PASSWORD + "\n")

    async def events(self, message_id: str) -> list[Any]:
        """All events of the trace about a message."""
        rows = await self.json("trace", "--message-id", message_id)
        events: list[Any] = await self.json("trace", "show", rows[0]["message"] or rows[0]["session"])
        return events


@dataclass
class Scene:
    """Both sides serving, Sun's server, and the certificates of whoever connects."""

    service: Side
    own: Side
    sun: PeerServer
    authority: Authority
    application: KeyPair

    def trusting(self, pair: KeyPair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.check_hostname = False
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.private_key)
        return context

    async def submit(self, side: Side, sender: str, recipient: str, message_id: str) -> None:
        """As a mail program does."""

        def talk() -> None:
            with smtplib.SMTP(side.address, side.ports["submission"], local_hostname="pc.example", timeout=20) as client:
                client.starttls(context=self.trusting())
                client.login(sender, PASSWORD)
                client.sendmail(sender, [recipient], content(sender, recipient, message_id))

        await asyncio.to_thread(talk)

    async def deliver(
        self, side: Side, sender: str, recipient: str, message_id: str, *, pair: KeyPair | None = None, more: str = ""
    ) -> None:
        """As another server does."""

        def talk() -> None:
            with smtplib.SMTP(side.address, side.ports["mx"], local_hostname="server.example", timeout=20) as client:
                if pair is not None:
                    client.starttls(context=self.trusting(pair))
                client.sendmail(sender, [recipient], content(sender, recipient, message_id, more))

        await asyncio.to_thread(talk)

    async def arrives(self, where: Side | PeerServer, user: str, message_id: str) -> bytes:
        """The message at its end."""
        wanted = message_id.encode()

        def look() -> bytes | None:
            found = [m.content for m in where.messages] if isinstance(where, PeerServer) else where.maildir(user)
            return next((one for one in found if wanted in one), None)

        arrived: bytes = await until(look, f"{message_id} for {user}")
        return arrived


def content(sender: str, recipient: str, message_id: str, more: str = "") -> str:
    return f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: Hello\r\nMessage-ID: {message_id}\r\n{more}\r\nText.\r\n"


def free_port_on_both() -> int:
    """One port that is free at the service's and at the own server's address: the page's smart hosts have no ports."""
    for _ in range(50):
        port = free_port(SERVICE)
        with socket.socket() as probe:
            try:
                probe.bind((OWN, port))
            except OSError:
                continue
            return port
    pytest.fail("no port is free on both addresses")


@contextlib.asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[Scene]:
    authority = Authority(directory / "authority", now=SystemClock().now())
    mx, suns = free_port_on_both(), free_port(SUNS)
    names = DnsServer(
        {
            SMART_HOST: {"A": [SERVICE]},
            "mail.contoso.com": {"A": [OWN]},
            "contoso.com": {"MX": [(10, SMART_HOST)]},
            "example.net": {"MX": [(10, "mail.example.net")]},
            "mail.example.net": {"A": [SUNS]},
        }
    )
    await names.start()
    sun = PeerServer("mail.example.net", SystemNetwork(), SystemClock())
    await sun.start(SUNS, suns)
    protection = authority.issue("service", ["mail.protection.outlook.com", "*.mail.protection.outlook.com"])
    inner, public = authority.issue("ex1", ["ex1.contoso.local"]), authority.issue("mail", ["mail.contoso.com"])
    here = names.nameserver
    service = Side(directory / "service", SERVICE, SMART_HOST, mx, suns, authority.certificate, [protection], here)
    own = Side(directory / "own", OWN, "ex1.contoso.local", mx, suns, authority.certificate, [inner, public], here)
    await service.set_up(AT_SERVICE, BOB)
    await own.set_up(AT_OWN.format(mx=mx, submission=own.ports["submission"], issuer=ISSUER), JOHN)
    try:
        async with serving(service), serving(own):
            yield Scene(service, own, sun, authority, authority.issue("app", ["app.contoso.com"]))
    finally:
        sun.stop()
        await names.stop()


def reasons(events: list[Any]) -> str:
    return "\n".join(reason for event in events for reason in event["reasons"])


def connectors(events: list[Any], kind: str) -> list[str]:
    return [event["connector"] for event in events if event["kind"].lower() == kind]


async def test_the_whole_story(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        await john_writes_to_bob(there)
        await bob_writes_to_john(there)
        await john_and_sun(there)
        await bob_and_sun(there)
        await strangers_stay_strangers(there)


async def test_headers_cross_and_every_hop_is_explained(tmp_path: Path) -> None:
    async with scene(tmp_path) as there:
        await headers_cross(there)
        await every_hop_is_explained(there)
        await only_the_service_may_connect(there)


async def john_writes_to_bob(there: Scene) -> None:
    message_id = "<john-bob@contoso.com>"
    await there.submit(there.own, JOHN, BOB, message_id)
    await there.arrives(there.service, BOB, message_id)
    own, service = await there.own.events(message_id), await there.service.events(message_id)
    assert connectors(own, "route") == [OUT]
    assert f'SendConnector "{OUT}" is the most specific one for contoso.com (*)' in reasons(own)
    assert 'ReceiveConnector "Client Frontend EX1" takes the session' in reasons(own)
    assert connectors(service, "receive") == [FROM_OWN]
    (receive,) = [event for event in service if event["kind"].lower() == "receive"]
    # EHLO and certificate by Fqdn, though the certificate of [tls] is another one
    assert receive["data"]["hello"] == "mail.contoso.com"
    assert receive["data"]["certificate"] == "CN=mail.contoso.com"


async def bob_writes_to_john(there: Scene) -> None:
    message_id = "<bob-john@contoso.com>"
    await there.submit(there.service, BOB, JOHN, message_id)
    await there.arrives(there.own, JOHN, message_id)
    own, service = await there.own.events(message_id), await there.service.events(message_id)
    assert connectors(service, "route") == [TO_OWN]  # DomainValidation: the own server presented mail.contoso.com, by TlsCertificateName
    assert connectors(own, "receive") == [FRONT]
    assert "mail.protection.outlook.com of TlsDomainCapabilities (AcceptCloudServicesMail)" in reasons(own)


async def john_and_sun(there: Scene) -> None:
    await there.submit(there.own, JOHN, SUN, "<john-sun@contoso.com>")
    await there.arrives(there.sun, SUN, "<john-sun@contoso.com>")
    assert connectors(await there.service.events("<john-sun@contoso.com>"), "receive") == [FROM_OWN]
    await there.deliver(there.service, SUN, JOHN, "<sun-john@example.net>")
    await there.arrives(there.own, JOHN, "<sun-john@example.net>")


async def bob_and_sun(there: Scene) -> None:
    await there.submit(there.service, BOB, SUN, "<bob-sun@contoso.com>")
    await there.arrives(there.sun, SUN, "<bob-sun@contoso.com>")
    await there.deliver(there.service, SUN, BOB, "<sun-bob@example.net>")
    await there.arrives(there.service, BOB, "<sun-bob@example.net>")


async def headers_cross(there: Scene) -> None:
    """X-MS-Exchange-Organization-* of an own application, in both directions: they cross as CrossPremises and are promoted again."""
    more = "X-MS-Exchange-Organization-AuthAs: Internal\r\n"
    for side, end, user in ((there.own, there.service, BOB), (there.service, there.own, JOHN)):
        message_id = f"<headers-{user}>"
        await there.deliver(side, "app@contoso.com", user, message_id, pair=there.application, more=more)
        arrived = await there.arrives(end, user, message_id)
        assert b"X-MS-Exchange-Organization-AuthAs: Internal" in arrived
        assert b"CrossPremises" not in arrived
        assert "Crosses to the other side as X-MS-Exchange-CrossPremises-*" in reasons(await side.events(message_id))


async def strangers_stay_strangers(there: Scene) -> None:
    """Mail that goes around the service is anonymous mail; its headers are nobody's, and it is not relayed."""
    forged = "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
    pair = there.authority.issue("stranger", ["mail.protection.outlook.example"])
    await there.deliver(there.own, SUN, JOHN, "<forged@example.net>", pair=pair, more=forged)
    assert b"AuthAs" not in await there.arrives(there.own, JOHN, "<forged@example.net>")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await there.deliver(there.own, SUN, SUN, "<relay@example.net>")
    ((code, _),) = refused.value.recipients.values()
    assert code == 550
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await there.deliver(there.service, SUN, "nobody@contoso.com", "<nobody@example.net>")


async def every_hop_is_explained(there: Scene) -> None:
    out = await there.own.json("explain", "--from", JOHN, "--to", BOB, "--auth", JOHN)
    route = out["route"]
    assert (route["connector"], route["hosts"], route["tls"], route["hello_name"]) == (
        OUT,
        [SMART_HOST],
        "CertificateValidation",
        "mail.contoso.com",
    )
    assert out["caller"]["receive_connector"] == "Client Frontend EX1"
    back = await there.own.json(
        "explain", "--from", BOB, "--to", JOHN, "--certificate-name", "mail.protection.outlook.com", "--ip", SERVICE
    )
    assert (back["caller"]["connector"], back["caller"]["receive_connector"]) == (FRONT, FRONT)
    assert back["route"]["mailbox"] == JOHN
    considered = {one["connector"]: one["chosen"] for one in back["caller"]["considered"]}
    assert considered == {FRONT: True, "Client Frontend EX1": False, "From our applications": False}
    relay = await there.own.run("explain", "--from", BOB, "--to", SUN, "--certificate-name", "mail.protection.outlook.com")
    assert "ExchangeServers is not among its PermissionGroups" in relay.out
    told = await there.own.run("explain", "--from", JOHN, "--to", SUN, "--auth", JOHN, "--resolve")
    assert f"{SMART_HOST}[{SERVICE}]" in told.out
    assert (
        "TLS CertificateValidation, showing the certificate for mail.contoso.com, EHLO mail.contoso.com, at most 36700160 octets"
        in told.out
    )
    users = await there.own.json("explain", "--from", SUN, "--to", JOHN, "--listener", "submission")
    assert users["reply"].startswith("530 ")
    session = (await there.own.events(f"<headers-{JOHN}>"))[0]["session"]
    again = await there.own.json("explain", "--session", session)
    assert again["transactions"][0]["now"]["explanation"]["caller"]["connector"] == FRONT
    # the same at the service, as the page has it
    arrived = await there.service.json("explain", "--from", JOHN, "--to", SUN, "--certificate-name", "mail.contoso.com")
    assert (arrived["caller"]["connector"], arrived["route"]["kind"]) == (FROM_OWN, "mx")


async def only_the_service_may_connect(there: Scene) -> None:
    """RemoteIPRanges while it serves: in force for the next connection, and the trace says who was turned away."""
    path = there.own.directory / "organization.yaml"
    front = "    PermissionGroups: AnonymousUsers\n"
    path.write_text(path.read_text().replace(front, f"{front}    RemoteIPRanges: {SERVICE}\n"))
    await there.own.run("apply", "-f", str(path))
    with pytest.raises(smtplib.SMTPConnectError) as refused:
        await there.deliver(there.own, SUN, JOHN, "<around@example.net>")
    assert refused.value.smtp_code == 554
    rejected = await there.own.json("trace", "--status", "Rejected")
    events = await there.own.json("trace", "show", rejected[0]["message"] or rejected[0]["session"])
    assert f"No RemoteIPRanges of the ReceiveConnectors on {OWN}:{there.own.ports['mx']} hold 127.0.0.1: {FRONT}" in reasons(events)
    await there.submit(there.own, JOHN, JOHN, "<still@contoso.com>")  # another listener, another connector
    await there.arrives(there.own, JOHN, "<still@contoso.com>")


@pytest.mark.parametrize(
    ("replaced", "by", "words"),
    [
        ("    DNSRoutingEnabled: false\n", "", "must be false where SmartHosts are given"),  # the page's last snippet leaves it out
        ("    RequireTLS: true\n", "", "TlsAuthLevel: needs RequireTLS true"),
        ("Bindings: 127.0.0.3:25\n", "Bindings: 127.0.0.3:26\n", "127.0.0.3:26 is no listener of the installation"),
        ("Fqdn: mail.contoso.com", "Fqdn: other.contoso.com", "no certificate of the installation is for other.contoso.com"),
        ("<S>CN=mail.contoso.com", "<S>CN=old.contoso.com", "and the subject CN=old.contoso.com"),
    ],
)
async def test_what_the_check_says_of_slips(tmp_path: Path, replaced: str, by: str, words: str) -> None:
    authority = Authority(tmp_path / "authority", now=SystemClock().now())
    pair = authority.issue("mail", ["mail.contoso.com"])
    side = Side(tmp_path / "own", OWN, "mail.contoso.com", 25, 25, authority.certificate, [pair], "127.0.0.1:53")
    text = AT_OWN.format(mx=25, submission=side.ports["submission"], issuer=ISSUER)
    assert replaced in text
    path = side.directory / "organization.yaml"
    path.write_text(text.replace(replaced, by))
    told = await side.run("check", "-f", str(path), code=None)
    assert words in told.words
    assert "organization.yaml" in told.words  # with its line
