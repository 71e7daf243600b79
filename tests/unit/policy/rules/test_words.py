"""Whole words, without regard to case."""

from __future__ import annotations

import pytest

from mailwye.policy.rules.words import SearchedText, WordSearch

CASES = [
    ("urgent", "This is URGENT", True),
    ("urgent", "urgently needed", False),
    ("urgent", "non-urgent", True),
    ("urgent", "not_urgent", False),
    ("contoso", "john@contoso.com", True),
    ("contoso", "john@contosoa.com", False),
    ("very urgent", "a very\t  urgent thing", True),
    ("very urgent", "very, urgent", False),
    ("*SPAM*", "Re:*spam*is", True),
    ("*SPAM*", "spam", False),
    ("straße", "In der STRASSE", True),
    ("größe", "die Größen", False),
    ("a.b", "a.b", True),
    ("a.b", "axb", False),
    ("(", "a (comment)", True),
    ("西", "西 site", True),
    ("x", "", False),
]


@pytest.mark.parametrize(("word", "text", "found"), CASES)
def test_words(word: str, text: str, found: bool) -> None:
    assert WordSearch([word]).is_in(SearchedText(text)) is found
    assert WordSearch(["nothing of the kind", word]).is_in(SearchedText(text)) is found


def test_no_word_is_nowhere() -> None:
    assert not WordSearch([]).is_in(SearchedText(""))
    assert not WordSearch([" "]).is_in(SearchedText("  "))
