"""Power cuts on file systems of their own, where this machine permits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.counterparts.process import missing, need_root, program
from tests.torture.short import bad, lost, options
from torture import power
from torture.gateway import RigError
from torture.image import image

pytestmark = [pytest.mark.xdist_group("torture"), pytest.mark.timeout(300)]


@pytest.fixture(params=["ext4", "xfs"])
def filesystem(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind that can be mounted here. A container needs the right to mount: no package can give it that."""
    kind: str = request.param
    for name in (f"mkfs.{kind}", "xfs_io", "mount"):
        program(name)
    need_root()
    try:
        with image(kind, tmp_path):
            return kind
    except RigError as error:
        missing(f"loop mounts are not permitted here: {error}")


async def test_nothing_acknowledged_is_lost_by_a_power_cut(filesystem: str) -> None:
    assert bad(await power.run(options("power", "--cuts", "3", "--filesystem", filesystem, "--longest", "1"))) == set()


async def test_the_harness_sees_what_was_not_synced(filesystem: str) -> None:
    result = await power.run(options("power", "--cuts", "3", "--filesystem", filesystem, "--longest", "1", "--sabotage", "unsynced"))
    assert lost(result)
