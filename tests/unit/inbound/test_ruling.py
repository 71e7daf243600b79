"""Mail flow rules in a session: the ways of the copies, what the trace learns, and recipients to whom only a rule leads."""

from __future__ import annotations

from typing import Any

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.table import ConnectorTable
from mailwye.message.envelope import Notify
from mailwye.policy.rules.decide import RuleTable
from mailwye.policy.rules.model import RuleMode, Scope, TransportRule
from mailwye.queue.item import QueueRow
from mailwye.trace.event import EventKind
from tests.unit.connectors.world import inbound, outbound
from tests.unit.inbound.world import OWN_SERVER, Peer, World
from tests.unit.policy.rules.world import CONTOSO, rule

GENERAL = outbound("General", all_accepted_domains=True)
SITES = (outbound("West", is_transport_rule_scoped=True), outbound("East", is_transport_rule_scoped=True))
OUR_SERVERS = inbound("From our servers", sender_ip_addresses=(f"{OWN_SERVER}/32",))
WEST = rule("DL West", 0, connector="West", sent_to_member_of=["west@contoso.com"])
EAST = rule("DL East", 1, connector="East", sent_to_member_of=["east@contoso.com"])
X_SITE: dict[str, Any] = {"header_contains_message_header": "X-Site", "header_contains_words": ("west",)}
BY_HEADER = rule("By header", 0, connector="West", **X_SITE)


def world(*rules: TransportRule, general: bool = True) -> World:
    table = ConnectorTable([OUR_SERVERS], [*SITES, *([GENERAL] if general else [])])
    return World(Snapshot(7, "contoso", CONTOSO, table, RuleTable(CONTOSO, rules)))


def send(peer: Peer, *recipients: str, header: str = "Subject: x", sender: str = "x@elsewhere.example") -> str:
    """The reply to the content."""
    peer.send(f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA")
    return peer.send(header, "", "y", ".")


async def ways(place: World) -> dict[str, tuple[str, str]]:
    """Recipient → next hop and the connector that a rule chose."""
    rows: list[QueueRow] = await place.queued()
    return {str(row.delivery.recipient): (row.delivery.next_hop, row.delivery.rule_connector) for row in rows}


async def test_one_message_takes_the_ways_of_its_recipients() -> None:
    place = world(WEST, EAST)
    assert send(place.greeted(), "everybody@contoso.com").startswith("250 2.0.0 ")
    assert await ways(place) == {
        "wendy@contoso.com": ("connector:West", "West"),
        "walt@west.example": ("connector:West", "West"),
        "eva@contoso.com": ("connector:East", "East"),
        "bob@contoso.com": ("mailbox", ""),
    }


async def test_the_trace_tells_which_rule_and_why() -> None:
    place = world(WEST, EAST, rule("Watch", 2, connector="East", mode=RuleMode.AUDIT, from_scope=Scope.NOT_IN_ORGANIZATION))
    send(place.greeted(), "west@contoso.com")
    west, watch = place.trace.of(EventKind.RULE)
    assert west.data == {"rule": "DL West", "mode": "Enforce", "action": 'RouteMessageOutboundConnector "West"'}
    assert west.reasons == ("SentToMemberOf west@contoso.com holds",)
    assert (west.recipient, west.also, west.connector, west.status) == ("wendy@contoso.com", ("walt@west.example",), "", "")
    assert (watch.data["rule"], watch.data["mode"]) == ("Watch", "Audit")
    for event in place.trace.of(EventKind.ROUTE):
        assert (event.connector, event.data["next_hop"]) == ("West", "connector:West")
        assert 'Mail flow rule "DL West" matched: SentToMemberOf west@contoso.com holds' in event.reasons
    kinds = [event.kind for event in place.trace.events]
    assert kinds.index(EventKind.EXPAND) < kinds.index(EventKind.RULE) < kinds.index(EventKind.ROUTE)


async def test_an_event_for_many_recipients_is_cut() -> None:
    place = world(rule("All", connector="West"))
    recipients = [f"user{number}@example.org" for number in range(150)]
    peer = place.greeted(OWN_SERVER)
    assert send(peer, *recipients, sender="eva@contoso.com").startswith("250 2.0.0 ")
    events = place.trace.of(EventKind.RULE)
    assert [1 + len(event.also) for event in events] == [100, 50]
    assert sorted([one for event in events for one in (event.recipient, *event.also)]) == sorted(recipients)


async def test_dsn_options_stay_with_a_copy_that_a_rule_sends() -> None:
    place = world(WEST)
    peer = place.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<w@contoso.com> NOTIFY=NEVER ORCPT=rfc822;w@contoso.com", "DATA")
    assert peer.send("Subject: x", "", "y", ".").startswith("250")
    (row,) = await place.queued()
    assert (row.delivery.notify, row.delivery.orcpt, row.delivery.rule_connector) == (Notify.NEVER, "rfc822;w@contoso.com", "West")


async def test_a_header_chooses_the_way_of_each_message_of_a_session() -> None:
    place = world(BY_HEADER)
    peer = place.greeted()
    for header in ("X-Site: far WEST", "X-Site: westward", "Subject: west", "X-Site: =?utf-8?q?west?="):
        assert send(peer, "eva@contoso.com", header=header).startswith("250")
    rows = sorted(await place.queued(), key=lambda row: row.message.id)
    assert [row.delivery.rule_connector for row in rows] == ["West", "", "", "West"]


async def test_a_field_that_the_firewall_removes_brings_no_rule_about() -> None:
    place = world(
        rule(
            "Trusted",
            connector="West",
            header_contains_message_header="X-MS-Exchange-Organization-Site",
            header_contains_words=("west",),
        )
    )
    assert send(place.greeted(), "eva@contoso.com", header="X-MS-Exchange-Organization-Site: west").startswith("250")
    assert await ways(place) == {"eva@contoso.com": ("connector:General", "")}


async def test_a_stranger_with_an_own_domain_is_not_in_the_organization() -> None:
    place = world(rule("Ours", connector="West", from_scope=Scope.IN_ORGANIZATION))
    send(place.greeted(), "eva@contoso.com", sender="wendy@contoso.com")
    assert await ways(place) == {"eva@contoso.com": ("connector:General", "")}
    place = world(rule("Ours", connector="West", from_scope=Scope.IN_ORGANIZATION))
    send(place.greeted(OWN_SERVER), "eva@contoso.com", sender="wendy@contoso.com")
    assert await ways(place) == {"eva@contoso.com": ("connector:West", "West")}


async def test_a_recipient_to_whom_only_a_rule_leads_is_taken() -> None:
    place = world(WEST, EAST, general=False)
    peer = place.greeted()
    assert send(peer, "wendy@contoso.com", "eva@contoso.com").startswith("250 2.0.0 ")
    assert await ways(place) == {"wendy@contoso.com": ("connector:West", "West"), "eva@contoso.com": ("connector:East", "East")}


async def test_a_recipient_to_whom_no_rule_can_lead_is_refused_at_rcpt() -> None:
    place = world(WEST, general=False)
    peer = place.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send("RCPT TO:<eva@contoso.com>").startswith("550 5.4.4 No outbound connector leads to contoso.com")


async def test_where_the_header_does_not_bring_the_rule_about_the_content_is_refused() -> None:
    place = world(BY_HEADER, general=False)
    peer = place.greeted()
    assert send(peer, "eva@contoso.com", header="X-Site: west").startswith("250 2.0.0 ")
    assert send(peer, "eva@contoso.com").startswith("550 5.4.4 No outbound connector leads to contoso.com")
    assert len(await place.queued()) == 1
    (event,) = place.trace.of(EventKind.REJECT)
    assert event.reply.startswith("550 5.4.4")


async def test_some_recipients_without_a_way_do_not_refuse_the_others() -> None:
    """As in a group: the queue tells the sender of them."""
    place = world(BY_HEADER, general=False)
    assert send(place.greeted(), "eva@contoso.com", "bob@contoso.com").startswith("250 2.0.0 ")
    assert await ways(place) == {"eva@contoso.com": ("none", ""), "bob@contoso.com": ("mailbox", "")}


async def test_a_rule_whose_connector_is_gone_refuses_the_content() -> None:
    """The checks on save rule this out; a snapshot that has it nevertheless loses nothing."""
    place = world(rule("All", connector="Nowhere"))
    refusal = send(place.greeted(), "eva@contoso.com")
    assert refusal.startswith("550 5.4.4 A mail flow rule sends this message through connector")
    assert "which does not exist" in refusal
    assert await place.queued() == []
