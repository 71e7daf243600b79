"""Sessions that a ReceiveConnector takes: what they are offered, what they may do, how long they may last."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailwye.connectors.own_server import AuthMechanism, Binding, PermissionGroup, ReceiveConnector
from mailwye.connectors.receive_table import ReceiveTable
from mailwye.connectors.table import ConnectorTable
from mailwye.inbound.session import CLOSING_TIME
from mailwye.trace.event import EventKind
from tests.unit.inbound.test_session import Certificates, TlsPeer
from tests.unit.inbound.world import HOSTNAME, STRANGER, Peer, TimeLoop, World, contoso, pass_time, settle
from tests.unit.runtime.tls_pki import issue

SERVICE = "mail.protection.outlook.com"
FRONTEND = ReceiveConnector(
    "Default Frontend",
    bindings=(Binding("127.0.0.1", 0),),
    fqdn="mail.contoso.com",
    cloud_services_domains=(SERVICE,),
    permission_groups=(PermissionGroup.ANONYMOUS_USERS,),
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def world(*receivers: ReceiveConnector, **more: Any) -> World:
    base = contoso()
    table = ConnectorTable(base.connectors.inbound, base.connectors.outbound, receive=ReceiveTable(receivers))
    return World(replace(base, connectors=table), **more)


def hello(peer: Peer, name: str = "mail.contoso.com") -> str:
    assert peer.heard() == f"220 {name} ESMTP Mailwye"
    return peer.hello()


def in_time(story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=TimeLoop) as runner:
        runner.run(story)


async def send(peer: Peer, header: str = "Subject: Hello") -> str:
    peer.send("MAIL FROM:<sun@example.net>", "RCPT TO:<bob@contoso.com>", "DATA")
    at_once = peer.send(header, "", "Text.", ".")
    await settle()
    return at_once + peer.heard()


async def test_fqdn_is_who_we_are() -> None:
    there = world(FRONTEND)
    peer = there.connect()
    assert hello(peer).startswith("250-mail.contoso.com\n")
    peer.send("MAIL FROM:<sun@example.net>", "RCPT TO:<bob@contoso.com>", "DATA")
    peer.send("Subject: Hello", "", "Text.", ".")
    await settle()
    (row,) = await there.queued()
    assert b"\tby mail.contoso.com (Mailwye) " in await there.content(row)
    (event,) = there.trace.of(EventKind.RECEIVE)
    assert (
        event.reasons[0]
        == 'ReceiveConnector "Default Frontend" takes the session on 127.0.0.1:0: its RemoteIPRanges hold 192.0.2.77 (a /0)'
    )


async def test_postmaster_without_a_domain_is_still_taken() -> None:
    peer = world(FRONTEND).connect()
    hello(peer)
    assert peer.send("MAIL FROM:<sun@example.net>").startswith("250 ")
    assert not peer.send("RCPT TO:<Postmaster>").startswith("501 ")


async def test_limits_are_the_stricter_ones() -> None:
    peer = world(replace(FRONTEND, max_message_size=65_536, max_recipients_per_message=1, max_protocol_errors=1)).connect()
    assert "250-SIZE 65536" in hello(peer)
    peer.send("MAIL FROM:<sun@example.net>")
    answers = peer.send("RCPT TO:<bob@contoso.com>", "RCPT TO:<john@contoso.com>").split("\n")
    assert answers[1].startswith("452 4.5.3 ")
    bad = world(replace(FRONTEND, max_protocol_errors=1)).connect()
    hello(bad)
    assert bad.send("NONSENSE").startswith("500 ")
    assert bad.send("NONSENSE").split("\n")[-1].startswith("421 ")
    big = world(replace(FRONTEND, max_message_size=2**31)).connect()
    assert "250-SIZE 36700160" in hello(big)


async def test_hops_are_counted_by_the_connector() -> None:
    line = "Received: from a by b; Sat, 28 Nov 2026 08:00:00 +0000"
    few = world(replace(FRONTEND, max_hop_count=2)).connect()
    hello(few)
    assert (await send(few, "\r\n".join([line] * 3))).startswith("554 5.4.14 ")
    many = world(replace(FRONTEND, max_hop_count=60)).connect()
    hello(many)
    assert (await send(many, "\r\n".join([line] * 40))).startswith("250 ")


async def test_starttls_and_auth_are_offered_as_the_connector_says(certificates: Certificates) -> None:
    offered = {}
    for name, mechanisms in {
        "tls": (AuthMechanism.TLS,),
        "none": (),
        "basic": (AuthMechanism.TLS, AuthMechanism.BASIC_AUTH, AuthMechanism.BASIC_AUTH_REQUIRE_TLS),
    }.items():
        peer = world(replace(FRONTEND, auth_mechanism=mechanisms), tls=certificates.server).connect()
        offered[name] = hello(peer)
        assert ("STARTTLS" in offered[name]) is (name != "none")
        if name != "none":
            peer.send("STARTTLS")
            secure = TlsPeer(peer, certificates.client())
            assert ("AUTH PLAIN LOGIN" in secure.send("EHLO client.example")) is (name == "basic")


async def test_mail_without_tls_is_refused_where_it_is_required(certificates: Certificates) -> None:
    peer = world(replace(FRONTEND, require_tls=True), tls=certificates.server).connect()
    hello(peer)
    assert peer.send("MAIL FROM:<sun@example.net>") == "530 5.7.0 Must issue a STARTTLS command first"
    peer.send("STARTTLS")
    secure = TlsPeer(peer, certificates.client())
    secure.send("EHLO client.example")
    assert secure.send("MAIL FROM:<sun@example.net>").startswith("250 ")


async def test_anonymous_callers_need_permission() -> None:
    there = world(replace(FRONTEND, permission_groups=(PermissionGroup.EXCHANGE_USERS,)))
    peer = there.connect()
    hello(peer)
    assert peer.send("MAIL FROM:<sun@example.net>").startswith("530 5.7.1 Client was not authenticated")
    (event,) = there.trace.of(EventKind.REJECT)
    assert "takes the session" in event.reasons[0]


async def test_an_address_in_no_range_is_refused_at_once_and_told_to_the_trace() -> None:
    there = world(replace(FRONTEND, remote_ip_ranges=("198.51.100.0/24",)))
    peer = there.connect()
    assert peer.heard().startswith("554 5.7.1 No mail is taken here from 192.0.2.77")
    await settle()
    assert peer.transport.closed
    (event,) = there.trace.of(EventKind.REJECT)
    assert event.reasons[0].startswith("No RemoteIPRanges of the ReceiveConnectors on 127.0.0.1:0 hold 192.0.2.77: Default Frontend")
    assert event.data["peer_address"] == STRANGER
    assert there.context.admission.connections == 0
    assert hello(there.connect("198.51.100.9")).startswith("250-")


async def test_a_disabled_connector_says_later() -> None:
    assert world(replace(FRONTEND, enabled=False)).connect().heard().startswith("421 4.3.2 ")


async def test_connections_are_counted_by_the_connector() -> None:
    few = replace(FRONTEND, max_inbound_connection=3, max_inbound_connection_per_source=2)
    there = world(few)
    first, second = there.connect(), there.connect()
    assert there.connect().heard().startswith("421 4.7.0 Too many connections from your address")
    assert there.connect("192.0.2.78").heard().startswith("220 ")
    assert there.connect("192.0.2.79").heard().startswith("421 4.3.2 Too many connections to this service")
    for peer in (first, second):
        peer.lose()
    assert there.connect().heard().startswith("220 ")
    assert there.context.admission.connections == 2


def test_a_connection_ends_after_connection_timeout() -> None:
    async def story() -> None:
        there = world(replace(FRONTEND, connection_timeout=100.0, connection_inactivity_timeout=90.0))
        peer = there.connect()
        hello(peer)
        await pass_time(80.0)
        assert peer.send("NOOP").startswith("250 ")
        await pass_time(30.0)
        assert peer.heard().startswith("421 4.4.2 The connection has lasted as long as it may (ConnectionTimeout)")
        assert peer.transport.closed

    in_time(story())


def test_content_under_way_is_cut_soon_after_connection_timeout() -> None:
    async def story() -> None:
        there = world(replace(FRONTEND, connection_timeout=100.0, connection_inactivity_timeout=99.0))
        peer = there.connect()
        hello(peer)
        await pass_time(90.0)
        peer.send("MAIL FROM:<sun@example.net>", "RCPT TO:<bob@contoso.com>", "DATA")
        peer.send("Subject: Hello", "", "Text.")
        await pass_time(11.0)
        assert not peer.transport.closed
        await pass_time(CLOSING_TIME + 1)
        assert peer.aborted()
        assert await there.queued() == []

    in_time(story())


def test_idle_connections_end_by_the_connector_s_time() -> None:
    async def story() -> None:
        peer = world(replace(FRONTEND, connection_inactivity_timeout=50.0)).connect()
        hello(peer)
        await pass_time(51.0)
        assert peer.heard().startswith("421 4.4.2 ")

    in_time(story())


async def test_headers_of_the_other_side_are_promoted(certificates: Certificates) -> None:
    for names, promoted in (((SERVICE,), True), (("mail.fabrikam.com",), False)):
        there = world(FRONTEND, tls=certificates.server)
        peer = there.connect()
        hello(peer)
        peer.send("STARTTLS")
        secure = TlsPeer(peer, certificates.client(issue(names[0], issuer=certificates.root, names=names)))
        secure.send("EHLO outbound.protection.outlook.com")
        secure.send("MAIL FROM:<sun@example.net>", "RCPT TO:<bob@contoso.com>", "DATA")
        secure.send("X-MS-Exchange-CrossPremises-AuthAs: Internal", "Subject: Hello", "", "Text.", ".")
        await settle()
        (row,) = await there.queued()
        content = await there.content(row)
        assert (b"X-MS-Exchange-Organization-AuthAs: Internal" in content) is promoted
        assert b"CrossPremises" not in content
        assert row.message.origin.caller_kind == ("connector" if promoted else "anonymous")
        assert row.message.origin.connector == ("Default Frontend" if promoted else "")


async def test_the_certificate_is_the_one_that_the_connector_chooses(certificates: Certificates, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    there = world(replace(FRONTEND, certificate_choice="<I>a<S>b"))

    def chosen(listener: str, choice: str) -> Any:
        asked.append((listener, choice))
        return certificates.server

    there.context.tls.chosen = chosen
    assert "STARTTLS" in hello(there.connect())
    assert asked == [("test", "<I>a<S>b")]


async def test_without_receive_connectors_nothing_changes() -> None:
    peer = World().connect()
    assert peer.heard() == f"220 {HOSTNAME} ESMTP Mailwye"
