"""What the splitter remembers changes no answer, and is bounded."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

from mailwye.connectors.model import ConnectorType, OutboundConnector, SmartHost
from mailwye.connectors.own_server import AddressSpace, SendConnector
from mailwye.connectors.selection import RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.message.content import InlineContent
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.outbound import parts
from mailwye.outbound.courier import way_key
from mailwye.outbound.parts import Splitter
from mailwye.queue.item import Delivery, DeliveryState, Lease, Origin, QueuedMessage
from mailwye.smtp.address import parse_address
from mailwye.whatif.queued import route_of
from tests.unit.outbound.world import snapshot

CONTENT = InlineContent(b"Subject: Lunch\r\n\r\n")


def lease(*recipients: str, caller: str = "mailbox", hop: str = "connector:Own") -> Lease:
    addresses = [parse_address(one) for one in recipients]
    message = QueuedMessage(
        "M1", 0.0, None, CONTENT.size, Origin("S1", caller), 1, BodyType.SEVEN_BIT, False, "", "", "", "", False, False, True
    )
    deliveries = [
        Delivery(number, "M1", one, one, hop, Notify.DEFAULT, "", DeliveryState.LEASED, 0.0) for number, one in enumerate(addresses)
    ]
    return Lease(1, message, tuple(deliveries), CONTENT, 3_600.0)


def test_one_question_is_asked_once_for_each_snapshot() -> None:
    splitter, first, second = Splitter(), snapshot(1), snapshot(2, enabled=False)
    with patch.object(parts, "route_of", wraps=route_of) as asked:
        for _ in range(3):
            (work,) = splitter.split(first, lease("john@contoso.com")).works
            assert work.route == route_of(first, work.lease.message, work.lease.deliveries[0])
        assert asked.call_count == 1
        ((_, route),) = splitter.split(second, lease("john@contoso.com")).without_way
        assert (route.kind, asked.call_count) == (RouteKind.NONE, 2)
        assert splitter.split(first, lease("john@contoso.com")).works[0].route == work.route


def test_each_question_is_one_of_its_own() -> None:
    splitter, now = Splitter(), snapshot()
    recipients = ("john@contoso.com", "JOHN@contoso.com", "bob@contoso.com", "bob@example.net")
    with patch.object(parts, "route_of", wraps=route_of) as asked:
        for caller in ("mailbox", "connector", "anonymous"):
            for hop in ("connector:Own", "mx:example.net"):
                for recipient in recipients * 2:
                    one = lease(recipient, caller=caller, hop=hop)
                    (work,) = splitter.split(now, one).works
                    assert work.route == route_of(now, one.message, one.deliveries[0])
        assert asked.call_count == 3 * len(recipients)  # the hop that the queue remembers decides nothing


def test_recipients_of_different_ways_are_parted_also_when_they_are_known() -> None:
    splitter, now = Splitter(), snapshot()
    for _ in range(2):
        works = splitter.split(now, lease("john@contoso.com", "ann@example.net", "john2@contoso.com", "bob@contoso.com")).works
        ways = [(work.route.next_hop, [one.recipient.local for one in work.lease.deliveries]) for work in works]
        assert ways == [("connector:Own", ["john"]), ("mx:example.net", ["ann"]), ("mailbox", ["bob"])]


def test_what_is_remembered_is_bounded() -> None:
    splitter, now = Splitter(), snapshot()
    with patch.object(parts, "REMEMBERED_WAYS", 10), patch.object(parts, "route_of", wraps=route_of) as asked:
        for number in range(11):
            splitter.split(now, lease(f"user{number}@example.net", hop="mx:example.net"))
        splitter.split(now, lease("user0@example.net", hop="mx:example.net"))
        assert asked.call_count == 12  # it was forgotten
        splitter.split(now, lease("user0@example.net", hop="mx:example.net"))
        assert asked.call_count == 12


def test_what_is_larger_than_the_connector_takes_has_no_way() -> None:
    small = SendConnector(
        "Small",
        connector_type=ConnectorType.ON_PREMISES,
        recipient_domains=("*",),
        use_mx_record=False,
        smart_hosts=(SmartHost("192.0.2.10", look_up_mx=False),),
        address_spaces=(AddressSpace("*"),),
        max_message_size=100,
    )
    base = snapshot()
    now = replace(base, connectors=ConnectorTable((), (small,)))
    splitter = Splitter()
    for recipients in (("ann@example.net",), ("ann@example.net", "john@contoso.com")):
        fitting = lease(*recipients)
        assert [work.route.connector for work in splitter.split(now, fitting).works] == ["Small"]
        large = replace(fitting, content=InlineContent(b"x" * (101 + parts.OWN_LINES)))
        found = splitter.split(now, large)
        assert found.works == ()
        assert len(found.without_way) == len(recipients)
        for _, route in found.without_way:
            assert str(route.reply).startswith("550 5.3.4 ROUTING.SizeLimit; ")
            assert 'SendConnector "Small" takes at most 100 (MaxMessageSize)' in route.reply.text
    mixed = lease("ann@example.net", "bob@contoso.com")
    mixed = replace(mixed, content=InlineContent(b"x" * (101 + parts.OWN_LINES)))
    found = splitter.split(now, mixed)
    assert [work.route.kind for work in found.works] == [RouteKind.MAILBOX]


def test_who_gets_it_from_a_rewritten_sender_gets_it_in_a_transaction_of_its_own() -> None:
    own = OutboundConnector(
        "Own",
        connector_type=ConnectorType.ON_PREMISES,
        recipient_domains=("*",),
        all_accepted_domains=True,
        use_mx_record=False,
        smart_hosts=(SmartHost("192.0.2.10", look_up_mx=False),),
        sender_rewriting_enabled=True,
    )
    now = replace(snapshot(), connectors=ConnectorTable((), (own,)))
    works = Splitter().split(now, lease("john@contoso.com", "sun@example.net", "moon@example.org", caller="anonymous")).works
    assert [(work.route.rewrites_sender, [one.recipient.local for one in work.lease.deliveries]) for work in works] == [
        (False, ["john"]),
        (True, ["sun", "moon"]),
    ]
    assert all(work.snapshot is now for work in works)


def test_connectors_whose_names_read_like_ways_of_others_are_kept_apart() -> None:
    """Their mail would go to each other's hosts, with each other's demands."""
    host = (SmartHost("192.0.2.10", look_up_mx=False),)
    own = OutboundConnector("A", recipient_domains=("example.net",))
    like_domain = OutboundConnector("A:example.net", recipient_domains=("example.org",), use_mx_record=False, smart_hosts=host)
    like_like = OutboundConnector("A:example.net:", recipient_domains=("a.example",), use_mx_record=False, smart_hosts=host)
    plain = OutboundConnector("B", recipient_domains=("b.example",), use_mx_record=False, smart_hosts=host)
    like_wish = OutboundConnector("B requiretls", recipient_domains=("c.example",), use_mx_record=False, smart_hosts=host)
    all_five = (own, like_domain, like_like, plain, like_wish)
    now = replace(snapshot(), connectors=ConnectorTable((), all_five))
    found = lease(*(f"ann@{one.recipient_domains[0]}" for one in all_five))
    for wish in (TlsWish.DEFAULT, TlsWish.REQUIRED):
        works = Splitter().split(now, replace(found, message=replace(found.message, tls=wish))).works
        assert [work.route.connector for work in works] == [one.name for one in all_five]
    ways = {way_key(work.route.next_hop, wish) for work in works for wish in TlsWish}
    assert len(ways) == len(all_five) * len(TlsWish)


def ruled(one: Lease, connector: str) -> Lease:
    """The lease with the connector that a mail flow rule chose for its first delivery."""
    first, *others = one.deliveries
    return replace(one, deliveries=(replace(first, rule_connector=connector), *others))


def test_the_way_of_a_rule_is_kept_for_its_delivery_alone() -> None:
    """Also where the same recipient is known with another way, and the other way round."""
    splitter, now = Splitter(), snapshot()
    for _ in range(2):
        one = lease("john@contoso.com", "ann@example.net")
        assert [work.route.next_hop for work in splitter.split(now, one).works] == ["connector:Own", "mx:example.net"]
        works = splitter.split(now, ruled(lease("ann@example.net", "ann@example.net"), "OWN")).works
        assert [(work.route.next_hop, len(work.lease.deliveries)) for work in works] == [("connector:Own", 1), ("mx:example.net", 1)]


def test_the_settings_of_a_rules_connector_are_those_of_now() -> None:
    splitter, one = Splitter(), ruled(lease("ann@example.net"), "Own")
    (work,) = splitter.split(snapshot(1), one).works
    assert work.route.smart_hosts
    ((_, route),) = splitter.split(snapshot(2, enabled=False), one).without_way
    assert (route.kind, route.failure_enhanced) == (RouteKind.NONE, "5.4.4")
    assert 'through connector "Own", which is disabled' in route.failure
    ((_, route),) = splitter.split(snapshot(3), ruled(lease("ann@example.net"), "Gone")).without_way
    assert 'through connector "Gone", which does not exist' in route.failure
