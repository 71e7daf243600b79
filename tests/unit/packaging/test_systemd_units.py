"""The units of packaging/systemd: they parse, fit the program, and docs/operations.md explains every option in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailwye.__main__ import COMMANDS
from mailwye.cli import exit_codes
from mailwye.config.installation import Installation, ListenerSettings

REPOSITORY = Path(__file__).resolve().parents[3]
UNITS = REPOSITORY / "packaging" / "systemd"
DOCUMENT = (REPOSITORY / "docs" / "operations.md").read_text()

SECTIONS = {"mailwye.service": {"Unit", "Service", "Install"}, "mailwye.socket": {"Unit", "Socket", "Install"}}


def options(name: str) -> list[tuple[str, str, str]]:
    """(section, option, value) of a unit, in order; options may be repeated."""
    found, section = [], ""
    for line in (UNITS / name).read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        option, separator, value = line.partition("=")
        assert separator, line
        found.append((section, option, value))
    return found


def values(name: str, option: str) -> list[str]:
    return [value for _, one, value in options(name) if one == option]


@pytest.mark.parametrize("name", SECTIONS)
def test_sections_are_those_of_systemd(name: str) -> None:
    assert {section for section, _, _ in options(name)} == SECTIONS[name]


@pytest.mark.parametrize("name", SECTIONS)
def test_every_option_is_explained(name: str) -> None:
    explained = set(re.findall(r"`([A-Z][A-Za-z0-9]+)(?:=[^`]*)?`", DOCUMENT))
    assert {option for _, option, _ in options(name)} <= explained


def test_the_service_starts_a_command_that_exists() -> None:
    (start,) = values("mailwye.service", "ExecStart")
    program, command, *arguments = start.split()
    assert program.endswith("/mailwye")
    assert command in COMMANDS
    assert arguments[0] == "--config"


def test_it_does_not_try_again_what_only_a_person_can_mend() -> None:
    (codes,) = values("mailwye.service", "RestartPreventExitStatus")
    assert {int(code) for code in codes.split()} == {
        exit_codes.USAGE,
        exit_codes.DATA_ERROR,
        exit_codes.NO_PERMISSION,
        exit_codes.CONFIGURATION,
    }


def test_it_gets_the_time_that_a_stop_may_take() -> None:
    default = Installation("mx.example", Path("data"), (ListenerSettings("mx", "mx", "::", 25),)).shutdown_timeout
    (seconds,) = values("mailwye.service", "TimeoutStopSec")
    assert int(seconds) > default + 30


def test_every_exit_code_is_explained() -> None:
    for name, code in vars(exit_codes).items():
        if name.isupper():
            assert f"| {code} |" in DOCUMENT, name
