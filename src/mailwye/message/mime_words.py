"""Encoded words (RFC 2047) in header values → text for people: trace, pages; and for mail flow rules
(HeaderContainsWords). Never for decisions about trust.
"""

from __future__ import annotations

import binascii
import re

# RFC 2047 section 2: charset, optional language (RFC 2231 section 5), encoding, text without "?" and white space.
_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([BbQq])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t]+(?==\?[^?\s]{1,80}\?[BbQq]\?)")
# C0 and C1 (terminals take U+009B for ESC [), and surrogates: UTF-7 makes lone ones, which no store can encode.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_QUOTED = re.compile(r"=([0-9A-Fa-f]{2})")


def decode_words(value: str, limit: int = 256) -> str:
    """The unfolded header value with its encoded words decoded, controls replaced by spaces, at most `limit` characters.

    A word that cannot be decoded (unknown charset, broken base64) stays as it is written.
    """
    value = value[: limit * 12]  # base64 of 4-octet characters and the frame of short words: more cannot matter
    if "=?" in value:
        value = _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", value))  # RFC 2047 section 6.2
    return _CONTROLS.sub(" ", value)[:limit]


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    try:
        if encoding in "Bb":
            octets = binascii.a2b_base64(text + "=" * (-len(text) % 4))
        else:
            spaced = text.replace("_", " ")  # RFC 2047 section 4.2
            octets = _QUOTED.sub(lambda hexadecimal: chr(int(hexadecimal[1], 16)), spaced).encode("latin-1")
        return octets.decode(charset, "replace")
    except (LookupError, ValueError):  # UnicodeError and binascii.Error are ValueErrors
        return match[0]
