"""What every engine of the queue does, whatever it stores things in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailwye.message.content import Content
from mailwye.queue.engine import LeaseLost, QueueEngine, QueueError, QueueFull
from mailwye.queue.item import DeliveryState, QueueQuery, Redirect, Result, Settlement
from mailwye.queue.memory import MemoryQueueEngine
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from tests.conformance.queue_samples import BODY, all_settled, new_message, octets

NOW = 2000.0
EVERYTHING = QueueQuery()


@pytest.fixture(params=["memory", "sqlite", "sqlite-uncached"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[QueueEngine]:
    made: QueueEngine
    if request.param == "memory":
        made = MemoryQueueEngine(inline_octets=1000, messages=1000)
    else:
        cache = 10_000_000 if request.param == "sqlite" else 0
        made = SqliteQueueEngine(
            tmp_path / "worker-0.sqlite", inline_octets=1000, messages=1000, memory_octets=cache, free_space_minimum=0, ballast_octets=4096
        )
    yield made
    await made.close()


async def states(engine: QueueEngine) -> dict[str, str]:
    return {str(row.delivery.recipient): row.delivery.state.value for row in await engine.inspect(EVERYTHING)}


class TestAcceptAndLease:
    async def test_a_receipt_names_the_message(self, engine: QueueEngine) -> None:
        assert (await engine.accept(new_message("A"))).message_id == "A"

    async def test_accept_gives_a_future_that_takes_a_callback(self, engine: QueueEngine) -> None:
        future = engine.accept(new_message("A"))
        assert isinstance(future, asyncio.Future)
        assert (await future).message_id == "A"

    async def test_a_lease_holds_everything_that_was_accepted(self, engine: QueueEngine) -> None:
        sent = new_message("A", "sun@example.org")
        await engine.accept(sent)
        (lease,) = await engine.lease(NOW, limit=10, seconds=60)
        (delivery,) = lease.deliveries
        for field in ("id", "received_at", "sender", "origin", "config_version", "body", "smtputf8", "ret", "envid"):
            assert getattr(lease.message, field) == getattr(sent, field)
        for field in ("message_id", "subject", "auto_submitted", "requires_8bit", "tls"):
            assert getattr(lease.message, field) == getattr(sent, field)
        for field in ("recipient", "original", "next_hop", "notify", "orcpt"):
            assert getattr(delivery, field) == getattr(sent.deliveries[0], field)
        assert (delivery.message_id, delivery.state, delivery.attempts) == ("A", DeliveryState.LEASED, 0)
        assert (lease.message.size, lease.content.inline, lease.expires_at) == (len(BODY), BODY, NOW + 60)

    async def test_what_is_leased_is_not_leased_again(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        assert len(await engine.lease(NOW, limit=10)) == 1
        assert not await engine.lease(NOW, limit=10)
        assert await states(engine) == {"sun@example.org": "leased"}

    async def test_a_null_sender_stays_null(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", sender=None))
        (lease,) = await engine.lease(NOW, limit=1)
        assert lease.message.sender is None

    async def test_deliveries_of_one_message_and_hop_come_together(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", "a@x.org", "b@y.org", "c@z.org", hops=["mx:x", "mx:y", "mx:x"]))
        leases = await engine.lease(NOW, limit=10)
        found = {one.deliveries[0].next_hop: [str(delivery.recipient) for delivery in one.deliveries] for one in leases}
        assert found == {"mx:x": ["a@x.org", "c@z.org"], "mx:y": ["b@y.org"]}
        assert len({one.token for one in leases}) == 2

    async def test_the_oldest_message_of_a_hop_comes_first(self, engine: QueueEngine) -> None:
        for name in "ABC":
            await engine.accept(new_message(name))
        assert [one.message.id for one in await engine.lease(NOW, limit=2)] == ["A", "B"]
        assert [one.message.id for one in await engine.lease(NOW, limit=2)] == ["C"]

    async def test_after_a_delay_the_order_is_that_of_arrival(self, engine: QueueEngine) -> None:
        for name in "ABC":
            await engine.accept(new_message(name))
        for due, lease in zip((30, 20, 10), await engine.lease(NOW, limit=3), strict=True):
            await engine.settle(lease, all_settled(lease, Result.DEFERRED, due=NOW + due))
        assert [one.message.id for one in await engine.lease(NOW + 60, limit=3)] == ["A", "B", "C"]

    async def test_hops_take_turns(self, engine: QueueEngine) -> None:
        for number in range(6):
            await engine.accept(new_message(f"A{number}", hop="mx:big"))
        await engine.accept(new_message("B", hop="mx:small"))
        assert {one.message.id for one in await engine.lease(NOW, limit=2)} == {"A0", "B"}

    async def test_hops_without_room_wait(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", hop="mx:down"))
        await engine.accept(new_message("B", hop="mx:up"))
        room = {"mx:down": 0, "mx:up": 9}
        assert [one.message.id for one in await engine.lease(NOW, limit=9, room=room.__getitem__)] == ["B"]
        assert [one.message.id for one in await engine.lease(NOW, limit=9)] == ["A"]

    async def test_no_hop_is_given_more_than_it_has_room_for(self, engine: QueueEngine) -> None:
        for number in range(6):
            await engine.accept(new_message(f"A{number}", hop="mx:narrow"))
            await engine.accept(new_message(f"B{number}", hop="mx:wide"))
        room = {"mx:narrow": 2, "mx:wide": 9}
        found = await engine.lease(NOW, limit=99, room=room.__getitem__)
        assert [one.message.id for one in found if one.message.id.startswith("A")] == ["A0", "A1"]
        assert len(found) == 8
        assert len(await engine.lease(NOW, limit=1, room=room.__getitem__)) == 1, "the oldest that are left come next"

    async def test_nothing_is_leased_before_its_time(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", first_attempt_at=NOW + 5))
        assert not await engine.lease(NOW, limit=1)
        assert await engine.next_due() == NOW + 5
        assert len(await engine.lease(NOW + 5, limit=1)) == 1

    async def test_an_expired_lease_goes_to_somebody_else(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (first,) = await engine.lease(NOW, limit=1, seconds=10)
        (second,) = await engine.lease(NOW + 10, limit=1)
        with pytest.raises(LeaseLost):
            await engine.settle(first, all_settled(first, Result.DELIVERED))
        await engine.settle(second, all_settled(second, Result.DELIVERED))
        assert await states(engine) == {}

    async def test_a_renewed_lease_lasts(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1, seconds=10)
        await engine.renew(lease, NOW + 100)
        assert not await engine.lease(NOW + 50, limit=1)
        assert len(await engine.lease(NOW + 100, limit=1)) == 1
        with pytest.raises(LeaseLost):
            await engine.renew(lease, NOW + 200)

    async def test_a_message_without_recipients_is_refused(self, engine: QueueEngine) -> None:
        with pytest.raises(QueueError):
            await engine.accept(replace(new_message("A"), deliveries=()))
        assert await engine.counts() == {}

    async def test_the_limit_of_messages_is_named_when_it_is_reached(self, engine: QueueEngine) -> None:
        await asyncio.gather(*[engine.accept(new_message(str(number))) for number in range(1000)])
        with pytest.raises(QueueFull, match="1000"):
            await engine.accept(new_message("one more"))


class TestSettle:
    async def test_a_delivered_message_is_gone(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1)
        await engine.settle(lease, all_settled(lease, Result.DELIVERED))
        assert await engine.inspect(EVERYTHING) == []
        assert await engine.read_content("A") is None
        assert await engine.counts() == {}
        assert await engine.next_due() is None

    @pytest.mark.parametrize("result", [Result.FAILED, Result.EXPIRED])
    async def test_other_ends_are_ends_too(self, engine: QueueEngine, result: Result) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1)
        await engine.settle(lease, all_settled(lease, result, error="550 5.1.1 no"))
        assert await states(engine) == {}

    async def test_a_deferred_delivery_remembers(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1)
        await engine.settle(
            lease, [Settlement(lease.deliveries[0].id, Result.DEFERRED, NOW + 60, "451 4.3.0 later \udcff", "mx:other", True, NOW + 1)]
        )
        assert not await engine.lease(NOW + 59, limit=1)
        (again,) = await engine.lease(NOW + 60, limit=1)
        one = again.deliveries[0]
        assert (one.attempts, one.first_failed_at, one.last_attempt_at, one.next_hop) == (1, NOW + 1, NOW + 1, "mx:other")
        assert one.last_error.startswith("451 4.3.0 later")
        assert one.delay_notice_sent
        await engine.settle(again, [Settlement(one.id, Result.DEFERRED, NOW + 90, "452", attempted_at=NOW + 61)])
        (third,) = await engine.lease(NOW + 90, limit=1)
        one = third.deliveries[0]
        assert (one.attempts, one.first_failed_at, one.last_attempt_at, one.last_error) == (2, NOW + 1, NOW + 61, "452")
        assert one.delay_notice_sent
        assert await octets(third.content) == BODY

    async def test_the_connector_of_a_rule_is_kept(self, engine: QueueEngine) -> None:
        """From the first lease on, through attempts, and where the way changes its key."""
        new = new_message("A", "a@x.org", "b@x.org")
        first, second = new.deliveries
        await engine.accept(replace(new, deliveries=(replace(first, rule_connector="Site CA"), second)))
        for attempt in range(3):
            (lease,) = await engine.lease(NOW + attempt, limit=1)
            assert {str(one.recipient): one.rule_connector for one in lease.deliveries} == {"a@x.org": "Site CA", "b@x.org": ""}
            await engine.settle(
                lease, [Settlement(one.id, Result.DEFERRED, NOW + attempt, "451", "connector:New") for one in lease.deliveries]
            )
        rows = await engine.inspect(EVERYTHING)
        assert sorted(row.delivery.rule_connector for row in rows) == ["", "Site CA"]

    async def test_a_released_delivery_counts_no_attempt(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1)
        await engine.settle(lease, all_settled(lease, Result.RELEASED, due=NOW))
        (again,) = await engine.lease(NOW, limit=1)
        assert (again.deliveries[0].attempts, again.deliveries[0].last_error) == (0, "")
        assert again.token != lease.token

    async def test_a_lease_is_settled_in_parts(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", "a@x.org", "b@x.org", "c@x.org"))
        (lease,) = await engine.lease(NOW, limit=1)
        first, second, third = lease.deliveries
        await engine.settle(lease, [Settlement(first.id, Result.DELIVERED)])
        with pytest.raises(LeaseLost):
            await engine.settle(lease, [Settlement(first.id, Result.DELIVERED), Settlement(second.id, Result.DELIVERED)])
        assert await states(engine) == {"b@x.org": "leased", "c@x.org": "leased"}
        await engine.settle(lease, [Settlement(second.id, Result.DEFERRED, due=NOW + 1), Settlement(third.id, Result.FAILED)])
        assert await states(engine) == {"b@x.org": "queued"}
        assert await octets(await engine.read_content("A")) == BODY
        with pytest.raises(LeaseLost):
            await engine.settle(lease, [Settlement(second.id, Result.DELIVERED)])
        (lease,) = await engine.lease(NOW + 1, limit=1)
        await engine.settle(lease, all_settled(lease, Result.DELIVERED))
        assert await engine.read_content("A") is None

    async def test_a_bounce_comes_with_the_settlement(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1)
        await engine.settle(lease, all_settled(lease, Result.FAILED), [new_message("DSN", "john@contoso.com", sender=None)])
        assert await states(engine) == {"john@contoso.com": "queued"}
        (lease,) = await engine.lease(NOW, limit=1)
        assert (lease.message.id, lease.message.sender) == ("DSN", None)

    async def test_a_lost_lease_brings_no_bounce(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (lease,) = await engine.lease(NOW, limit=1, seconds=1)
        await engine.lease(NOW + 2, limit=1)
        with pytest.raises(LeaseLost):
            await engine.settle(lease, all_settled(lease, Result.FAILED), [new_message("DSN")])
        assert [row.message.id for row in await engine.inspect(EVERYTHING)] == ["A"]

    async def test_callbacks_hear_of_work(self, engine: QueueEngine) -> None:
        calls: list[str] = []
        engine.on_work(lambda: calls.append("work"))
        await engine.accept(new_message("A"))
        await asyncio.sleep(0)
        assert calls
        (lease,) = await engine.lease(NOW, limit=1)
        calls.clear()
        await engine.settle(lease, all_settled(lease, Result.DEFERRED, due=NOW + 1))
        await asyncio.sleep(0)
        assert calls


class TestAdministration:
    async def test_held_mail_waits_until_it_is_released(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        await engine.accept(new_message("B"))
        assert await engine.hold(QueueQuery(message_id="A")) == 1
        assert [one.message.id for one in await engine.lease(NOW, limit=9)] == ["B"]
        assert await engine.hold(EVERYTHING) == 0  # B is leased, A is held
        assert await engine.release(EVERYTHING) == 1
        assert [one.message.id for one in await engine.lease(NOW, limit=9)] == ["A"]

    async def test_retry_makes_due(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", first_attempt_at=NOW + 500))
        assert await engine.retry(EVERYTHING, NOW) == 1
        assert await engine.next_due() == NOW
        assert len(await engine.lease(NOW, limit=1)) == 1
        assert await engine.retry(EVERYTHING, NOW) == 0

    async def test_hurry_makes_what_waits_for_a_hop_due(self, engine: QueueEngine) -> None:
        """In the order of acceptance, whatever was due when; what is held or leased stays so."""
        await engine.accept(new_message("A", hops=["mx:a"], first_attempt_at=NOW + 900))
        await engine.accept(new_message("B", hops=["mx:b"], first_attempt_at=NOW + 500))
        await engine.accept(new_message("C", hops=["mx:a"], first_attempt_at=NOW + 100))
        await engine.accept(new_message("D", hops=["mx:a"], first_attempt_at=NOW + 200))
        await engine.accept(new_message("E", hops=["mx:a"], first_attempt_at=NOW - 5))
        await engine.hold(QueueQuery(message_id="D"))
        calls: list[None] = []
        engine.on_work(lambda: calls.append(None))
        assert await engine.hurry("mx:a", NOW) in {2, 3}  # E was due already
        await asyncio.sleep(0)
        assert calls
        assert [one.message.id for one in await engine.lease(NOW, limit=9)] == ["A", "C", "E"]
        assert await engine.next_due() == NOW + 500
        assert await engine.hurry("", NOW) == 1
        assert [one.message.id for one in await engine.lease(NOW, limit=9)] == ["B"]
        assert await engine.hurry("", NOW) == 0

    async def test_pages(self, engine: QueueEngine) -> None:
        """With the id of the last delivery of one page the next one begins behind it."""
        for name in "ABC":
            await engine.accept(new_message(name, "x@example.org", "y@example.org", hops=["mx:example.org", "mx:example.org"]))
        seen: list[str] = []
        last = -1
        while page := await engine.inspect(QueueQuery(limit=4, after=last)):
            seen += [row.message.id for row in page]
            last = page[-1].delivery.id
        assert seen == ["A", "A", "B", "B", "C", "C"]
        assert await engine.hold(QueueQuery(limit=4, after=last)) == 0

    async def test_delete_takes_queued_and_held_mail(self, engine: QueueEngine) -> None:
        for name in "ABC":
            await engine.accept(new_message(name, f"{name}@example.org"))
        await engine.hold(QueueQuery(message_id="B"))
        (lease,) = await engine.lease(NOW, limit=1)
        assert await engine.delete(QueueQuery(states=frozenset({DeliveryState.LEASED}))) == [], "an attempt is under way"
        gone = await engine.delete(EVERYTHING)
        assert [(row.message.id, row.delivery.state) for row in gone] == [("B", DeliveryState.DELETED), ("C", DeliveryState.DELETED)]
        assert await states(engine) == {"A@example.org": "leased"}
        assert await engine.read_content("B") is None
        await engine.settle(lease, all_settled(lease, Result.DELIVERED))
        assert await states(engine) == {}

    async def test_questions(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", "Sun@example.org", "bob@fabrikam.com", hops=["mx:example.org", "mailbox"]))
        await engine.accept(new_message("B", "sun@sub.example.org", hop="mx:sub.example.org", sender=None))
        await engine.hold(QueueQuery(message_id="B"))

        async def found(query: QueueQuery) -> list[str]:
            return [str(row.delivery.recipient) for row in await engine.inspect(query)]

        a, bob, b = "Sun@example.org", "bob@fabrikam.com", "sun@sub.example.org"
        assert await found(EVERYTHING) == [a, bob, b]
        assert await found(QueueQuery(limit=2)) == [a, bob]
        assert await found(QueueQuery(recipient="sun@EXAMPLE.org")) == [a]
        assert await found(QueueQuery(recipient="*@example.org")) == [a]
        assert await found(QueueQuery(recipient="nonsense")) == []
        assert await found(QueueQuery(sender="JOHN@contoso.com")) == [a, bob]
        assert await found(QueueQuery(sender="*@contoso.com")) == [a, bob]
        assert await found(QueueQuery(sender="<>")) == [b]
        assert await found(QueueQuery(next_hop="mailbox")) == [bob]
        assert await found(QueueQuery(message_id="B")) == [b]
        assert await found(QueueQuery(states=frozenset({DeliveryState.HELD}))) == [b]
        assert await found(QueueQuery(message_id="A", recipient="*@fabrikam.com", states=frozenset({DeliveryState.QUEUED}))) == [bob]
        await engine.lease(NOW, limit=1)
        assert await found(QueueQuery(states=frozenset({DeliveryState.LEASED}))) == [a]

    async def test_counts(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", "a@x.org", "b@x.org", hop="connector:A"))
        await engine.accept(new_message("B", hop="connector:B"))
        await engine.hold(QueueQuery(next_hop="connector:B"))
        assert await engine.counts() == {"connector:A": {"queued": 2}, "connector:B": {"held": 1}}
        await engine.lease(NOW, limit=1)
        assert await engine.counts() == {"connector:A": {"leased": 2}, "connector:B": {"held": 1}}


class TestContent:
    @pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 262_144, 262_145, 5_000_000])
    async def test_every_size_comes_back(self, engine: QueueEngine, size: int) -> None:
        expected = bytes(range(256)) * (size // 256 + 1)
        expected = expected[:size]
        writer = engine.content_writer()
        for at in range(0, size, 65_536):
            waiting = writer.write(expected[at : at + 65_536])
            if waiting is not None:
                await waiting
        content = writer.finish()
        assert (content.size, content.inline is None) == (size, size > 1000)
        await engine.accept(new_message("A", "a@x.org", "b@y.org", hops=["mx:x", "mx:y"], content=content))
        writer.discard()
        assert await octets(await engine.read_content("A")) == expected
        for lease in await engine.lease(NOW, limit=2):
            assert lease.message.size == size
            assert await octets(lease.content) == expected
            await engine.settle(lease, all_settled(lease, Result.DELIVERED))
        assert await engine.read_content("A") is None

    async def test_discarded_content_leaves_nothing(self, engine: QueueEngine) -> None:
        writer = engine.content_writer()
        for _ in range(20):
            waiting = writer.write(b"x" * 65_536)
            if waiting is not None:
                await waiting
        writer.discard()
        writer.discard()
        await engine.accept(new_message("A"))
        assert [row.message.id for row in await engine.inspect(EVERYTHING)] == ["A"]

    async def test_content_of_another_store_is_copied(self, engine: QueueEngine) -> None:
        class Foreign:
            size = 600_000
            inline = None

            async def chunks(self) -> AsyncIterator[bytes]:
                for _ in range(6):
                    yield b"f" * 100_000

        foreign: Callable[[], Content] = Foreign
        await engine.accept(new_message("A", content=foreign()))
        (lease,) = await engine.lease(NOW, limit=1)
        assert await octets(lease.content) == b"f" * 600_000
        await engine.settle(lease, all_settled(lease, Result.FAILED), [new_message("DSN", content=foreign())])
        assert await octets(await engine.read_content("DSN")) == b"f" * 600_000

    async def test_content_of_an_unknown_message(self, engine: QueueEngine) -> None:
        assert await engine.read_content("nobody") is None


class TestRedirecting:
    async def test_a_delivery_that_waits_gets_another_way_and_time(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", first_attempt_at=NOW + 100))
        (row,) = await engine.inspect(EVERYTHING)
        assert await engine.redirect([Redirect(row.delivery.id, "connector:Out", "mx:x", due=NOW)]) == {row.delivery.id}
        assert await engine.counts() == {"mx:x": {"queued": 1}}
        (lease,) = await engine.lease(NOW, limit=10)
        assert (lease.deliveries[0].next_hop, lease.deliveries[0].recipient) == ("mx:x", row.delivery.recipient)

    async def test_without_a_time_it_keeps_its_own(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", first_attempt_at=NOW + 100))
        (row,) = await engine.inspect(EVERYTHING)
        await engine.redirect([Redirect(row.delivery.id, "connector:Out", "mx:x")])
        assert not await engine.lease(NOW, limit=10)
        assert await engine.next_due() == NOW + 100

    async def test_held_ones_stay_held(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        await engine.hold(EVERYTHING)
        (row,) = await engine.inspect(EVERYTHING)
        assert await engine.redirect([Redirect(row.delivery.id, "connector:Out", "mx:x", due=NOW)]) == {row.delivery.id}
        assert await engine.counts() == {"mx:x": {"held": 1}}
        assert not await engine.lease(NOW, limit=10)

    async def test_what_is_not_as_it_says_is_left_alone(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (row,) = await engine.inspect(EVERYTHING)
        number = row.delivery.id
        assert not await engine.redirect([Redirect(number, "mx:other", "mx:x"), Redirect(number + 1, "connector:Out", "mx:x")])
        await engine.lease(NOW, limit=1)
        assert not await engine.redirect([Redirect(number, "connector:Out", "mx:x")])
        assert await engine.counts() == {"connector:Out": {"leased": 1}}

    async def test_a_pin_lasts_through_attempts(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A"))
        (row,) = await engine.inspect(EVERYTHING)
        assert await engine.redirect([Redirect(row.delivery.id, "connector:Out", "connector:Out", pinned="connector:Out")])
        (lease,) = await engine.lease(NOW, limit=1)
        assert lease.deliveries[0].pinned == "connector:Out"
        await engine.settle(lease, [Settlement(row.delivery.id, Result.DEFERRED, NOW + 60, "451 later", "mx:x", attempted_at=NOW)])
        (row,) = await engine.inspect(EVERYTHING)
        assert (row.delivery.next_hop, row.delivery.pinned, row.delivery.attempts) == ("connector:Out", "connector:Out", 1)
        assert await engine.redirect([Redirect(row.delivery.id, "connector:Out", "mx:x", NOW, pinned="", rule_connector="")])
        (lease,) = await engine.lease(NOW, limit=1)
        assert (lease.deliveries[0].next_hop, lease.deliveries[0].pinned, lease.deliveries[0].attempts) == ("mx:x", "", 1)

    async def test_a_pin_given_during_an_attempt_outlives_it(self, engine: QueueEngine) -> None:
        await engine.accept(new_message("A", "a@x.org", "b@x.org"))
        (lease,) = await engine.lease(NOW, limit=1)
        first, second = (one.id for one in lease.deliveries)
        assert await engine.redirect([Redirect(first, "connector:Out", "connector:Out", pinned="connector:Out")]) == {first}
        await engine.settle(lease, [Settlement(first, Result.DEFERRED, NOW + 60, "451 later", "mx:x", attempted_at=NOW)])
        await engine.settle(lease, [Settlement(second, Result.DEFERRED, NOW + 60, "451 later", "mx:x", attempted_at=NOW)])
        rows = await engine.inspect(EVERYTHING)
        assert [(row.delivery.next_hop, row.delivery.pinned) for row in rows] == [("connector:Out", "connector:Out"), ("mx:x", "")]

    async def test_many_at_once_and_a_call_for_work(self, engine: QueueEngine) -> None:
        for number in range(20):
            await engine.accept(new_message(f"M{number}", first_attempt_at=NOW + 100))
        called: list[int] = []
        engine.on_work(lambda: called.append(1))
        rows = await engine.inspect(EVERYTHING)
        pinned = {"pinned": "mx", "rule_connector": ""}
        redirects = [Redirect(row.delivery.id, "connector:Out", "mx:x", NOW, **(pinned if at % 2 else {})) for at, row in enumerate(rows)]
        assert len(await engine.redirect(redirects)) == 20
        await asyncio.sleep(0)
        assert called
        leases = await engine.lease(NOW, limit=100)
        assert [lease.message.id for lease in leases] == [f"M{number}" for number in range(20)]
        assert [lease.deliveries[0].pinned for lease in leases] == ["", "mx"] * 10
