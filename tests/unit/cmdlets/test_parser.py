"""Quotes, dashes, continued lines, comments, and what is wrong with its line and column."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mailwye.cmdlets.parser import SCRIPT_LIMIT, parse
from mailwye.cmdlets.syntax import PROBLEMS_LIMIT, Assignment, Command, Joined, Literal, Loop, Many, Named, Pipeline, Table


def command(text: str) -> Command:
    """The only command of a text."""
    script = parse(text)
    assert script.problems == ()
    (statement,) = script.statements
    assert isinstance(statement, Pipeline)
    (stage,) = statement.stages
    assert isinstance(stage, Command)
    return stage


def values(text: str) -> list[object]:
    """The plain values of its elements; names with a dash before them."""
    found: list[object] = []
    for one in command(text).elements:
        match one:
            case Named():
                found.append(f"-{one.name}")
                if isinstance(one.value, Literal):
                    found.append(one.value.value)
            case Literal():
                found.append(one.value)
            case Many():
                found.append([item.value for item in one.items if isinstance(item, Literal)])
            case _:
                found.append(type(one).__name__)
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Get-X a.b *.contoso.com 127.0.0.1:25", ["a.b", "*.contoso.com", "127.0.0.1:25"]),
        ('Get-X \'it\'\'s\' "say ""hi""" \'a`b\' "a`tb"', ["it's", 'say "hi"', "a`b", "a\tb"]),
        ("Get-X “typographic” ‘single’ „low“", ["typographic", "single", "low"]),
        ("Get-X ‘don’’t’", ["don’t"]),
        ("Get-X –Name —Other", ["-Name", "-Other"]),
        ("Get-X -A $true -B $FALSE -C $null", ["-A", True, "-B", False, "-C", None]),
        ("Get-X -Confirm:$false -WhatIf", ["-Confirm", False, "-WhatIf"]),
        ("Get-X -List a,b , 'c d',\n  e", ["-List", ["a", "b", "c d", "e"]]),
        ("Get-X `\n  -Name `\r\n  a", ["-Name", "a"]),
        ("Get-X a # comment\n", ["a"]),
        ("Get-X <# more\nlines #> a#b", ["a#b"]),
        ("Get-X\u00a0-Name\u2003a", ["-Name", "a"]),
        ("PS C:\\Users\\me> Get-X a", ["a"]),
        ("[PS] C:\\>Get-X a", ["a"]),
        ("Get-X @'\nline's\n'@", ["line's"]),
        ('Get-X @"\na "quoted" word\r\n"@', ['a "quoted" word']),
        ("Get-X -5 a`,b", ["-5", "a,b"]),
        ("\ufeffGet-X a", ["a"]),
        ("Get-X [::1]:25 <I>issuer", None),
        ("Get-X '<I>issuer<S>subject'", ["<I>issuer<S>subject"]),
        ("Get-X foo'bar baz'", ["foobar baz"]),
        ("Get-X ''", [""]),
        ('Get-X "a`u{2014}b`u{1F600}" `u{41}', ["a—b😀", "A"]),
        ("Get-X a` b", ["a b"]),
    ],
)
def test_values_are_those_of_powershell(text: str, wanted: list[object] | None) -> None:
    if wanted is None:
        assert parse(text).problems != ()
    else:
        assert values(text) == wanted


def test_variables_in_text() -> None:
    (first, second) = command('Get-X "to $name." to-$name').elements
    assert isinstance(first, Joined)
    assert isinstance(second, Joined)
    assert len(first.parts) == 3


def test_tables() -> None:
    (_, table) = command("Set-X -List @{Add='a','b'; Remove=\"c\"}").elements
    assert isinstance(table, Table)
    assert [key for key, _ in table.entries] == ["Add", "Remove"]


def test_statements_of_each_kind() -> None:
    script = parse("$x = 'a'\nforeach ($d in 'a','b') { Get-X $d }; Get-X |\n ft\n")
    assert script.problems == ()
    assert [type(one) for one in script.statements] == [Assignment, Loop, Pipeline]


def test_a_pipe_may_begin_the_next_line() -> None:
    script = parse("Get-X\n # which\n\n  | Set-X -A b\n|Out-Null\nGet-Y\n")
    assert script.problems == ()
    assert [len(one.stages) for one in script.statements if isinstance(one, Pipeline)] == [3, 1]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("Get-X\n  'abc", 2, 3, "the quote has no end"),
        ('Get-X "abc', 1, 7, "the quote has no end"),
        ("Get-X @'\nabc", 1, 7, "here-string has no end"),
        ("Get-X <# abc", 1, 7, "comment <# has no end"),
        ("Get-X (Get-Y", 1, 7, "bracket is never closed"),
        ("Get-X | Where-Object {$_.A -eq 1", 1, 22, "bracket is never closed"),
        ("Get-X )", 1, 7, 'unexpected ")"'),
        ("} Get-X", 1, 1, 'unexpected "}"'),
        ("Get-X a\x00b", 1, 8, "U+0000"),
        ("\x00", 1, 1, "U+0000"),
        ("Get-\u200bX", 1, 5, "U+200B"),
        ("Get-X @splat", 1, 7, "splatting"),
        ("Get-X > file.txt", 1, 7, "Redirect the output"),
        ("Get-X 2>$null", 1, 7, "Redirect the output"),
        ("& 'C:\\x.exe'", 1, 1, "other programs"),
        ("Get-X && Get-Y", 1, 7, "other programs"),
        ("Get-X || Get-Y", 1, 7, "|| is not understood"),
        ("Get-X |", 1, 8, "a cmdlet is missing"),
        ("Get-X\n|| Get-Y", 2, 1, "|| is not understood"),
        ("Get-X `  \n  -Name a", 1, 7, "space stands after the backtick"),
        ("Get-X a ` ", 1, 9, "space stands after the backtick"),
        ('Get-X "`u{d800}"', 1, 8, "is no character"),
        ("$WhatIfPreference = $true\nRemove-X a", 1, 1, "Write -WhatIf, or use `mailwye ps --what-if`"),
        ("$PSDefaultParameterValues = @{'*:WhatIf'=$true}", 1, 1, "Write -WhatIf"),
        ("Get-X a,", 1, 8, "a value is missing"),
        ("Get-X -List @{Add=192.0.2.1}", 1, 19, "text must be in quotes"),
        ("Get-X -List @{Add=abc}", 1, 19, "text must be in quotes"),
        ("Get-X -List @{Add='a'; add='b'}", 1, 24, "add stands twice"),
        ("Get-X $x[0]", 1, 9, "index"),
        ("Get-X $env:HOME", 1, 7, "another place"),
        ("[string]$x = 'a'", 1, 1, "the type [string] is not understood"),
        ("$x += 'a'", 1, 1, "+= is not understood"),
        ("$true = 'a'", 1, 1, "cannot be assigned"),
        ("if ($x) { Get-X }", 1, 1, '"if" is of PowerShell'),
        ("Get-X\nfunction f { }", 2, 1, '"function" is of PowerShell'),
        ("Get-X | ? {$_.A -match 'x'}", 1, 17, "-match is not understood"),
        ("$x = 1 + 2", 1, 8, "does not calculate"),
        ("Get-X 'a'b", 1, 10, "a space is missing"),
        ("Get-X | 'a'", 1, 9, "after | must come a cmdlet"),
    ],
)
def test_errors_say_where_and_what(text: str, line: int, column: int, words: str) -> None:
    problem = parse(text, "script.ps1").problems[0]
    assert words in str(problem)
    assert (problem.line, problem.column) == (line, column)
    assert str(problem).startswith(f"script.ps1:{line}: ")


def test_every_line_is_looked_at() -> None:
    script = parse("Get-X )\nGet-X a\nGet-Y @splat\nGet-X b,\n")
    assert [problem.line for problem in script.problems] == [1, 3, 4]


def test_brackets_that_an_error_left_open_are_no_second_error() -> None:
    script = parse("foreach ($x in 'a') {\n  Get-X @splat\n}\nGet-Y\n")
    assert len(script.problems) == 1


@pytest.mark.parametrize("opening", ["(", "@(", "$(", "{", "@{a=", "@{a=@(", "-not ", "!(", '"$(', "Get-X ("])
def test_deep_nesting_ends_with_an_error(opening: str) -> None:
    assert opening == "-not " or parse(f"Get-X {opening * 100_000}").problems != ()
    assert parse(f"$x = {opening * 100_000}").problems != ()


@pytest.mark.parametrize("link", [".a", " -and $x", " -eq $x", " -eq $x -and $x -or $x"])
def test_long_chains_end_with_an_error(link: str) -> None:
    assert "operators in one statement" in str(parse(f"$x{link * 10_000}").problems[0])


@pytest.fixture
def frozen_heap() -> Iterator[None]:
    """What other tests left is not looked through again and again while a script becomes a hundred thousand objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(
    "piece", ["'", '"', "`", "$", "@", "|", ";", "\n", "-", "a'b\n", '"$(', "<#", "@'\n", "Get-X )\n", "\x00\n", "a,", "#\n", "(\n"]
)
@pytest.mark.usefixtures("frozen_heap")
def test_a_long_script_is_read_to_its_end_or_to_its_hundredth_error(piece: str) -> None:
    script = parse(piece * (1_000_000 // len(piece)))
    assert len(script.problems) <= PROBLEMS_LIMIT + 1


def test_a_longer_script_is_refused() -> None:
    assert "is longer than" in str(parse("#" * (SCRIPT_LIMIT + 1)).problems[0])
