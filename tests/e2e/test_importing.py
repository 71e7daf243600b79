"""docs/migrating.md: its commands are run as they stand, by a shell beside the sample files, and answer what the page says."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.installed import Installed, run

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "scenarios" / "imports"
PAGE = (ROOT / "docs" / "migrating.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.*?)```\n```text (\d)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """One installation for all examples, in their order: what one saves the next one finds."""
    directory = tmp_path_factory.mktemp("migrating")
    shutil.copytree(SAMPLES, directory / "samples")
    return Installed(directory)


def test_every_command_of_the_page_is_an_example() -> None:
    assert len(EXAMPLES) == PAGE.count("```sh") > 5


@pytest.mark.parametrize(("lines", "code", "answer"), EXAMPLES, ids=[lines.split(" | ")[-1][:60] for lines, _, _ in EXAMPLES])
def test_example(place: Installed, lines: str, code: str, answer: str) -> None:
    mailwye = f'mailwye() {{ MAILWYE_CONFIG="{place.config}" "{sys.executable}" -m mailwye "$@"; }}\n'
    done = subprocess.run(
        ["sh", "-c", mailwye + lines], cwd=place.directory / "samples", capture_output=True, text=True, timeout=100, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == int(code), output
    for expected in answer.splitlines():
        assert expected.strip() in output


async def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text("Name      Enabled\n----      -------\n")
    finished = await run("import", "exchange", "table.json", cwd=tmp_path, code=65)
    assert finished.out == ""
    assert 'table.json:1: is no JSON: "Name" stands where a value should. Export with ConvertTo-Json' in finished.err
    assert "Nothing was carried over" in finished.err
    finished = await run("import", "exchange", "nowhere.json", cwd=tmp_path, code=66)
    assert "nowhere.json cannot be read: no such file or directory" in finished.err
    finished = await run("import", "dsc", "table.json", "--variable", "x", cwd=tmp_path, code=64)
    assert "'x' is not NAME=VALUE" in finished.err
    finished = await run("import", "postfix", "--main-cf", "table.json", cwd=tmp_path, code=65)
    assert "is no line of main.cf" in finished.err


async def test_utf_16_from_standard_input_and_a_report_for_programs(tmp_path: Path) -> None:
    text = '{"DomainName": "contoso.com", "DomainType": "Authoritative", "Name": "Zürich"}'
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailwye", "import", "exchange", "-", "--report", "json"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
    )
    out, err = await process.communicate(text.encode("utf-16"))
    assert process.returncode == 0
    assert out.decode() == "AcceptedDomain:\n- DomainName: contoso.com\n  Name: Zürich\n"
    (entry,) = json.loads(err)
    assert (entry["outcome"], entry["what"], entry["file"], entry["line"]) == (
        "carried over",
        'AcceptedDomain "contoso.com"',
        "standard input",
        1,
    )
