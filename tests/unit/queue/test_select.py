"""Patterns of queue queries."""

from __future__ import annotations

import pytest

from mailwye.queue.select import address_matches
from mailwye.smtp.address import Address


@pytest.mark.parametrize(
    ("pattern", "address", "expected"),
    [
        ("", Address("a", "x.org"), True),
        ("", None, True),
        ("<>", None, True),
        ("<>", Address("a", "x.org"), False),
        ("a@x.org", None, False),
        ("A@X.org", Address("a", "x.org"), True),
        ('"a"@x.org', Address("a", "x.org"), True),
        ("*@x.org", Address("a", "x.org"), True),
        ("*@x.org", Address("a", "sub.x.org"), False),
        ("x.org", Address("a", "x.org"), False),
    ],
)
def test_patterns(pattern: str, address: Address | None, expected: bool) -> None:
    assert address_matches(pattern, address) is expected
