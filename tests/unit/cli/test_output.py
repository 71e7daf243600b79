from __future__ import annotations

import json

import click
import pytest

from mailwye.cli.output import fail, point_in_time, print_json, print_table

NOW = 1_764_000_000.0


def test_tables_are_plain_and_aligned_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("ID", "Subject"), [("A", "x\ny"), ("BBBB", "")])
    assert capsys.readouterr().out == "ID    Subject\nA     x\\ny\nBBBB\n"


def test_tables_without_rows_have_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("ID", "Subject"), [])
    assert capsys.readouterr().out == "ID  Subject\n"


def test_tables_on_a_terminal_take_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(("Subject",), [("[bold]not bold[/bold]",)])
    assert "[bold]not bold[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize("value", [{"a": ["ü", "\x9b", "\u202e", "\x1b", "\U000e0001", "line\nline"]}, [], None, {"\x9b": 1}])
def test_json_means_the_same_and_is_printable(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(value)
    text = capsys.readouterr().out
    assert json.loads(text) == value
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", NOW - 7200), ("30s", NOW - 30), ("1w", NOW - 604_800), ("0d", NOW), ("1700000000", 1_700_000_000.0), ("12.5", 12.5)],
)
def test_points_in_time(text: str, seconds: float) -> None:
    assert point_in_time(text, NOW) == seconds


def test_dates_are_in_local_time() -> None:
    assert point_in_time("2026-11-24T08:00", NOW) - point_in_time("2026-11-24", NOW) == 8 * 3600
    assert point_in_time("2026-11-24T08:00+00:00", NOW) == 1_795_507_200.0


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "h", "-2h", "nan", "inf", "2026-13-01", "9999999999999h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no point in time"):
        point_in_time(text, NOW)


def test_fail_says_why_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail("first\nsecond \x1b[31m", 78)
    assert ended.value.code == 78
    assert capsys.readouterr().err == "mailwye: first\nsecond \\x1b[31m\n"
