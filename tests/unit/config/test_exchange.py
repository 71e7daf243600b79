"""The table of what only Exchange has: whole entries, and the same answer from all three who read it."""

from __future__ import annotations

import pytest

from mailwye.cmdlets.execute import execute_text
from mailwye.config.exchange import EXCHANGE_ONLY, ExchangeOnly, Import, Treatment
from mailwye.config.parse import validate_object
from mailwye.config.schema import KINDS, Organization, field_names
from mailwye.importing.exchange.properties import CONSEQUENCES, FACTS_OF

ENTRIES = [(kind, one) for kind, table in EXCHANGE_ONLY.items() for one in table.values()]


def test_entries_are_whole() -> None:
    assert set(EXCHANGE_ONLY) == set(KINDS)
    for _, one in ENTRIES:
        assert one.text
        assert not one.text.endswith(".")
        assert bool(one.reason) is (one.imported not in (Import.FACT, Import.UNKNOWN)), one.name
        assert not one.is_switch or one.treatment is Treatment.IGNORED


def test_the_schema_has_none_of_them() -> None:
    for kind, entry in KINDS.items():
        assert {name.lower() for name in field_names(entry.model)} & EXCHANGE_ONLY[kind].keys() == set()


@pytest.mark.parametrize(("kind", "one"), ENTRIES, ids=lambda value: value.name if isinstance(value, ExchangeOnly) else value)
def test_all_three_know_it(kind: str, one: ExchangeOnly) -> None:
    _, problems = validate_object(kind, {one.name: "x"})
    said = next(problem for problem in problems if problem.field == one.name)
    assert (said.message, said.remedy) == ("is a setting of Exchange that does not exist here", f"{one.text}; remove it")
    assert (one.name.lower() in FACTS_OF[kind]) + (one.name.lower() in CONSEQUENCES[kind]) == (one.imported is not Import.UNKNOWN)
    if one.treatment is not None:
        switch = "" if one.is_switch else " x"
        found = next(
            problem for problem in execute_text(Organization(), f"New-{kind} a -{one.name}{switch}").problems if one.name in str(problem)
        )
        assert found.is_error is (one.treatment is Treatment.REFUSED)
        assert found.remedy == (f"{one.text}; leave it out" if found.is_error else one.text)
