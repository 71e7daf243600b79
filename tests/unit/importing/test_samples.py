"""The sample files of tests/scenarios/imports give exactly the settings and reports beside them (docs/migrating.md shows them)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mailwye.config.checks import check_organization
from mailwye.config.export import objects_to_yaml
from mailwye.config.parse import read_organization
from mailwye.importing.collect import Imported
from mailwye.importing.dsc.files import import_dsc
from mailwye.importing.exchange.json_files import import_exchange
from mailwye.importing.postfix.files import import_postfix, wanted_files
from mailwye.importing.report import as_text
from mailwye.importing.source import Source, decode

SAMPLES = Path(__file__).resolve().parents[2] / "scenarios" / "imports"


@cache
def sample(name: str) -> Source:
    """A file of the samples, under its name in them."""
    return decode((SAMPLES / name).read_bytes(), name)


def exchange() -> Imported:
    names = ("accepted-domains", "inbound", "outbound", "recipients", "rules")
    return import_exchange(sample(f"exchange/{name}.json") for name in names)


def dsc() -> Imported:
    return import_dsc([sample("dsc/M365TenantConfig.ps1")])


def postfix() -> Imported:
    main = sample("postfix/main.cf")
    tables: dict[str, Source | str] = {}
    for path in wanted_files(main):
        name = f"postfix/{Path(path).name}"
        tables[path] = sample(name) if (SAMPLES / name).exists() else "cannot be read: no such file or directory"
    return import_postfix(main, tables, master=sample("postfix/master.cf"))


IMPORTS: dict[str, Callable[[], Imported]] = {"exchange": exchange, "dsc": dsc, "postfix": postfix}


@pytest.mark.parametrize("name", IMPORTS)
def test_settings_and_report(name: str) -> None:
    imported = IMPORTS[name]()
    assert objects_to_yaml(imported.organization) == (SAMPLES / name / "expected.yaml").read_text()
    assert "".join(f"{line}\n" for line in as_text(imported.entries)) == (SAMPLES / name / "expected-report.txt").read_text()


@pytest.mark.parametrize("name", IMPORTS)
def test_the_settings_can_be_applied(name: str) -> None:
    parsed = read_organization(objects_to_yaml(IMPORTS[name]().organization))
    assert parsed.problems == ()
    assert parsed.value is not None
    assert [str(problem) for problem in check_organization(parsed.value, source=parsed) if problem.is_error] == []


@pytest.mark.parametrize("name", IMPORTS)
def test_every_entry_has_a_place_and_what_is_not_carried_over_a_reason_and_a_remedy(name: str) -> None:
    for entry in IMPORTS[name]().entries:
        assert entry.file
        assert entry.reason or entry.outcome.name == "CARRIED_OVER"
        assert entry.remedy or entry.outcome.name == "CARRIED_OVER"
