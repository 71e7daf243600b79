"""One finding about a configuration file or object, with its place and its remedy; and the places themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from mailwye.runtime.printable import escaped
from mailwye.value import dataclass

_SHOWN = 80
PROBLEMS_LIMIT = 200  # findings about one file or request

PathPart = str | int
Path = tuple[PathPart, ...]


class Severity(Enum):
    """An error keeps the settings from being saved; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding for people. `line` and `column` count from 1, 0 where unknown (settings that came from no file).

    `object`: `OutboundConnector "Connector 1"`; `field`: as written in files; `message` and `remedy` without final full stop.
    Parts may repeat foreign text; `str()` escapes its control characters, whoever renders the parts has to do so himself.
    """

    message: str
    remedy: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    object: str = ""
    field: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        head = ": ".join(part for part in (place, self.object, self.field, self.message) if part)
        text = " ".join(part if part.endswith("?") else f"{part}." for part in (head, self.remedy) if part)
        return escaped(text)

    @property
    def is_error(self) -> bool:
        """True where this finding forbids saving."""
        return self.severity is Severity.ERROR


class Fault(ValueError):
    """What a reader raises for one value; whoever called it knows the place and makes a Problem. Texts without final full stop."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def as_dicts(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "severity": problem.severity.value,
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "object": problem.object,
            "field": problem.field,
            "message": problem.message,
            "remedy": problem.remedy,
        }
        for problem in problems
    ]


class Places:
    """Where each key and value of one file stands: path of lower-case keys and indexes → (line, column), from 1."""

    __slots__ = ("_places", "file")

    def __init__(self, file: str = "", places: Mapping[Path, tuple[int, int]] | None = None) -> None:
        self.file = file
        self._places = places or {}

    def find(self, path: Iterable[PathPart]) -> tuple[int, int]:
        """The place of `path`, or of the nearest thing around it that has one; (0, 0) where there is none."""
        parts = tuple(part.lower() if isinstance(part, str) else part for part in path)
        while parts:
            place = self._places.get(parts)
            if place is not None:
                return place
            parts = parts[:-1]
        return self._places.get((), (0, 0))


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A remedy that names the nearest of the `known` words, or `otherwise`."""
    by_lower = {name.lower(): name for name in known}
    import difflib  # only who mistyped something waits for it

    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[near[0]]}?" if near else otherwise


def cut(text: str) -> str:
    """Foreign text, at most 80 characters of it."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def shown(value: object) -> str:
    """Foreign text as a message may repeat it: quoted, control characters escaped, cut."""
    text = value if isinstance(value, str) else repr(value)
    if not text.isprintable():
        return ascii(cut(text))
    return f'"{cut(text)}"' if isinstance(value, str) else cut(text)
