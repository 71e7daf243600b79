"""What is known of certificates, what is told, and that a restart repeats nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailwye.admin.certificate_keeper import CertificateKeeper
from mailwye.admin.certificate_register import FORGET_SECONDS, CertificateRegister
from mailwye.admin.expiry import DAY
from mailwye.config.certificate_files import CertificateFile
from mailwye.testing.authority import Authority
from mailwye.trace.sightings import MemorySightings, Sighting

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


class Store(MemorySightings):
    """One that may fail."""

    failing = False

    def all(self) -> Sequence[Sighting]:
        if self.failing:
            raise OSError("disk gone")
        return super().all()


class World:
    """One certificate in a file that ends in 20 days, its authority in 30; other servers as tests say."""

    def __init__(self, directory: Path) -> None:
        self.store = Store()
        self.authority = Authority(directory, now=NOW)
        self.pair = self.authority.issue("mx", ["mx.example"])
        self.files = [
            CertificateFile("[tls]", ("tls",), self.pair.certificate, self.pair.private_key),
            CertificateFile("trusted authority", ("tls", "trusted_authorities", 0), self.authority.certificate),
        ]
        self.clock = Clock()
        self.log = Log()
        self.restart()

    def restart(self) -> None:
        """A new process."""
        self.keeper = CertificateKeeper(CertificateRegister(self.store, self.files), clock=self.clock, log=self.log)

    def see(self, names: tuple[str, ...], *, ends_in_days: float, fingerprint: str, use: str = 'inbound connector "A"') -> None:
        now = self.clock.at
        ends = now + ends_in_days * DAY
        self.store.saw(Sighting(use, "", names, "CN=mail", "CN=theirs", "trusted", now - DAY, ends, fingerprint, "key", now, now))

    def told(self) -> list[str]:
        told, self.log.alerts = self.log.alerts, []
        return told

    async def presented(self) -> list[str]:
        """Fingerprints of what other servers presented."""
        return [one["fingerprint"] for one in await self.keeper.rows() if not one["file"]]


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


async def test_a_renewed_certificate_is_warned_of_anew(world: World, tmp_path: Path) -> None:
    await world.keeper.work()
    world.told()
    world.pair.certificate.write_bytes(Authority(tmp_path / "new", now=NOW).issue("mx", ["mx.example"]).certificate.read_bytes())
    await world.keeper.work()
    (told,) = world.told()
    assert "of [tls]" in told
    assert len(world.store.warned()) == 2  # the old one's warning is forgotten


async def test_what_other_servers_present_is_warned_of_until_they_renew(world: World) -> None:
    await world.keeper.work()
    world.told()
    world.see(("mail.contoso.com",), ends_in_days=6, fingerprint="old")
    await world.keeper.work()
    (told,) = world.told()
    assert 'inbound connector "A"' in told
    assert "expires in 6 days" in told
    world.clock.at += 60
    world.see(("mail.contoso.com",), ends_in_days=90, fingerprint="new")
    world.clock.at += 5.5 * DAY  # the old one would be due
    world.restart()
    await world.keeper.work()
    assert [one for one in world.told() if "connector" in one] == []
    (row,) = [one for one in await world.keeper.rows() if one["fingerprint"] in ("old", "new")]
    assert (row["fingerprint"], row["file"], row["last_seen"]) == ("new", "", NOW + 60)


async def test_the_same_names_on_another_connector_are_another_certificate(world: World) -> None:
    world.see(("mail.contoso.com",), ends_in_days=90, fingerprint="one")
    world.see(("mail.contoso.com",), ends_in_days=90, fingerprint="two", use='outbound connector "A"')
    assert await world.presented() == ["one", "two"]


async def test_what_was_not_presented_for_long_is_forgotten(world: World) -> None:
    world.see(("mail.contoso.com",), ends_in_days=900, fingerprint="one")
    world.clock.at += FORGET_SECONDS
    assert await world.presented() == ["one"]
    world.clock.at += 1
    assert await world.presented() == []


async def test_a_store_that_fails_is_told_once_and_stops_nothing(world: World) -> None:
    world.store.failing = True
    running = asyncio.ensure_future(world.keeper.run())
    async with asyncio.timeout(10):
        await world.log.first.wait()
    running.cancel()
    assert await world.keeper.rows() == []
    (told,) = world.told()
    assert told == "nobody can be warned of certificates that expire: disk gone"
    world.store.failing = False
    assert len(await world.keeper.rows()) == 2
    assert len(world.told()) == 2
    world.store.failing = True
    await world.keeper.work()
    assert len(world.told()) == 1


async def test_an_unreadable_file_is_left_out(world: World) -> None:
    world.pair.certificate.write_text("rubbish")
    assert [one["use"] for one in await world.keeper.rows()] == ["trusted authority"]
