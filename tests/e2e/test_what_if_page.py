"""docs/what-if.md: its lines are run as they stand, by a shell, one after the other, and answer what it says."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

from tests.e2e.installed import Installed, serving, until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "what-if.md"
STEP = re.compile(
    r"```yaml\n# (?P<file>\S+)\n(?P<yaml>.*?)```"
    r"|```sh\n(?P<lines>.*?)```\n```text\n(?P<answer>.*?)```"
    r"|<!-- mail (?P<sender>\S+) (?P<recipient>\S+) (?P<times>\d+) -->",
    re.DOTALL,
)


async def shell(installed: Installed, lines: str) -> tuple[int, str]:
    """Run the lines; exit code and all that was printed."""
    mailwye = f'mailwye() {{ {shlex.join((sys.executable, "-m", "mailwye"))} "$@"; }}\n'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-ec", mailwye + lines),
        cwd=installed.directory,
        env={**os.environ, "MAILWYE_CONFIG": str(installed.config)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_page(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    steps = list(STEP.finditer(PAGE.read_text()))
    assert len([step for step in steps if step["lines"]]) == PAGE.read_text().count("```sh") > 5
    async with serving(installed) as service:
        for step in steps:
            if step["file"]:
                (tmp_path / step["file"]).write_text(step["yaml"])
            elif step["lines"]:
                code, output = await shell(installed, step["lines"])
                assert (code != 0) is step["answer"].startswith("!"), output
                for expected in step["answer"].removeprefix("!").splitlines():
                    assert " ".join(expected.split()) in " ".join(output.split()), f"{expected!r} is not in:\n{output}"
            else:
                for number in range(int(step["times"])):
                    await installed.send(step["sender"], step["recipient"], f"Number {number}")
        await until(lambda: len(installed.maildir("bob@contoso.com")) == 2, "bob has his mail")
        assert "internal error" not in service.log().lower()
