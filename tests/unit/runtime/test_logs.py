from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from mailwye.runtime import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was before."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_logfmt_is_one_line_whatever_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("logfmt")
    logs.logger("worker 1").info("rejected", sender='a "b" = c\r\nlevel=error event=forged', hello="\x1b[31m\u202e", size=7)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("timestamp=")
    assert "level=info event=rejected" in line
    assert 'part="worker 1"' in line
    assert "size=7" in line
    assert line.isprintable()
    assert "\\\\r\\\\n" in line


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    logs.logger("supervisor").warning("Grüße", text="line\nline")
    (line,) = capsys.readouterr().err.splitlines()
    value = json.loads(line)
    assert (value["event"], value["level"], value["part"], value["text"]) == ("Grüße", "warning", "supervisor", "line\\nline")


def test_the_environment_chooses_the_form(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWYE_LOG_FORMAT", "json")
    logs.set_up()
    logs.logger("x").info("hello")
    assert json.loads(capsys.readouterr().err)["event"] == "hello"


def test_libraries_are_heard_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("logfmt")
    logging.getLogger("asyncio").warning("slow\ncallback %s", 7)
    (line,) = capsys.readouterr().err.splitlines()
    assert "part=asyncio" in line
    assert "slow\\\\ncallback 7" in line or "slow\\ncallback 7" in line


async def test_what_breaks_in_a_callback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("logfmt")
    logs.report_internal_errors(logs.logger("worker 0"))

    def breaks() -> None:
        raise ValueError("no\nmore")

    asyncio.get_running_loop().call_soon(breaks)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'event="internal error"' in line
    assert "ValueError" in line
    assert "test_logs.py" in line
    assert "breaks" in line


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    class Gone:
        def write(self, text: str) -> int:
            tried.append(text)
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    logs.set_up("logfmt")
    monkeypatch.setattr("sys.stderr", Gone())
    logs.logger("x").error("nobody reads this")
    assert any("nobody reads this" in text for text in tried)
