"""The units of packaging/systemd, read by systemd itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.counterparts.process import REPOSITORY, program

UNITS = REPOSITORY / "packaging" / "systemd"


@pytest.mark.counterpart("systemd-analyze")
def test_systemd_knows_every_option_of_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    units = [tmp_path / name for name in ("mailwye.service", "mailwye.socket")]
    for unit in units:
        text = (UNITS / unit.name).read_text()
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    finished = subprocess.run([analyze, "verify", "--man=no", *map(str, units)], capture_output=True, text=True, check=False)
    assert [line for line in finished.stderr.splitlines() if "mailwye" in line] == []
