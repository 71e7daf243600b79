"""What reading a file gives: the value and everything found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from mailwye.config.encoding import decode
from mailwye.config.problem import Places, Problem
from mailwye.value import dataclass

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
    """The text of a file of at most `limit` octets, or why not."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return "", Problem(f"cannot be read: {reason}", "Check the path, its owner and mode", file=str(path))
    return text_of(data, limit, str(path))


def text_of(data: bytes, limit: int, file: str) -> tuple[str, Problem | None]:
    """The text of octets, at most `limit` of them, that messages call `file`; or why not."""
    if len(data) > limit:
        return "", Problem(f"is larger than {limit} octets", "Split it", file=file)
    return decode(data, file)
