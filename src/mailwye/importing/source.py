"""A text to import, and the bytes of a file as text: Windows PowerShell writes UTF-16 where everybody else writes UTF-8."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from mailwye.config.problem import Problem

SIZE_LIMIT = 67_108_864
"""Octets of one file."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


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
    """UTF-8, UTF-8 with mark, UTF-16 of either order with mark (what `>` of Windows PowerShell writes) or, where every second octet of
    the beginning is zero, without.

    :raises ImportRefused: too large, none of these, or NUL characters in it.
    """
    if len(data) > SIZE_LIMIT:
        raise ImportRefused(
            Problem(f"is larger than {SIZE_LIMIT} octets", "Split it, or export fewer properties (Select-Object)", file=name)
        )
    encoding, start = "utf-8", 0
    for mark, named in _MARKS:
        if data.startswith(mark):
            encoding, start = named, len(mark)
            break
    else:
        encoding = _without_mark(data)
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, start + error.start) + 1
        message = "is neither UTF-8 nor UTF-16 text"
        raise ImportRefused(Problem(message, "Save it as UTF-8: `| Out-File -Encoding utf8`", name, line)) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ImportRefused(Problem("holds a NUL character", "It is no text file, or it is damaged: export it again", name, line))
    return Source(name, text)


def _without_mark(data: bytes) -> str:
    beginning = data[:64]
    if len(beginning) >= 4 and len(beginning) % 2 == 0:
        if not any(beginning[1::2]) and all(beginning[::2]):
            return "utf-16-le"
        if not any(beginning[::2]) and all(beginning[1::2]):
            return "utf-16-be"
    return "utf-8"
