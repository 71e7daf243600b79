"""docs/bad-input.md names the test behind each promise: every one of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "bad-input.md"
ROWS = [f"W{n}" for n in range(1, 25)] + [f"A{n}" for n in range(1, 10)] + [f"C{n}" for n in range(1, 9)]
ROWS += [f"R{n}" for n in range(1, 9)] + ["M1", "M2", "M8", "V1", "V2", "V3", "V4", "L1", "X3", "X6"]
NOT_YET = {"A9"}  # rows whose answer is said on the page, but that no test can prove yet

_ROW = re.compile(r"^\| ([A-Z]\d+) \|.*\|(.*)\|$", re.MULTILINE)


def _table() -> dict[str, list[str]]:
    return {row: re.findall(r"`(test_\w+)`", cell) for row, cell in _ROW.findall(PAGE.read_text())}


def test_every_row_of_the_catalogue_is_answered() -> None:
    table = _table()
    assert list(table) == ROWS
    assert {row for row, tests in table.items() if not tests} == NOT_YET


def test_every_test_that_is_named_exists() -> None:
    defined = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    named = {name for tests in _table().values() for name in tests}
    assert named - defined == set()
