"""docs/trying-it.md: its lines are run as they stand, by a shell, and answer what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.counterparts.process import REPOSITORY, program
from tests.integration.conftest import World
from tests.integration.junction import BOB_PASSWORD

PAGE = REPOSITORY / "docs" / "trying-it.md"
EXAMPLE = re.compile(r"```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
EXAMPLES = EXAMPLE.findall(PAGE.read_text())


def test_every_example_says_what_it_answers() -> None:
    assert len(EXAMPLES) == PAGE.read_text().count("```sh")
    assert len(EXAMPLES) > 10


@pytest.mark.counterpart("swaks")
@pytest.mark.parametrize(("lines", "answer"), EXAMPLES, ids=[lines.splitlines()[0][:100] for lines, _ in EXAMPLES])
def test_example(world: World, lines: str, answer: str) -> None:
    program("swaks")
    junction, certificates = world.junction, world.certificates
    environment = {
        **junction.environment,
        "MX": f"{junction.address}:{junction.ports.mx}",
        "SUBMISSION": f"{junction.address}:{junction.ports.submission}",
        "PASSWORD": BOB_PASSWORD,
        "OWN_CERT": str(certificates.own.certificate),
        "OWN_KEY": str(certificates.own.private_key),
        "STRANGER_CERT": str(certificates.strangers.certificate),
        "STRANGER_KEY": str(certificates.strangers.private_key),
        "CA": str(certificates.authority),
        "MAILWYE_CONFIG": str(junction.configuration),
    }
    mailwye = f'mailwye() {{ {shlex.join(junction.program)} "$@"; }}\n'
    done = subprocess.run(
        ["sh", "-ec", mailwye + lines], env=environment, cwd=Path("/"), capture_output=True, text=True, timeout=60, check=False
    )
    output = done.stdout + done.stderr
    assert (done.returncode != 0) is answer.startswith("!"), output
    for expected in answer.removeprefix("!").splitlines():
        assert expected.strip() in output
