from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mailwye.cli import exit_codes
from mailwye.cli.tls_report import tls_report
from mailwye.storage.sqlite.transport.results import SqliteResultStore
from mailwye.transport.failures import FailureType
from mailwye.transport.tls_report import ReportedPolicy, SessionResult

DAY = "2026-11-27"


def show(directory: Path, *arguments: str) -> Result:
    configuration = directory / "mailwye.toml"
    configuration.write_text(
        'hostname = "mx.example"\ndata_directory = "data"\n[[listener]]\nname = "mx"\nkind = "mx"\naddress = "127.0.0.1"\nport = 2525\n'
    )
    return CliRunner().invoke(tls_report, ["show", "--config", str(configuration), *arguments])


def fill(directory: Path) -> None:
    (directory / "data").mkdir()
    store = SqliteResultStore(directory / "data" / "transport.sqlite")
    good, bad = ReportedPolicy("example.com"), ReportedPolicy("example.net")
    failed = SessionResult(bad, FailureType.STARTTLS_NOT_SUPPORTED, "mx.example.net")
    store.add({(DAY, SessionResult(good)): 3, (DAY, failed): 1, ("2026-11-26", SessionResult(good)): 9})
    store.close()


def test_the_reports_of_a_day(tmp_path: Path) -> None:
    fill(tmp_path)
    result = show(tmp_path, "--date", DAY)
    assert result.exit_code == 0
    first, second = json.loads(result.output)
    assert first["policies"][0]["summary"]["total-successful-session-count"] == 3
    assert second["policies"][0]["failure-details"][0]["result-type"] == "starttls-not-supported"
    (only,) = json.loads(show(tmp_path, "--date", DAY, "--domain", "Example.NET").output)
    assert only == second


def test_a_day_without_results_and_a_day_that_is_none(tmp_path: Path) -> None:
    fill(tmp_path)
    assert json.loads(show(tmp_path).output) == []
    result = show(tmp_path, "--date", "yesterday")
    assert result.exit_code == exit_codes.DATA_ERROR
    assert "2026-11-28" in result.output


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "transport.sqlite").write_text("no database at all, but long enough to be looked at" * 40)
    result = show(tmp_path)
    assert result.exit_code == exit_codes.IO_ERROR
    assert "transport.sqlite" in result.output
