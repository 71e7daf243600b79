"""Tables, markers and plots, from made-up runs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.growth import DIMENSIONS
from benchmarks.measure import Machine
from benchmarks.plots import Line, draw
from benchmarks.runs import Counted, Timed, spread
from benchmarks.verdicts import verdicts
from benchmarks.workloads import WORKLOADS

QUIET = Machine(0.01, 0.0)


def timed(rate: float, cpu: float) -> Timed:
    return Timed(rate * 2, rate, cpu, QUIET)


def test_a_table_has_medians_ranges_and_ratios() -> None:
    slow = report.Result("Postfix", 100, (timed(100, 2.0), timed(120, 2.2), timed(110, 2.1)), Counted(1.0, 80.0))
    fast = report.Result("Mailwye", 500, (timed(500, 0.42), timed(605, 0.4), timed(550, 0.44)), Counted(0.25, 60.4))
    lines = report.table([slow, fast], "Postfix").splitlines()
    assert lines[2] == "| Postfix | 220 (200–240) | 110 (100–120) | 2.10 (2.00–2.20) | 80 | 1.00 | × 1.00 | × 1.00 |"
    assert lines[3] == "| Mailwye | 1,100 (1,000–1,210) | 550 (500–605) | 0.42 (0.40–0.44) | 60 | 0.25 | × 5.00 | × 0.20 |"


def test_a_table_without_the_reference_has_no_ratios() -> None:
    alone = report.Result("Mailwye", 500, (timed(500, 0.4),), None)
    assert report.table([alone], "Postfix").splitlines()[2].endswith("| – | – | – | – |")


def test_others_at_work_are_told() -> None:
    assert report.unquiet_words([QUIET, QUIET]) == ""
    assert report.unquiet_words([QUIET, Machine(0.5, 0.01)]) == "before 1 of 2 runs, up to 50% busy, 1% stolen"
    assert not Machine(0.0, 0.05).quiet


def test_every_workload_and_plot_has_its_place_in_the_document() -> None:
    text = report.DOCUMENT.read_text()
    growth = ["growth-conditions", "growth-routing", *(f"growth-{one.name}" for one in DIMENSIONS)]
    names = ["conditions", *WORKLOADS, *growth, "replay", "settings", "microseconds"]
    for name in names:
        assert f"<!-- bench:{name} -->\n" in text
        assert f"<!-- /bench:{name} -->\n" in text


def test_the_verdicts_are_those_of_the_tables() -> None:
    text = report.DOCUMENT.read_text()
    judged = text.partition("<!-- bench:verdicts -->\n")[2].partition("<!-- /bench:verdicts -->")[0]
    assert judged == verdicts(text)
    wanted = [workload for workload in WORKLOADS.values() if workload.wanted]
    assert judged.count("\n") == 2 + 2 * len(wanted), "each target is judged, with and without workers"


def test_a_verdict_is_met_or_missed_by_the_figures() -> None:
    rows = "| Mailwye | 1 | 1 | 1 | 70 | 0.29 | × 5.00 | × 0.21 |\n| Postfix | 1 | 1 | 1 | 9 | 1.00 | × 1.00 | × 1.00 |\n"
    (row,) = verdicts(f"<!-- bench:kept -->\n{rows}<!-- /bench:kept -->").splitlines()[2:]
    assert row.endswith("| × 5.00 | ≥ 5 | met | × 0.21 | ≤ 0.2 | **missed** | 0.29 | < 0.3 | met |")


def test_every_figure_says_when_and_by_which_command() -> None:
    blocks = dict(re.findall(r"<!-- bench:([\w-]+) -->\n(.*?)<!-- /bench", report.DOCUMENT.read_text(), re.DOTALL))
    for name in ("conditions", "growth-conditions", "replay", "settings", "microseconds"):  # the others stand below one of them
        assert re.search(r"^20\d\d-\d\d-\d\d", blocks[name], re.MULTILINE), name
        assert re.search(r"^`python (?:benchmarks/\w+\.py|-m benchmarks\.\w+) .*--write` *$", blocks[name], re.MULTILINE), name


def test_surroundings_are_what_the_page_asks_for() -> None:
    when, more, load, command = report.surroundings(", Postfix 3.7", "more.")
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d \S+, \d+ cores .*, Postfix 3\.7\.$", when)
    assert (more, load.startswith("Load averages"), command.startswith("`python ")) == ("more.", True, True)


def test_writing_replaces_only_what_is_between_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "performance.md"
    document.write_text("a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n")
    monkeypatch.setattr(report, "DOCUMENT", document)
    report.write("x", "new \\1\n")
    report.write("x", "new \\1\n")
    assert document.read_text() == "a\n<!-- bench:x -->\nnew \\1\n<!-- /bench:x -->\nb\n"
    with pytest.raises(SystemExit, match="bench:y"):
        report.write("y", "")


def test_a_plot_is_well_formed_and_says_its_units(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "plot.svg"
    draw(file, "A < B", "sessions", "messages/s", ["20", "2,000"], [Line("one", [spread([10, 30, 20]), spread([5.0])])])
    root = ElementTree.parse(file).getroot()
    words = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert {"A < B", "sessions", "messages/s", "20", "2,000", "0", "30", "5.0"} <= set(words)
    heights = [float(circle.get("cy", "0")) for circle in root.iter() if circle.tag.endswith("circle")]
    assert heights[0] < heights[1], "more is further up"
