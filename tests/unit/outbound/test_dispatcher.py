"""Due work → route → courier → outcome → settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mailwye.config.installation import DeliverySettings
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import Credential, OutboundConnector, SmartHost, SmartHostAuthMechanism
from mailwye.connectors.selection import Route, RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.message.envelope import Notify
from mailwye.outbound import bounces
from mailwye.outbound import dispatcher as dispatcher_module
from mailwye.outbound.courier import Attempt, Stage, Work
from mailwye.outbound.settling import Ended, conclude
from mailwye.queue.item import Delivery, DeliveryState, Lease, QueuedMessage, QueueQuery, Result, Settlement
from mailwye.queue.memory import MemoryQueueEngine
from mailwye.smtp.reply import Reply
from mailwye.trace.event import EventKind
from tests.unit.outbound.world import NO_SUCH_USER, ScriptedCourier, World, down, in_world, pass_time, says, snapshot, taken, turns

HOUR = 3600.0
BUSY = Reply(451, "4.3.2", "Come back later")


def test_a_message_goes_out_and_leaves_the_queue() -> None:
    async def story(world: World) -> None:
        message = await world.accept("sun@example.net")
        await turns()
        assert world.smtp.carried == [message.id]
        assert world.smtp.works[0].route.next_hop == "mx:example.net"
        assert await world.rows() == []
        (event,) = world.events(EventKind.SEND)
        assert (event.status, event.recipient, event.config_version) == ("Delivered", "sun@example.net", 1)
        assert event.data["host"] == "mail.example.net[192.0.2.9]:25"
        assert event.session == "S1"
        assert world.dispatcher.under_way == 0

    in_world(story)


def test_the_mailbox_and_the_connector_have_their_couriers() -> None:
    async def story(world: World) -> None:
        await world.accept("alice@contoso.com", "john@contoso.com")
        await turns()
        assert [str(work.route.recipient) for work in world.mailbox.works] == ["alice@contoso.com"]
        assert [work.route.connector for work in world.smtp.works] == ["Own"]
        assert [event.connector for event in world.events(EventKind.SEND)] == ["Own"]
        assert len(world.events(EventKind.DELIVER)) == 1

    in_world(story)


def test_recipients_of_one_way_share_a_work_of_at_most_a_hundred() -> None:
    async def story(world: World) -> None:
        await world.accept(*(f"user{n}@example.net" for n in range(150)))
        await turns()
        assert [len(work.lease.deliveries) for work in world.smtp.works] == [100, 50]
        assert [str(one) for one in world.smtp.works[1].envelope_recipients][:2] == ["user100@example.net", "user101@example.net"]
        assert await world.rows() == []

    in_world(story)


def test_the_retry_schedule() -> None:
    async def story(world: World) -> None:
        await world.accept("sun@example.net", sender=None)
        await pass_time(world.loop, 3.9 * HOUR)
        start = world.smtp.times[0]
        minutes = [round((at - start) / 60) for at in world.smtp.times]
        assert minutes == [0, 1, 3, 7, 15, 30, 60, 120, 180]
        (row,) = await world.rows()
        assert row.delivery.attempts == 9
        assert "450 4.4.316" in row.delivery.last_error

    in_world(story, script=down)


def test_one_notice_of_delay_after_four_hours_and_one_of_expiry_after_a_day() -> None:
    async def story(world: World) -> None:
        message = await world.accept("sun@example.net")
        await pass_time(world.loop, 3.9 * HOUR)
        assert world.events(EventKind.DSN) == []
        await pass_time(world.loop, 6 * HOUR)
        assert len(world.events(EventKind.DSN)) == 1
        assert world.mailbox.works[0].lease.message.subject == "Delivery delayed: Lunch"
        await pass_time(world.loop, 15 * HOUR)
        assert [work.lease.message.subject for work in world.mailbox.works] == ["Delivery delayed: Lunch", "Undeliverable: Lunch"]
        notice = (world.mailbox.works[1].lease.content.inline or b"").decode()
        assert "Status: 5.4.300" in notice
        assert "Connection refused" in " ".join(notice.split())
        (event,) = world.events(EventKind.EXPIRE)
        assert event.reply.startswith("550 5.4.300 Message expired")
        assert event.message == message.id
        assert await world.rows() == []

    in_world(story, script=down)


@pytest.mark.parametrize("more", [{"sender": None}, {"auto_submitted": True}, {"notify": Notify.NEVER}])
def test_no_notice_where_none_may_be(more: dict[str, object]) -> None:
    async def story(world: World) -> None:
        await world.accept("sun@example.net", **more)
        await turns()
        assert len(world.events(EventKind.FAIL)) == 1
        assert world.events(EventKind.DSN) == []
        assert await world.rows() == []

    in_world(story, script=says(NO_SUCH_USER))


def test_where_no_way_leads_to_the_sender_the_trace_says_that_nobody_was_told() -> None:
    async def story(world: World) -> None:
        await world.accept("sun@example.net", sender="printer@contoso.com")
        await turns()
        (event,) = world.events(EventKind.DSN)
        assert event.reasons == ("A notice was due, but no way leads to printer@contoso.com: nobody was told",)
        assert await world.rows() == []

    in_world(story, script=says(NO_SUCH_USER))


def test_a_notice_that_fails_ends_there() -> None:
    async def story(world: World) -> None:
        world.mailbox.script = says(Reply(550, "5.2.1", "Disabled"), Stage.MAILBOX)
        await world.accept("sun@example.net")
        await turns(30)
        assert len(world.events(EventKind.DSN)) == 1
        assert len(world.events(EventKind.FAIL)) == 2
        assert await world.rows() == []

    in_world(story, script=says(NO_SUCH_USER))


def test_mixed_outcomes_of_one_message() -> None:
    def script(delivery: Delivery) -> Attempt:
        replies = {"gone": NO_SUCH_USER, "busy": BUSY}
        reply = replies.get(delivery.recipient.local)
        return taken(delivery) if reply is None else Attempt(delivery, Stage.RCPT, reply, "mail.example.net[192.0.2.9]:25")

    async def story(world: World) -> None:
        await world.accept("sun@example.net", "gone@example.net", "busy@example.net", "gone2@example.net")
        await turns()
        kinds = [event.kind for event in world.trace.recorded if event.recipient.endswith("example.net")]
        assert kinds == [EventKind.SEND, EventKind.FAIL, EventKind.DEFER, EventKind.SEND]
        assert len(world.events(EventKind.DSN)) == 1
        (row,) = [row for row in await world.rows() if row.delivery.recipient.local == "busy"]
        assert row.delivery.state is DeliveryState.QUEUED
        assert row.delivery.due == pytest.approx(world.clock.now() + 60)
        world.smtp.script = taken
        await pass_time(world.loop, 61)
        assert await world.rows() == []

    in_world(story, script=script)


def test_several_failures_make_one_notice() -> None:
    async def story(world: World) -> None:
        await world.accept("one@example.net", "two@example.net")
        await turns()
        assert len(world.events(EventKind.DSN)) == 1
        notice = (world.mailbox.works[0].lease.content.inline or b"").decode()
        assert notice.count("Action: failed") == 2

    in_world(story, script=says(NO_SUCH_USER))


def test_a_hop_that_is_back_gets_everything_in_the_order_of_arrival() -> None:
    async def story(world: World) -> None:
        messages = []
        for _ in range(20):
            messages.append(await world.accept("sun@example.net", sender=None))
            await pass_time(world.loop, 7)
        await pass_time(world.loop, 2 * HOUR)
        world.smtp.script = taken
        world.smtp.works.clear()
        await pass_time(world.loop, HOUR)
        assert await world.rows() == []
        carried = world.smtp.carried
        # The first one is whichever was due; its success releases the others, oldest first.
        rest = [message.id for message in messages if message.id != carried[0]]
        assert carried[1:] == rest
        assert world.smtp.times[-1] - world.smtp.times[-20] < 1.0

    in_world(story, script=down)


def test_a_hop_that_is_down_is_not_hammered() -> None:
    async def story(world: World) -> None:
        for _ in range(300):
            await world.accept("sun@example.net", sender=None)
            await pass_time(world.loop, 0.01)
        assert 1 <= len(world.smtp.works) <= 2
        rows = await world.rows()
        assert {row.delivery.attempts for row in rows} == {1}
        assert "not tried" in world.events(EventKind.DEFER)[-1].reasons[-2]

    in_world(story, script=down)


def relay(sealed: str) -> Snapshot:
    """Everything outside leaves through a smart host that wants a login."""
    connector = OutboundConnector(
        "Relay",
        recipient_domains=("*",),
        use_mx_record=False,
        smart_hosts=(SmartHost("smtp.example.com", look_up_mx=False),),
        smart_host_auth_mechanism=SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS,
        authentication_credential=Credential("apikey", sealed, "OutboundConnector:relay"),
    )
    known = snapshot()
    return replace(known, version=2, connectors=ConnectorTable((), (*known.connectors.outbound, connector)))


def test_a_smart_host_that_refuses_the_login_is_asked_rarely_and_nothing_bounces() -> None:
    """A message every minute for an hour, and each is tried again by its schedule: the account sees five logins, not hundreds."""
    replies: dict[float, Reply] = {}  # all that wait for one login hear the same reply

    async def story(world: World) -> None:
        def refuses(delivery: Delivery) -> Attempt:
            reply = replies.setdefault(world.clock.now(), Reply(450, "4.7.8", "Authentication failed: 535 5.7.8 wrong"))
            return Attempt(delivery, Stage.AUTH, reply, "smtp.example.com[192.0.2.9]:587")

        world.smtp.script = refuses
        world.active.activate(relay("wrong"))
        for _ in range(59):
            await world.accept("sun@example.net", sender="bob@contoso.com")
            await pass_time(world.loop, 60.0)
        assert len(set(world.smtp.times)) == 5
        assert len(await world.rows()) == 59
        assert await world.notices() == []
        reasons = world.events(EventKind.DEFER)[-1].reasons
        assert any("failed (5 in succession): it is left alone for 1800 s, so that the account is not locked" in r for r in reasons)

        world.smtp.script = taken
        world.active.activate(relay("corrected"))
        await world.accept("sun@example.net", sender="bob@contoso.com")
        await pass_time(world.loop, 1.0)
        assert await world.rows() == []  # it was tried at once, and what waited went with it

    in_world(story)


def test_an_attempt_that_an_administrator_asks_for_is_made() -> None:
    async def story(world: World) -> None:
        await world.accept("sun@example.net", sender=None)
        await turns()
        world.smtp.script = taken
        world.dispatcher.end_rests()
        await world.engine.retry(QueueQuery(), world.clock.now())
        await turns()
        assert await world.rows() == []

    in_world(story, script=down)


def test_other_hops_go_on_while_one_is_full() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        for _ in range(10):
            await world.accept("sun@slow.example")
            await turns()
        assert world.dispatcher.under_way == 3
        world.smtp.gate = None
        await world.accept("sun@example.net")
        await turns()
        assert world.smtp.works[-1].route.next_hop == "mx:example.net"
        gate.set()
        await turns(100)
        assert await world.rows() == []

    in_world(story, delivery=DeliverySettings(concurrency_per_destination=3))


@pytest.mark.parametrize(
    ("delivery", "recipient", "under_way"),
    [
        # What is under way when the service dies may come twice: so much of it for one hop, and no more (docs/reliability.md).
        (DeliverySettings(concurrency_per_destination=3), "sun{}@slow.example", 3),
        (DeliverySettings(concurrency=5), "sun@{}.example", 5),
    ],
    ids=["to one hop", "in all"],
)
def test_no_more_than_concurrency_is_under_way(delivery: DeliverySettings, recipient: str, under_way: int) -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        for number in range(50):
            await world.accept(recipient.format(number))
        await turns()
        assert world.dispatcher.under_way == under_way
        gate.set()
        await turns(200)
        assert await world.rows() == []

    in_world(story, delivery=delivery)


def test_an_attempt_sees_the_configuration_of_its_time() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", sender=None)
        await turns()
        assert (await world.rows())[0].delivery.next_hop == "connector:Own"
        world.active.activate(snapshot(2, connector="New"))
        await pass_time(world.loop, 61)
        (row,) = await world.rows()
        assert row.delivery.next_hop == "connector:New"
        assert [work.route.connector for work in world.smtp.works] == ["Own", "New"]
        assert [event.config_version for event in world.events(EventKind.DEFER)] == [1, 2]

    in_world(story, script=says(BUSY))


def test_a_way_that_is_gone_is_waited_for_and_expires_as_other_mail() -> None:
    async def story(world: World) -> None:
        await world.accept("john@contoso.com", "alice@contoso.com")
        world.active.activate(snapshot(2, enabled=False))
        await turns()
        assert world.smtp.works == []
        (event,) = world.events(EventKind.DEFER)
        assert event.reply.startswith("450 4.4.4 No outbound connector leads to contoso.com")
        assert event.config_version == 2
        (row,) = await world.rows()
        assert row.delivery.next_hop == "connector:Own"
        await pass_time(world.loop, 2 * HOUR)
        (alert,) = world.alerts
        assert alert.startswith("Mail waits in the queue for connector:Own, which is no way any more: No outbound connector leads to")
        await pass_time(world.loop, 23 * HOUR)
        assert [event.reply[:9] for event in world.events(EventKind.EXPIRE)] == ["550 5.4.3"]
        subjects = [work.lease.message.subject for work in world.mailbox.works]
        assert subjects == ["Lunch", "Delivery delayed: Lunch", "Undeliverable: Lunch"]

    in_world(story)


def test_what_never_had_a_way_fails_at_once_with_its_text() -> None:
    async def story(world: World) -> None:
        world.active.activate(snapshot(2, enabled=False))
        await world.accept("john@contoso.com", "alice@contoso.com")
        await turns()
        (event,) = world.events(EventKind.FAIL)
        assert event.reply.startswith("550 5.4.4 No outbound connector leads to contoso.com")
        assert [work.lease.message.subject for work in world.mailbox.works] == ["Lunch", "Undeliverable: Lunch"]
        assert world.alerts == []

    in_world(story)


def test_a_lease_is_split_where_the_ways_differ_now() -> None:
    async def story(world: World) -> None:
        message = world.message("alice@contoso.com", "john@contoso.com", "gone@contoso.com")
        same = tuple(type(one)(one.recipient, one.original, "connector:Old", one.notify) for one in message.deliveries)
        await world.engine.accept(type(message)(**{n: getattr(message, n) for n in type(message).__slots__} | {"deliveries": same}))
        await turns()
        assert [len(work.lease.deliveries) for work in world.mailbox.works[:1]] == [1]
        assert [len(work.lease.deliveries) for work in world.smtp.works] == [1]
        assert [event.reply for event in world.events(EventKind.FAIL)] == ["550 5.4.1 Recipient address rejected: Access denied"]
        assert await world.rows() == []

    in_world(story)


def test_a_crash_at_one_without_a_way_leaves_the_others_of_its_lease_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is delivered in the same moment would be delivered again."""

    def conclude_all_but_failures(message: QueuedMessage, route: Route, *more: Any, **options: Any) -> list[Ended]:
        if route.kind is RouteKind.NONE:
            raise RuntimeError("a bug")
        return conclude(message, route, *more, **options)

    monkeypatch.setattr(dispatcher_module, "conclude", conclude_all_but_failures)

    async def story(world: World) -> None:
        message = world.message("alice@contoso.com", "gone@contoso.com")
        same = tuple(type(one)(one.recipient, one.original, "connector:Old", one.notify) for one in message.deliveries)
        await world.engine.accept(type(message)(**{n: getattr(message, n) for n in type(message).__slots__} | {"deliveries": same}))
        await turns()
        assert [str(row.delivery.recipient) for row in await world.rows()] == ["gone@contoso.com"]
        assert [alert for alert in world.alerts if "twice" in alert] == []

    in_world(story)


def crash(delivery: Delivery) -> Attempt:
    raise RuntimeError(f"a bug at {delivery.message_id}")


def test_a_message_that_breaks_the_software_is_held_after_three_times() -> None:
    async def story(world: World) -> None:
        bad = await world.accept("sun@example.net")
        await pass_time(world.loop, 3 * HOUR)
        assert len(world.smtp.works) == 3
        (row,) = await world.rows(message_id=bad.id)
        assert row.delivery.state is DeliveryState.HELD
        assert "held" in world.alerts[-1]
        assert bad.id in world.alerts[-1]
        assert len(world.events(EventKind.HOLD)) == 1
        world.smtp.script = taken
        await world.accept("sun@example.net")
        await turns()
        assert len(world.events(EventKind.SEND)) == 1
        await world.engine.release(QueueQuery(message_id=bad.id))
        await turns()
        assert await world.rows() == []

    in_world(story, script=crash)


def test_drain_waits_for_what_is_under_way() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        await world.accept("sun@example.net")
        await turns()
        world.loop.call_later(5, gate.set)
        before = world.clock.now()
        await world.dispatcher.drain(30)
        assert world.clock.now() - before == pytest.approx(5)
        assert await world.rows() == []
        await world.accept("sun@example.net")
        await pass_time(world.loop, 100)
        assert len(world.smtp.works) == 1

    in_world(story)


def test_drain_gives_back_what_does_not_end() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = asyncio.Event()
        await world.accept("sun@example.net")
        await turns()
        before = world.clock.now()
        await world.dispatcher.drain(30)
        assert world.clock.now() - before == pytest.approx(30)
        (row,) = await world.rows()
        assert row.delivery.state is DeliveryState.QUEUED
        assert row.delivery.attempts == 0
        assert world.dispatcher.under_way == 0

    in_world(story)


def test_leases_are_renewed_while_an_attempt_lasts() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        await world.accept("sun@example.net")
        await pass_time(world.loop, 5 * HOUR)
        assert len(world.smtp.works) == 1
        gate.set()
        await turns()
        assert await world.rows() == []
        assert world.alerts == []

    in_world(story)


def test_a_jump_of_the_clock_ends_no_lease_and_expires_nothing() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        await world.accept("sun@slow.example", sender=None)
        await turns()
        world.smtp.gate = None
        await world.accept("sun@example.net")
        await turns()
        world.clock.jump(6 * 24 * HOUR)
        await pass_time(world.loop, 70)
        assert world.events(EventKind.EXPIRE) == []
        assert world.events(EventKind.DSN) == []
        assert [work.route.domain for work in world.smtp.works].count("slow.example") == 1
        gate.set()
        await turns()
        assert world.alerts == []

    in_world(story, script=down)


class SlowlyRead(MemoryQueueEngine):
    """Its first lease is granted at once and handed out by `hand_out`, as where the disk is slow."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: asyncio.Future[Sequence[Lease]] | None = None
        self._granted: Sequence[Lease] = ()

    def lease(self, now: float, **options: Any) -> asyncio.Future[Sequence[Lease]]:
        granted = super().lease(now, **options)
        if self._kept is not None or not granted.result():
            return granted
        self._granted = granted.result()
        self._kept = asyncio.get_running_loop().create_future()
        return self._kept

    def hand_out(self) -> None:
        assert self._kept is not None
        self._kept.set_result(self._granted)


def test_a_jump_of_the_clock_ends_no_lease_that_is_on_its_way() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        slow = SlowlyRead()
        await slow.accept(world.message("sun@example.net"))
        world.dispatcher.adopt(slow)
        await turns()
        world.clock.jump(6 * 24 * HOUR)
        await pass_time(world.loop, 70)
        slow.hand_out()
        await pass_time(world.loop, 70)
        gate.set()
        await turns()
        assert len(world.smtp.carried) == 1
        assert world.alerts == []

    in_world(story)


def test_a_clock_that_goes_back_lets_no_mail_wait_for_its_return() -> None:
    async def story(world: World) -> None:
        await world.accept("sun@example.net")
        await turns()
        assert len(world.smtp.works) == 1
        world.clock.jump(-24 * HOUR)
        await pass_time(world.loop, 130)
        assert len(world.smtp.works) > 1

    in_world(story, script=down)


def test_a_queue_of_a_worker_that_is_gone_is_served_too() -> None:
    async def story(world: World) -> None:
        orphan = MemoryQueueEngine()
        await orphan.accept(world.message("sun@example.net"))
        world.dispatcher.adopt(orphan)
        await turns()
        assert len(world.smtp.works) == 1
        assert await orphan.inspect(QueueQuery()) == []

    in_world(story)


def test_a_notice_that_cannot_be_written_repeats_no_delivery_and_ends_no_failure_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(delivery: Delivery) -> Attempt:
        return taken(delivery) if delivery.recipient.local == "sun" else says(NO_SUCH_USER)(delivery)

    def broken(report: object) -> bytes:
        raise RuntimeError("a bug in the notice")

    async def story(world: World) -> None:
        monkeypatch.setattr(bounces, "render", broken)
        await world.accept("sun@example.net", "gone@example.net")
        await turns()
        assert [event.recipient for event in world.events(EventKind.SEND)] == ["sun@example.net"]
        (row,) = await world.rows()
        assert str(row.delivery.recipient) == "gone@example.net"
        assert world.dispatcher.under_way == 0
        monkeypatch.undo()
        await pass_time(world.loop, 61)
        assert len(world.events(EventKind.DSN)) == 1
        assert await world.rows() == []

    in_world(story, script=script)


def test_a_courier_that_forgets_a_recipient_is_a_fault() -> None:
    class Forgetful(ScriptedCourier):
        def deliver(self, work: Work) -> Awaitable[Sequence[Attempt]]:
            return super().deliver(Work(replace(work.lease, deliveries=work.lease.deliveries[:1]), work.route))

    async def story(world: World) -> None:
        world.smtp.__class__ = Forgetful
        await world.accept("sun@example.net", "moon@example.net")
        await turns()
        assert "1 attempts at 2 deliveries" in world.alerts[0]
        assert {row.delivery.state for row in await world.rows()} == {DeliveryState.QUEUED}
        assert len(await world.rows()) == 2

    in_world(story)


def test_a_settlement_that_is_too_late_is_told() -> None:
    async def story(world: World) -> None:
        world.smtp.gate = gate = asyncio.Event()
        await world.accept("sun@example.net")
        await turns()
        (flight,) = world.dispatcher._flights
        await world.engine.settle(flight.lease, [Settlement(one.id, Result.RELEASED, due=2e9) for one in flight.lease.deliveries])
        gate.set()
        await turns()
        assert "lease was gone" in world.alerts[0]
        assert world.dispatcher.under_way == 0
        assert "may be repeated" in world.events(EventKind.SEND)[0].reasons[-1]

    in_world(story)


class BrokenEngine(MemoryQueueEngine):
    """Fails now and then."""

    failures = 1

    def lease(self, now: float, **more: object) -> asyncio.Future[list[Lease]]:  # type: ignore[override]  # same use
        if self.failures:
            self.failures -= 1
            future: asyncio.Future[list[Lease]] = asyncio.get_running_loop().create_future()
            future.set_exception(OSError("disk"))
            return future
        return super().lease(now, **more)  # type: ignore[arg-type, return-value]  # same use


def test_a_queue_that_fails_is_asked_again() -> None:
    async def story(world: World) -> None:
        engine = BrokenEngine()
        await engine.accept(world.message("sun@example.net"))
        world.dispatcher.adopt(engine)
        await turns()
        assert world.smtp.works == []
        assert "disk" in world.alerts[0]
        await pass_time(world.loop, 2)
        assert len(world.smtp.works) == 1

    in_world(story)


@pytest.mark.parametrize(("offers_dsn", "notices"), [(False, ["Relayed: Lunch"]), (True, [])])
def test_success_is_told_where_it_was_asked_for_and_nobody_else_will(offers_dsn: bool, notices: list[str]) -> None:
    async def story(world: World) -> None:
        await world.accept("sun@example.net", notify=Notify.SUCCESS)
        await turns()
        assert [work.lease.message.subject for work in world.mailbox.works] == notices

    in_world(story, script=says(Reply(250, "2.0.0", "Ok"), Stage.CONTENT, offers_dsn=offers_dsn))
