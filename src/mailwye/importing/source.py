"""A text to import."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.config.encoding import decode as decode_text
from mailwye.config.problem import Problem

SIZE_LIMIT = 67_108_864
"""Octets of one file."""


@dataclass(frozen=True, slots=True)
class Source:
    """`name`: as messages call the file. `text`: all of it, without byte order mark."""

    name: str
    text: str


class ImportRefused(Exception):
    """A file cannot be read as what it is said to be; `problem` names the place. Nothing of it was taken."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def decode(data: bytes, name: str) -> Source:
    """See config/encoding.py. :raises ImportRefused: too large, or no text."""
    if len(data) > SIZE_LIMIT:
        raise ImportRefused(
            Problem(f"is larger than {SIZE_LIMIT} octets", "Split it, or export fewer properties (Select-Object)", file=name)
        )
    text, problem = decode_text(data, name)
    if problem is not None:
        raise ImportRefused(problem)
    return Source(name, text)
