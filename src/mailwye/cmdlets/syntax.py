"""What a script consists of, as typed values. `at` is an offset in the text (-1: from no text); Source makes line and column of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from functools import cached_property

from mailwye.config.problem import Problem, Severity
from mailwye.value import dataclass


class Source:
    """A script's text with its name in messages."""

    def __init__(self, text: str, file: str = "") -> None:
        self.text = text
        self.file = file

    @cached_property
    def _lines(self) -> list[int]:
        """Where each line begins. A single CR ends a line too, as PowerShell sees it."""
        starts, at = [0], 0
        for line in self.text.splitlines(keepends=True):
            at += len(line)
            if line[-1] in "\r\n":
                starts.append(at)
        return starts

    def place(self, at: int) -> tuple[int, int]:
        """(line, column) from 1; (0, 0) for what stands in no text."""
        if at < 0:
            return 0, 0
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def problem(self, complaint: Complaint, severity: Severity = Severity.ERROR) -> Problem:
        """A complaint with its line and column."""
        line, column = self.place(complaint.at)
        file = self.file if line else ""
        return Problem(complaint.message, complaint.remedy, file, line, column, complaint.object, complaint.field, severity)


PROBLEMS_LIMIT = 100
"""After so many errors the rest of a script is not looked at."""


class Complaint(Exception):
    """One statement cannot be read or carried out; the others can still be looked at."""

    def __init__(self, at: int, message: str, remedy: str = "", *, about: str = "", field: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.remedy = remedy
        self.object = about
        self.field = field


@dataclass(frozen=True, slots=True)
class Placed:
    """A part of a script, with its offset."""

    at: int = field(default=-1, kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal(Placed):
    """Text, a number, $true, $false or $null. `bare`: text without quotes."""

    value: str | int | bool | None
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Joined(Placed):
    """Text with variables in it: "to $name"."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Variable(Placed):
    """`$name`; `_` for the object of a pipeline."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(Placed):
    """`of.name`."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Many(Placed):
    """`a,b,c`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table(Placed):
    """`@{Add='a'; Remove='b'}`."""

    entries: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Group(Placed):
    """`( … )`, `$( … )`, or with `is_list` `@( … )`."""

    body: tuple[Statement, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Block(Placed):
    """`{ … }`, as Where-Object and ForEach-Object take it."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Compare(Placed):
    """`left -eq right`. `operator` in lower case, without dash."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic(Placed):
    """`a -and b -and c`: operands of one operator ("and" | "or")."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Placed):
    """`-not a`, `!a`."""

    of: Node


@dataclass(frozen=True, slots=True)
class Foreign(Placed):
    """Something of PowerShell that is recognized and cannot be computed here; harmless where nobody asks for its value."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Named(Placed):
    """`-Name`, or `-Name:value`. Whether the next element is its value depends on the cmdlet."""

    name: str
    value: Node | None = None


@dataclass(frozen=True, slots=True)
class Command(Placed):
    """A cmdlet with its elements in order."""

    name: str
    elements: tuple[Named | Node, ...]


@dataclass(frozen=True, slots=True)
class Pipeline(Placed):
    """Stages between `|`. Only the first may be an expression."""

    stages: tuple[Command | Node, ...]


@dataclass(frozen=True, slots=True)
class Assignment(Placed):
    """`$name = …`."""

    name: str
    value: Statement


@dataclass(frozen=True, slots=True)
class Loop(Placed):
    """`foreach ($name in …) { … }`."""

    name: str
    over: Node
    body: Block


Node = Literal | Joined | Variable | Member | Many | Table | Group | Block | Compare | Logic | Not | Foreign
Statement = Pipeline | Assignment | Loop


@dataclass(frozen=True, slots=True)
class Script:
    """A text that was read: its statements, and what could not be read."""

    source: Source
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...] = ()
