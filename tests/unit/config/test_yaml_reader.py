from __future__ import annotations

import pytest

from mailwye.config import yaml_reader
from mailwye.config.yaml_reader import ALIAS_VALUES_LIMIT, YamlReader


def read(text: str) -> YamlReader:
    reader = YamlReader("f.yaml")
    reader.read(text)
    return reader


def test_plain_scalars_mean_what_yaml_1_2_says() -> None:
    reader = read("[true, False, null, ~, 12, -3, 007, 1.5, 1e3, yes, on, no, 12:30:00, 2024-01-01, 0x10, '12', \"true\"]")
    assert reader.problems == []
    assert reader.value == [
        True, False, None, None, 12, -3, "007", "1.5", "1e3", "yes", "on", "no", "12:30:00", "2024-01-01", "0x10", "12", "true",
    ]  # fmt: skip


def test_places_are_those_of_keys_and_entries() -> None:
    reader = read("A:\n  - B: 1\n    C: [x, y]\n  -\n    B: 2\n")
    find = reader.places.find
    assert find(("a",)) == (1, 1)
    assert find(("A", 0, "c")) == (3, 5)
    assert find(("A", 0, "C", 1)) == (3, 12)
    assert find(("A", 1, "B")) == (5, 5)
    assert find(("A", 1, "nothing")) == (5, 5)  # the object
    assert find(("Z",)) == (1, 1)  # the file


def test_a_repeated_key_is_an_error_in_any_case_and_the_first_stays() -> None:
    reader = read("Name: a\nname: b\n")
    assert [str(problem) for problem in reader.problems] == ["f.yaml:2: name: name is given twice, first in line 1. Keep one of them."]
    assert reader.value == {"Name": "a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins here"),
        ("a: !!python/object/apply:os.system [id]\n", "f.yaml:1: the tag"),
        ("a: !env HOME\n", "f.yaml:1: the tag"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "f.yaml:2: merge keys (<<) are not supported"),
        ("? [a, b]\n: 1\n", "f.yaml:1: a key must be plain text"),
        ("a: *x\n", "f.yaml:1: *x refers to nothing before it"),
        ("a: &x [*x]\n", "f.yaml:1: *x refers to nothing before it"),
        ("a: b: c\n", "f.yaml:1: YAML syntax error"),
        ("a: [1\nb: 2\n", "YAML syntax error"),
        ("a: 'x\n", "YAML syntax error"),
        ("a: \x00\n", "is no YAML text"),
        ("[" * 17, "f.yaml:1: nested deeper than 16 levels"),
        ("[" * 100_000, "f.yaml:1: nested deeper than 16 levels"),
    ],
)
def test_what_ends_the_reading(text: str, message: str) -> None:
    reader = read(text)
    assert len(reader.problems) == 1
    assert message in str(reader.problems[0])


def test_aliases_are_read() -> None:
    reader = read("a: &hosts [x, y]\nb: *hosts\nc: &n 5\nd: *n\n")
    assert reader.problems == []
    assert reader.value == {"a": ["x", "y"], "b": ["x", "y"], "c": 5, "d": 5}


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    reader = read("\n".join(lines))
    assert f"aliases add more than {ALIAS_VALUES_LIMIT} values" in str(reader.problems[0])


def test_findings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_reader, "PROBLEMS_LIMIT", 3)
    assert len(read("a: 1\n" * 50).problems) == 3
