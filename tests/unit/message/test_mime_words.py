"""Encoded words for people: RFC 2047, examples of its section 8, and rubbish."""

from __future__ import annotations

import pytest

from mailwye.message.mime_words import decode_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?utf-8?b?0J/RgNC40LLQtdGC?=", "Привет"),
        ("=?utf-8?B?0J/RgNC40LLQtdGC?= world", "Привет world"),
        ("=?utf-8*en?q?caf=C3=A9?=", "café"),
        ("=?utf-8?b?YQ?=", "a"),  # missing padding
        ("=?nonsense?q?a?=", "=?nonsense?q?a?="),
        ("=?hex?q?6161?=", "=?hex?q?6161?="),  # a codec, but not one of text
        ("=?utf-8?b?x?=", "=?utf-8?b?x?="),
        ("=?utf-8?q?=ff?=", "\ufffd"),
        ("=?utf-8?q?=zz=?=", "=zz="),
        ("=?utf-8?q?a=0D=0AEvil:_1?=", "a Evil: 1"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a", "=?utf-8?q?a"),
        ("a\tb\x00c", "a b c"),
        ("=?utf-7?q?a+2AA-b?=", "a b"),  # a lone surrogate, which no store can encode
        ("=?unicode_escape?q?a=5Cud800b?=", "a b"),
        ("=?utf-8?q?=C2=9B31mred?=", " 31mred"),  # CSI in one character
    ],
)
def test_decode(value: str, text: str) -> None:
    assert decode_words(value) == text


def test_limits() -> None:
    assert len(decode_words("x" * 10_000)) == 256
    assert len(decode_words("=?utf-8?q?a?= " * 100_000, limit=50)) == 50
    assert decode_words("=?" * 100_000).startswith("=?=?")
