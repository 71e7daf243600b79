"""Outages around the real service, in small: figures that depend on how fast the machine is just now are left to the long forms."""

from __future__ import annotations

import pytest

from tests.counterparts.process import missing, program
from tests.torture.short import bad, options
from torture import outage_accept, outage_down, outage_slow, outages
from torture.gateway import RigError
from torture.outage_scene import fake_clock
from torture.report import Result

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(120)]

UNTIMED = ("steady rate", "retry after", "median beside", "memory that", "CPU of the service")


def _need_fake_clock() -> None:
    try:
        fake_clock()
    except RigError as error:
        missing(str(error))


async def _run(row: str, *words: str) -> Result:
    return await outages.run(options("outages", "--row", row, *words))


def _wrong(result: Result) -> set[str]:
    return {one for one in bad(result) if not any(words in one for words in UNTIMED)}


async def test_a_host_that_is_down_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    _need_fake_clock()
    monkeypatch.setattr(outage_down, "BASELINE_SECONDS", 1.0)
    assert _wrong(await _run("down", "--hours", "4.3", "--factor", "1500", "--messages", "200")) == set()


async def test_name_servers_that_fail() -> None:
    _need_fake_clock()
    assert _wrong(await _run("names", "--factor", "50", "--messages", "200")) == set()


async def test_slow_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_slow, "ROUNDS", 1)
    assert _wrong(await _run("slow", "--messages", "200")) == set()


async def test_hosts_that_hang_up() -> None:
    assert _wrong(await _run("drops", "--messages", "900")) == set()


async def test_a_kernel_that_gives_no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    program("strace")
    monkeypatch.setattr(outage_accept, "TROUBLE_SECONDS", 2.0)
    monkeypatch.setattr(outage_accept, "INJECTED", ("ENOBUFS",))
    monkeypatch.setattr(outage_accept, "CALLS_LIMIT", 4000)  # the quarter of a second until it is noticed counts more in so short a time
    assert _wrong(await _run("accept")) == set()


async def test_the_harness_sees_a_loss() -> None:
    """A connection that broke within the content is taken for a delivery."""
    assert any(one.startswith("lost") for one in bad(await _run("drops", "--messages", "450", "--sabotage", "twofold")))
