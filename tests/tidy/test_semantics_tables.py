"""Every rule of SEMANTICS, sections 3 to 10 (and the patterns of section 2), has a table in tests/unit/semantics with a row at least.

The page is not part of this repository: what it says is kept here as the list of its rules, and in each table as the sentence.
"""

from __future__ import annotations

import importlib
import pkgutil

import tests.unit.semantics

RULES = {
    2: ("2.1", "2.2", "2.3"),
    3: ("3.1", "3.1 both", "3.1 sender", "3.2", "3.2 tie", "3.3", "3.3 coexist", "3.4", "3.5", "3.6"),
    4: ("4.1", "4.2 mailbox", "4.2 connector", "4.2 foreign", "4.3"),
    5: ("5.1", "5.2", "5.3"),
    6: (
        *("6.1", "6.1 scoped", "6.1 saved", "6.2", "6.3", "6.3 example", "6.3 tie", "6.3 warned", "6.3 none", "6.4", "6.4 accepted", "6.5"),
        *("6.6", "6.7 priority", "6.7 weight", "6.7 next"),
    ),
    7: ("7.1", "7.2", "7.3", "7.4"),
    8: ("8.1", "8.2", "8.3", "8.4", "8.5 dane", "8.5 sts", "8.6", "8.7"),
    9: ("9.1", "9.2 in", "9.2 out", "9.3"),
    10: ("10.1", "10.2", "10.3", "10.4", "10.5"),
}


def _tables() -> dict[str, tuple[str, int]]:
    """The number of each rule → its sentence, and how many rows its test is run with."""
    found: dict[str, tuple[str, int]] = {}
    for entry in pkgutil.iter_modules(tests.unit.semantics.__path__):
        module = importlib.import_module(f"tests.unit.semantics.{entry.name}")
        for name, value in vars(module).items():
            for number, sentence in getattr(value, "rules", ()) if name.startswith("test_") else ():
                assert number not in found, f"{number} has two tables"
                (rows,) = [mark.args[1] for mark in value.pytestmark if mark.name == "parametrize"]
                found[number] = (sentence, len(rows))
    return found


def test_every_rule_has_a_table() -> None:
    listed = {number for numbers in RULES.values() for number in numbers}
    assert listed - set(_tables()) == set(), "rules without a table"
    assert set(_tables()) - listed == set(), "tables of rules that are not listed"


def test_every_table_has_its_sentence_and_rows() -> None:
    for number, (sentence, rows) in _tables().items():
        assert len(sentence) > 10, number
        assert rows > 0, number


def test_rules_stand_in_the_module_of_their_section() -> None:
    for entry in pkgutil.iter_modules(tests.unit.semantics.__path__):
        if not entry.name.startswith("test_section_"):
            continue
        section = int(entry.name.split("_")[2])
        module = importlib.import_module(f"tests.unit.semantics.{entry.name}")
        numbers = [number for name, value in vars(module).items() if name.startswith("test_") for number, _ in getattr(value, "rules", ())]
        assert numbers
        assert set(numbers) <= set(RULES[section])
