"""What commands read as settings: no more than a file may have, and text or a message with the line."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from mailwye.cli.candidate import read_settings
from mailwye.cli.import_settings import import_settings
from mailwye.importing import source


def test_standard_input_is_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"Organization:\n  Name: caf\xe9\n")))
    (problem,) = read_settings(Path("-")).problems
    assert (problem.file, problem.line, problem.message) == ("standard input", 2, "is neither UTF-8 nor UTF-16 text")


def test_a_device_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SIZE_LIMIT", 1000)
    result = CliRunner().invoke(import_settings, ["exchange", "/dev/zero"])
    assert result.exit_code == 65
    assert "/dev/zero: is larger than 1000 octets" in result.output


def test_a_table_that_is_no_file_is_left_out(tmp_path: Path) -> None:
    main = tmp_path / "main.cf"
    main.write_text(f"transport_maps = hash:/dev/zero, hash:{tmp_path}\nrelay_domains = contoso.com\n")
    result = CliRunner().invoke(import_settings, ["postfix", "--main-cf", str(main)])
    assert "the source text /dev/zero is no file" in result.output
    assert f"the source text {tmp_path} is no file" in result.output
    assert "DomainName: contoso.com" in result.output
