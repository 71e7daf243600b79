"""Files and functions stay small enough to be read at once (ARCHITECTURE section 5)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "mailwye"
TORTURE = ROOT / "torture"
FILE_LINES = 400
FUNCTION_LINES = 60
ENTRIES_IN_A_ROOM = 24

# "path" or "path:function" → the reason why it may be longer. Empty is the aim.
EXCEPTIONS: dict[str, str] = {}


def _modules() -> list[Path]:
    return sorted([*SOURCE.rglob("*.py"), *TORTURE.rglob("*.py")])


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in _modules()}
    assert {path: n for path, n in lengths.items() if n > FILE_LINES and path not in EXCEPTIONS} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in _modules():
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES and f"{name}:{node.name}" not in EXCEPTIONS:
                    long[f"{name}:{node.name}"] = lines
    assert long == {}


def test_rooms_are_not_crowded() -> None:
    rooms = {folder: len(list(folder.glob("*.py"))) for folder in {path.parent for path in SOURCE.rglob("*.py")}}
    assert {str(folder.relative_to(ROOT)): n for folder, n in rooms.items() if n > ENTRIES_IN_A_ROOM} == {}


def test_exceptions_are_still_needed() -> None:
    for entry in EXCEPTIONS:
        assert (ROOT / entry.partition(":")[0]).exists(), f"{entry} is gone: delete its exception"
