"""PowerShell's -like: * for any text, ? for one character, in any case. Never worse than text times pattern, so no pattern hangs it."""

from __future__ import annotations


def is_like(text: str, pattern: str) -> bool:
    """True where the whole `text` fits."""
    text, pattern = text.lower(), pattern.lower()
    at = wanted = 0
    star, resume = -1, 0
    while at < len(text):
        if wanted < len(pattern) and pattern[wanted] == "*":
            star, resume = wanted, at
            wanted += 1
        elif wanted < len(pattern) and pattern[wanted] in ("?", text[at]):
            at += 1
            wanted += 1
        elif star >= 0:
            resume += 1
            at, wanted = resume, star + 1
        else:
            return False
    return pattern[wanted:].strip("*") == ""
