"""No 250 before durability (D1), also while the disk fails (D2) and is full (D4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.testing.checkers import Fate, check_all
from mailwye.testing.durability import AcknowledgementWatch
from mailwye.testing.network import Reachability
from mailwye.testing.workload import send_mail
from mailwye.testing.world import JOHN, OWN, SUN, World


@pytest.mark.parametrize(("seed", "failures"), [(30, 0), (31, 1), (32, 2), (33, 5), (34, 9)])
def test_every_250_is_durable_when_it_is_written(tmp_path: Path, seed: int, failures: int) -> None:
    async def story(world: World) -> None:
        gateway = await world.begin()
        watch = AcknowledgementWatch(gateway, tmp_path)
        send_mail(world, world.rng, messages=40, seconds=2.0)
        await world.sleep(0.5)
        gateway.disk.fail_syncs = failures
        await world.settle(seconds=3600.0)
        assert len(watch.seen) >= 40
        assert watch.early == []
        tally = await check_all(world)
        assert tally.duplicates == 0, "nothing was interrupted"
        if failures:
            assert world.ledger.attempts > 40, "the failure hit somebody, and he tried again"

    World.run(seed, tmp_path, story)


def test_a_full_disk_refuses_new_mail_and_delivers_the_old(tmp_path: Path) -> None:
    """D4: the queue shrinks at 0 octets free."""

    async def story(world: World) -> None:
        gateway = await world.begin()
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        for _ in range(30):
            world.mail(SUN, (JOHN,), body=b"x" * 900 + b"\r\n")
        await world.sleep(10.0)
        gateway.disk.quota = sum(file.stat().st_size for file in gateway.disk.place.glob("*.sqlite*"))
        world.wire.set_reachability(OWN, Reachability.UP)
        for _ in range(200):
            world.mail(SUN, (JOHN,), body=(b"y" * 70 + b"\r\n") * 70)
        await world.sleep(300.0)
        waiting = sum(not task.done() for task in world.sending)
        old = sum(b"xxx" in message.content for message in world.own.messages)
        assert old == 30, "what was accepted leaves although the disk is full"
        assert await gateway.rows() == []
        gateway.disk.quota = None
        await world.settle(seconds=600.0)
        tally = await check_all(world)
        assert (tally.count(Fate.DELIVERED), tally.duplicates) == (230, 0)
        assert waiting > 0, "the disk was not full enough to refuse anything"

    World.run(35, tmp_path, story)
