"""docs/cmdlets.md holds what the catalog has; commands that remedies name exist; tables of names do not contradict the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailwye.__main__ import COMMANDS
from mailwye.cmdlets.catalog import catalog
from mailwye.cmdlets.elsewhere import NOTHING_TO_DO, USE_INSTEAD
from mailwye.cmdlets.exchange import PARAMETERS
from mailwye.cmdlets.execute import execute_text
from mailwye.cmdlets.filters import ALIASES, FILTERS
from mailwye.cmdlets.reference import as_markdown
from mailwye.cmdlets.write import unknown_to_schema
from mailwye.config.schema import Organization

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_has_every_cmdlet_and_parameter() -> None:
    text = (ROOT / "docs" / "cmdlets.md").read_text()
    assert text.endswith(as_markdown()), "replace the last part of docs/cmdlets.md by what `mailwye ps --cmdlets` prints"


def test_commands_that_remedies_name_exist() -> None:
    texts = [*USE_INSTEAD.values(), *(one.text for table in PARAMETERS.values() for one in table.values())]
    named = {found for text in texts for found in re.findall(r"`mailwye ([\w-]+)", text)}
    assert named <= set(COMMANDS)
    assert "trace" in named


def test_no_cmdlet_is_carried_out_and_refused() -> None:
    known = {*catalog(), *FILTERS}
    assert known & {name.lower() for name in (*USE_INSTEAD, *NOTHING_TO_DO)} == set()
    assert {name for name in ALIASES.values() if name not in FILTERS} == set()


@pytest.mark.parametrize("name", [*USE_INSTEAD, *NOTHING_TO_DO])
def test_each_of_them_is_recognized(name: str) -> None:
    (problem,) = execute_text(Organization(), f"{name} x -Parameter y").problems
    assert "no cmdlet" not in problem.message
    assert problem.is_error is (name in USE_INSTEAD)


def test_fields_that_only_mailwye_has_exist() -> None:
    assert {kind: set(names) for kind, names in unknown_to_schema().items() if names} == {}
