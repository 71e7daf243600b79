"""docs/configuration.md names every key and every field with its default, and nothing that does not exist; the examples are valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mailwye.config.check_files import check_files
from mailwye.config.checks import check_organization
from mailwye.config.installation import Installation, ListenerSettings, OidcSettings
from mailwye.config.installation.schema import FILE, TABLES
from mailwye.config.parse import read_organization
from mailwye.config.problem import Problem
from mailwye.config.schema import KINDS, OrganizationSettings, TransportRule, field_names
from mailwye.config.schema.smart_host import DEFAULT_PRIORITY, DEFAULT_WEIGHT, PRIORITY_LIMIT
from mailwye.policy.rules.matching import HEADER_CHARACTERS
from mailwye.policy.rules.model import RULES_LIMIT, WORD_CHARACTERS, WORDS_LIMIT
from tests.documented import topologies

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|", re.MULTILINE)


def rows(heading: str) -> dict[str, str]:
    """The keys of the table below `heading`, each with its default as written."""
    section = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section is not None, f"no section {heading}"
    return {key: default.strip().strip("`") for key, _, default in _ROW.findall(section.group(1))}


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Top level", tuple(key for key in FILE.keys if key not in TABLES)),
        *((f"[[{name}]]" if name == "listener" else f"[{name}]", tuple(table.keys)) for name, table in TABLES.items()),
        ("Organization", field_names(OrganizationSettings)),
        *((kind, field_names(entry.model)) for kind, entry in KINDS.items()),
    ],
)
def test_each_table_has_exactly_the_keys_that_exist(heading: str, keys: tuple[str, ...]) -> None:
    assert set(rows(heading)) == set(keys)


def test_every_section_is_a_table_or_a_kind_that_exists() -> None:
    headings = set(re.findall(r"^### (.*)$", TEXT, re.MULTILINE))
    tables = {f"[[{name}]]" if name == "listener" else f"[{name}]" for name in TABLES}
    assert headings == {"Top level", "Organization", *KINDS, *tables}


def _written(value: Any) -> str:
    match value:
        case "" | ():
            return '""' if value == "" else "[]"
        case dict() if not value:
            return "{}"
        case bool():
            return str(value).lower()
        case float() | int():
            return f"{value:g}" if value < 1_000_000 else str(int(value))
        case tuple():
            return ", ".join(_written(entry) for entry in value)
        case _:
            return str(value)


OIDC = OidcSettings("https://id.example", "mailwye", {})
SMALLEST = Installation("mx.example", Path("data"), (ListenerSettings("mx", "mx", "::", 25),), oidc=OIDC)


def test_defaults_of_the_installation_are_those_of_the_code() -> None:
    for name, table in TABLES.items():
        if name in ("listener", "tls"):
            continue
        documented = rows(f"[{name}]")
        settings = getattr(SMALLEST, name)
        assert documented == {key: "required" if key in table.required else _written(getattr(settings, key)) for key in table.keys}


def test_defaults_of_the_top_level_are_those_of_the_code() -> None:
    for key, default in rows("Top level").items():
        assert (key, default) == (key, "required" if key in FILE.required else _written(getattr(SMALLEST, key)))


def test_defaults_of_connectors_are_those_of_the_code() -> None:
    for kind in ("InboundConnector", "OutboundConnector"):
        documented = rows(kind)
        for info in KINDS[kind].model.fields.values():
            alias = info.name
            value = getattr(info.default, "value", info.default)
            expected = "required" if info.required else "null" if value is None else '["*"]' if value == ("*",) else _written(value)
            assert (alias, documented[alias]) == (alias, expected)


def test_defaults_of_rules_are_those_of_the_code() -> None:
    """But for what is said in words: the order of the file, and an action that the checks ask for."""
    documented = rows("TransportRule")
    for info in TransportRule.fields.values():
        alias = info.name
        if alias in ("Priority", "RouteMessageOutboundConnector"):
            continue
        value = getattr(info.default, "value", info.default)
        expected = "required" if info.required else "null" if value is None else _written(value)
        assert (alias, documented[alias]) == (alias, expected)


def test_limits_of_rules_are_documented_as_they_are() -> None:
    assert f"At most {RULES_LIMIT}." in TEXT
    assert f"Up to {WORDS_LIMIT}, of {WORD_CHARACTERS} characters; the first {HEADER_CHARACTERS} characters of a field" in TEXT


def test_smart_hosts_are_documented_as_they_are() -> None:
    assert f"`Priority` (0 to {PRIORITY_LIMIT}, default {DEFAULT_PRIORITY}, lower first)" in TEXT
    assert f"`Weight` (1 to {PRIORITY_LIMIT}, default {DEFAULT_WEIGHT})" in TEXT


@pytest.mark.parametrize("organization", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_lack_nothing_but_a_certificate(organization: Path) -> None:
    """There can be none in a repository; the check says which connectors wait for it."""
    others, waiting = found_with_the_example(organization)
    assert others == []
    assert waiting, "each example has a connector that asks for TLS"


def found_with_the_example(organization: Path) -> tuple[list[Problem], list[Problem]]:
    """Findings, and apart from them those of connectors that ask for TLS: examples/mailwye.toml has no certificate."""
    found = [problem for problem in check_files(ROOT / "examples" / "mailwye.toml", organization) if problem.field != "data_directory"]
    waiting = [problem for problem in found if "no listener of the installation offers" in problem.message]
    return [problem for problem in found if problem not in waiting], waiting


def test_the_example_of_a_login_has_no_findings() -> None:
    page = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
    section = page.partition("## Logging in at a smart host")[2]
    example = section.partition("```yaml\n")[2].partition("```")[0]
    read = read_organization(example)
    assert read.value is not None
    assert [*read.problems, *check_organization(read.value, source=read)] == []
    (connector,) = read.value.outbound_connectors
    assert connector.authentication_credential is not None


@pytest.mark.parametrize(("heading", "text"), topologies().items(), ids=topologies())
def test_the_topologies_have_no_findings_but_the_one_that_the_page_tells_of(tmp_path: Path, heading: str, text: str) -> None:
    """docs/topologies.md; tests/simulation/test_topologies.py plays them."""
    organization = tmp_path / "organization.yaml"
    organization.write_text(text, encoding="utf-8")
    found, _ = found_with_the_example(organization)
    told = [(str(problem.severity.value), problem.field) for problem in found]
    assert told == ([("warning", "CloudServicesMailEnabled")] if heading.startswith("3. ") else []), found
