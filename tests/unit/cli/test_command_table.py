from __future__ import annotations

import importlib

import click
import pytest

from mailwye import __main__ as program
from mailwye.cli import exit_codes
from mailwye.cli.command_table import run


def ended(arguments: list[str], monkeypatch: pytest.MonkeyPatch, table: dict[str, tuple[str, str]] | None = None) -> int:
    """The exit code of the command line."""
    monkeypatch.setattr("sys.argv", ["mailwye", *arguments])
    with pytest.raises(SystemExit) as end:
        run(table if table is not None else program.COMMANDS)
    assert isinstance(end.value.code, int)
    return end.value.code


@click.command()
def breaks() -> None:
    """A command with a defect."""
    raise ZeroDivisionError("a defect")


def test_every_command_exists_and_has_help() -> None:
    for module, text in program.COMMANDS.values():
        name, _, attribute = module.partition(":")
        command = getattr(importlib.import_module(name), attribute)
        assert isinstance(command, click.Command)
        assert text.endswith(".")


def test_help_and_version_end_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--help"], monkeypatch) == 0
    assert "serve" in capsys.readouterr().out
    assert ended(["--version"], monkeypatch) == 0
    assert capsys.readouterr().out.startswith("mailwye ")


@pytest.mark.parametrize("arguments", [["dance"], ["queue", "dance"], ["explain"], ["trace", "--limit", "many"], ["--nothing"]])
def test_misuse_ends_as_sysexits_says(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(arguments, monkeypatch) == exit_codes.USAGE
    assert "Usage: mailwye" in capsys.readouterr().err


def test_a_defect_is_one_sentence_behind_its_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["breaks"], monkeypatch, {"breaks": (f"{__name__}:breaks", "Break.")}) == exit_codes.SOFTWARE
    assert capsys.readouterr().err.splitlines()[-1].startswith("mailwye: internal error: ZeroDivisionError('a defect')")
