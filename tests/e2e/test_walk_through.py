"""docs/configuration.md, "Versions, drafts, rollback": its lines are run as they stand, one after the other, and answer what it says."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

from tests.e2e.installed import Installed

ROOT = Path(__file__).resolve().parents[2]
_SECTION = re.compile(r"^## Versions, drafts, rollback\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)


async def test_the_walk_through_is_true(tmp_path: Path) -> None:
    section = _SECTION.search((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"))
    assert section is not None
    examples = _EXAMPLE.findall(section.group(1))
    assert len(examples) == section.group(1).count("```sh") > 5
    installed = Installed(tmp_path)
    mailwye = f'mailwye() {{ {shlex.join((sys.executable, "-m", "mailwye"))} "$@"; }}\n'
    environment = {**os.environ, "MAILWYE_CONFIG": str(installed.config), "EXAMPLES": str(ROOT / "examples")}
    for lines, answer in examples:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-ec", mailwye + lines), cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output
        for expected in answer.splitlines():
            assert expected.strip() in output, f"{expected!r} is not in:\n{output}"
