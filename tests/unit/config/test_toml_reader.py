from __future__ import annotations

from mailwye.config.installation.toml_reader import read_toml

TEXT = '''\
# [not.a.table]
hostname = "mx # [x]"
"quoted.key" = 1
description = """
[fake]
fake = 1
"""
literal = \'\'\'
[[fake]]\'\'\'
list = [
  "a]", # ] comment
  "b",
]
dotted.inner.key = 2

[[listener]]
name = "one"
  indented = { a = 1, b = [1, 2] }
[listener.more]
deep = 1

[[listener]]
name = "two"

[ tls . client_certificates . "Partner One" ]
certificate = "x"
'''


def test_places() -> None:
    data, places, problem = read_toml(TEXT, "f.toml")
    assert problem is None
    assert data["dotted"]["inner"]["key"] == 2
    expected = {
        ("hostname",): (2, 1),
        ("quoted.key",): (3, 1),
        ("description",): (4, 1),
        ("literal",): (8, 1),
        ("list",): (10, 1),
        ("dotted", "inner", "key"): (14, 1),
        ("listener", 0): (16, 1),
        ("listener", 0, "name"): (17, 1),
        ("listener", 0, "indented"): (18, 3),
        ("listener", 0, "more", "deep"): (20, 1),
        ("listener", 1): (22, 1),
        ("listener", 1, "name"): (23, 1),
        ("listener", 1, "port"): (22, 1),  # missing: the table
        ("tls", "client_certificates", "Partner One", "certificate"): (26, 1),
        ("fake",): (1, 1),
    }
    assert {path: places.find(path) for path in expected} == expected


def test_a_syntax_error_has_its_line() -> None:
    _, _, problem = read_toml('hostname = "x"\nport = \n', "f.toml")
    assert problem is not None
    assert str(problem).startswith("f.toml:2: TOML syntax error: ")
    _, _, problem = read_toml('a = """x\n\n', "f.toml")
    assert problem is not None
    assert problem.line == 3


def test_a_deep_file_is_a_problem() -> None:
    _, _, problem = read_toml("a = " + "[" * 100_000, "f.toml")
    assert problem is not None
