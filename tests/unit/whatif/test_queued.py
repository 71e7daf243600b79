"""What a change would do to the queue, in words, before it is saved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.connectors.model import Credential
from mailwye.message.envelope import BodyType, Notify
from mailwye.queue.item import Delivery, DeliveryState, Origin, QueuedMessage, QueueRow, Redirect
from mailwye.smtp.address import parse_address
from mailwye.whatif.queued import followed, preview, route_of, words_of
from tests.unit.whatif.test_differences import BASE, settings


def row(number: int, recipient: str, hop: str = "connector:Site", **facts: object) -> QueueRow:
    address, name = parse_address(recipient), f"M{number}"
    origin = Origin("S1", "anonymous", peer_address="192.0.2.7")
    message = QueuedMessage(
        name, 0.0, parse_address("sun@example.net"), 1, origin, 1, BodyType.SEVEN_BIT, False, "", "", "", "", False, False
    )
    delivery = Delivery(number, name, address, address, hop, Notify.DEFAULT, "", DeliveryState.QUEUED, 90.0, attempts=1)
    return QueueRow(message, replace(delivery, **facts))  # type: ignore[arg-type]  # facts vary


def test_nothing_to_say_where_nothing_changes() -> None:
    found = preview([row(1, "john@contoso.com")], settings(BASE), settings(BASE, 2))
    assert (found.changed, found.unchanged, words_of(found)) == (0, 1, [])


def test_groups_with_counts_and_examples() -> None:
    rows = [*(row(number, "john@contoso.com") for number in range(5)), row(7, "bob@contoso.com", "mailbox")]
    after = settings(BASE.replace("Name: Site", "Name: Depot").replace("192.0.2.10", "192.0.2.11"), 2)
    found = preview(rows, settings(BASE), after)
    assert words_of(found) == [
        "Queued mail: 5 of 6 deliveries would be affected",
        "  5 would go another way:",
        '    way: connector "Site" → connector "Depot"',
        "    smart hosts: 192.0.2.10 → 192.0.2.11",
        "      M0  sun@example.net → john@contoso.com",
        "      M1  sun@example.net → john@contoso.com",
        "      M2  sun@example.net → john@contoso.com",
        "      and 2 more",
    ]
    assert found.groups[0].hops == {"connector:Site"}


@pytest.mark.parametrize(
    ("change", "facts", "line"),
    [
        (("AllAcceptedDomains: true", "Enabled: false, AllAcceptedDomains: true"), {}, "  1 would wait for a way:"),
        (("john@contoso.com}\nDist", "jack@contoso.com}\nDist"), {}, "  1 would fail at the next attempt:"),
        (("Name: For rules", "Name: Renamed"), {"rule_connector": "For rules", "hop": "connector:For rules"}, "  1 would wait for a way:"),
    ],
)
def test_what_would_wait_and_what_would_fail(change: tuple[str, str], facts: dict[str, str], line: str) -> None:
    text = BASE.replace(*change).replace(", john@contoso.com]", "]")
    found = preview([row(1, "john@contoso.com", **facts)], settings(BASE), settings(text, 2))
    assert line in words_of(found)


def test_what_is_pinned_does_not_change_and_what_is_corrupt_is_left_out() -> None:
    after = settings(
        BASE.replace("- {Name: Site", "- {Name: A new one, ConnectorType: OnPremises, RecipientDomains: contoso.com}\n  - {Name: Site"), 2
    )
    rows = [row(1, "john@contoso.com", pinned="connector:Site"), row(2, "john@contoso.com", state=DeliveryState.CORRUPT)]
    found = preview([*rows, row(3, "john@contoso.com")], settings(BASE), after)
    assert (found.changed, found.unchanged) == (1, 1)


def test_a_pin_to_mx_and_to_a_connector() -> None:
    before = settings(BASE)
    taken = settings(BASE + "  - {Name: Everything, RecipientDomains: '*', UseMXRecord: false, SmartHosts: 192.0.2.30}\n", 2)
    one = row(1, "moon@example.org", "mx:example.org", pinned="mx")
    assert route_of(taken, one.message, one.delivery).next_hop == "mx:example.org"
    assert followed(one.delivery, None, route_of(taken, one.message, one.delivery), 10.0) is None
    free = replace(one.delivery, pinned="")
    moved = followed(free, route_of(before, one.message, free), route_of(taken, one.message, free), 10.0)
    assert moved is not None
    assert (moved.next_hop, moved.due) == ("connector:Everything", 10.0)


@pytest.mark.parametrize(
    ("before", "after", "is_tried"),
    [
        (Credential("apikey", "sealed-1", "x"), Credential("apikey", "sealed-2", "x"), True),
        (Credential("apikey", "sealed-1", "x"), Credential("other", "sealed-1", "x"), True),
        (None, Credential("apikey", "sealed-1", "x"), True),
        (Credential("apikey", "sealed-1", "x"), Credential("apikey", "sealed-1", "x"), False),
    ],
)
def test_what_was_refused_at_the_login_is_tried_with_the_new_one(before: Credential | None, after: Credential, is_tried: bool) -> None:
    one = row(1, "john@contoso.com")
    route = route_of(settings(BASE), one.message, one.delivery)
    moved = followed(one.delivery, replace(route, credential=before), replace(route, credential=after), 10.0)
    assert moved == (Redirect(1, "connector:Site", "connector:Site", 10.0) if is_tried else None)
