"""Whatever the files hold, reading gives findings with places; it never raises and never takes long."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailwye.config.checks import check_organization
from mailwye.config.installation.file import read_installation
from mailwye.config.parse import read_organization, validate_organization
from mailwye.config.problem import Places
from mailwye.config.schema import KINDS, field_names

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
YAML = (SCENARIOS / "contoso.yaml").read_text()
TOML = (SCENARIOS / "mailwye.toml").read_text()
_SPECIAL = [*"{}[]:,-\n\"'#&*!|>%@`~? \t=.", "true", "null", "---", "<<", "\x00", "é", "0"]
_PIECE = st.one_of(st.sampled_from(_SPECIAL), st.text(max_size=4))
_FIELDS = sorted({name for entry in KINDS.values() for name in field_names(entry.model)})


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """`text` with a few places replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(_PIECE) + text[end:]
    return text


@settings(max_examples=150, deadline=None)
@given(st.one_of(damaged(YAML), st.text(max_size=60)))
def test_any_organization_file(text: str) -> None:
    parsed = read_organization(text, "f.yaml")
    assert (parsed.value is None) == bool(parsed.errors)
    assert all(str(problem).isprintable() and problem.message for problem in parsed.problems)
    if parsed.value is not None:
        assert all(problem.remedy for problem in check_organization(parsed.value, source=parsed))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(damaged(TOML), st.text(max_size=60)))
def test_any_installation_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mailwye.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    parsed = read_installation(path)
    assert (parsed.value is None) == bool(parsed.errors)
    assert all(str(problem).isprintable() and problem.message for problem in parsed.problems)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["Organization", "AcceptedDomain", "Mailbox", "MailContact", "InboundConnector", "OutboundConnector"]),
    st.sampled_from(_FIELDS),
    _JSON,
)
def test_any_value_from_the_api(kind: str, field: str, value: object) -> None:
    for data in ({kind: value}, {kind: {field: value}}, {kind: [{"Name": "x", field: value}]}):
        read, problems = validate_organization(data, Places())
        assert (read is None) == bool(problems)


def test_values_that_are_no_mapping() -> None:
    values: tuple[object, ...] = (None, 5, "x", [], [{}])
    for value in values:
        read, problems = validate_organization(value, Places("f"))
        assert read is None
        assert [problem.file for problem in problems] == ["f"]


@pytest.mark.parametrize("name", ["mailwye.toml", "contoso.yaml"])
def test_every_prefix_of_the_scenarios(name: str, tmp_path: Path) -> None:
    text = (SCENARIOS / name).read_text()
    path = tmp_path / name
    for length in range(0, len(text), 17):
        path.write_text(text[:length])
        parsed = read_installation(path).problems if name.endswith("toml") else read_organization(path).problems
        assert all(problem.line or "is missing" in problem.message for problem in parsed)
