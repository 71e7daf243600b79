from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.importing.json_reader import DEPTH_LIMIT, JsonObject, read_documents
from mailwye.importing.source import ImportRefused, Source


def read(text: str) -> list[object]:
    return read_documents(Source("f.json", text))


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(_JSON, st.sampled_from([None, 2, "\t"]))
def test_it_reads_what_json_writes(value: object, indent: int | str | None) -> None:
    assert read(json.dumps(value, indent=indent)) == [value]


def test_objects_know_their_lines() -> None:
    (value,) = read('[\n  {"a": 1,\n   "b": [\n 2, 3],\n "Value": "x", "value": 1}\n]')
    assert isinstance(value, list)
    found = value[0]
    assert isinstance(found, JsonObject)
    assert (found.line, found.lines) == (2, {"a": 2, "b": 3, "Value": 5, "value": 5})


def test_documents_may_follow_one_another() -> None:
    assert read('{"a":1}\r\n[]\r\n{"b":2}\r\n') == [{"a": 1}, [], {"b": 2}]
    assert read(" \n") == []


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ('{\n "a": 1,\n "a": 2}', 'the key "a" is given twice, first in line 2', 3),
        ("[1,\n2", "ends within what begins in line 1", 2),
        ('{"a"\n 1}', 'is no JSON: "1" stands where ":" should', 2),
        ("[1 2]", 'is no JSON: "2" stands where a comma or the end should', 1),
        ("[1,]", 'is no JSON: "]" stands where a value should', 1),
        ('{"a":1,}', 'is no JSON: "}" stands where a key in quotes should', 1),
        ("[1}", 'is no JSON: "}" stands where a comma or the end should', 1),
        ("{1:2}", 'is no JSON: "1" stands where a key in quotes or } should', 1),
        ("\n[NaN]", 'is no JSON: "NaN" stands where a value or ] should', 2),
        ('\n["abc\n"]', "a text begins here that does not end in its line", 2),
        ('["\\q"]', "has an escape that JSON does not know", 1),
        ("Name  Enabled\n----  -------", 'is no JSON: "Name" stands where a value should', 1),
        ("@", 'is no JSON: "@" stands where a value should', 1),
        (",", 'is no JSON: "," stands where a value should', 1),
        ("[" * 100_000, f"is nested deeper than {DEPTH_LIMIT} levels", 1),
        ('{"a":' * 100_000, f"is nested deeper than {DEPTH_LIMIT} levels", 1),
    ],
)
def test_faults_name_their_place(text: str, said: str, line: int) -> None:
    with pytest.raises(ImportRefused) as caught:
        read(text)
    assert said in caught.value.problem.message
    assert (caught.value.problem.file, caught.value.problem.line) == ("f.json", line)
    assert caught.value.problem.remedy


def test_long_numbers_do_not_stop_it() -> None:
    assert read("9" * 5000) == [float("inf")]
