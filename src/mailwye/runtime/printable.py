"""Text from outside, made harmless for terminals, logs and reports."""

from __future__ import annotations


def escaped(text: str) -> str:
    """`text` with everything unprintable (line ends, ESC, direction marks) written as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in text)
