"""Renewed certificates: taken when they are whole, told once when they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailwye.admin.certificate_watch import CertificateWatch
from mailwye.runtime.channel import ChannelError
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.tls_certificates import TlsError, check_pair, read_chain, read_key
from mailwye.testing.authority import Authority


class Log:
    """Remembers events."""

    def __init__(self) -> None:
        self.alerts: list[str] = []
        self.infos: list[tuple[str, str]] = []

    def error(self, event: str, *, text: str) -> None:
        assert event == "alert"
        self.alerts.append(text)

    def info(self, event: str, **values: Any) -> None:
        self.infos.append((event, values["files"]))


class World:
    """A pair that is watched."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory, now=SystemClock().now())
        self.pair = self.authority.issue("mx", ["mx.example"])
        self.log = Log()
        self.reloads = 0
        self.fails = ""
        files = (self.pair.certificate, self.pair.private_key)
        self.watch = CertificateWatch(files, check=self.check, reload=self.reload, log=self.log)

    def check(self) -> None:
        certificate, key = str(self.pair.certificate), str(self.pair.private_key)
        check_pair(read_chain(certificate), read_key(key), certificate, key)

    async def reload(self) -> None:
        if self.fails:
            raise ChannelError(self.fails)
        self.reloads += 1

    async def looks(self, times: int = 3) -> None:
        for _ in range(times):
            await self.watch.look()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_what_does_not_change_is_not_read(world: World) -> None:
    await world.looks()
    assert (world.reloads, world.log.alerts, world.log.infos) == (0, [], [])


async def test_a_renewed_pair_is_taken_once_when_two_looks_agree(world: World) -> None:
    world.authority.issue("mx", ["mx.example"])
    await world.watch.look()
    assert world.reloads == 0
    await world.looks(5)
    assert world.reloads == 1
    assert world.log.infos == [("certificates reloaded", f"{world.pair.certificate}, {world.pair.private_key}")]


async def test_a_pair_that_is_half_replaced_is_told_once_and_taken_when_whole(world: World, tmp_path: Path) -> None:
    key = world.pair.private_key.read_bytes()
    world.authority.issue("mx", ["mx.example"])
    renewed = world.pair.private_key.read_bytes()
    world.pair.private_key.write_bytes(key)
    await world.looks(5)
    assert world.reloads == 0
    (alert,) = world.log.alerts
    assert str(world.pair.private_key) in alert
    assert "the old ones stay in use" in alert
    world.pair.private_key.write_bytes(renewed)
    await world.looks()
    assert (world.reloads, len(world.log.alerts)) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", b"rubbish"])
async def test_a_certificate_that_is_cut_off_is_told_by_name(world: World, content: bytes) -> None:
    whole = world.pair.certificate.read_bytes()
    world.pair.certificate.write_bytes(content)
    await world.looks()
    assert [str(world.pair.certificate) in alert for alert in world.log.alerts] == [True]
    world.pair.certificate.write_bytes(whole)  # put back: another inode time, so it is read again
    await world.looks()
    assert world.reloads == 1


async def test_a_file_that_is_gone_is_told_and_a_link_that_is_changed_is_seen(world: World, tmp_path: Path) -> None:
    """As certbot renews: the names are links to numbered files."""
    stored = tmp_path / "archive"
    stored.mkdir()
    for path in (world.pair.certificate, world.pair.private_key):
        path.rename(stored / path.name)
    await world.looks()
    assert "does not exist" in world.log.alerts[0]
    for path in (world.pair.certificate, world.pair.private_key):
        path.symlink_to(stored / path.name)
    await world.looks()
    assert world.reloads == 0  # the same files as at the beginning
    second = Authority(tmp_path / "second", now=SystemClock().now()).issue("mx", ["mx.example"])
    for link, target in ((world.pair.certificate, second.certificate), (world.pair.private_key, second.private_key)):
        link.unlink()
        link.symlink_to(target)
    await world.looks()
    assert world.reloads == 1


async def test_a_worker_that_cannot_take_it_is_told(world: World) -> None:
    world.fails = "worker 1 refuses"
    world.authority.issue("mx", ["mx.example"])
    await world.looks(5)
    assert world.log.alerts == ["changed certificates are not taken, the old ones stay in use: worker 1 refuses"]


async def test_without_files_there_is_nothing_to_watch() -> None:
    def check() -> None:
        raise TlsError("never asked")

    async def reload() -> None:
        return

    await CertificateWatch((), check=check, reload=reload, log=Log()).run()
