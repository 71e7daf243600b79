"""SASLprep (RFC 4013, by RFC 3454): one form of user names and passwords, so that both sides compute with the same octets."""

from __future__ import annotations

import stringprep
import unicodedata

# RFC 4013 section 2.3.
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class Unpreparable(ValueError):
    """The text cannot be a user name or a password. The message names the kind of fault, never the text."""


def saslprep(text: str) -> str:
    """`text` prepared as a "stored string": characters that Unicode 3.2 does not have are refused (RFC 3454 section 7).

    :raises Unpreparable: a prohibited or unassigned character, or directions that do not go together.
    """
    if text.isascii() and text.isprintable():
        return text  # nothing in the tables concerns these
    # RFC 4013 section 2.1: non-ASCII spaces become SPACE, what is "commonly mapped to nothing" goes. Section 2.2: NFKC of Unicode 3.2.
    mapped = "".join(" " if stringprep.in_table_c12(one) else one for one in text if not stringprep.in_table_b1(one))
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for one in prepared:
        if any(within(one) for within in _PROHIBITED):
            raise Unpreparable(f"holds the character U+{ord(one):04X}, which no user name or password may hold (RFC 4013)")
        if stringprep.in_table_a1(one):
            raise Unpreparable(f"holds the character U+{ord(one):04X}, which is newer than SASL (RFC 4013 knows Unicode 3.2)")
    _check_directions(prepared)
    return prepared


def _check_directions(text: str) -> None:
    """RFC 3454 section 6: right-to-left text has nothing from left to right in it, and begins and ends with itself."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)) or not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise Unpreparable("mixes characters from right to left with others (RFC 3454 section 6)")
