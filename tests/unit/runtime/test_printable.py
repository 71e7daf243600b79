from __future__ import annotations

import pytest

from mailwye.runtime.printable import escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße €", "Grüße €"),
        ("two\r\nlines", "two\\r\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_nothing_unprintable_is_printed(text: str, shown: str) -> None:
    assert escaped(text) == shown
