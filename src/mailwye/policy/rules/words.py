"""Does a text contain one of these words? Whole words, without regard to case, as Exchange's conditions of the name ContainsWords mean it.

A text is taken apart once, however many rules look at it; a plain word is then a look-up, and a phrase a search for its octets. So the time
grows with the text and with the words, and no sender can make it explode: there are no patterns. The text itself is cut (matching.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = re.compile(r"\w+").findall
_IS_WORD = re.compile(r"\w+").fullmatch


def one_line(text: str) -> str:
    """The form in which words and texts are compared: case folded, each run of white space one space."""
    return " ".join(text.casefold().split())


class SearchedText:
    """A text that is looked through for words. `words`: its runs of letters, digits and underscores."""

    __slots__ = ("line", "words")

    def __init__(self, text: str) -> None:
        self.line = one_line(text)
        self.words = frozenset(_WORDS(self.line))


class WordSearch:
    """A set of words and phrases. `*SPAM*` is one too: an end that is no letter, digit or underscore may touch anything."""

    __slots__ = ("_phrases", "_words")

    def __init__(self, words: Iterable[str]) -> None:
        lines = {line for text in words if (line := one_line(text))}
        self._words = frozenset(line for line in lines if _IS_WORD(line))
        self._phrases = tuple((line, frozenset(_WORDS(line))) for line in sorted(lines - self._words))

    def is_in(self, text: SearchedText) -> bool:
        """True where one of them stands in `text` as a whole word."""
        if not self._words.isdisjoint(text.words):
            return True
        return any(parts <= text.words and _stands_in(phrase, text.line) for phrase, parts in self._phrases)


def _stands_in(phrase: str, line: str) -> bool:
    at = line.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not (_joins(line[at - 1 : at] + phrase[0]) or _joins(phrase[-1] + line[end : end + 1])):
            return True
        at = line.find(phrase, at + 1)
    return False


def _joins(pair: str) -> bool:
    """Whether two neighbours belong to one word: then the phrase does not end between them."""
    return len(pair) == 2 and _IS_WORD(pair) is not None
