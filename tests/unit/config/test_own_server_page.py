"""docs/own-server.md and the tables of docs/configuration.md: what they show is valid, and the defaults are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailwye.config.checks import check_organization
from mailwye.config.installation import Installation, ListenerSettings
from mailwye.config.parse import read_organization
from mailwye.config.schema import KINDS
from tests.unit.config.test_documentation import rows

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "own-server.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
INSTALLATION = Installation(
    "mail.contoso.com",
    Path("data"),
    (ListenerSettings("mx", "mx", "0.0.0.0", 25), ListenerSettings("submission", "submission", "0.0.0.0", 587)),
)


@pytest.mark.parametrize("number", [0, 1], ids=["own server", "service"])
def test_the_examples_have_no_findings(number: int) -> None:
    parsed = read_organization(EXAMPLES[number], "own-server.md")
    assert [str(problem) for problem in parsed.problems] == []
    assert parsed.value is not None
    found = check_organization(parsed.value, installation=INSTALLATION if number == 0 else None, source=parsed)
    assert [str(problem) for problem in found] == []


def test_there_are_two_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("kind", ["SendConnector", "ReceiveConnector"])
def test_defaults_are_those_of_the_code(kind: str) -> None:
    documented = rows(kind)
    model = KINDS[kind].model
    needed = {"Name": "x", "AddressSpaces": "*", "Bindings": "0.0.0.0:25"}
    made = model.of({name: value for name, value in needed.items() if name in documented})
    written = made.plain()
    for info in model.fields.values():
        alias = info.name
        value = written[alias]
        match value:
            case _ if info.required:
                expected = "required"
            case None:
                expected = "null"
            case "":
                expected = '""'
            case bool():
                expected = str(value).lower()
            case list():
                expected = f"[{', '.join(f'{chr(34)}{one}{chr(34)}' for one in value)}]"
            case _:
                expected = str(value)
        assert (alias, documented[alias]) == (alias, expected)
