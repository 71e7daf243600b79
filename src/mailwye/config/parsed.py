"""What reading a file gives: the value and everything found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mailwye.config.problem import Places, Problem

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parsed(Generic[_T]):
    """The result of reading one file. `value` is None where there is an error; warnings alone leave it in place.

    `places` tells where each object and field stands, for what is found later.
    """

    value: _T | None
    problems: tuple[Problem, ...]
    places: Places

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The findings that forbid using the file."""
        return tuple(problem for problem in self.problems if problem.is_error)


def parsed_from(value: _T | None, problems: Iterable[Problem], places: Places) -> Parsed[_T]:
    """The findings by place; `value` goes where one is an error."""
    ordered = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    failed = any(problem.is_error for problem in ordered)
    return Parsed(None if failed else value, ordered, places)


def read_file(path: Path, limit: int) -> tuple[str, Problem | None]:
    """The text of a UTF-8 file of at most `limit` octets, or why not."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return "", Problem(f"cannot be read: {reason}", "Check the path, its owner and mode", file=str(path))
    if len(data) > limit:
        return "", Problem(f"is larger than {limit} octets", "Split it", file=str(path))
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", Problem("is not UTF-8 text", "Save it as UTF-8", file=str(path), line=line)
