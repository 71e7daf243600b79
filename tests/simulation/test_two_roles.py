"""Two gateways in the two roles of the page: one in the place of the service, one in the place of Contoso's Exchange Server, which sends
by SendConnector and takes mail by ReceiveConnector. John's mailbox is on the own server, Bob's at the service.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext
from mailwye.testing.authority import Authority
from mailwye.testing.gateway import Gateway, GatewaySettings
from mailwye.testing.mailboxes import Mailboxes
from mailwye.testing.sender import Login, Mail, Sender
from mailwye.testing.world import BOB, GATEWAY, JOHN, MAILBOXES, OWN, SUN, SUNS, World
from mailwye.trace.event import EventKind, TraceEvent

SERVICE_NAME = "mail.protection.outlook.com"
OWN_NAME = "mail.contoso.com"
OWN_MAILBOXES = "192.0.2.3"
PASSWORD = "a simulated password"

SERVICE = """\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, Default: true, DomainType: {domain_type}}}
Mailbox:
  - {{PrimarySmtpAddress: bob@contoso.com}}
MailUser:
  - {{PrimarySmtpAddress: john@contoso.com}}
InboundConnector:
  - {{Name: From our servers, ConnectorType: OnPremises, TlsSenderCertificateName: "*.contoso.com", CloudServicesMailEnabled: true}}
OutboundConnector:
  - {{Name: To our servers, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: [mail.contoso.com],
     TlsSettings: DomainValidation, TlsDomain: mail.contoso.com, CloudServicesMailEnabled: true}}
{more}
"""
CENTRALIZED = """\
  - {Name: Everything through us, ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, UseMXRecord: false,
     SmartHosts: [mail.contoso.com]}
"""
OWN_SERVER = """\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, Default: true, DomainType: {domain_type}}}
Mailbox:
  - {{PrimarySmtpAddress: john@contoso.com}}
MailUser:
  - {{PrimarySmtpAddress: bob@contoso.com}}
SendConnector:
  - {{Name: My company to Office 365, AddressSpaces: "*", CloudServicesMailEnabled: true, Fqdn: mail.contoso.com, RequireTLS: true,
     DNSRoutingEnabled: false, SmartHosts: contoso-com.mail.protection.outlook.com, TlsAuthLevel: CertificateValidation{limit}}}
ReceiveConnector:
  - {{Name: Default Frontend EX1, Bindings: "0.0.0.0:25", TlsDomainCapabilities: "mail.protection.outlook.com:AcceptCloudServicesMail",
     PermissionGroups: {groups}}}
  - {{Name: Client EX1, Bindings: "0.0.0.0:587", PermissionGroups: ExchangeUsers, AuthMechanism: [Tls, BasicAuth, BasicAuthRequireTLS]}}
"""


class Roles:
    """The world with both gateways started."""

    def __init__(
        self,
        world: World,
        *,
        service: str = SERVICE.format(domain_type="Authoritative", more=""),
        own: str = OWN_SERVER.format(domain_type="Authoritative", groups="AnonymousUsers", limit=""),
    ) -> None:
        self.world = world
        authority = Authority(world.directory / "authority", now=world.clock.now())
        self._trusted = (str(authority.certificate),)
        self._pairs = {
            "service": authority.issue("service", [SERVICE_NAME, f"*.{SERVICE_NAME}"]),
            "own": authority.issue("own", [OWN_NAME]),
        }
        world.resolver.zone |= {
            f"contoso-com.{SERVICE_NAME}": {"A": [GATEWAY]},
            OWN_NAME: {"A": [OWN]},
            "contoso.com": {"MX": [(10, f"contoso-com.{SERVICE_NAME}")]},
        }
        self.johns = Mailboxes("mailboxes.contoso.example", world.network(OWN_MAILBOXES), world.clock)
        self.service = self._gateway("service", SERVICE_NAME, GATEWAY, MAILBOXES, service, BOB)
        self.own = self._gateway("own", "ex1.contoso.com", OWN, OWN_MAILBOXES, own, JOHN)

    def _gateway(self, role: str, name: str, address: str, mailboxes: str, organization: str, user: str) -> Gateway:
        world, pair = self.world, self._pairs[role]
        certificate, key = str(pair.certificate), str(pair.private_key)
        settings = GatewaySettings(
            name=name,
            address=address,
            organization=organization,
            lmtp=f"{mailboxes}:24",
            passwords={user: PASSWORD},
            tls=ServerTlsContext(certificate=certificate, private_key=key, trusted_authorities=self._trusted),
            client_tls=ClientTlsContext(certificate=certificate, private_key=key, trusted_authorities=self._trusted),
        )
        rng = random.Random(world.rng.random())
        made = Gateway(settings, loop=world.loop, wire=world.wire, resolver=world.resolver, rng=rng, directory=world.directory)
        world.gateways.append(made)
        return made

    async def start(self) -> None:
        await self.world.sun.start(SUNS, 25)
        await self.world.mailboxes.start(MAILBOXES, 24)
        await self.johns.start(OWN_MAILBOXES, 24)
        await self.service.start()
        await self.own.start()

    async def send(self, sender: str, recipient: str, *, body: bytes = b"Hello\r\n") -> None:
        """As `sender`'s mail program or server does, to the gateway that it belongs to; until both queues are empty."""
        world = self.world
        mail = Mail(f"{sender}-{recipient}", sender, (recipient,), body)
        if sender == SUN:
            await world.sender("mail.example.net", SUNS).send(mail, GATEWAY, 25)
        else:
            address = GATEWAY if sender == BOB else OWN
            login = Login(sender, PASSWORD, ClientTlsContext())
            machine = Sender("pc.example", world.network("192.0.2.30"), world.clock, world.ledger, random.Random(1), login=login)
            await machine.send(mail, address, 587)
        await world.settle(step=1.0)

    def routed(self, gateway: Gateway) -> list[str]:
        """The connectors by which copies left, in order, "" for none."""
        return [event.connector for event in gateway.trace.recorded if event.kind is EventKind.ROUTE]

    def received(self, gateway: Gateway) -> list[TraceEvent]:
        return [event for event in gateway.trace.recorded if event.kind is EventKind.RECEIVE]


def play(tmp_path: Path, seed: int, story: Callable[[Roles], Coroutine[Any, Any, None]], **organizations: str) -> None:
    async def told(world: World) -> None:
        roles = Roles(world, **organizations)
        await roles.start()
        await story(roles)

    World.run(seed, tmp_path, told)


OUT, IN, FRONT = "My company to Office 365", "To our servers", "Default Frontend EX1"
STORY = [
    # sender, recipient, ways at the own server, ways at the service, where it ends
    (JOHN, BOB, [OUT], [""], "bob"),
    (BOB, JOHN, [""], [IN], "john"),
    (JOHN, SUN, [OUT], [""], "sun"),
    (SUN, JOHN, [""], [IN], "john"),
    (BOB, SUN, [], [""], "sun"),
    (SUN, BOB, [], [""], "bob"),
    (JOHN, JOHN, [""], [], "john"),
]


@pytest.mark.parametrize(("sender", "recipient", "own", "service", "end"), STORY)
def test_every_row_of_the_story(tmp_path: Path, sender: str, recipient: str, own: list[str], service: list[str], end: str) -> None:
    async def story(roles: Roles) -> None:
        await roles.send(sender, recipient)
        assert roles.routed(roles.own) == own
        assert roles.routed(roles.service) == service
        ends = {"bob": roles.world.mailboxes.messages, "john": roles.johns.messages, "sun": roles.world.sun.messages}
        assert {name: len(messages) for name, messages in ends.items()} == {name: int(name == end) for name in ends}
        for event in roles.received(roles.own):
            assert event.reasons[0].startswith(f'ReceiveConnector "{"Client EX1" if sender == JOHN else FRONT}"')
            assert event.connector == ("" if sender == JOHN else FRONT)
        if sender == JOHN and service:
            (event,) = roles.received(roles.service)
            assert (event.connector, event.data["hello"]) == ("From our servers", OWN_NAME)

    play(tmp_path, 40, story)


def test_an_unknown_recipient_of_the_shared_domain_ends_where_the_addresses_are_known(tmp_path: Path) -> None:
    """The service relays what it does not know; the own server knows all of its own."""

    async def story(roles: Roles) -> None:
        await roles.send(SUN, "nobody@contoso.com")
        assert roles.routed(roles.own) == []
        (notice,) = roles.world.sun.messages
        assert b"5.4.1" in notice.content

    play(tmp_path, 41, story, service=SERVICE.format(domain_type="InternalRelay", more=""))


def test_where_both_sides_relay_what_they_do_not_know_it_ends_when_the_circle_closes(tmp_path: Path) -> None:
    async def story(roles: Roles) -> None:
        await roles.send(SUN, "nobody@contoso.com")
        (notice,) = roles.world.sun.messages
        assert b"5.4.14" in notice.content
        assert len(roles.received(roles.service)) <= 3
        assert len(roles.received(roles.own)) <= 2
        assert roles.johns.messages == roles.world.mailboxes.messages == []

    relaying = {"domain_type": "InternalRelay"}
    play(
        tmp_path,
        42,
        story,
        service=SERVICE.format(more="", **relaying),
        own=OWN_SERVER.format(groups="AnonymousUsers", limit="", **relaying),
    )


def test_centralized_transport_leads_over_the_own_server_where_permission_says_so(tmp_path: Path) -> None:
    """Bob's mail to the Internet goes to the own server first, which sends everything to the service, from where it leaves."""

    async def story(roles: Roles) -> None:
        await roles.send(BOB, SUN)
        assert roles.routed(roles.service) == ["Everything through us", ""]
        assert roles.routed(roles.own) == [OUT]
        (message,) = roles.world.sun.messages
        assert message.sender == BOB

    service = SERVICE.format(domain_type="Authoritative", more=CENTRALIZED)
    own = OWN_SERVER.format(domain_type="Authoritative", groups="[AnonymousUsers, ExchangeServers]", limit="")
    play(tmp_path, 43, story, service=service, own=own)


def test_without_that_permission_the_sender_hears_why(tmp_path: Path) -> None:
    async def story(roles: Roles) -> None:
        await roles.send(BOB, SUN)
        assert roles.world.sun.messages == []
        (notice,) = roles.world.mailboxes.messages
        text = b" ".join(notice.content.split())
        assert b"5.7.64" in text
        assert b"ExchangeServers is not among its PermissionGroups" in text

    play(tmp_path, 44, story, service=SERVICE.format(domain_type="Authoritative", more=CENTRALIZED))


def test_a_message_above_max_message_size_comes_back_with_the_reason(tmp_path: Path) -> None:
    async def story(roles: Roles) -> None:
        await roles.send(JOHN, BOB, body=b"x" * 60 + b"\r\n")
        await roles.send(JOHN, SUN, body=(b"x" * 70 + b"\r\n") * 2_000)
        assert len(roles.world.mailboxes.messages) == 1
        assert roles.world.sun.messages == []
        (notice,) = roles.johns.messages
        text = b" ".join(notice.content.split())
        assert b"5.3.4" in text
        assert b"ROUTING.SizeLimit" in text
        assert b"takes at most 65536 (MaxMessageSize)" in text

    own = OWN_SERVER.format(domain_type="Authoritative", groups="AnonymousUsers", limit=", MaxMessageSize: 64KB")
    play(tmp_path, 45, story, own=own)
