"""What is wanted beside Postfix, and whether the tables of docs/performance.md have it. `relay.py --write` calls it; by itself:
`python -m benchmarks.verdicts` judges again what the page says.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python benchmarks/verdicts.py`

from benchmarks.report import DOCUMENT, write
from benchmarks.workloads import WORKLOADS

CPU_AT_MOST = 0.2  # of Postfix's CPU for a message
SYNCS_AT_MOST = 0.3  # for a message
COLUMNS = ("workload", "system", "end to end", "wanted", "", "CPU a message", "wanted", "", "syncs a message", "wanted", "")


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of a table: ratios to Postfix, and syncs a message as they are."""

    system: str
    speed: float
    cost: float
    syncs: float


def figures(page: str, workload: str) -> list[Figures]:
    """The rows of Mailwye in the table of `workload`; none where it was not measured beside Postfix."""
    found = re.search(rf"<!-- bench:{re.escape(workload)} -->\n(.*?)<!-- /bench:", page, re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in (found[1] if found else "").splitlines() if "|" in line]
    return [
        Figures(cells[0], float(cells[-2].strip("× ")), float(cells[-1].strip("× ")), float(cells[-3]))
        for cells in rows
        if cells[0].startswith("Mailwye") and "–" not in cells[-3:]
    ]


def verdicts(page: str) -> str:
    """Markdown: a row for each workload that has a target, and each system."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---" + "|--:|--:|---" * 3 + "|"]
    for name, workload in WORKLOADS.items():
        if workload.wanted:
            lines += [_row(workload.title, one, workload.wanted) for one in figures(page, name)]
    return "\n".join(lines) + "\n"


def _row(title: str, one: Figures, wanted: float) -> str:
    cells = (
        *(title, one.system, f"× {one.speed:.2f}", f"≥ {wanted:g}", _word(met=one.speed >= wanted)),
        *(f"× {one.cost:.2f}", f"≤ {CPU_AT_MOST:g}", _word(met=one.cost <= CPU_AT_MOST)),
        *(f"{one.syncs:.2f}", f"< {SYNCS_AT_MOST:g}", _word(met=one.syncs < SYNCS_AT_MOST)),
    )
    return "| " + " | ".join(cells) + " |"


def _word(*, met: bool) -> str:
    return "met" if met else "**missed**"


if __name__ == "__main__":
    write("verdicts", verdicts(DOCUMENT.read_text(encoding="utf-8")))
