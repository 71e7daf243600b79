"""What the pages name exists: links and their headings, commands with their options, targets of make, files of this tree.

The remedies in error messages count as pages: a command that they name exists too.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mailwye.__main__ import COMMANDS
from mailwye.cli.command_table import Commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
SOURCES = sorted((ROOT / "src" / "mailwye").rglob("*.py"))

_FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_IN_THIS_TREE = re.compile(r"^(?:tests|docs|src|examples|packaging|benchmarks|torture)/[\w./-]*$")


def _anchor(heading: str) -> str:
    """The name that a heading's anchor gets on the web: lower case, words joined by hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_anchor(heading) for heading in _HEADING.findall(_FENCED.sub("", page.read_text()))}


def _inline(page: Path) -> list[str]:
    """What stands between backticks, outside of fenced blocks."""
    return [" ".join(code.split()) for code in _INLINE.findall(_FENCED.sub("", page.read_text()))]


def _lines(page: Path) -> Iterator[str]:
    """Lines of the fenced blocks, a continued one as one, and the inline code."""
    for block in _FENCED.findall(page.read_text()):
        yield from block.replace("\\\n", " ").splitlines()
    yield from _inline(page)


def _words(line: str) -> list[str]:
    """The words of a shell's line, without brackets of what may be left out; a line of another language may be cut anywhere."""
    plain = re.sub(r"\[(-[^\]]*)\]", r"\1", line)
    try:
        lexer = shlex.shlex(plain, posix=True, punctuation_chars=";&<>()")
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:
        return plain.split()


def _calls(line: str) -> Iterator[list[str]]:
    """The words after each `mailwye` that begins a command, up to its end; `get|set thing` is a call for each."""
    words = _words(line)
    for number, word in enumerate(words):
        before = words[number - 1] if number else ";"
        begins = not before.strip(";&<>()|") or before in ("--", "$") or re.match(r"[A-Z_]+=", before)
        if not begins or (word != "mailwye" and not word.endswith("/bin/mailwye")):
            continue
        call = list(itertools.takewhile(lambda following: following.strip(";&<>()|"), words[number + 1 :]))
        yield from map(list, itertools.product(*(re.split(r"(?<=\w)\|(?=\w)", part) for part in call)))


def _wrong(call: list[str]) -> str:
    """What of a call does not exist; "" where all does."""
    command: click.Command = Commands(COMMANDS)
    rest = list(call)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            return "" if re.fullmatch(r"[A-Z…].*", name) else f"no command {name}"
        command = found
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help", "-h", "--version"}
    options = [word.partition("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
    return ", ".join(f"{command.name} has no option {option}" for option in options if option not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    def test_its_links_lead_somewhere(self, page: Path) -> None:
        lost = []
        for target in _LINK.findall(_FENCED.sub("", page.read_text())):
            if "://" in target or target.startswith("mailto:"):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in _anchors(file)):
                lost.append(target)
        assert lost == []

    def test_its_commands_and_options_exist(self, page: Path) -> None:
        calls = [call for line in _lines(page) for call in _calls(line)]
        assert {" ".join(call): wrong for call in calls if (wrong := _wrong(call))} == {}

    def test_its_files_exist(self, page: Path) -> None:
        named = {code for code in _inline(page) if _IN_THIS_TREE.match(code)}
        assert {name for name in named if not (ROOT / name).exists()} == set()

    def test_its_targets_of_make_exist(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {name for line in _lines(page) for name in re.findall(r"(?:^|[;&] *)make ([a-z]+)", line)} - targets == set()


def test_commands_that_messages_name_exist() -> None:
    calls: dict[str, str] = {}
    for source in SOURCES:
        for code in re.findall(r"`(mailwye [^`{}\"]+)`", source.read_text()):
            calls |= {" ".join(call): _wrong(call) for call in _calls(code)}
    assert len(calls) > 20
    assert {call: wrong for call, wrong in calls.items() if wrong} == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mailwye nothing", "no command nothing"),
        ("mailwye queue lost", "no command lost"),
        ("x | ~/bin/mailwye trace --since 1h --nothing 2 | less", "trace has no option --nothing"),
        ("mailwye tls-report show [--date 2026-11-28] [--nothing]", "show has no option --nothing"),
        ("mailwye get|got outbound-connector", "no command got"),
        ("mailwye check --nothing=1 && true", "check has no option --nothing"),
    ],
)
def test_what_does_not_exist_is_found(line: str, expected: str) -> None:
    assert [wrong for call in _calls(line) if (wrong := _wrong(call))] == [expected]
