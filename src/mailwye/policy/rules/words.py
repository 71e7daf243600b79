"""Does a text contain one of these words? Whole words, without regard to case, as Exchange's conditions of the name ContainsWords mean it.

The time is bounded: literals only, so no pattern can backtrack, and the text is cut before it is searched (matching.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LETTER = re.compile(r"\w").match


def one_line(text: str) -> str:
    """The form in which words and texts are compared: case folded, each run of white space one space."""
    return " ".join(text.casefold().split())


class WordSearch:
    """A set of words and phrases. `*SPAM*` is one too: an end that is no letter, digit or underscore may touch anything."""

    __slots__ = ("_search",)

    def __init__(self, words: Iterable[str]) -> None:
        self._search = re.compile("|".join(_whole(word) for text in words if (word := one_line(text))) or r"(?!)").search

    def is_in(self, text: str) -> bool:
        """True where one of them stands in `text` as a whole word."""
        return self._search(one_line(text)) is not None


def _whole(word: str) -> str:
    before = r"(?<!\w)" if _LETTER(word[0]) else ""
    after = r"(?!\w)" if _LETTER(word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"
