"""Whom one work reached is told by few events, and each recipient is found with his own words."""

from __future__ import annotations

from unittest.mock import patch

from mailwye.outbound.courier import Attempt
from mailwye.queue.item import Delivery
from mailwye.trace.event import EventKind, TraceEvent
from tests.unit.outbound.world import NO_SUCH_USER, World, in_world, says, taken, turns

NAMES = ("ann@example.net", "bob@example.net", "eve@example.net", "sun@example.net")


def test_recipients_with_the_same_end_share_an_event_and_nobody_is_lost() -> None:
    def script(delivery: Delivery) -> Attempt:
        return says(NO_SUCH_USER)(delivery) if delivery.recipient.local == "eve" else taken(delivery)

    async def story(world: World) -> None:
        with patch.object(world.trace, "record", wraps=world.trace.record) as record:
            await world.accept(*NAMES)
            await turns()
        told: list[TraceEvent] = [call.args[0] for call in record.call_args_list]
        sent = [(event.recipient, event.also) for event in told if event.kind is EventKind.SEND]
        assert sent == [(NAMES[0], NAMES[1:2]), (NAMES[3], ())]
        assert [event.recipient for event in world.events(EventKind.SEND)] == [NAMES[0], NAMES[1], NAMES[3]]
        (failed,) = world.events(EventKind.FAIL)
        assert (failed.recipient, failed.reply, failed.also) == (NAMES[2], str(NO_SUCH_USER), ())

    in_world(story, script=script)
