"""What is remembered of certificates, what is told, and that a restart repeats nothing."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mailwye.admin.certificate_keeper import CertificateKeeper
from mailwye.admin.certificate_register import FORGET_SECONDS, KEEP_SECONDS, CertificateRegister
from mailwye.admin.expiry import DAY
from mailwye.config.certificate_files import CertificateFile
from mailwye.runtime.channel import ChannelError
from mailwye.runtime.seen_certificates import SEEN_LIMIT
from mailwye.testing.authority import Authority

NOW = 1_800_000_000.0


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Log:
    """Remembers alerts."""

    def __init__(self) -> None:
        self.alerts: list[str] = []
        self.first = asyncio.Event()

    def error(self, event: str, *, text: str) -> None:
        assert event == "alert"
        self.alerts.append(text)
        self.first.set()


class World:
    """One certificate in a file that ends in 20 days, its authority in 30; other servers as tests say."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "certificates.json"
        self.authority = Authority(directory, now=NOW)
        self.pair = self.authority.issue("mx", ["mx.example"])
        self.files = [
            CertificateFile("[tls]", ("tls",), self.pair.certificate, self.pair.private_key),
            CertificateFile("trusted authority", ("tls", "trusted_authorities", 0), self.authority.certificate),
        ]
        self.clock = Clock()
        self.log = Log()
        self.presented: list[Mapping[str, Any]] = []
        self.gone = False
        self.restart()

    def restart(self) -> None:
        """A new process."""
        self.register = CertificateRegister(self.path, self.files)
        self.keeper = CertificateKeeper(self.register, collect=self.collect, clock=self.clock, log=self.log)

    async def collect(self) -> Iterable[Mapping[str, Any]]:
        if self.gone:
            raise ChannelError("worker 0 is gone")
        taken, self.presented = self.presented, []
        return taken

    def see(self, names: list[str], *, ends_in_days: float, fingerprint: str, use: str = 'inbound connector "A"') -> None:
        self.presented.append(
            {
                "use": use,
                "subject": "CN=mail",
                "issuer": "CN=theirs",
                "names": names,
                "not_after": self.clock.at + ends_in_days * DAY,
                "fingerprint": fingerprint,
                "last_seen": self.clock.at,
            }
        )

    def told(self) -> list[str]:
        told, self.log.alerts = self.log.alerts, []
        return told


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_each_step_is_told_once_and_a_restart_repeats_nothing(world: World) -> None:
    await world.keeper.work()
    first = world.told()
    assert [("of [tls]" in one, "of trusted authority" in one) for one in first] == [(True, False), (False, True)]
    assert str(world.pair.certificate) in first[0]
    for _ in range(2):
        await world.keeper.work()
        world.restart()
    assert world.told() == []
    world.clock.at += 6.5 * DAY
    await world.keeper.work()
    world.restart()
    await world.keeper.work()
    (told,) = world.told()
    assert "expires in 13 days" in told


async def test_a_renewed_certificate_is_warned_of_anew(world: World) -> None:
    await world.keeper.work()
    world.told()
    world.pair.certificate.write_bytes(Authority(world.path.parent / "new", now=NOW).issue("mx", ["mx.example"]).certificate.read_bytes())
    await world.keeper.work()
    (told,) = world.told()
    assert "of [tls]" in told


async def test_what_other_servers_present_is_warned_of_until_they_renew(world: World) -> None:
    await world.keeper.work()
    world.told()
    world.see(["mail.contoso.com"], ends_in_days=6, fingerprint="old")
    await world.keeper.work()
    (told,) = world.told()
    assert 'inbound connector "A"' in told
    assert "expires in 6 days" in told
    world.see(["mail.contoso.com"], ends_in_days=90, fingerprint="new")
    await world.keeper.work(at_once=True)
    world.clock.at += 5.5 * DAY  # the old one would be due
    world.restart()
    await world.keeper.work()
    assert [one for one in world.told() if "connector" in one] == []
    (row,) = [one for one in await world.keeper.rows() if one["fingerprint"] in ("old", "new")]
    assert (row["fingerprint"], row["file"], row["last_seen"]) == ("new", "", NOW)


async def test_a_later_sight_wins_whatever_order_workers_tell(world: World) -> None:
    world.see(["mail.contoso.com"], ends_in_days=90, fingerprint="new")
    newer = world.presented.pop()
    world.clock.at -= 60
    world.see(["mail.contoso.com"], ends_in_days=90, fingerprint="old")
    world.presented.insert(0, newer)
    await world.keeper.work()
    assert [one["fingerprint"] for one in await world.keeper.rows() if not one["file"]] == ["new"]


async def test_what_was_not_presented_for_long_is_forgotten_and_the_rest_is_bounded(world: World) -> None:
    for number in range(SEEN_LIMIT + 5):
        world.see([f"{number}.example"], ends_in_days=900, fingerprint=f"{number}")
        world.clock.at += 1
    await world.keeper.work()
    rows = [one for one in await world.keeper.rows() if not one["file"]]
    assert len(rows) == SEEN_LIMIT
    assert {"0", "4"}.isdisjoint(one["fingerprint"] for one in rows)
    world.clock.at += FORGET_SECONDS + SEEN_LIMIT
    await world.keeper.work()
    assert [one for one in await world.keeper.rows() if not one["file"]] == []


async def test_times_are_written_seldom_and_changes_at_once(world: World) -> None:
    await world.keeper.work()
    world.see(["mail.contoso.com"], ends_in_days=90, fingerprint="one")
    await world.keeper.work()
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600
    written = world.path.read_bytes()
    assert b"mail.contoso.com" in written
    world.clock.at += 60
    world.see(["mail.contoso.com"], ends_in_days=90, fingerprint="one")
    await world.keeper.work()
    assert world.path.read_bytes() == written
    world.clock.at += KEEP_SECONDS
    await world.keeper.work()
    assert world.path.read_bytes() != written


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"[]", b'{"seen": [{"use": 1}], "warned": {}}', b'{"seen": [], "warned": {"a": "b"}}']
)
async def test_a_damaged_file_is_begun_anew_and_told(world: World, content: bytes) -> None:
    world.path.write_bytes(content)
    world.restart()
    assert str(world.path) in world.register.damage
    running = asyncio.ensure_future(world.keeper.run())
    async with asyncio.timeout(10):
        await world.log.first.wait()
    running.cancel()
    assert "begun anew" in world.log.alerts[0]


async def test_a_worker_that_is_gone_and_a_full_disk_stop_nothing(world: World) -> None:
    world.gone = True
    world.path.mkdir()  # it cannot be replaced by a file
    world.restart()
    await world.keeper.work()
    await world.keeper.work()
    assert [one for one in world.told() if "cannot be written down" in one] != []
    assert [one for one in world.told() if "cannot be written down" in one] == []


async def test_an_unreadable_file_is_left_out(world: World) -> None:
    world.pair.certificate.write_text("rubbish")
    assert [one["use"] for one in await world.keeper.rows()] == ["trusted authority"]
