"""MAIL and RCPT through a whole session: who may send where, what the trace learns, which copies come of it."""

from __future__ import annotations

from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.message.envelope import Notify
from mailwye.trace.event import EventKind
from tests.unit.inbound.world import OWN_SERVER, STRANGER, World, contoso

OUR_SERVERS = InboundConnector("From our servers", connector_type=ConnectorType.ON_PREMISES, sender_ip_addresses=(f"{OWN_SERVER}/32",))


async def test_stranger_may_not_relay_and_hears_why() -> None:
    world = World(contoso(OUR_SERVERS))
    peer = world.greeted()
    assert peer.send("MAIL FROM:<x@elsewhere.example>").startswith("250 2.1.0 ")
    refusal = peer.send("RCPT TO:<sun@customer.example>")
    assert refusal.startswith("550")
    assert "5.7.64 TenantAttribution; Relay Access Denied" in refusal
    (event,) = world.trace.of(EventKind.REJECT)
    assert event.recipient == "sun@customer.example"
    assert event.sender == "x@elsewhere.example"
    assert event.reply.startswith("550 5.7.64")
    assert event.reasons
    assert event.config_version == 7
    assert event.data["peer_address"] == STRANGER
    assert peer.send("DATA").startswith(("503", "554"))


async def test_unknown_recipient_is_refused_before_content() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send("RCPT TO:<nobody@contoso.com>").startswith("550 5.4.1 Recipient address rejected: Access denied")
    (event,) = world.trace.of(EventKind.REJECT)
    assert (event.status, event.recipient) == ("Rejected", "nobody@contoso.com")


async def test_own_server_may_relay_for_accepted_senders() -> None:
    world = World(contoso(OUR_SERVERS))
    peer = world.greeted(OWN_SERVER)
    peer.send("MAIL FROM:<john@contoso.com>", "RCPT TO:<sun@customer.example>", "DATA")
    assert peer.send("Subject: x", "", "y", ".").startswith("250 2.0.0 Ok: queued as ID")
    (row,) = await world.queued()
    assert row.delivery.next_hop == "mx:customer.example"
    assert (row.message.origin.caller_kind, row.message.origin.connector) == ("connector", "From our servers")
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.connector == "From our servers"


async def test_partner_restriction_is_told_at_mail() -> None:
    partner = InboundConnector(
        "Fabrikam", sender_domains=("fabrikam.com",), sender_ip_addresses=("203.0.113.0/24",), restrict_domains_to_ip_addresses=True
    )
    world = World(contoso(partner))
    peer = world.greeted()
    assert peer.send("MAIL FROM:<x@fabrikam.com>").startswith("550 5.7.51")
    (event,) = world.trace.of(EventKind.REJECT)
    assert event.recipient == ""
    assert event.sender == "x@fabrikam.com"
    assert world.greeted("203.0.113.5").send("MAIL FROM:<x@fabrikam.com>").startswith("250")


async def test_repeated_recipients_are_taken_once() -> None:
    world = World()
    peer = world.greeted()
    replies = peer.send(
        "MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "RCPT TO:<BOB@Contoso.com>", "RCPT TO:<robert@contoso.com>", "DATA"
    )
    assert [line[:3] for line in replies.split("\n")] == ["250", "250", "250", "250", "354"]
    peer.send("", "y", ".")
    (row,) = await world.queued()
    assert str(row.delivery.recipient) == "bob@contoso.com"
    assert len(world.trace.of(EventKind.ROUTE)) == 1


async def test_group_becomes_one_copy_for_each_member() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example> RET=HDRS ENVID=q1", "RCPT TO:<bob@contoso.com> NOTIFY=NEVER")
    peer.send("RCPT TO:<all@contoso.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;all@contoso.com", "DATA")
    assert peer.send("", "y", ".").startswith("250")
    bob, john = await world.queued()
    assert (str(bob.delivery.recipient), bob.delivery.next_hop, bob.delivery.notify) == ("bob@contoso.com", "mailbox", Notify.NEVER)
    assert (str(john.delivery.recipient), john.delivery.next_hop) == ("john@contoso.com", "connector:To our servers")
    assert str(john.delivery.original) == "all@contoso.com"
    assert john.delivery.notify == Notify.SUCCESS | Notify.FAILURE
    assert john.delivery.orcpt == "rfc822;all@contoso.com"
    assert (john.message.ret, john.message.envid) == ("HDRS", "q1")
    (expansion,) = world.trace.of(EventKind.EXPAND)
    assert (expansion.recipient, expansion.status, expansion.data["members"]) == ("all@contoso.com", "Expanded", "2")
    assert [event.recipient for event in world.trace.of(EventKind.ROUTE)] == ["bob@contoso.com", "john@contoso.com"]


async def test_group_without_members_is_refused() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send("RCPT TO:<empty@contoso.com>").startswith("5")


async def test_recipients_beyond_the_limit_may_be_tried_again() -> None:
    from mailwye.config.installation import InboundLimits

    world = World(limits=InboundLimits(recipients_per_message=2))
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "RCPT TO:<john@contoso.com>")
    assert peer.send("RCPT TO:<all@contoso.com>").startswith("452 4.5.3")


async def test_transaction_keeps_its_snapshot() -> None:
    """A saved change is for transactions that begin after it."""
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    from dataclasses import replace

    from mailwye.directory.lookup import Directory

    world.context.snapshot.activate(replace(world.snapshot, version=8, directory=Directory()))
    assert peer.send("RCPT TO:<bob@contoso.com>").startswith("250")
    assert peer.send("DATA").startswith("354")
    assert peer.send("", "y", ".").startswith("250")
    ((row),) = await world.queued()
    assert row.message.config_version == 7
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send("RCPT TO:<bob@contoso.com>").startswith("550")
    assert world.trace.of(EventKind.REJECT)[0].config_version == 8


async def test_decisions_are_remembered_only_for_the_same_sender_and_facts() -> None:
    world = World(contoso(OUR_SERVERS))
    peer = world.greeted(OWN_SERVER)
    for sender, code in (
        ("john@contoso.com", "250"),
        ("john@contoso.com", "250"),
        ("x@elsewhere.example", "550"),
        ("john@contoso.com", "250"),
    ):
        peer.send("RSET", f"MAIL FROM:<{sender}>")
        assert peer.send("RCPT TO:<sun@customer.example>").startswith(code)
