"""PowerShell text → the tokens that a DSC configuration needs. Linear; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mailwye.config.exchange.powershell import DOUBLE, SINGLE
from mailwye.config.problem import Problem
from mailwye.importing.source import ImportRefused, Source


class Kind(Enum):
    """Kinds of tokens. TEXT is a string without variables in it, TEMPLATE one in double quotes, as written between them."""

    WORD = "word"
    TEXT = "text"
    TEMPLATE = "template"
    VARIABLE = "variable"
    SIGN = "sign"
    NEW_LINE = "new line"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text`: the word, the sign, the content of a string, the name of a variable without `$`."""

    kind: Kind
    text: str
    line: int

    def is_sign(self, sign: str) -> bool:
        """True for exactly this sign."""
        return self.kind is Kind.SIGN and self.text == sign


_TOKEN = re.compile(
    rf"""
      (?P<blank>(?:[ \t\r\f\v\u00a0]|`\r?\n)++)
    | (?P<newline>\n)
    | (?P<remark><\#)
    | (?P<comment>\#[^\n]*+)
    | (?P<here>@(?P<mark>[{SINGLE}{DOUBLE}])[ \t\r]*+\n)
    | [{SINGLE}](?P<text>(?:[^{SINGLE}]|[{SINGLE}]{{2}})*+)[{SINGLE}]
    | [{DOUBLE}](?P<template>(?:[^{DOUBLE}`]|`.|[{DOUBLE}]{{2}})*+)[{DOUBLE}]
    | \$(?P<variable>\{{[^{{}}\n]++\}}|[A-Za-z_][\w:]*+(?:\.\w++)*+)
    | (?P<sign>[@$]?[({{]|[)}}\[\],;=])
    | (?P<word>[^\s{{}}()\[\],;=\#{SINGLE}{DOUBLE}$@`]++)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
).match
_DOUBLED = re.compile(f"([{SINGLE}])[{SINGLE}]").sub
_IN_HERE = re.compile(f"[{DOUBLE}]").sub
_HERE_ENDS = {quotes: re.compile(f"\n[{quotes}]@").search for quotes in (SINGLE, DOUBLE)}


def tokens(source: Source) -> Iterator[Token]:
    """All tokens, the last one is END. :raises ImportRefused: a comment or string without end."""
    text, position, line = source.text, 0, 1
    while position < len(text):
        found = _TOKEN(text, position)
        assert found is not None, "the last alternative takes any character"
        kind, start = str(found.lastgroup), position
        position = found.end()
        if kind in ("here", "mark"):
            position, content = _here_string(text, found["mark"], position, source, line)
            if found["mark"] in SINGLE:
                yield Token(Kind.TEXT, content, line)
            else:
                yield Token(Kind.TEMPLATE, _IN_HERE(r"\g<0>\g<0>", content), line)  # there a quote is not written twice
        elif kind == "remark":
            end = text.find("#>", position)
            if end < 0:
                raise _unclosed("a comment <# begins here that does not end", "Close it with #>", source, line)
            position = end + 2
        elif kind == "text":
            yield Token(Kind.TEXT, _DOUBLED(r"\1", found["text"]), line)
        elif kind == "template":
            yield Token(Kind.TEMPLATE, found["template"], line)
        elif kind == "newline":
            yield Token(Kind.NEW_LINE, "\n", line)
        elif kind == "variable":
            yield Token(Kind.VARIABLE, found["variable"].strip("{}"), line)
        elif kind == "other" and found["other"] in SINGLE + DOUBLE:
            raise _unclosed("a text begins here that does not end", f"Close it with {found['other']}", source, line)
        elif kind in ("sign", "word", "other"):
            yield Token(Kind.WORD if kind == "word" else Kind.SIGN, found[0], line)
        line += text.count("\n", start, position)
    yield Token(Kind.END, "", line)


def _here_string(text: str, mark: str, position: int, source: Source, line: int) -> tuple[int, str]:
    """Its text up to a line that begins with the mark and @; → the place behind it."""
    end = _HERE_ENDS[SINGLE if mark in SINGLE else DOUBLE](text, position - 1)
    if end is None:
        raise _unclosed(f"a text @{mark} begins here that does not end", f"Close it with {mark}@ at the beginning of a line", source, line)
    return end.end(), text[position : end.start()].removesuffix("\r")


def _unclosed(message: str, remedy: str, source: Source, line: int) -> ImportRefused:
    return ImportRefused(Problem(message, remedy, source.name, line))
