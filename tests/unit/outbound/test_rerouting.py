"""The queue follows the settings."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import Credential, SmartHost, SmartHostAuthMechanism
from mailwye.connectors.pins import pin_of
from mailwye.connectors.table import ConnectorTable
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import DeliveryState, QueueQuery, Redirect
from mailwye.smtp.reply import Reply
from mailwye.trace.event import EventKind
from mailwye.whatif.queued import route_of
from tests.unit.outbound.world import World, down, in_world, pass_time, says, snapshot, taken, turns

BUSY = Reply(451, "4.3.2", "Come back later")
HOUR = 3600.0


def change(world: World, to: Snapshot) -> None:
    """Put `to` in force, as a worker does."""
    before = world.active.current
    world.active.activate(to)
    world.dispatcher.settings_changed(before)


def test_what_waits_goes_at_once_where_the_new_settings_lead() -> None:
    async def story(world: World) -> None:
        for _ in range(3):
            await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, HOUR)
        assert {row.delivery.next_hop for row in await world.rows()} == {"connector:Own"}
        before = len(world.smtp.works)
        change(world, snapshot(2, connector="New"))
        await turns(60)
        assert [work.route.connector for work in world.smtp.works[before:]] == ["New"] * 3
        assert [work.lease.message.id for work in world.smtp.works[before:]] == ["M1", "M2", "M3"]
        assert {row.delivery.next_hop for row in await world.rows()} == {"connector:New"}
        events = world.events(EventKind.REROUTE)
        assert [event.message for event in events] == ["M1", "M2", "M3"]
        assert events[0].reasons[0] == "Re-routed from connector:Own to connector:New by version 2 of the settings"
        assert (events[0].connector, events[0].config_version, events[0].status) == ("New", 2, "Pending")

    in_world(story, script=says(BUSY))


def test_another_smart_host_of_the_same_connector_is_tried_at_once() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, HOUR)
        before = len(world.smtp.works)
        change(world, other_host(2))
        await turns(60)
        assert [str(work.route.smart_hosts[0]) for work in world.smtp.works[before:]] == ["192.0.2.99"]
        (event,) = world.events(EventKind.REROUTE)
        assert event.reasons[0] == "Version 2 of the settings changed how connector:Own delivers: it is tried now"
        change(world, other_host(3))
        await turns(60)
        assert len(world.smtp.works) == before + 1, "nothing changed for it"

    in_world(story, script=down)


def test_another_password_of_the_same_connector_is_tried_at_once() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, HOUR)
        before = len(world.smtp.works)
        change(world, with_password(2))
        await turns(60)
        assert [work.route.credential for work in world.smtp.works[before:]] == [Credential("relay", "sealed", "OutboundConnector:Own")]

    in_world(story, script=down)


def with_password(version: int) -> Snapshot:
    made = snapshot(version)
    own = replace(
        made.connectors.outbound[0],
        smart_host_auth_mechanism=SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS,
        authentication_credential=Credential("relay", "sealed", "OutboundConnector:Own"),
    )
    return replace(made, connectors=ConnectorTable((), (own,)))


def test_settings_that_change_right_after_the_start_are_followed_at_once() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, HOUR)
        before = len(world.smtp.works)
        world.dispatcher.settings_changed(None)  # as at the start, and it is not done with the queue yet
        change(world, other_host(2))
        await turns(60)
        assert len(world.smtp.works) == before + 1

    in_world(story, script=down)


def other_host(version: int) -> Snapshot:
    made = snapshot(version)
    own = replace(made.connectors.outbound[0], smart_hosts=(SmartHost("192.0.2.99", look_up_mx=False),))
    return replace(made, connectors=ConnectorTable((), (own,)))


def test_a_connector_that_comes_back_takes_its_mail_at_once() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        change(world, snapshot(2, enabled=False))
        await pass_time(world.loop, 3 * HOUR)
        assert world.smtp.works == []
        change(world, snapshot(3))
        await turns(60)
        assert [work.route.connector for work in world.smtp.works] == ["Own"]

    in_world(story)


def test_held_mail_moves_and_stays_held_and_mail_that_was_not_tried_keeps_its_time() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None, first_attempt_at=world.clock.now() + HOUR)
        held = await world.accept("john@contoso.com", sender=None, first_attempt_at=world.clock.now() + HOUR)
        await world.engine.hold(QueueQuery(message_id=held.id))
        change(world, snapshot(2, connector="New"))
        await turns(60)
        rows = await world.rows()
        assert [(row.delivery.next_hop, row.delivery.state) for row in rows] == [
            ("connector:New", DeliveryState.QUEUED),
            ("connector:New", DeliveryState.HELD),
        ]
        assert world.smtp.works == []

    in_world(story)


def test_an_attempt_under_way_is_repeated_by_the_new_way_when_it_ends() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        await world.accept("john@contoso.com", sender=None)
        await turns()
        change(world, snapshot(2, connector="New"))
        await turns(60)
        assert [work.route.connector for work in world.smtp.works] == ["Own"]
        gate.set()
        await pass_time(world.loop, 1)
        assert [work.route.connector for work in world.smtp.works] == ["Own", "New"]
        assert "version 2 of the settings gives it another way, connector:New" in world.events(EventKind.DEFER)[0].reasons[-1]

    in_world(story, script=says(BUSY))


def test_what_is_pinned_stays_even_when_it_was_pinned_during_an_attempt() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, 10)
        world.smtp.gate = gate = asyncio.Event()
        await world.accept("john@contoso.com", sender=None)
        await turns()
        assert [row.delivery.state.value for row in await world.rows()] == ["queued", "leased"]
        await pin_all(world.engine)
        change(world, both(2))
        await turns(60)
        gate.set()
        await pass_time(world.loop, HOUR)
        assert {work.route.connector for work in world.smtp.works} == {"Own"}
        assert [(row.delivery.next_hop, row.delivery.pinned) for row in await world.rows()] == [("connector:Own", "connector:Own")] * 2
        change(world, snapshot(3, connector="New"))
        await pass_time(world.loop, HOUR)
        assert {work.route.connector for work in world.smtp.works} == {"Own"}, "its connector is gone: it waits"
        assert 'An administrator keeps this message on connector "Own", which does not exist' in world.alerts[-1]

    in_world(story, script=says(BUSY))


def test_what_is_pinned_goes_the_way_that_it_had_when_the_connector_has_another_one_or_is_gone() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, 10)
        (row,) = await world.rows()
        pin = pin_of(route_of(world.active.current, row.message, row.delivery))
        kept = route_of(world.active.current, row.message, replace(row.delivery, pinned=pin)).next_hop
        assert await world.engine.redirect([Redirect(row.delivery.id, row.delivery.next_hop, kept, pinned=pin)])
        await world.accept("john@contoso.com", sender=None)
        for number, settings in enumerate((other_host(2), snapshot(3, connector="New"), snapshot(4, enabled=False))):
            change(world, settings)
            before = len(world.smtp.works)
            await pass_time(world.loop, HOUR)
            gone = {(work.route.next_hop == kept, str(work.route.smart_hosts[0])) for work in world.smtp.works[before:]}
            assert gone == {(True, "192.0.2.10"), *([] if number == 2 else [(False, ("192.0.2.99", "192.0.2.10")[number])])}
        world.smtp.script = taken
        await pass_time(world.loop, 2 * HOUR)
        assert [row.delivery.pinned for row in await world.rows()] == [""], "the other one waits for a way"

    in_world(story, script=says(BUSY))


def both(version: int) -> Snapshot:
    """The connector New takes what Own took; Own is there, for rules only."""
    made = snapshot(version, connector="New")
    own = replace(made.connectors.outbound[0], name="Own", is_transport_rule_scoped=True)
    return replace(made, connectors=ConnectorTable((), (*made.connectors.outbound, own)))


async def pin_all(engine: QueueEngine) -> None:
    rows = await engine.inspect(QueueQuery())
    pins = [Redirect(row.delivery.id, row.delivery.next_hop, row.delivery.next_hop, pinned="connector:Own") for row in rows]
    assert await engine.redirect(pins) == {row.delivery.id for row in rows}


def test_settings_that_change_while_the_queue_still_follows_lose_nothing() -> None:
    async def story(world: World) -> None:
        for _ in range(5):
            await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, HOUR)
        before = len(world.smtp.works)
        change(world, other_host(2))
        change(world, other_host(3))  # the first was not begun yet: its new host counts all the same
        await turns(60)
        assert [str(work.route.smart_hosts[0]) for work in world.smtp.works[before:]] == ["192.0.2.99"] * 5

    in_world(story, script=down)


def test_a_start_does_what_a_crash_left_undone() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await pass_time(world.loop, HOUR)
        await world.dispatcher.drain(1)
        world.active.activate(snapshot(2, connector="New"))
        before = len(world.smtp.works)
        world.dispatcher.start()
        await turns(60)
        assert [work.route.connector for work in world.smtp.works[before:]] == ["New"]

    in_world(story, script=says(BUSY))
